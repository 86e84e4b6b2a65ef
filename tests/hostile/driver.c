/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile driver: rings that no driver would write, on every kind of ring.  The request fails or
 * the queue breaks, is counted and logged once, the guard bytes around the driver's memory hold,
 * and after a plain reset the device serves again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "ring/barrier.h"
#include "tests/hostile/rig.h"

static struct rig rig;

static bool has(uint64_t features)
{
	return (rig.features & features) == features;
}

static void on_every_ring(void (*evil)(void))
{
	rig_on_every_ring(&rig, evil);
}

static struct raw data(uint32_t bytes, uint16_t flags)
{
	return (struct raw){ rig.data.v, bytes, flags, 0 };
}

/* ---- chains ---- */

EVIL(a_chain_that_loops_breaks_the_queue)
{
	const uint16_t last = RIG_SIZE - 1;

	for (uint16_t length = 1; length <= RIG_SIZE; length++) {
		for (uint16_t i = 0; i < (rig.is_packed ? RIG_SIZE : length); i++)
			rig_desc(&rig, i,
			         (struct raw){ rig.data.v, 4, F_NEXT,
			                       i + 1 < length ? (uint16_t)(i + 1) : 0 });
		rig_offer(&rig, 0, last);
		rig_expect_broken(&rig, PV_RING_LOOP);
		rig_restart(&rig);
	}
}

EVIL(a_chain_that_goes_on_to_no_descriptor_breaks_the_queue)
{
	const uint16_t beyond[] = { RIG_SIZE, RIG_SIZE + 1, 0x7fff, 0x8000, 0xffff };

	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		/* Packed: on to a place that the driver has not made available. */
		rig_desc(&rig, 0, (struct raw){ rig.header.v, 16, F_NEXT, beyond[i] });
		rig_offer(&rig, 0, 2);
		rig_expect_broken(&rig, PV_RING_BAD_NEXT);
		rig_restart(&rig);
	}
}

EVIL(a_readable_buffer_behind_a_writable_one_breaks_the_queue)
{
	const struct raw chain[] = { rig_raw_header(&rig, F_NEXT), data(512, F_WRITE | F_NEXT),
		                     data(512, F_NEXT), rig_raw_status(&rig) };
	const struct raw backwards[] = { data(1, F_WRITE | F_NEXT), rig_raw_header(&rig, 0) };

	rig_request(&rig, VIRTIO_BLK_T_IN, 0, chain, 4);
	rig_expect_broken(&rig, PV_RING_BAD_ORDER);
	rig_restart(&rig);
	rig_request(&rig, VIRTIO_BLK_T_IN, 0, backwards, 2);
	rig_expect_broken(&rig, PV_RING_BAD_ORDER);
	if (!has(INDIRECT))
		return;
	rig_restart(&rig);
	rig_table(&rig, rig.table, chain, 4);
	rig_indirect(&rig, rig.table, 4 * 16, 0);
	rig_expect_broken(&rig, PV_RING_BAD_ORDER);
}

/* ---- indexes ---- */

EVIL(an_available_index_that_runs_ahead_breaks_the_queue)
{
	const uint16_t ahead[] = { RIG_SIZE + 1, 0x7fff, 0x8000, 0xffff };
	struct virtq_avail *avail = rig.driver;

	if (rig.is_packed)
		return;
	for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
		pv_publish_le16(&avail->idx, ahead[i]);
		rig_expect_broken(&rig, PV_RING_BAD_INDEX);
		rig_restart(&rig);
		/* And after some work, also backwards. */
		rig_expect_service(&rig);
		pv_publish_le16(&avail->idx, (uint16_t)(rig.at + ahead[i]));
		rig_expect_broken(&rig, PV_RING_BAD_INDEX);
		rig_restart(&rig);
	}
}

EVIL(a_head_that_is_no_descriptor_breaks_the_queue)
{
	const uint16_t heads[] = { RIG_SIZE, 0x7fff, 0x8000, 0xffff };

	if (rig.is_packed)
		return;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		rig_offer(&rig, heads[i], 1);
		rig_expect_broken(&rig, PV_RING_BAD_HEAD);
		rig_restart(&rig);
	}
}

/* Flags of neither lap, and those of the lap before or after: nothing is available. */
EVIL(packed_flags_of_another_lap_are_not_taken)
{
	const uint16_t both = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
	const uint16_t wrong[] = { 0, both, VIRTQ_DESC_F_USED };
	struct pvirtq_desc *ring = rig.desc;
	uint32_t bytes;

	if (!rig.is_packed)
		return;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		for (uint16_t at = 0; at < RIG_SIZE; at++)
			ring[at] = (struct pvirtq_desc){ pv_le64_of(rig.status.v), pv_le32_of(1),
				                         pv_le16_of(1),
				                         pv_le16_of(wrong[i] | F_WRITE) };
		rig_run(&rig);
		assert_int_equal(rig_counters(&rig)->requests, 0);
		assert_int_equal(rig.couple.needs_resets, 0);
	}
	memset(ring, 0, virtq_desc_bytes(RIG_SIZE));
	assert_false(rig_used(&rig, &bytes));
	rig_expect_service(&rig);
}

/* Eight are published before the device takes the ninth: PUBLISH_EVERY in devices/blk/queue.c. */
EVIL(what_was_answered_before_the_ring_broke_is_announced)
{
	const struct raw flush[] = { rig_raw_header(&rig, F_NEXT), rig_raw_status(&rig) };
	uint32_t interrupts = rig.couple.interrupts;
	uint32_t bytes, answered = 0;

	if (rig.is_packed)
		return; /* has no room for eight requests and a ninth */
	rig.store.at_once_percent = 100;
	rig_request(&rig, VIRTIO_BLK_T_FLUSH, 0, flush, 2);
	for (int i = 1; i < 8; i++)
		rig_offer(&rig, 0, 0);
	rig_offer(&rig, RIG_SIZE, 0);
	rig_expect_broken(&rig, PV_RING_BAD_HEAD);
	while (rig_used(&rig, &bytes))
		answered++;
	assert_int_equal(answered, 8);
	assert_int_equal(rig.couple.interrupts, interrupts + 1);
}

/* Ends what is with the store, and has the device see it. */
static void finish_all(void)
{
	while (pv_slow_store_finish_one(&rig.store))
		pv_couple_wake(&rig.couple, 0);
	rig_run(&rig);
}

/* The same head again and again: each is a chain of its own. */
static void crowd_split_ring(const struct raw chain[3])
{
	for (uint16_t i = RIG_SIZE / 3; i < RIG_SIZE; i++)
		rig_chain(&rig, chain, 3);
	rig_run(&rig);
	assert_int_equal(rig.store.pendings, RIG_SIZE);
	rig_chain(&rig, chain, 3);
	rig_run(&rig);
	assert_int_equal(rig.store.pendings, RIG_SIZE);
	assert_int_equal(rig.device->queue[0].ring.fault, PV_RING_TOO_MANY);
	assert_int_equal(rig.couple.needs_resets, 1);
	finish_all();
}

/* What is out and not returned is made available once more. */
EVIL(more_chains_than_the_ring_holds_are_never_in_flight)
{
	struct raw chain[3];

	rig_good_read(&rig, chain);
	rig.store.at_once_percent = 0;
	for (uint16_t i = 0; i < RIG_SIZE / 3; i++)
		rig_chain(&rig, chain, 3);
	rig_run(&rig);
	assert_int_equal(rig.store.pendings, RIG_SIZE / 3);
	if (rig.is_packed) {
		rig_chain(&rig, chain, 3);
		rig_expect_broken(&rig, PV_RING_TOO_MANY);
	} else {
		crowd_split_ring(chain);
	}
	rig_restart(&rig);
	rig.store.at_once_percent = 100;
}

/* A chain that is in flight is in the ring a second time, and the queue breaks behind both. */
EVIL(what_is_in_flight_when_the_queue_breaks_harms_nothing)
{
	struct raw chain[3];
	uint8_t before[4096];

	rig_good_read(&rig, chain);
	rig.store.at_once_percent = 0;
	rig_chain(&rig, chain, 3);
	if (!rig.is_packed)
		rig_offer(&rig, 0, 0);
	rig_desc(&rig, rig.is_packed ? 0 : 4, (struct raw){ rig.table.v, 5, F_INDIRECT, 0 });
	rig_offer(&rig, 4, 1);
	rig_expect_broken(&rig, PV_RING_BAD_INDIRECT);
	memcpy(before, rig.device_area, virtq_used_bytes(RIG_SIZE));
	finish_all();
	assert_memory_equal(before, rig.device_area, virtq_used_bytes(RIG_SIZE));
	assert_int_equal(rig_status(&rig), RIG_STATUS_NOTHING);
	assert_int_equal(rig.couple.logs, 1);
	rig.store.at_once_percent = 100;
}

/* ---- indirect tables ---- */

EVIL(an_indirect_table_that_was_not_agreed_on_breaks_the_queue)
{
	struct raw chain[3];

	if (has(INDIRECT))
		return;
	rig_good_read(&rig, chain);
	rig_table(&rig, rig.table, chain, 3);
	rig_indirect(&rig, rig.table, 3 * 16, 0);
	rig_expect_broken(&rig, PV_RING_BAD_INDIRECT);
}

EVIL(an_indirect_table_with_next_or_of_no_shape_breaks_the_queue)
{
	const uint32_t misshapen[] = { 0, 1, 8, 15, 17, 3 * 16 + 8, UINT32_MAX };
	struct raw chain[3];

	if (!has(INDIRECT))
		return;
	for (size_t i = 0; i < sizeof(misshapen) / sizeof(misshapen[0]); i++) {
		rig_good_read(&rig, chain);
		rig_table(&rig, rig.table, chain, 3);
		rig_indirect(&rig, rig.table, misshapen[i], 0);
		rig_expect_broken(&rig, PV_RING_BAD_INDIRECT);
		rig_restart(&rig);
	}
	rig_good_read(&rig, chain);
	rig_table(&rig, rig.table, chain, 3);
	rig_desc(&rig, 1, data(512, F_WRITE));
	rig_desc(&rig, 0, (struct raw){ rig.table.v, 3 * 16, F_INDIRECT | F_NEXT, 1 });
	rig_offer(&rig, 0, 2);
	rig_expect_broken(&rig, PV_RING_BAD_INDIRECT);
}

EVIL(a_table_within_a_table_is_not_followed)
{
	struct raw chain[3], nested[] = { { rig.table.v, 3 * 16, F_INDIRECT, 0 } };
	uint32_t bytes;

	if (!has(INDIRECT))
		return;
	rig_good_read(&rig, chain);
	rig_table(&rig, rig.table, chain, 3);
	rig_table(&rig, rig.cut_table, nested, 1);
	rig_indirect(&rig, rig.cut_table, 16, 0);
	if (!rig.is_packed) {
		rig_expect_broken(&rig, PV_RING_BAD_INDIRECT);
		return;
	}
	/* A packed table has no such flag (section 2.8.7): it is a buffer, and no request. */
	rig_run(&rig);
	assert_int_equal(rig_status(&rig), RIG_STATUS_NOTHING);
	assert_true(rig_used(&rig, &bytes));
	assert_int_equal(bytes, 0);
	assert_int_equal(rig_counters(&rig)->bad_chains, 1);
}

EVIL(an_indirect_table_that_loops_breaks_the_queue)
{
	const struct raw self[] = { { rig.data.v, 0, F_NEXT, 0 }, { rig.data.v, 0, F_NEXT, 1 } };
	const struct raw beyond[] = { { rig.data.v, 1, F_NEXT, 3 } };

	if (!has(INDIRECT) || rig.is_packed)
		return;
	rig_table(&rig, rig.table, self, 2);
	rig_indirect(&rig, rig.table, 2 * 16, 0);
	rig_expect_broken(&rig, PV_RING_LOOP);
	rig_restart(&rig);
	rig_table(&rig, rig.table, beyond, 1);
	rig_indirect(&rig, rig.table, 3 * 16, 0);
	rig_expect_broken(&rig, PV_RING_BAD_NEXT);
}

EVIL(an_indirect_table_that_is_no_memory_fails_its_request)
{
	const uint64_t nowhere[] = { NOWHERE, 0, UINT64_MAX - 15, UINT64_MAX - 31,
		                     rig.table.v + 4096 - 16 };

	if (!has(INDIRECT))
		return;
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		const struct raw last[] = { rig_raw_header(&rig, F_NEXT) };

		rig_table(&rig, pv_gpa_of(rig.table.v + 4096 - 16), last, 1);
		rig_indirect(&rig, pv_gpa_of(nowhere[i]), 3 * 16, 0);
		rig_expect_bare(&rig);
	}
	/*
	 * As large as can be said: a packed table's size is what it holds, a split one's is room.
	 */
	rig_indirect(&rig, pv_gpa_of(NOWHERE), UINT32_MAX - 15, 0);
	if (rig.is_packed)
		rig_expect_broken(&rig, PV_RING_BAD_INDIRECT);
	else
		rig_expect_bare(&rig);
}

EVIL(an_indirect_table_in_many_regions_is_read_whole)
{
	struct raw chain[3];

	if (!has(INDIRECT))
		return;
	rig_good_read(&rig, chain);
	rig_table(&rig, rig.cut_table, chain, 3);
	rig_indirect(&rig, rig.cut_table, 3 * 16, 0);
	rig_expect_status(&rig, VIRTIO_BLK_S_OK);
	if (rig.is_packed)
		return;
	/* Some direct buffers first, then the table (section 2.7.5.3.2). */
	rig_good_read(&rig, chain);
	rig_table(&rig, rig.cut_table, chain + 1, 2);
	rig_desc(&rig, 0, (struct raw){ rig.header.v, 16, F_NEXT, 1 });
	rig_desc(&rig, 1, (struct raw){ rig.cut_table.v, 2 * 16, F_INDIRECT, 0 });
	rig_offer(&rig, 0, 2);
	rig_expect_status(&rig, VIRTIO_BLK_S_OK);
}

EVIL(a_packed_chain_whose_second_descriptor_is_a_table_breaks_the_queue)
{
	struct raw chain[3];

	if (!rig.is_packed || !has(INDIRECT))
		return;
	rig_good_read(&rig, chain);
	rig_table(&rig, rig.table, chain, 3);
	rig_desc(&rig, 1, (struct raw){ rig.table.v, 3 * 16, F_INDIRECT, 0 });
	rig_desc(&rig, 0, rig_raw_header(&rig, F_NEXT));
	rig_offer(&rig, 0, 2);
	rig_expect_broken(&rig, PV_RING_BAD_INDIRECT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_that_loops_breaks_the_queue),
		cmocka_unit_test(a_chain_that_goes_on_to_no_descriptor_breaks_the_queue),
		cmocka_unit_test(a_readable_buffer_behind_a_writable_one_breaks_the_queue),
		cmocka_unit_test(an_available_index_that_runs_ahead_breaks_the_queue),
		cmocka_unit_test(a_head_that_is_no_descriptor_breaks_the_queue),
		cmocka_unit_test(packed_flags_of_another_lap_are_not_taken),
		cmocka_unit_test(what_was_answered_before_the_ring_broke_is_announced),
		cmocka_unit_test(more_chains_than_the_ring_holds_are_never_in_flight),
		cmocka_unit_test(what_is_in_flight_when_the_queue_breaks_harms_nothing),
		cmocka_unit_test(an_indirect_table_that_was_not_agreed_on_breaks_the_queue),
		cmocka_unit_test(an_indirect_table_with_next_or_of_no_shape_breaks_the_queue),
		cmocka_unit_test(a_table_within_a_table_is_not_followed),
		cmocka_unit_test(an_indirect_table_that_loops_breaks_the_queue),
		cmocka_unit_test(an_indirect_table_that_is_no_memory_fails_its_request),
		cmocka_unit_test(an_indirect_table_in_many_regions_is_read_whole),
		cmocka_unit_test(
			a_packed_chain_whose_second_descriptor_is_a_table_breaks_the_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
