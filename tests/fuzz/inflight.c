/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring (split, or packed with FUZZ_IS_PACKED) whose journal of what is in flight holds anything,
 * and changes while the ring runs.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/vhost_inflight.h"
#include "abi/virtio_features.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define PLACES 10u
#define ROUNDS 4

#ifdef FUZZ_IS_PACKED
#define FORMAT VIRTIO_F_RING_PACKED
#define REGION_BYTES                                                                               \
	(sizeof(struct vhost_inflight_packed) + PLACES * sizeof(struct vhost_inflight_packed_desc))
#else
#define FORMAT 0
#define REGION_BYTES                                                                               \
	(sizeof(struct vhost_inflight_split) + PLACES * sizeof(struct vhost_inflight_split_desc))
#endif

static void scribble(uint8_t *region, struct fuzz_input *input)
{
	for (uint8_t n = fuzz_u8(input) & 7; n > 0; n--) {
		uint16_t at = fuzz_u16(input);

		region[at % REGION_BYTES] = fuzz_u8(input);
	}
}

static void live(const struct pv_ring_config *config, struct fuzz_memory *memory,
                 struct fuzz_input *input)
{
	size_t bytes = pv_dev_ring_storage_bytes(config);
	struct pv_ring_position position = pv_ring_position_fresh();
	struct pv_dev_ring ring;
	void *storage = calloc(1, bytes);
	int err;

	pv_bug_on(!storage);
	err = pv_dev_ring_init(&ring, config, &position, memory->mem, storage);
	pv_bug_on(err && err != -PV_ESTATE);
	for (int i = 0; !err && i < ROUNDS; i++) {
		fuzz_round_trip(&ring, memory, PLACES, input);
		fuzz_memory_scribble(memory, input);
		scribble(config->inflight, input);
	}
	free(storage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	struct pv_ring_config config = {
		.features = (fuzz_ring_features(fuzz_u8(&input) & 7)) | FORMAT,
		.size = FUZZ_SIZE,
		.desc_area = pv_gpa_of(FUZZ_DESC_GPA),
		.driver_area = pv_gpa_of(FUZZ_DRIVER_GPA),
		.device_area = pv_gpa_of(FUZZ_DEVICE_GPA),
		.inflight = calloc(1, REGION_BYTES),
		.inflight_places = PLACES,
	};
	struct fuzz_memory memory;

	pv_bug_on(!config.inflight);
	fuzz_copy(&input, config.inflight, REGION_BYTES);
	fuzz_memory_open(&memory);
	fuzz_memory_fill(&memory, &input);
	live(&config, &memory, &input);
	/* What the first life left behind is right but for what was scribbled since. */
	live(&config, &memory, &input);
	fuzz_memory_close(&memory);
	free(config.inflight);
	return 0;
}
