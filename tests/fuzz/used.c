/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's walk of what the device gave back, in both formats: a driver that adds, publishes
 * and takes, and a device that writes anything anywhere it may.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/virtio_features.h"
#include "ring/drv_ring.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define SIZE         8u
#define TOKENS       64u
#define INDIRECT_MAX 3u
#define STEPS_MAX    400u

struct chain {
	uint32_t writable_bytes;
	bool is_out;
};

struct scene {
	struct pv_drv_ring ring;
	struct pv_drv_ring_memory memory;
	struct pv_ring_bytes bytes;
	size_t indirect_bytes;
	struct chain chain[TOKENS];
	uint32_t out;
	uint32_t next;
	bool is_packed;
};

static void *alloc(uint64_t bytes)
{
	void *memory = calloc(1, (size_t)bytes);

	pv_bug_on(!memory);
	return memory;
}

static void scene_open(struct scene *scene, uint64_t features)
{
	*scene = (struct scene){ .is_packed = features & VIRTIO_F_RING_PACKED };
	scene->bytes = pv_ring_bytes(features, SIZE);
	scene->indirect_bytes = SIZE * INDIRECT_MAX * sizeof(struct virtq_desc);
	scene->memory = (struct pv_drv_ring_memory){
		.desc_area = alloc(scene->bytes.desc_area),
		.driver_area = alloc(scene->bytes.driver_area),
		.device_area = alloc(scene->bytes.device_area),
		.indirect = alloc(scene->indirect_bytes),
		.indirect_gpa = { 0x10000 },
		.indirect_max = INDIRECT_MAX,
		.private_area = alloc(pv_drv_ring_private_bytes(SIZE)),
	};
	pv_bug_on(pv_drv_ring_init(&scene->ring, features, SIZE, &scene->memory));
}

static void came_back(struct scene *scene, void *token)
{
	struct chain *chain = token;

	pv_bug_on(chain < scene->chain || chain >= scene->chain + TOKENS || !chain->is_out);
	chain->is_out = false;
	scene->out--;
}

static void scene_close(struct scene *scene)
{
	void *token;

	while ((token = pv_drv_ring_detach(&scene->ring)))
		came_back(scene, token);
	pv_bug_on(scene->out != 0);
	free(scene->memory.desc_area);
	free(scene->memory.driver_area);
	free(scene->memory.device_area);
	free(scene->memory.indirect);
	free(scene->memory.private_area);
}

static void add(struct scene *scene, struct fuzz_input *input)
{
	struct chain *chain = &scene->chain[scene->next++ % TOKENS];
	uint8_t shape = fuzz_u8(input);
	uint16_t readable = shape & 3, writable = shape >> 2 & 3;
	struct pv_sg sg[6];

	if (chain->is_out)
		return;
	chain->writable_bytes = 0;
	for (uint16_t i = 0; i < readable + writable; i++) {
		sg[i] = (struct pv_sg){ { 0x1000u * i }, fuzz_u16(input) };
		if (i >= readable)
			chain->writable_bytes += sg[i].bytes;
	}
	if (pv_drv_ring_add(&scene->ring, sg, readable, writable, chain))
		return;
	chain->is_out = true;
	scene->out++;
}

static void take(struct scene *scene)
{
	uint32_t written_bytes;
	void *token;

	if (pv_drv_ring_take(&scene->ring, &token, &written_bytes) != PV_DRV_TAKEN)
		return;
	pv_bug_on(written_bytes > ((struct chain *)token)->writable_bytes);
	came_back(scene, token);
}

/* Nearly right: an entry where the driver looks, with an index or flags that show it. */
static void use(struct scene *scene, struct fuzz_input *input)
{
	uint16_t id = fuzz_u8(input) % (SIZE + 2), ahead = fuzz_u8(input);

	if (scene->is_packed) {
		struct pvirtq_desc *ring = scene->memory.desc_area;
		struct pvirtq_desc *desc = &ring[(scene->ring.at.used + ahead / 64u) % SIZE];
		uint16_t wrap = scene->ring.at.used_wrap ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED
		                                         : 0;

		desc->id = pv_le16_of(id);
		desc->len = pv_le32_of(fuzz_u16(input));
		desc->flags = pv_le16_of(wrap | (ahead & VIRTQ_DESC_F_WRITE));
	} else {
		struct virtq_used *used = scene->memory.device_area;
		uint16_t idx = pv_le16_get(used->idx);

		used->ring[idx % SIZE] =
			(struct virtq_used_elem){ pv_le32_of(id), pv_le32_of(fuzz_u16(input)) };
		used->idx = pv_le16_of((uint16_t)(idx + 1 + ahead / 128u));
	}
}

static void scribble(void *area, uint64_t bytes, struct fuzz_input *input)
{
	uint16_t at = fuzz_u16(input);

	((uint8_t *)area)[at % bytes] = fuzz_u8(input);
}

static void step(struct scene *scene, struct fuzz_input *input)
{
	switch (fuzz_u8(input) % 10) {
	case 0:
	case 1:
		add(scene, input);
		break;
	case 2:
		if (pv_drv_ring_publish(&scene->ring))
			pv_drv_ring_must_kick(&scene->ring);
		break;
	case 3:
	case 4:
		take(scene);
		break;
	case 5:
	case 6:
		use(scene, input);
		break;
	case 7:
		scribble(scene->memory.desc_area, scene->bytes.desc_area, input);
		break;
	case 8:
		scribble(scene->memory.device_area, scene->bytes.device_area, input);
		scribble(scene->memory.driver_area, scene->bytes.driver_area, input);
		scribble(scene->memory.indirect, scene->indirect_bytes, input);
		break;
	case 9:
		pv_drv_ring_interrupts_on(&scene->ring);
		pv_drv_ring_interrupts_off(&scene->ring);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	struct scene scene;

	scene_open(&scene, fuzz_ring_features(fuzz_u8(&input)));
	for (uint32_t i = 0; i < STEPS_MAX && input.bytes > 0; i++)
		step(&scene, &input);
	for (uint32_t i = 0; i < 2 * SIZE; i++)
		take(&scene);
	scene_close(&scene);
	return 0;
}
