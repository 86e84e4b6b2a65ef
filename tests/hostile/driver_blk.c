/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that are none, in chains that are good: each fails with its own status, is counted, and
 * the next one is served; and rings that change while the device reads them.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "hosted/loop/clock.h"
#include "ring/barrier.h"
#include "tests/hostile/rig.h"

#define COUNT(array) ((uint16_t)(sizeof(array) / sizeof((array)[0])))

#define RACE_MS     60u
#define PATIENCE_MS 10000u
#define RANGES_MAX  32u
#define RANGE_BYTES (uint32_t)sizeof(struct virtio_blk_range)

static struct rig rig;

static void on_every_ring(void (*evil)(void))
{
	for (size_t i = 0; i < rig_feature_sets; i++) {
		rig_open(&rig, rig_features[i]);
		evil();
		assert_int_equal(rig.couple.needs_resets, 0);
		rig_expect_service(&rig);
		rig_expect_recovery(&rig);
		rig_close(&rig);
	}
}

/* A request with `bytes` of data, which the device writes where `is_in`. */
static void request(uint32_t type, uint64_t sector, bool is_in, uint32_t bytes)
{
	const struct raw chain[] = {
		{ rig.header.v, 16, F_NEXT, 0 },
		{ rig.data.v, bytes, (uint16_t)(F_NEXT | (is_in ? F_WRITE : 0)), 0 },
		{ rig.status.v, 1, F_WRITE, 0 },
	};

	rig_request(&rig, type, sector, chain, 3);
}

/* ---- framing ---- */

EVIL(a_request_without_a_writable_part_comes_back_with_nothing)
{
	const struct raw chain[] = { { rig.header.v, 16, F_NEXT, 0 }, { rig.data.v, 512, 0, 0 } };

	rig_request(&rig, VIRTIO_BLK_T_OUT, 0, chain, 2);
	rig_expect_bare(&rig);
	rig_request(&rig, VIRTIO_BLK_T_FLUSH, 0, &(struct raw){ rig.header.v, 16, 0, 0 }, 1);
	rig_expect_bare(&rig);
}

EVIL(a_request_without_a_readable_part_fails)
{
	const struct raw chain[] = { { rig.data.v, 512, F_NEXT | F_WRITE, 0 },
		                     { rig.status.v, 1, F_WRITE, 0 } };

	rig_request(&rig, VIRTIO_BLK_T_IN, 0, chain, 2);
	rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
	rig_request(&rig, VIRTIO_BLK_T_IN, 0, chain + 1, 1);
	rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
}

EVIL(a_header_that_is_too_short_fails)
{
	for (uint32_t bytes = 0; bytes < 16; bytes++) {
		const struct raw chain[] = { { rig.header.v, bytes, F_NEXT, 0 },
			                     { rig.data.v, 512, F_NEXT | F_WRITE, 0 },
			                     { rig.status.v, 1, F_WRITE, 0 } };
		uint64_t bad = rig_counters(&rig)->bad_chains;

		rig_request(&rig, VIRTIO_BLK_T_IN, 0, chain, 3);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
		assert_int_equal(rig_counters(&rig)->bad_chains, bad + 1);
	}
}

EVIL(buffers_of_no_length_are_nothing)
{
	/* All of it; with addresses that are no memory; and between good ones. */
	const struct raw empty[] = { { rig.header.v, 0, F_NEXT, 0 },
		                     { rig.data.v, 0, F_NEXT | F_WRITE, 0 },
		                     { rig.status.v, 0, F_WRITE, 0 } };
	const struct raw nowhere[] = { { NOWHERE, 0, F_NEXT, 0 }, { UINT64_MAX, 0, F_WRITE, 0 } };
	const struct raw between[] = { { UINT64_MAX, 0, F_NEXT, 0 },
		                       { rig.header.v, 16, F_NEXT, 0 },
		                       { NOWHERE, 0, F_NEXT, 0 },
		                       { NOWHERE, 0, F_NEXT | F_WRITE, 0 },
		                       { rig.data.v, 512, F_NEXT | F_WRITE, 0 },
		                       { 0, 0, F_NEXT | F_WRITE, 0 },
		                       { rig.status.v, 1, F_NEXT | F_WRITE, 0 },
		                       { UINT64_MAX, 0, F_WRITE, 0 } };

	rig_chain(&rig, empty, COUNT(empty));
	rig_expect_bare(&rig);
	rig_chain(&rig, nowhere, COUNT(nowhere));
	rig_expect_bare(&rig);
	rig_request(&rig, VIRTIO_BLK_T_IN, 0, between, COUNT(between));
	rig_expect_status(&rig, VIRTIO_BLK_S_OK);
	/* No data at all is a read of nothing. */
	request(VIRTIO_BLK_T_IN, 0, true, 0);
	rig_expect_status(&rig, VIRTIO_BLK_S_OK);
	request(VIRTIO_BLK_T_OUT, 0, false, 0);
	rig_expect_status(&rig, VIRTIO_BLK_S_OK);
}

EVIL(more_pieces_than_a_request_has_room_for_fail)
{
	const struct raw in[] = { { rig.header.v, 16, F_NEXT, 0 },
		                  { rig.crumbs.v, 512, F_NEXT | F_WRITE, 0 },
		                  { rig.status.v, 1, F_WRITE, 0 } };
	const struct raw out[] = { { rig.header.v, 16, F_NEXT, 0 },
		                   { rig.crumbs.v, 512, F_NEXT, 0 },
		                   { rig.status.v, 1, F_WRITE, 0 } };

	rig_request(&rig, VIRTIO_BLK_T_IN, 0, in, 3);
	rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
	rig_request(&rig, VIRTIO_BLK_T_OUT, 0, out, 3);
	rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
}

/* ---- what is asked for ---- */

EVIL(a_type_that_is_unknown_is_unsupported)
{
	const uint32_t types[] = {
		2, 3, 5, 6, 7, 9, 12, 15, 16, 18, 20, 26, 0x80000000u, UINT32_MAX
	};

	for (uint16_t i = 0; i < COUNT(types); i++) {
		request(types[i], 0, true, 512);
		rig_expect_status(&rig, VIRTIO_BLK_S_UNSUPP);
		request(types[i], UINT64_MAX, false, 512);
		rig_expect_status(&rig, VIRTIO_BLK_S_UNSUPP);
	}
}

EVIL(sectors_beyond_the_end_fail)
{
	const uint64_t sectors[] = { RIG_SECTORS, RIG_SECTORS - 1, RIG_SECTORS + 1,
		                     1ull << 54,  1ull << 55,      (1ull << 55) - 1,
		                     UINT64_MAX,  UINT64_MAX - 1,  UINT64_MAX / 512,
		                     1ull << 63,  (1ull << 55) + 1 };

	for (uint16_t i = 0; i < COUNT(sectors); i++) {
		request(VIRTIO_BLK_T_IN, sectors[i], true, 1024);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
		request(VIRTIO_BLK_T_OUT, sectors[i], false, 1024);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
	}
}

EVIL(data_that_is_no_whole_sector_fails)
{
	const uint32_t odd[] = { 1, 2, 511, 513, 1023, 4097, RIG_BUFFER_BYTES - 1 };

	for (uint16_t i = 0; i < COUNT(odd); i++) {
		request(VIRTIO_BLK_T_IN, 0, true, odd[i]);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
		request(VIRTIO_BLK_T_OUT, 0, false, odd[i]);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
	}
}

static void put_range(uint32_t at, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	const struct virtio_blk_range range = { pv_le64_of(sector), pv_le32_of(sectors),
		                                pv_le32_of(flags) };

	rig_write(&rig, pv_gpa_add(rig.data, at * sizeof(range)), &range, sizeof(range));
}

static void expect_range(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags,
                         uint8_t status)
{
	put_range(0, sector, sectors, flags);
	request(type, 0, false, RANGE_BYTES);
	rig_expect_status(&rig, status);
}

EVIL(ranges_with_bad_flags_are_unsupported)
{
	expect_range(VIRTIO_BLK_T_DISCARD, 0, 8, 1, VIRTIO_BLK_S_UNSUPP);
	for (uint32_t bit = 1; bit < 32; bit++) {
		expect_range(VIRTIO_BLK_T_DISCARD, 0, 8, 1u << bit, VIRTIO_BLK_S_UNSUPP);
		expect_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1u << bit, VIRTIO_BLK_S_UNSUPP);
		expect_range(VIRTIO_BLK_T_SECURE_ERASE, 0, 8, 1u << bit, VIRTIO_BLK_S_UNSUPP);
	}
	expect_range(VIRTIO_BLK_T_SECURE_ERASE, 0, 8, 1, VIRTIO_BLK_S_UNSUPP);
	expect_range(VIRTIO_BLK_T_SECURE_ERASE, 0, 8, 0, VIRTIO_BLK_S_OK);
	expect_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1, VIRTIO_BLK_S_OK);
}

EVIL(ranges_beyond_the_end_or_too_large_fail)
{
	const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
		                   VIRTIO_BLK_T_SECURE_ERASE };

	for (uint16_t i = 0; i < COUNT(types); i++) {
		expect_range(types[i], RIG_SECTORS, 1, 0, VIRTIO_BLK_S_IOERR);
		expect_range(types[i], 0, RIG_SECTORS + 1, 0, VIRTIO_BLK_S_IOERR);
		expect_range(types[i], 0, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR);
		expect_range(types[i], UINT64_MAX, 1, 0, VIRTIO_BLK_S_IOERR);
		expect_range(types[i], UINT64_MAX, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR);
		expect_range(types[i], 1ull << 55, 8, 0, VIRTIO_BLK_S_IOERR);
		/* The first is good, the second is not. */
		put_range(0, 0, 1, 0);
		put_range(1, RIG_SECTORS, 1, 0);
		request(types[i], 0, false, 2 * RANGE_BYTES);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
		/* Nothing at the end is not beyond it. */
		expect_range(types[i], RIG_SECTORS, 0, 0, VIRTIO_BLK_S_OK);
	}
}

EVIL(lists_of_ranges_that_are_none_fail)
{
	const uint32_t bytes[] = {
		0, 1, 15, 17, 31, 33, (RANGES_MAX + 1) * RANGE_BYTES, RIG_BUFFER_BYTES
	};

	for (uint32_t i = 0; i < RIG_BUFFER_BYTES / RANGE_BYTES; i++)
		put_range(i, 0, 1, 0);
	for (uint16_t i = 0; i < COUNT(bytes); i++) {
		request(VIRTIO_BLK_T_DISCARD, 0, false, bytes[i]);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
		request(VIRTIO_BLK_T_WRITE_ZEROES, 0, false, bytes[i]);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
		request(VIRTIO_BLK_T_SECURE_ERASE, 0, false, bytes[i]);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
	}
	request(VIRTIO_BLK_T_DISCARD, 0, false, RANGES_MAX * RANGE_BYTES);
	rig_expect_status(&rig, VIRTIO_BLK_S_OK);
}

/* As Linux has it: checked as it would be anywhere else. */
EVIL(the_list_of_an_erase_may_lie_where_the_device_may_write)
{
	put_range(0, 0, 8, 0);
	put_range(1, 8, 8, 0);
	request(VIRTIO_BLK_T_SECURE_ERASE, 0, true, 2 * RANGE_BYTES);
	rig_expect_status(&rig, VIRTIO_BLK_S_OK);
	request(VIRTIO_BLK_T_SECURE_ERASE, 0, true, RANGE_BYTES + 1);
	rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
	put_range(1, RIG_SECTORS, 1, 0);
	request(VIRTIO_BLK_T_SECURE_ERASE, 0, true, 2 * RANGE_BYTES);
	rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
	put_range(0, 0, 8, 1);
	request(VIRTIO_BLK_T_SECURE_ERASE, 0, true, RANGE_BYTES);
	rig_expect_status(&rig, VIRTIO_BLK_S_UNSUPP);
	put_range(0, 0, 8, 0);
	request(VIRTIO_BLK_T_DISCARD, 0, true, RANGE_BYTES);
	rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
}

EVIL(a_serial_number_goes_into_whatever_room_there_is)
{
	const struct raw status_only[] = { { rig.header.v, 16, F_NEXT, 0 },
		                           { rig.status.v, 1, F_WRITE, 0 } };

	for (uint32_t bytes = 0; bytes < 24; bytes++) {
		request(VIRTIO_BLK_T_GET_ID, 0, true, bytes);
		rig_expect_status(&rig, VIRTIO_BLK_S_OK);
	}
	rig_request(&rig, VIRTIO_BLK_T_GET_ID, 0, status_only, 2);
	rig_expect_status(&rig, VIRTIO_BLK_S_OK);
}

EVIL(a_lifetime_needs_room_for_all_of_it)
{
	for (uint32_t bytes = 0; bytes < 16; bytes++) {
		request(VIRTIO_BLK_T_GET_LIFETIME, 0, true, bytes);
		rig_expect_status(&rig, bytes < sizeof(struct virtio_blk_lifetime)
		                                ? VIRTIO_BLK_S_IOERR
		                                : VIRTIO_BLK_S_OK);
	}
}

/* Every buffer in the same place: the device reads what it has just written, and no more. */
EVIL(buffers_that_overlap_harm_the_driver_only)
{
	const struct raw chain[] = { { rig.data.v, 16, F_NEXT, 0 },
		                     { rig.data.v, 1024, F_NEXT | F_WRITE, 0 },
		                     { rig.data.v + 512, 513, F_WRITE, 0 } };
	const struct virtio_blk_req_header header = { .type = pv_le32_of(VIRTIO_BLK_T_IN) };
	uint32_t bytes;

	rig_write(&rig, rig.data, &header, sizeof(header));
	rig_chain(&rig, chain, 3);
	rig_run(&rig);
	assert_true(rig_used(&rig, &bytes));
	assert_int_equal(bytes, 1024 + 513);
}

/* ---- changes during the walk ---- */

struct scribbler {
	pthread_t thread;
	struct pv_random random;
	bool must_stop;
};

static uint64_t some_address(struct pv_random *random)
{
	const uint64_t addresses[] = { rig.header.v,   rig.data.v,       rig.status.v,
		                       rig.table.v,    rig.cut_table.v,  rig.crumbs.v,
		                       rig.desc_gpa.v, rig.device_gpa.v, NOWHERE,
		                       UINT64_MAX };

	return addresses[pv_random_below(random, COUNT(addresses))] +
	       pv_random_below(random, 3) * pv_random_below(random, 64);
}

static struct virtq_desc some_desc(struct pv_random *random)
{
	const uint32_t lengths[] = { 0, 1, 15, 16, 48, 512, 513, 4096, 70000, UINT32_MAX };
	const uint16_t directions[] = { 0, F_NEXT, F_WRITE, F_NEXT | F_WRITE, F_INDIRECT, 0xffff };
	uint16_t flags = directions[pv_random_below(random, COUNT(directions))];
	struct virtq_desc desc = {
		.addr = pv_le64_of(some_address(random)),
		.len = pv_le32_of(lengths[pv_random_below(random, COUNT(lengths))]),
		.flags = pv_le16_of(flags),
		.next = pv_le16_of((uint16_t)pv_random_below(random, RIG_SIZE + 1)),
	};

	if (rig.is_packed) {
		desc.flags = pv_le16_of((uint16_t)pv_random_below(random, 65536));
		desc.next = pv_le16_of(
			(uint16_t)(flags & 7) |
			(pv_random_below(random, 2) ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED));
	}
	return desc;
}

static void store_desc(struct virtq_desc *to, struct virtq_desc desc)
{
	pv_write_le64(&to->addr, pv_le64_get(desc.addr));
	pv_write_le32(&to->len, pv_le32_get(desc.len));
	pv_write_le16(&to->flags, pv_le16_get(desc.flags));
	pv_write_le16(&to->next, pv_le16_get(desc.next));
}

/* Headers and ranges change too, but the disk is asked for what is on it more often than not. */
static void *scribble(void *arg)
{
	struct scribbler *self = arg;
	struct pv_random *random = &self->random;
	struct virtq_desc *table = pv_twin_driver(&rig.couple.twin, rig.table);
	struct virtq_desc *ring = rig.desc;
	struct virtq_avail *avail = rig.driver;
	struct pv_le32 *type = pv_twin_driver(&rig.couple.twin, rig.header);

	while (!__atomic_load_n(&self->must_stop, __ATOMIC_RELAXED)) {
		store_desc(&ring[pv_random_below(random, RIG_SIZE)], some_desc(random));
		store_desc(&table[pv_random_below(random, 8)], some_desc(random));
		pv_write_le32(type, pv_random_below(random, 15));
		if (rig.is_packed)
			continue;
		pv_write_le16(&avail->ring[pv_random_below(random, RIG_SIZE)],
		              (uint16_t)pv_random_below(random, RIG_SIZE));
	}
	return NULL;
}

static uint64_t now_ms(void)
{
	return pv_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

/* For a while; on a busy machine until the other thread has got something done. */
static bool must_go_on(uint64_t begin_ms)
{
	const struct pv_queue_counters *counters = rig_counters(&rig);
	uint64_t passed_ms = now_ms() - begin_ms;

	if (passed_ms < RACE_MS)
		return true;
	return passed_ms < PATIENCE_MS && (counters->requests == 0 || counters->ring_faults == 0);
}

/* The device finds what it finds; when it gives up it is reset, and goes on. */
static void run_against_scribbler(void)
{
	struct virtq_avail *avail = rig.driver;
	uint64_t begin_ms = now_ms();

	rig.store.at_once_percent = 50;
	while (must_go_on(begin_ms)) {
		for (int i = 0; i < 50; i++) {
			if (!rig.is_packed)
				pv_publish_le16(&avail->idx,
				                (uint16_t)(rig.device->queue[0].ring.at.avail + 3));
			pv_couple_wake(&rig.couple, 0);
			pv_couple_run(&rig.couple);
			pv_slow_store_finish_one(&rig.store);
		}
		if (pv_device_status(rig.device) & VIRTIO_STATUS_NEEDS_RESET) {
			assert_int_equal(rig.couple.needs_resets, 1);
			rig_restart(&rig);
		}
	}
	rig.store.at_once_percent = 100;
}

static void a_ring_that_changes_while_it_is_read_harms_the_driver_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < rig_feature_sets; i++) {
		struct scribbler scribbler = { 0 };

		rig_open(&rig, rig_features[i]);
		scribbler.random = pv_random_start(pv_random_seed(), 1000 + i);
		assert_int_equal(pthread_create(&scribbler.thread, NULL, scribble, &scribbler), 0);
		run_against_scribbler();
		__atomic_store_n(&scribbler.must_stop, true, __ATOMIC_RELAXED);
		pthread_join(scribbler.thread, NULL);
		assert_true(rig_counters(&rig)->requests > 0);
		assert_true(rig_counters(&rig)->ring_faults > 0);
		rig_expect_recovery(&rig);
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_without_a_writable_part_comes_back_with_nothing),
		cmocka_unit_test(a_request_without_a_readable_part_fails),
		cmocka_unit_test(a_header_that_is_too_short_fails),
		cmocka_unit_test(buffers_of_no_length_are_nothing),
		cmocka_unit_test(more_pieces_than_a_request_has_room_for_fail),
		cmocka_unit_test(a_type_that_is_unknown_is_unsupported),
		cmocka_unit_test(sectors_beyond_the_end_fail),
		cmocka_unit_test(data_that_is_no_whole_sector_fails),
		cmocka_unit_test(ranges_with_bad_flags_are_unsupported),
		cmocka_unit_test(ranges_beyond_the_end_or_too_large_fail),
		cmocka_unit_test(lists_of_ranges_that_are_none_fail),
		cmocka_unit_test(the_list_of_an_erase_may_lie_where_the_device_may_write),
		cmocka_unit_test(a_serial_number_goes_into_whatever_room_there_is),
		cmocka_unit_test(a_lifetime_needs_room_for_all_of_it),
		cmocka_unit_test(buffers_that_overlap_harm_the_driver_only),
		cmocka_unit_test(a_ring_that_changes_while_it_is_read_harms_the_driver_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
