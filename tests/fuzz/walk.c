/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's walk of a ring (split, or packed with FUZZ_IS_PACKED) that holds anything. */
#include "abi/virtio_features.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define PIECES_MAX 12
#define ROUNDS     4

static void check_chain(const struct fuzz_memory *memory, const struct pv_chain *chain)
{
	const struct pv_iov *writable = chain->iov + chain->readable;

	pv_bug_on(chain->readable + chain->writable > PIECES_MAX);
	for (uint16_t i = 0; i < chain->readable + chain->writable; i++)
		pv_bug_on(chain->iov[i].bytes == 0 ||
		          !fuzz_memory_has(memory, chain->iov[i].base, chain->iov[i].bytes));
	pv_bug_on(chain->last_writable && !fuzz_memory_has(memory, chain->last_writable, 1));
	if (chain->is_incomplete)
		return;
	pv_bug_on(pv_iov_bytes(chain->iov, chain->readable) != chain->readable_bytes);
	pv_bug_on(pv_iov_bytes(writable, chain->writable) != chain->writable_bytes);
	pv_bug_on(chain->writable > 0 && !chain->last_writable);
}

/* Takes what there is, and gives some of it back at once and the rest later, by the input. */
static void round_trip(struct pv_dev_ring *ring, const struct fuzz_memory *memory,
                       struct fuzz_input *input)
{
	struct pv_chain out[FUZZ_SIZE];
	struct pv_iov iov[FUZZ_SIZE][PIECES_MAX];
	uint16_t taken = 0;

	for (uint16_t i = 0; i < FUZZ_SIZE; i++) {
		out[i] = (struct pv_chain){ .iov = iov[i], .capacity = PIECES_MAX };
		if (pv_dev_ring_take(ring, &out[i]) != PV_TAKEN)
			break;
		check_chain(memory, &out[i]);
		taken++;
	}
	pv_bug_on(ring->in_flight > FUZZ_SIZE || ring->in_flight_descs > FUZZ_SIZE);
	while (taken > 0) {
		uint16_t which = fuzz_u8(input) % taken;

		pv_dev_ring_return(ring, &out[which], (uint32_t)out[which].writable_bytes);
		out[which] = out[--taken];
		if (fuzz_u8(input) & 1)
			pv_dev_ring_publish(ring);
	}
	if (pv_dev_ring_publish(ring))
		pv_dev_ring_must_interrupt(ring);
	pv_bug_on(ring->in_flight != 0 || ring->in_flight_descs != 0 || ring->waiting != 0);
}

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
		round_trip(&ring, &memory, &input);
		pv_dev_ring_kicks_on(&ring);
		fuzz_memory_scribble(&memory, &input);
		pv_dev_ring_kicks_off(&ring);
	}
	fuzz_memory_close(&memory);
	return 0;
}
