/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's ring: what it refuses, what it writes, when it notifies. The device is played by
 * hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/drv_rig.h"

/* ---- what is refused ---- */

static void sizes_that_cannot_be_are_refused(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, 0);
	assert_int_equal(pv_drv_ring_init(&rig.ring, 0, 0, &rig.memory), -PV_EINVAL);
	assert_int_equal(pv_drv_ring_init(&rig.ring, 0, 6, &rig.memory), -PV_EINVAL);
	assert_int_equal(pv_drv_ring_init(&rig.ring, 0, 32769, &rig.memory), -PV_EINVAL);
	assert_int_equal(pv_drv_ring_init(&rig.ring, PACKED, 0, &rig.memory), -PV_EINVAL);
	assert_int_equal(pv_drv_ring_init(&rig.ring, PACKED, 40000, &rig.memory), -PV_EINVAL);
	assert_int_equal(pv_drv_ring_init(&rig.ring, PACKED, 6, &rig.memory), 0);
	pv_drv_rig_close(&rig);
}

static void chains_that_can_never_go_out_are_refused(void **state)
{
	const uint64_t formats[] = { 0, PACKED, INDIRECT, PACKED | INDIRECT | IN_ORDER };
	const struct pv_sg large[] = { { { 0 }, UINT32_MAX }, { { 0 }, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct pv_drv_rig rig;

		pv_drv_rig_open(&rig, formats[i]);
		assert_int_equal(pv_drv_rig_add(&rig, 0, 0, 0), -PV_EINVAL);
		assert_int_equal(pv_drv_rig_add(&rig, 0, PV_RIG_SIZE, 1), -PV_EINVAL);
		assert_int_equal(pv_drv_ring_add(&rig.ring, large, UINT16_MAX, UINT16_MAX, &rig),
		                 -PV_EINVAL);
		/* Section 2.7.5.2: no chain longer than 2^32 bytes. */
		assert_int_equal(pv_drv_ring_add(&rig.ring, large, 1, 1, &rig), -PV_EINVAL);
		assert_int_equal(pv_drv_ring_add(&rig.ring, large, 1, 0, NULL), -PV_EINVAL);
		assert_false(pv_drv_ring_publish(&rig.ring));
		pv_drv_rig_close(&rig);
	}
}

static void a_chain_that_does_not_fit_yet_can_wait(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, 0);
	pv_drv_rig_added(&rig, 0, 3, 3);
	assert_int_equal(pv_drv_rig_add(&rig, 1, 1, 2), -PV_ENOSPC);
	pv_drv_rig_added(&rig, 2, 2, 0);
	assert_int_equal(pv_drv_rig_add(&rig, 1, 1, 0), -PV_ENOSPC);
	pv_drv_rig_use_split(&rig, 0, 0, 1);
	pv_drv_rig_expect_taken(&rig, 0, 0);
	pv_drv_rig_added(&rig, 1, 1, 2);
	pv_drv_rig_close(&rig);
}

/* ---- what is written ---- */

static void expect_desc(const struct virtq_desc *desc, uint64_t addr, uint16_t flags)
{
	assert_int_equal(pv_le64_get(desc->addr), addr);
	assert_int_equal(pv_le32_get(desc->len), 16);
	assert_int_equal(pv_le16_get(desc->flags), flags);
}

static void a_split_chain_is_laid_out_as_section_2_7_5_says(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, 0);
	assert_int_equal(pv_drv_rig_add(&rig, 1, 1, 2), 0);
	assert_int_equal(pv_le16_get(rig.avail->idx), 0);
	assert_true(pv_drv_ring_publish(&rig.ring));
	assert_false(pv_drv_ring_publish(&rig.ring));
	assert_int_equal(pv_le16_get(rig.avail->idx), 1);
	assert_int_equal(pv_le16_get(rig.avail->ring[0]), 0);
	expect_desc(&rig.table[0], 0x10000, VIRTQ_DESC_F_NEXT);
	expect_desc(&rig.table[pv_le16_get(rig.table[0].next)], 0x11000,
	            VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE);
	expect_desc(&rig.table[2], 0x12000, VIRTQ_DESC_F_WRITE);
	pv_drv_rig_close(&rig);
}

static void an_in_order_split_ring_uses_its_table_round_and_round(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, IN_ORDER);
	pv_drv_rig_added(&rig, 0, 6, 0);
	pv_drv_rig_use_split(&rig, 0, 0, 1);
	pv_drv_rig_expect_taken(&rig, 0, 0);
	pv_drv_rig_added(&rig, 1, 4, 0);
	assert_int_equal(pv_le16_get(rig.avail->ring[1]), 6);
	/* Section 2.7.5: next is x + 1, and 0 for the last descriptor of the table. */
	assert_int_equal(pv_le16_get(rig.table[6].next), 7);
	assert_int_equal(pv_le16_get(rig.table[7].next), 0);
	assert_int_equal(pv_le16_get(rig.table[0].next), 1);
	expect_desc(&rig.table[1], 0x13000, 0);
	pv_drv_rig_close(&rig);
}

static void a_split_table_is_chained_and_stands_alone(void **state)
{
	struct pv_drv_rig rig;
	const struct virtq_desc *table;

	(void)state;
	pv_drv_rig_open(&rig, INDIRECT);
	pv_drv_rig_added(&rig, 1, 1, 1);
	table = rig.memory.indirect;
	assert_int_equal(pv_le64_get(rig.table[0].addr), PV_RIG_INDIRECT_GPA);
	assert_int_equal(pv_le32_get(rig.table[0].len), 2 * sizeof(*table));
	assert_int_equal(pv_le16_get(rig.table[0].flags), VIRTQ_DESC_F_INDIRECT);
	expect_desc(&table[0], 0x10000, VIRTQ_DESC_F_NEXT);
	assert_int_equal(pv_le16_get(table[0].next), 1);
	expect_desc(&table[1], 0x11000, VIRTQ_DESC_F_WRITE);
	assert_int_equal(rig.ring.free_descs, PV_RIG_SIZE - 1);
	/* Too many for a table: they go out one by one. */
	pv_drv_rig_added(&rig, 2, 4, 0);
	assert_int_equal(rig.ring.free_descs, PV_RIG_SIZE - 5);
	pv_drv_rig_close(&rig);
}

static void a_packed_chain_becomes_visible_with_its_first_descriptor(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, PACKED);
	assert_int_equal(pv_drv_rig_add(&rig, 1, 1, 1), 0);
	assert_int_equal(pv_drv_rig_add(&rig, 2, 1, 0), 0);
	assert_int_equal(pv_le16_get(rig.packed[0].flags), 0);
	assert_int_equal(pv_le16_get(rig.packed[1].flags), VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_WRITE);
	assert_int_equal(pv_le16_get(rig.packed[2].flags), VIRTQ_DESC_F_AVAIL);
	assert_true(pv_drv_ring_publish(&rig.ring));
	assert_int_equal(pv_le16_get(rig.packed[0].flags), VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_NEXT);
	assert_int_equal(pv_le16_get(rig.packed[1].id), 0);
	assert_int_equal(pv_le16_get(rig.packed[2].id), 1);
	pv_drv_rig_close(&rig);
}

static void the_second_lap_of_a_packed_ring_has_its_flags_the_other_way(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, PACKED);
	pv_drv_rig_added(&rig, 0, 7, 0);
	pv_drv_rig_use_packed(&rig, 0, 0, 0, AVAIL_USED);
	pv_drv_rig_expect_taken(&rig, 0, 0);
	pv_drv_rig_added(&rig, 1, 1, 1);
	assert_int_equal(pv_le16_get(rig.packed[7].flags), VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_NEXT);
	assert_int_equal(pv_le16_get(rig.packed[0].flags), VIRTQ_DESC_F_USED | VIRTQ_DESC_F_WRITE);
	pv_drv_rig_close(&rig);
}

static void a_packed_table_has_no_flag_but_write(void **state)
{
	struct pv_drv_rig rig;
	const struct pvirtq_desc *table;

	(void)state;
	pv_drv_rig_open(&rig, PACKED | INDIRECT);
	pv_drv_rig_added(&rig, 1, 2, 1);
	table = rig.memory.indirect;
	assert_int_equal(pv_le16_get(rig.packed[0].flags),
	                 VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_AVAIL);
	assert_int_equal(pv_le32_get(rig.packed[0].len), 3 * sizeof(*table));
	assert_int_equal(pv_le16_get(table[0].flags), 0);
	assert_int_equal(pv_le16_get(table[2].flags), VIRTQ_DESC_F_WRITE);
	pv_drv_rig_close(&rig);
}

/* ---- notifications ---- */

static void interrupts_are_off_from_the_start_and_off_leaves_the_event_behind(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, 0);
	assert_int_equal(pv_le16_get(rig.avail->flags), VIRTQ_AVAIL_F_NO_INTERRUPT);
	assert_false(pv_drv_ring_interrupts_on(&rig.ring));
	assert_int_equal(pv_le16_get(rig.avail->flags), 0);
	pv_drv_rig_close(&rig);

	pv_drv_rig_open(&rig, EVENT);
	assert_int_equal(pv_le16_get(rig.avail->ring[PV_RIG_SIZE]), UINT16_MAX);
	assert_false(pv_drv_ring_interrupts_on(&rig.ring));
	assert_int_equal(pv_le16_get(rig.avail->ring[PV_RIG_SIZE]), 0);
	/* Section 2.7.7.1: flags stay 0 with the event index. */
	assert_int_equal(pv_le16_get(rig.avail->flags), 0);
	pv_drv_ring_interrupts_off(&rig.ring);
	assert_int_equal(pv_le16_get(rig.avail->ring[PV_RIG_SIZE]), UINT16_MAX);
	pv_drv_rig_close(&rig);

	pv_drv_rig_open(&rig, PACKED | EVENT);
	assert_int_equal(pv_le16_get(rig.driver_event->flags), VIRTQ_EVENT_F_DISABLE);
	assert_false(pv_drv_ring_interrupts_on(&rig.ring));
	assert_int_equal(pv_le16_get(rig.driver_event->flags), VIRTQ_EVENT_F_DESC);
	assert_int_equal(pv_le16_get(rig.driver_event->off_wrap), VIRTQ_EVENT_WRAP);
	pv_drv_rig_close(&rig);
}

static void who_turns_interrupts_on_too_late_is_told(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, EVENT);
	pv_drv_rig_added(&rig, 0, 1, 0);
	pv_drv_rig_use_split(&rig, 0, 0, 1);
	assert_true(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_expect_taken(&rig, 0, 0);
	assert_false(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_close(&rig);

	pv_drv_rig_open(&rig, PACKED);
	pv_drv_rig_added(&rig, 0, 1, 0);
	pv_drv_rig_use_packed(&rig, 0, 0, 0, AVAIL_USED);
	assert_true(pv_drv_ring_interrupts_on(&rig.ring));
	pv_drv_rig_close(&rig);
}

static void a_kick_is_decided_once_for_all_that_was_published(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, EVENT);
	assert_false(pv_drv_ring_must_kick(&rig.ring));
	*pv_drv_rig_avail_event(&rig) = pv_le16_of(1); /* the second chain */
	pv_drv_rig_added(&rig, 0, 1, 0);
	assert_false(pv_drv_ring_must_kick(&rig.ring));
	pv_drv_rig_added(&rig, 1, 1, 0);
	pv_drv_rig_added(&rig, 2, 1, 0);
	assert_true(pv_drv_ring_must_kick(&rig.ring));
	assert_false(pv_drv_ring_must_kick(&rig.ring));
	pv_drv_rig_close(&rig);
}

static void the_device_can_turn_kicks_off(void **state)
{
	struct pv_drv_rig rig;

	(void)state;
	pv_drv_rig_open(&rig, 0);
	pv_drv_rig_added(&rig, 0, 1, 0);
	assert_true(pv_drv_ring_must_kick(&rig.ring));
	rig.used->flags = pv_le16_of(VIRTQ_USED_F_NO_NOTIFY);
	pv_drv_rig_added(&rig, 1, 1, 0);
	assert_false(pv_drv_ring_must_kick(&rig.ring));
	pv_drv_rig_close(&rig);

	pv_drv_rig_open(&rig, PACKED);
	rig.device_event->flags = pv_le16_of(VIRTQ_EVENT_F_DISABLE);
	pv_drv_rig_added(&rig, 0, 1, 0);
	assert_false(pv_drv_ring_must_kick(&rig.ring));
	rig.device_event->flags = pv_le16_of(VIRTQ_EVENT_F_ENABLE);
	pv_drv_rig_added(&rig, 1, 1, 0);
	assert_true(pv_drv_ring_must_kick(&rig.ring));
	pv_drv_rig_close(&rig);
}

/* A chain that was added and not published is no part of it. */
static void what_a_kick_tells_is_where_the_next_chain_will_be(void **state)
{
	struct pv_drv_rig rig;
	uint16_t i;

	(void)state;
	pv_drv_rig_open(&rig, 0);
	assert_int_equal(pv_drv_ring_next(&rig.ring), 0);
	pv_drv_rig_added(&rig, 0, 1, 1);
	assert_int_equal(pv_drv_ring_next(&rig.ring), 1);
	assert_int_equal(pv_drv_rig_add(&rig, 1, 1, 0), 0);
	assert_int_equal(pv_drv_ring_next(&rig.ring), 1);
	pv_drv_rig_close(&rig);

	/* In lap after lap. */
	pv_drv_rig_open(&rig, PACKED);
	assert_int_equal(pv_drv_ring_next(&rig.ring), 0x8000);
	for (i = 0; i < 2 * PV_RIG_SIZE; i++) {
		const bool is_first_lap = i + 1u < PV_RIG_SIZE || i + 1u == 2 * PV_RIG_SIZE;

		pv_drv_rig_added(&rig, i, 0, 1);
		assert_int_equal(pv_drv_ring_next(&rig.ring),
		                 (i + 1) % PV_RIG_SIZE | (is_first_lap ? 0x8000 : 0));
		pv_drv_rig_use_packed(&rig, i % PV_RIG_SIZE, 0, 0,
		                      i < PV_RIG_SIZE ? AVAIL_USED : 0);
		pv_drv_rig_expect_taken(&rig, i, 0);
	}
	pv_drv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_that_cannot_be_are_refused),
		cmocka_unit_test(chains_that_can_never_go_out_are_refused),
		cmocka_unit_test(a_chain_that_does_not_fit_yet_can_wait),
		cmocka_unit_test(a_split_chain_is_laid_out_as_section_2_7_5_says),
		cmocka_unit_test(an_in_order_split_ring_uses_its_table_round_and_round),
		cmocka_unit_test(a_split_table_is_chained_and_stands_alone),
		cmocka_unit_test(a_packed_chain_becomes_visible_with_its_first_descriptor),
		cmocka_unit_test(the_second_lap_of_a_packed_ring_has_its_flags_the_other_way),
		cmocka_unit_test(a_packed_table_has_no_flag_but_write),
		cmocka_unit_test(interrupts_are_off_from_the_start_and_off_leaves_the_event_behind),
		cmocka_unit_test(who_turns_interrupts_on_too_late_is_told),
		cmocka_unit_test(a_kick_is_decided_once_for_all_that_was_published),
		cmocka_unit_test(the_device_can_turn_kicks_off),
		cmocka_unit_test(what_a_kick_tells_is_where_the_next_chain_will_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
