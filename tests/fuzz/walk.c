/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's walk of a ring (split, or packed with FUZZ_IS_PACKED) that holds anything. */
#include "abi/virtio_features.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define ROUNDS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	struct pv_ring_config config = {
		.features = fuzz_ring_features(fuzz_u8(&input) & 7),
		.size = FUZZ_SIZE,
		.desc_area = pv_gpa_of(FUZZ_DESC_GPA),
		.driver_area = pv_gpa_of(FUZZ_DRIVER_GPA),
		.device_area = pv_gpa_of(FUZZ_DEVICE_GPA),
	};
	struct pv_ring_position position = pv_ring_position_fresh();
	struct pv_ring_order order[FUZZ_SIZE] = { 0 };
	struct fuzz_memory memory;
	struct pv_dev_ring ring;

	fuzz_memory_open(&memory);
#ifdef FUZZ_IS_PACKED
	config.features |= VIRTIO_F_RING_PACKED;
#endif
	fuzz_memory_fill(&memory, &input);
	pv_bug_on(pv_dev_ring_init(&ring, &config, &position, memory.mem, order));
	for (int i = 0; i < ROUNDS; i++) {
		fuzz_round_trip(&ring, &memory, 0, &input);
		pv_dev_ring_kicks_on(&ring);
		fuzz_memory_scribble(&memory, &input);
		pv_dev_ring_kicks_off(&ring);
	}
	fuzz_memory_close(&memory);
	return 0;
}
