/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's ring: what comes back, and what it does not believe of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/drv_rig.h"
#include "tests/support/random.h"

/* ---- in-order ---- */

static void one_split_entry_can_stand_for_a_batch(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, IN_ORDER);
	pv_drv_rig_added(&rig, 0, 0, 2);
	pv_drv_rig_added(&rig, 1, 1, 1);
	pv_drv_rig_added(&rig, 2, 0, 1);
	pv_drv_rig_added(&rig, 3, 0, 1);
	pv_drv_rig_use_split(&rig, 4, 5, 3); /* the head of chain 2 */
	assert_true(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_expect_taken(&rig, 0, 32);
	assert_true(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_expect_taken(&rig, 1, 16);
	pv_drv_rig_expect_taken(&rig, 2, 5);
	pv_drv_rig_expect_none(&rig, PV_DRV_NONE);
	pv_drv_rig_use_split(&rig, 5, 6, 1);
	pv_drv_rig_expect_taken(&rig, 3, 6);
	assert_int_equal(rig.ring.free_descs, PV_RIG_SIZE);
	pv_drv_rig_close(&rig);
}

static void one_packed_entry_can_stand_for_a_batch(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, PACKED | IN_ORDER);
	pv_drv_rig_added(&rig, 0, 0, 2);
	pv_drv_rig_added(&rig, 1, 1, 1);
	pv_drv_rig_added(&rig, 2, 0, 1);
	/* At the place of the batch's first (2.8.8), with the id of its last. */
	pv_drv_rig_use_packed(&rig, 0, pv_le16_get(rig.packed[3].id), 7,
	                      AVAIL_USED | VIRTQ_DESC_F_WRITE);
	pv_drv_rig_expect_taken(&rig, 0, 32);
	pv_drv_rig_expect_taken(&rig, 1, 7);
	pv_drv_rig_expect_none(&rig, PV_DRV_NONE);
	pv_drv_rig_use_packed(&rig, 4, pv_le16_get(rig.packed[4].id), 1,
	                      AVAIL_USED | VIRTQ_DESC_F_WRITE);
	pv_drv_rig_expect_taken(&rig, 2, 1);
	pv_drv_rig_close(&rig);
}

/* As QEMU's devices have it. */
static void a_packed_length_counts_without_the_flag_for_it(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, PACKED);
	pv_drv_rig_added(&rig, 0, 0, 1);
	pv_drv_rig_use_packed(&rig, 0, pv_le16_get(rig.packed[0].id), 9, AVAIL_USED);
	pv_drv_rig_expect_taken(&rig, 0, 9);
	pv_drv_rig_close(&rig);
}

static void a_batch_longer_than_its_index_breaks_the_ring(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, IN_ORDER);
	pv_drv_rig_added(&rig, 0, 1, 0);
	pv_drv_rig_added(&rig, 1, 1, 0);
	pv_drv_rig_added(&rig, 2, 1, 0);
	pv_drv_rig_use_split(&rig, 2, 0, 2);
	pv_drv_rig_expect_taken(&rig, 0, 0);
	pv_drv_rig_expect_taken(&rig, 1, 0);
	pv_drv_rig_expect_none(&rig, PV_DRV_BROKEN);
	pv_drv_rig_close(&rig);
}

static void a_batch_that_runs_into_what_is_not_published_breaks_the_ring(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, PACKED | IN_ORDER);
	pv_drv_rig_added(&rig, 0, 1, 0);
	assert_int_equal(pv_drv_rig_add(&rig, 1, 1, 0), 0);
	pv_drv_rig_use_packed(&rig, 0, 1, 0, AVAIL_USED);
	pv_drv_rig_expect_taken(&rig, 0, 0);
	pv_drv_rig_expect_none(&rig, PV_DRV_BROKEN);
	pv_drv_rig_close(&rig);
}

/* ---- what is not believed ---- */

static void a_used_id_that_is_not_in_flight_breaks_the_ring(void **state)
{
	/* None, not a head, used before, and far outside. */
	const uint32_t ids[] = { 5, 1, 3, PV_RIG_SIZE, 0x10000, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct pv_drv_rig rig;

		pv_drv_rig_open(&rig, 0);
		pv_drv_rig_added(&rig, 0, 3, 0);
		pv_drv_rig_added(&rig, 1, 1, 0);
		pv_drv_rig_use_split(&rig, 3, 0, 1);
		pv_drv_rig_expect_taken(&rig, 1, 0);
		pv_drv_rig_use_split(&rig, ids[i], 0, 1);
		pv_drv_rig_expect_none(&rig, PV_DRV_BROKEN);
		assert_int_equal(pv_drv_rig_add(&rig, 2, 1, 0), -PV_EBROKEN);
		/* It stays broken, whatever else the device writes. */
		pv_drv_rig_use_split(&rig, 0, 0, 0);
		pv_drv_rig_expect_none(&rig, PV_DRV_BROKEN);
		pv_drv_rig_close(&rig);

		pv_drv_rig_open(&rig, PACKED);
		pv_drv_rig_added(&rig, 0, 1, 0);
		pv_drv_rig_use_packed(&rig, 0, (uint16_t)(ids[i] | 1), 0, AVAIL_USED);
		pv_drv_rig_expect_none(&rig, PV_DRV_BROKEN);
		pv_drv_rig_close(&rig);
	}
}

static void a_used_index_that_runs_ahead_breaks_the_ring(void **state)
{
	const uint16_t ahead[] = { 3, PV_RIG_SIZE, PV_RIG_SIZE + 1, 0x8000, UINT16_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
		struct pv_drv_rig rig;

		pv_drv_rig_open(&rig, 0);
		pv_drv_rig_added(&rig, 0, 1, 0);
		pv_drv_rig_added(&rig, 1, 1, 0);
		/* Published are two: the third does not count. */
		assert_int_equal(pv_drv_rig_add(&rig, 2, 1, 0), 0);
		pv_drv_rig_use_split(&rig, 0, 0, ahead[i]);
		pv_drv_rig_expect_none(&rig, PV_DRV_BROKEN);
		pv_drv_rig_close(&rig);
	}
}

/* Who polls as long as there is something would never come to an end. */
static void a_broken_ring_has_nothing_to_poll_for(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, 0);
	pv_drv_rig_added(&rig, 0, 1, 0);
	pv_drv_rig_use_split(&rig, 0, 0, 2);
	assert_true(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_expect_none(&rig, PV_DRV_BROKEN);
	assert_false(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_close(&rig);

	pv_drv_rig_open(&rig, PACKED);
	pv_drv_rig_added(&rig, 0, 1, 0);
	pv_drv_rig_use_packed(&rig, 0, 5, 0, AVAIL_USED);
	assert_true(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_expect_none(&rig, PV_DRV_BROKEN);
	assert_false(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_close(&rig);

	/* In the midst of a batch, too. */
	pv_drv_rig_open(&rig, IN_ORDER);
	pv_drv_rig_added(&rig, 0, 1, 0);
	pv_drv_rig_added(&rig, 1, 1, 0);
	pv_drv_rig_use_split(&rig, 1, 0, 2);
	pv_drv_rig_expect_taken(&rig, 0, 0);
	assert_true(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_ring_detach(&rig.ring);
	assert_false(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_close(&rig);
}

static void a_used_length_beyond_the_buffers_is_cut_and_counted(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, 0);
	pv_drv_rig_added(&rig, 0, 1, 2);
	pv_drv_rig_added(&rig, 1, 1, 0);
	pv_drv_rig_use_split(&rig, 0, 33, 1);
	pv_drv_rig_use_split(&rig, 3, UINT32_MAX, 1);
	pv_drv_rig_expect_taken(&rig, 0, 32);
	pv_drv_rig_expect_taken(&rig, 1, 0);
	assert_int_equal(rig.ring.lies, 2);
	pv_drv_rig_close(&rig);
}

static void a_packed_entry_for_what_is_not_published_is_not_seen(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, PACKED);
	assert_int_equal(pv_drv_rig_add(&rig, 0, 1, 0), 0);
	pv_drv_rig_use_packed(&rig, 0, 0, 0, AVAIL_USED);
	pv_drv_rig_expect_none(&rig, PV_DRV_NONE);
	assert_false(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_close(&rig);
}

/* Section 2.7.5: the table is the driver's; a device that writes there changes nothing for us. */
static void what_the_device_writes_over_the_drivers_areas_is_never_read(void **state)
{
	struct pv_ring_bytes bytes = pv_ring_bytes(0, PV_RIG_SIZE);
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, 0);
	for (uint16_t lap = 0; lap < 20; lap++) {
		uint16_t head[2];

		for (uint16_t i = 0; i < 2; i++) {
			pv_drv_rig_added(&rig, i, 2, 1);
			head[i] = pv_le16_get(rig.avail->ring[(2u * lap + i) % PV_RIG_SIZE]);
		}
		memset(rig.memory.desc_area, 0xff, bytes.desc_area);
		memset(rig.memory.driver_area, 0xff, bytes.driver_area);
		pv_drv_rig_use_split(&rig, head[lap % 2 ? 0 : 1], 0, 1);
		pv_drv_rig_use_split(&rig, head[lap % 2 ? 1 : 0], 0, 1);
		pv_drv_rig_expect_taken(&rig, lap % 2 ? 0u : 1u, 0);
		pv_drv_rig_expect_taken(&rig, lap % 2 ? 1u : 0u, 0);
		assert_int_equal(rig.ring.free_descs, PV_RIG_SIZE);
	}
	pv_drv_rig_close(&rig);
}

static void detaching_hands_out_each_token_in_flight_once(void **state)
{
	const uint64_t formats[] = { 0, IN_ORDER, PACKED, PACKED | INDIRECT | IN_ORDER };

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		uint32_t seen[3] = { 0 };
		struct pv_drv_rig rig;
		char *token;

		pv_drv_rig_open(&rig, formats[i]);
		pv_drv_rig_added(&rig, 0, 2, 1);
		pv_drv_rig_added(&rig, 1, 1, 0);
		assert_int_equal(pv_drv_rig_add(&rig, 2, 1, 1),
		                 0); /* not published, but in our books */
		while ((token = pv_drv_ring_detach(&rig.ring)))
			seen[token - rig.token]++;
		for (uint32_t j = 0; j < 3; j++)
			assert_int_equal(seen[j], 1);
		assert_int_equal(pv_drv_rig_add(&rig, 0, 1, 0), -PV_EBROKEN);
		assert_int_equal(pv_drv_ring_init(&rig.ring, formats[i], PV_RIG_SIZE, &rig.memory),
		                 0);
		pv_drv_rig_added(&rig, 0, 1, 0);
		pv_drv_rig_close(&rig);
	}
}

/* A device that writes at random: no token comes back that was not out, none twice. */
static void no_noise_makes_a_token_up(void **state)
{
	struct pv_random random = pv_random_start(pv_random_seed(), 0);

	(void)state;
	for (uint32_t game = 0; game < 4000; game++) {
		uint64_t features = (game & 1 ? PACKED : 0) | (game & 2 ? IN_ORDER : 0) |
		                    (game & 4 ? INDIRECT : 0) | (game & 8 ? EVENT : 0);
		bool is_out[4 * PV_RIG_SIZE] = { false };
		struct pv_ring_bytes bytes = pv_ring_bytes(features, PV_RIG_SIZE);
		struct pv_drv_rig rig;

		pv_drv_rig_open(&rig, features);
		for (uint32_t step = 0; step < 60; step++) {
			uint32_t number = pv_random_below(&random, 4 * PV_RIG_SIZE), written_bytes;
			uint8_t *area = features & PACKED ? rig.memory.desc_area
			                                  : rig.memory.device_area;
			void *token;

			if (!is_out[number] && pv_drv_rig_add(&rig, number, 1, 1) == 0)
				is_out[number] = true;
			if (pv_drv_ring_publish(&rig.ring))
				pv_drv_ring_must_kick(&rig.ring);
			for (uint32_t i = 0; i < 3; i++)
				area[pv_random_below(&random,
				                     (uint32_t)(features & PACKED
				                                        ? bytes.desc_area
				                                        : bytes.device_area))] =
					(uint8_t)pv_random_below(&random, 4);
			if (pv_drv_ring_take(&rig.ring, &token, &written_bytes) != PV_DRV_TAKEN)
				continue;
			number = (uint32_t)((char *)token - rig.token);
			assert_true(number < 4 * PV_RIG_SIZE && is_out[number]);
			assert_true(written_bytes <= 16);
			is_out[number] = false;
		}
		pv_drv_rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_split_entry_can_stand_for_a_batch),
		cmocka_unit_test(one_packed_entry_can_stand_for_a_batch),
		cmocka_unit_test(a_packed_length_counts_without_the_flag_for_it),
		cmocka_unit_test(a_batch_longer_than_its_index_breaks_the_ring),
		cmocka_unit_test(a_batch_that_runs_into_what_is_not_published_breaks_the_ring),
		cmocka_unit_test(a_used_id_that_is_not_in_flight_breaks_the_ring),
		cmocka_unit_test(a_used_index_that_runs_ahead_breaks_the_ring),
		cmocka_unit_test(a_broken_ring_has_nothing_to_poll_for),
		cmocka_unit_test(a_used_length_beyond_the_buffers_is_cut_and_counted),
		cmocka_unit_test(a_packed_entry_for_what_is_not_published_is_not_seen),
		cmocka_unit_test(what_the_device_writes_over_the_drivers_areas_is_never_read),
		cmocka_unit_test(detaching_hands_out_each_token_in_flight_once),
		cmocka_unit_test(no_noise_makes_a_token_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
