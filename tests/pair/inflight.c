/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of chains in flight, and a device that dies before each of its stores to shared
 * memory in turn: those of its recovery from an earlier death too.  Whatever instant it was, the
 * next device finishes each request, and the driver notices nothing.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "ring/dirty_log.h"
#include "tests/support/mortal.h"
#include "tests/support/store_hook.h"

#define STEPS 400u

/* The device lives for so many stores; 0: the driver is at it, or it is immortal. */
static uint32_t stores_left;
static jmp_buf death;

void before_store(void)
{
	if (stores_left > 0 && --stores_left == 0)
		longjmp(death, 1);
}

struct play {
	struct mortal_world world;
	struct mortal_device device;
	struct pv_random random;
	uint32_t life; /* in stores, of the next device */
	uint32_t deaths;
	uint32_t stores; /* the number that is the test's */
};

static void expect_good(const struct play *play, const char *wrong)
{
	if (wrong)
		fail_msg("%s, dead before store %" PRIu32 ", %" PRIu32 " deaths: %s",
		         play->world.name, play->stores, play->deaths, wrong);
}

/* Often so short that it ends within the recovery. */
static uint32_t next_life(struct play *play)
{
	uint32_t dice = pv_random_below(&play->random, 100);

	if (dice < 40)
		return 1 + pv_random_below(&play->random, 8);
	return dice < 70 ? 1 + pv_random_below(&play->random, 60) : 0;
}

/* Starts a device, as often as it dies in that. */
static void start(struct play *play)
{
	for (;;) {
		stores_left = play->life;
		if (setjmp(death) == 0) {
			if (mortal_device_start(&play->device, &play->world, &play->random))
				expect_good(play, "the journal makes no sense");
			play->life = stores_left;
			stores_left = 0;
			return;
		}
		play->deaths++;
		mortal_device_forget(&play->device);
		play->life = next_life(play);
	}
}

static void device_step(struct play *play)
{
	stores_left = play->life;
	if (setjmp(death) == 0) {
		mortal_device_step(&play->device);
		play->life = stores_left;
		stores_left = 0;
		return;
	}
	play->deaths++;
	mortal_device_forget(&play->device);
	/* The driver may see what was shown before there is a device again. */
	if (pv_random_chance(&play->random, 50))
		expect_good(play, mortal_driver_takes(&play->world));
	play->life = next_life(play);
	start(play);
}

static void step(struct play *play)
{
	uint32_t dice = pv_random_below(&play->random, 100);

	if (dice < 35)
		expect_good(play, mortal_driver_adds(&play->world, &play->random));
	else if (dice < 50)
		expect_good(play, mortal_driver_takes(&play->world));
	else
		device_step(play);
}

/* Returns whether the device died: if not, its life has no more stores than that. */
static bool dies_before(uint64_t features, uint16_t size, uint32_t store)
{
	struct play play = { .random = pv_random_start(pv_random_seed(), features + size),
		             .life = store,
		             .stores = store };

	mortal_world_open(&play.world, features, size);
	start(&play);
	for (uint32_t i = 0; i < STEPS; i++)
		step(&play);
	for (uint32_t i = 0; i < 20000 && !mortal_is_done(&play.world); i++) {
		device_step(&play);
		expect_good(&play, mortal_driver_takes(&play.world));
	}
	expect_good(&play, mortal_is_done(&play.world) ? NULL : "a request was lost");
	mortal_device_forget(&play.device);
	mortal_world_close(&play.world);
	return play.deaths > 0;
}

static void die_everywhere(uint64_t format, const uint16_t *sizes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (uint32_t mix = 0; mix < 8; mix++) {
			uint64_t features = format | VIRTIO_F_VERSION_1 |
			                    (mix & 1 ? VIRTIO_F_INDIRECT_DESC : 0) |
			                    (mix & 2 ? VIRTIO_F_EVENT_IDX : 0) |
			                    (mix & 4 ? VIRTIO_F_IN_ORDER : 0);
			uint32_t store = 1;

			while (dies_before(features, sizes[i], store))
				store++;
			/* The smallest rings have no room for most requests, but these have. */
			assert_true(sizes[i] < 8 || store > 50);
		}
	}
}

static void a_split_ring_survives_a_death_before_any_store(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 4, 8 };

	(void)state;
	die_everywhere(0, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

static void a_packed_ring_survives_a_death_before_any_store(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 3, 8 };

	(void)state;
	die_everywhere(VIRTIO_F_RING_PACKED, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

static bool is_marked(const uint8_t *bits, struct pv_gpa gpa, uint64_t bytes)
{
	for (uint64_t page = gpa.v / PV_DIRTY_PAGE_BYTES;
	     page <= (gpa.v + bytes - 1) / PV_DIRTY_PAGE_BYTES; page++)
		if (!(bits[page / 8] & 1u << page % 8))
			return false;
	return true;
}

/* One that died between a write and its mark left nothing that tells. */
static void who_takes_over_marks_what_the_dead_device_may_have_written(void **state)
{
	static uint8_t bits[1 << 17];
	static struct play play;

	(void)state;
	for (int is_packed = 0; is_packed < 2; is_packed++) {
		const struct pv_ring_config *config = &play.world.config;
		struct pv_dirty_log log = { bits, sizeof(bits), false };
		struct pv_ring_logging logging = { .log = &log, .has_own_writes = true };

		play = (struct play){ .random = pv_random_start(pv_random_seed(), 7) };
		memset(bits, 0, sizeof(bits));
		mortal_world_open(&play.world, is_packed ? VIRTIO_F_RING_PACKED : 0, 8);
		logging.device_area = config->device_area;
		start(&play);
		pv_dev_ring_log_set(&play.device.ring, &logging);
		assert_false(is_marked(bits, config->device_area, 1));
		mortal_device_forget(&play.device);
		start(&play);
		pv_dev_ring_log_set(&play.device.ring, &logging);
		assert_true(is_marked(bits, config->device_area, is_packed ? 4 : 6 + 8 * 8));
		assert_true(!is_packed || is_marked(bits, config->desc_area, 8 * 16));
		assert_false(log.has_missed);
		mortal_device_forget(&play.device);
		mortal_world_close(&play.world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_split_ring_survives_a_death_before_any_store),
		cmocka_unit_test(a_packed_ring_survives_a_death_before_any_store),
		cmocka_unit_test(who_takes_over_marks_what_the_dead_device_may_have_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
