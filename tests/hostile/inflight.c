/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A front-end that writes into the journal of what is in flight: between two devices, and while one
 * runs.  The next device refuses it, or breaks the ring, or serves on; it reads nothing outside,
 * and comes to an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/vhost_inflight.h"
#include "abi/virtio_features.h"
#include "ring/err.h"
#include "tests/support/mortal.h"

#define ROUNDS      4000u
#define ROUNDS_LONG 200000u

struct scene {
	struct mortal_world world;
	struct mortal_device device;
	struct pv_random random;
	uint8_t *region; /* an allocation of its own: the sanitizer guards its borders */
	size_t bytes;
	bool is_packed;
};

static uint64_t any_features(struct pv_random *random, bool is_packed)
{
	uint32_t mix = pv_random_below(random, 8);

	return VIRTIO_F_VERSION_1 | (is_packed ? VIRTIO_F_RING_PACKED : 0) |
	       (mix & 1 ? VIRTIO_F_INDIRECT_DESC : 0) | (mix & 2 ? VIRTIO_F_EVENT_IDX : 0) |
	       (mix & 4 ? VIRTIO_F_IN_ORDER : 0);
}

static void scene_open(struct scene *scene, bool is_packed, uint32_t number)
{
	scene->random = pv_random_start(pv_random_seed(), number);
	scene->is_packed = is_packed;
	mortal_world_open(&scene->world, any_features(&scene->random, is_packed),
	                  (uint16_t)(1u << pv_random_below(&scene->random, 7)));
	scene->bytes = is_packed ? sizeof(struct vhost_inflight_packed) +
	                                   scene->world.config.inflight_places *
	                                           sizeof(struct vhost_inflight_packed_desc)
	                         : sizeof(struct vhost_inflight_split) +
	                                   scene->world.config.inflight_places *
	                                           sizeof(struct vhost_inflight_split_desc);
	scene->region = aligned_alloc(8, scene->bytes);
	assert_non_null(scene->region);
	memset(scene->region, 0, scene->bytes);
	scene->world.config.inflight = scene->region;
}

static void scene_close(struct scene *scene)
{
	mortal_world_close(&scene->world);
	free(scene->region);
}

/* What the driver makes of it is its own affair, and the front-end's. */
static void live(struct scene *scene, uint32_t steps)
{
	for (uint32_t i = 0; i < steps; i++) {
		mortal_driver_adds(&scene->world, &scene->random);
		mortal_device_step(&scene->device);
		if (i % 4 == 0)
			mortal_driver_takes(&scene->world);
		assert_true(scene->device.ring.in_flight <= scene->world.size);
		assert_true(scene->device.ring.in_flight_descs <= scene->world.size);
	}
}

/* The fields that lead somewhere lie at even places: numbers near what is right are the worst. */
static void spoil(struct scene *scene)
{
	for (uint32_t n = 1 + pv_random_below(&scene->random, 6); n > 0; n--) {
		uint32_t at = pv_random_below(&scene->random, (uint32_t)scene->bytes / 2) * 2;
		uint16_t value = (uint16_t)pv_random_below(&scene->random, 65536);

		if (pv_random_chance(&scene->random, 30))
			at = pv_random_below(&scene->random, 12) * 2;
		if (pv_random_chance(&scene->random, 70))
			value = (uint16_t)pv_random_below(&scene->random, 100);
		if (pv_random_chance(&scene->random, 30))
			scene->region[at] ^= 1;
		else
			memcpy(scene->region + at, &value, sizeof(value));
	}
}

static void start(struct scene *scene, bool is_spoilt)
{
	int err = mortal_device_start(&scene->device, &scene->world, &scene->random);

	assert_true(err == 0 || (is_spoilt && err == -PV_ESTATE));
	if (!err)
		live(scene, 30);
	mortal_device_forget(&scene->device);
}

static void lives_between_scribbles(bool is_packed)
{
	uint32_t rounds = getenv("PV_LONG") ? ROUNDS_LONG : ROUNDS;
	static struct scene scene;

	for (uint32_t i = 0; i < rounds; i++) {
		scene_open(&scene, is_packed, i);
		start(&scene, false);
		for (uint32_t deaths = 0; deaths < 3; deaths++) {
			spoil(&scene);
			start(&scene, true);
		}
		scene_close(&scene);
	}
}

static void a_spoilt_region_of_a_split_ring_harms_nobody_else(void **state)
{
	(void)state;
	lives_between_scribbles(false);
}

static void a_spoilt_region_of_a_packed_ring_harms_nobody_else(void **state)
{
	(void)state;
	lives_between_scribbles(true);
}

/* All that the region says is known once the ring runs, but for the chains to be taken again. */
static void a_region_that_changes_under_a_ring_harms_nobody_else(void **state)
{
	static struct scene scene;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		scene_open(&scene, i & 1, i);
		start(&scene, false);
		if (mortal_device_start(&scene.device, &scene.world, &scene.random) == 0) {
			for (uint32_t turns = 0; turns < 10; turns++) {
				spoil(&scene);
				live(&scene, 5);
			}
		}
		mortal_device_forget(&scene.device);
		scene_close(&scene);
	}
}

/* ---- what makes no sense, one by one ---- */

static void open_used(struct scene *scene, bool is_packed)
{
	scene->random = pv_random_start(pv_random_seed(), 0);
	mortal_world_open(&scene->world, is_packed ? VIRTIO_F_RING_PACKED : 0, 16);
	scene->region = scene->world.config.inflight;
	for (uint32_t i = 0; i < 8; i++)
		mortal_driver_adds(&scene->world, &scene->random);
	assert_int_equal(mortal_device_start(&scene->device, &scene->world, &scene->random), 0);
	for (uint32_t i = 0; i < 40; i++)
		mortal_device_step(&scene->device);
	mortal_device_forget(&scene->device);
}

/* A journal has the byte order of the machine. */
static void put(uint8_t *field, size_t bytes, uint64_t value)
{
	const bool is_little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

	for (size_t i = 0; i < bytes; i++)
		field[is_little ? i : bytes - 1 - i] = (uint8_t)(value >> (8 * i));
}

static void expect_refused(bool is_packed, size_t offset, size_t bytes, uint64_t value)
{
	static struct scene scene;

	open_used(&scene, is_packed);
	assert_int_equal(mortal_device_start(&scene.device, &scene.world, &scene.random), 0);
	mortal_device_forget(&scene.device);
	put(scene.region + offset, bytes, value);
	if (mortal_device_start(&scene.device, &scene.world, &scene.random) != -PV_ESTATE)
		fail_msg("taken for good: %llu at byte %zu", (unsigned long long)value, offset);
	mortal_device_forget(&scene.device);
	mortal_world_close(&scene.world);
}

#define SPLIT(field)  false, offsetof(struct vhost_inflight_split, field)
#define PACKED(field) true, offsetof(struct vhost_inflight_packed, field)

static void a_region_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	expect_refused(SPLIT(features), 8, 1);
	expect_refused(SPLIT(state.version), 2, 2);
	expect_refused(SPLIT(state.desc_num), 2, 16);
	expect_refused(SPLIT(state.used_idx), 2, 0x8000);
	expect_refused(SPLIT(desc[1].inflight), 1, 2);
	expect_refused(PACKED(features), 8, 1);
	expect_refused(PACKED(heads.version), 2, 2);
	expect_refused(PACKED(heads.desc_num), 2, 16);
	expect_refused(PACKED(heads.old_free_head), 2, 25);
	expect_refused(PACKED(used.used_idx), 2, 16);
	expect_refused(PACKED(used.old_used_idx), 2, 16);
	expect_refused(PACKED(used.used_wrap_counter), 1, 2);
	expect_refused(PACKED(used.old_used_wrap_counter), 1, 2);
}

static void a_region_with_less_room_than_the_ring_is_refused(void **state)
{
	static struct scene scene;

	(void)state;
	open_used(&scene, false);
	scene.world.config.inflight_places = 15;
	assert_int_equal(mortal_device_start(&scene.device, &scene.world, &scene.random),
	                 -PV_ESTATE);
	mortal_device_forget(&scene.device);
	mortal_world_close(&scene.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spoilt_region_of_a_split_ring_harms_nobody_else),
		cmocka_unit_test(a_spoilt_region_of_a_packed_ring_harms_nobody_else),
		cmocka_unit_test(a_region_that_changes_under_a_ring_harms_nobody_else),
		cmocka_unit_test(a_region_that_makes_no_sense_is_refused),
		cmocka_unit_test(a_region_with_less_room_than_the_ring_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
