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

#define PIECES_MAX 12u
#define PLACES     10u
#define ROUNDS     4

#ifdef FUZZ_IS_PACKED
#define FORMAT VIRTIO_F_RING_PACKED
#define REGION_BYTES                                                                               \
	(sizeof(struct vhost_inflight_packed) + PLACES * sizeof(struct vhost_inflight_packed_desc))
#else
#define FORMAT 0
#define REGION_BYTES                                                                               \
	(sizeof(struct vhost_inflight_split) + PLACES * sizeof(struct vhost_inflight_split_desc))
#endif

static void check_chain(const struct fuzz_memory *memory, const struct pv_chain *chain)
{
	pv_bug_on(chain->readable + chain->writable > (int)PIECES_MAX || chain->entry >= PLACES);
	for (uint16_t i = 0; i < chain->readable + chain->writable; i++)
		pv_bug_on(!fuzz_memory_has(memory, chain->iov[i].base, chain->iov[i].bytes));
}

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
	pv_dev_ring_publish(ring);
	pv_bug_on(ring->in_flight != 0 || ring->in_flight_descs != 0 || ring->waiting != 0);
}

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
		round_trip(&ring, memory, input);
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
