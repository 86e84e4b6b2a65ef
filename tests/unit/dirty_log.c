/* SPDX-License-Identifier: BSD-2-Clause */
/* The dirty log: which bits stand for what, where it ends, and what a ring marks in it where. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "ring/barrier.h"
#include "ring/dev_ring.h"

#define PAGE      PV_DIRTY_PAGE_BYTES
#define LOG_BYTES 16u

struct guarded {
	uint8_t before[8];
	uint8_t bits[LOG_BYTES];
	uint8_t behind[8];
};

static struct guarded area;

static struct pv_dirty_log fresh(void)
{
	memset(&area, 0, sizeof(area));
	return (struct pv_dirty_log){ .bits = area.bits, .bytes = LOG_BYTES };
}

static bool is_marked(uint64_t page)
{
	return area.bits[page / 8] >> page % 8 & 1;
}

/* Exactly the pages from `first` to `last` are marked, and nothing outside the log is touched. */
static void expect_marked(uint64_t first, uint64_t last)
{
	const uint8_t nothing[8] = { 0 };

	for (uint64_t page = 0; page < LOG_BYTES * 8; page++)
		assert_int_equal(is_marked(page), page >= first && page <= last);
	assert_memory_equal(area.before, nothing, 8);
	assert_memory_equal(area.behind, nothing, 8);
}

static void each_page_that_a_range_touches_is_marked_and_no_other(void **state)
{
	(void)state;
	for (uint64_t first = 0; first < 40; first++) {
		for (uint64_t pages = 1; pages < 40; pages++) {
			struct pv_dirty_log log = fresh();

			pv_dirty_log_mark(&log, pv_gpa_of(first * PAGE + PAGE - 1),
			                  (pages - 1) * PAGE + 1);
			expect_marked(first, first + pages - 1);
			assert_false(pv_dirty_log_has_missed(&log));
		}
	}
}

static void the_last_byte_of_a_page_is_not_in_the_next(void **state)
{
	struct pv_dirty_log log = fresh();

	(void)state;
	pv_dirty_log_mark(&log, pv_gpa_of(3 * PAGE), PAGE);
	expect_marked(3, 3);
	pv_dirty_log_mark(&log, pv_gpa_of(4 * PAGE), 1);
	expect_marked(3, 4);
	pv_dirty_log_mark(&log, pv_gpa_of(9 * PAGE), 0);
	expect_marked(3, 4);
}

static void what_lies_behind_the_end_is_missed_and_harms_nothing(void **state)
{
	const uint64_t end = LOG_BYTES * 8;
	struct pv_dirty_log log = fresh();

	(void)state;
	pv_dirty_log_mark(&log, pv_gpa_of((end - 1) * PAGE), PAGE);
	assert_false(pv_dirty_log_has_missed(&log));
	pv_dirty_log_mark(&log, pv_gpa_of((end - 2) * PAGE), 3 * PAGE);
	expect_marked(end - 2, end - 1);
	assert_true(pv_dirty_log_has_missed(&log));

	log = fresh();
	pv_dirty_log_mark(&log, pv_gpa_of(UINT64_MAX), 1);
	assert_true(pv_dirty_log_has_missed(&log));
	log = fresh();
	pv_dirty_log_mark(&log, pv_gpa_of(UINT64_MAX - 5), UINT64_MAX);
	assert_true(pv_dirty_log_has_missed(&log));
	expect_marked(1, 0);
	log = fresh();
	pv_dirty_log_mark(&log, pv_gpa_of(5 * PAGE), UINT64_MAX);
	expect_marked(5, end - 1);
	assert_true(pv_dirty_log_has_missed(&log));
}

/* Each of eight threads has a bit of every byte, which it sets once, all at the same time. */
#define MARKERS     8u
#define LARGE_BYTES (1u << 20)

static struct pv_dirty_log shared;

static void *mark_own_bits(void *arg)
{
	const uint64_t own = (uint64_t)(uintptr_t)arg;

	for (uint64_t byte = 0; byte < shared.bytes; byte++)
		pv_dirty_log_mark(&shared, pv_gpa_of((8 * byte + own) * PAGE), 1);
	return NULL;
}

static void threads_that_mark_the_same_bytes_lose_no_mark(void **state)
{
	pthread_t thread[MARKERS];
	uint8_t *bits = calloc(1, LARGE_BYTES);

	(void)state;
	shared = (struct pv_dirty_log){ .bits = bits, .bytes = LARGE_BYTES };
	for (uintptr_t i = 0; i < MARKERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, mark_own_bits, (void *)i), 0);
	for (uint32_t i = 0; i < MARKERS; i++)
		pthread_join(thread[i], NULL);
	for (uint32_t i = 0; i < LARGE_BYTES; i++)
		assert_int_equal(bits[i], 0xff);
	free(bits);
}

/*
 * The writer writes and marks, the reader takes the mark and copies, both at the same time on a
 * mark that is there before. Were it not set again, what was written could be behind the reader's
 * back.
 */
#define TRIALS       2000000u
#define TRIALS_MAX_S 2

static struct {
	uint32_t trial, done;                 /* atomic */
	_Alignas(64) uint32_t written;        /* of this trial: atomic */
	_Alignas(64) uint8_t bits[LOG_BYTES]; /* one mark */
} race;

/* Another turn of waiting for the other thread, which may need our processor. */
static void wait_a_turn(uint32_t *turns)
{
	if (++*turns % 2000 == 0)
		sched_yield();
	else
		pv_cpu_relax();
}

static void *write_and_mark(void *arg)
{
	struct pv_dirty_log log = { .bits = race.bits, .bytes = LOG_BYTES };

	for (uint32_t trial = 1, turns = 0;;) {
		uint32_t wanted = __atomic_load_n(&race.trial, __ATOMIC_ACQUIRE);

		if (wanted == UINT32_MAX)
			return arg;
		if (wanted != trial) {
			wait_a_turn(&turns);
			continue;
		}
		__atomic_store_n(&race.written, trial, __ATOMIC_RELAXED);
		pv_dirty_log_mark(&log, pv_gpa_of(0), 1);
		__atomic_store_n(&race.done, trial++, __ATOMIC_RELEASE);
	}
}

static void take_and_copy(uint32_t *copy)
{
	if (__atomic_exchange_n(&race.bits[0], 0, __ATOMIC_ACQUIRE))
		*copy = __atomic_load_n(&race.written, __ATOMIC_RELAXED);
}

static void a_mark_that_is_there_already_is_set_again(void **state)
{
	const time_t end = time(NULL) + TRIALS_MAX_S;
	uint32_t copy = 0, turns = 0;
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_and_mark, NULL), 0);
	for (uint32_t trial = 1; trial < TRIALS && time(NULL) <= end; trial++) {
		race.bits[0] = 1;
		__atomic_store_n(&race.trial, trial, __ATOMIC_RELEASE);
		for (uint32_t wait = trial % 16; wait > 0; wait--)
			pv_cpu_relax();
		take_and_copy(&copy);
		while (__atomic_load_n(&race.done, __ATOMIC_ACQUIRE) != trial)
			wait_a_turn(&turns);
		take_and_copy(&copy);
		assert_int_equal(copy, trial);
	}
	__atomic_store_n(&race.trial, UINT32_MAX, __ATOMIC_RELEASE);
	pthread_join(writer, NULL);
}

/* ---- a ring ---- */

#define RING_SIZE  8u
#define RING_GPA   (16ull * PAGE)
#define USED_GPA   (RING_GPA + 2 * PAGE)
#define BUFFER_GPA (RING_GPA + 3 * PAGE)
#define MEM_PAGES  6u

static _Alignas(PAGE) uint8_t memory[MEM_PAGES * PAGE];

struct small {
	struct pv_mem *mem;
	struct pv_dev_ring ring;
	struct virtq_desc *desc;
	struct virtq_avail *avail;
};

static void small_open(struct small *small)
{
	const struct pv_ring_config config = { .size = RING_SIZE,
		                               .desc_area = { RING_GPA },
		                               .driver_area = { RING_GPA + PAGE },
		                               .device_area = { USED_GPA } };
	const struct pv_ring_position start = pv_ring_position_fresh();

	memset(memory, 0, sizeof(memory));
	small->mem = malloc(pv_mem_table_bytes(1));
	small->mem->count = 1;
	small->mem->region[0] =
		(struct pv_region){ .gpa = { RING_GPA }, .bytes = sizeof(memory), .host = memory };
	small->desc = (void *)memory;
	small->avail = (void *)(memory + PAGE);
	assert_int_equal(pv_dev_ring_init(&small->ring, &config, &start, small->mem, NULL), 0);
}

/* One chain of one writable buffer of two pages less two bytes goes all the way. */
static void one_chain(struct small *small)
{
	struct pv_iov iov[1];
	struct pv_chain chain = { .iov = iov, .capacity = 1 };

	small->desc[0] = (struct virtq_desc){
		.addr = pv_le64_of(BUFFER_GPA + 1),
		.len = pv_le32_of(2 * PAGE - 2),
		.flags = pv_le16_of(VIRTQ_DESC_F_WRITE),
	};
	small->avail->idx = pv_le16_of((uint16_t)(pv_le16_get(small->avail->idx) + 1));
	assert_int_equal(pv_dev_ring_take(&small->ring, &chain), PV_TAKEN);
	pv_dev_ring_return(&small->ring, &chain, 0);
	assert_true(pv_dev_ring_publish(&small->ring));
}

static void a_rings_own_writes_are_marked_where_the_log_has_them_or_not_at_all(void **state)
{
	struct small small;
	struct pv_dirty_log log = fresh();
	struct pv_ring_logging logging = { .log = &log };

	(void)state;
	small_open(&small);
	one_chain(&small);
	expect_marked(1, 0);

	pv_dev_ring_log_set(&small.ring, &logging);
	one_chain(&small);
	expect_marked(BUFFER_GPA / PAGE, BUFFER_GPA / PAGE + 1);

	log = fresh();
	logging.has_own_writes = true;
	logging.device_area = pv_gpa_of((BUFFER_GPA / PAGE + 2) * PAGE);
	pv_dev_ring_log_set(&small.ring, &logging);
	one_chain(&small);
	expect_marked(BUFFER_GPA / PAGE, BUFFER_GPA / PAGE + 2);

	log = fresh();
	logging.log = NULL;
	pv_dev_ring_log_set(&small.ring, &logging);
	one_chain(&small);
	expect_marked(1, 0);
	free(small.mem);
}

/* A chain that is out of memory by its middle has its last byte written all the same. */
static void the_status_of_a_chain_that_is_incomplete_is_marked(void **state)
{
	struct pv_iov iov[1];
	struct pv_chain chain = { .iov = iov, .capacity = 1 };
	struct pv_dirty_log log = fresh();
	const struct pv_ring_logging logging = { .log = &log };
	struct small small;

	(void)state;
	small_open(&small);
	pv_dev_ring_log_set(&small.ring, &logging);
	small.desc[0] = (struct virtq_desc){ pv_le64_of(BUFFER_GPA), pv_le32_of(1),
		                             pv_le16_of(VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT),
		                             pv_le16_of(1) };
	small.desc[1] = (struct virtq_desc){ pv_le64_of(BUFFER_GPA + PAGE), pv_le32_of(1),
		                             pv_le16_of(VIRTQ_DESC_F_WRITE), pv_le16_of(0) };
	small.avail->idx = pv_le16_of(1);
	assert_int_equal(pv_dev_ring_take(&small.ring, &chain), PV_TAKEN);
	assert_true(chain.is_incomplete);
	assert_int_equal(chain.writable, 1);
	pv_dev_ring_return(&small.ring, &chain, 0);
	expect_marked(BUFFER_GPA / PAGE, BUFFER_GPA / PAGE + 1);
	free(small.mem);
}

/*
 * A chain that says more bytes than a used length can is one the device writes nothing to but its
 * last byte, and could be made of many gigabytes at the same place: they are not gone through.
 */
static void of_a_chain_that_is_too_long_only_the_status_is_marked(void **state)
{
	struct pv_iov iov[2];
	struct pv_chain chain = { .iov = iov, .capacity = 2 };
	struct pv_dirty_log log = fresh();
	const struct pv_ring_logging logging = { .log = &log };
	struct small small;

	(void)state;
	small_open(&small);
	pv_dev_ring_log_set(&small.ring, &logging);
	small.desc[0] = (struct virtq_desc){ pv_le64_of(BUFFER_GPA), pv_le32_of(UINT32_MAX),
		                             pv_le16_of(VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT),
		                             pv_le16_of(1) };
	small.desc[1] = (struct virtq_desc){ pv_le64_of(BUFFER_GPA + PAGE), pv_le32_of(1),
		                             pv_le16_of(VIRTQ_DESC_F_WRITE), pv_le16_of(0) };
	small.avail->idx = pv_le16_of(1);
	assert_int_equal(pv_dev_ring_take(&small.ring, &chain), PV_TAKEN);
	assert_true(chain.is_incomplete);
	assert_int_equal(chain.writable, 2);
	pv_dev_ring_return(&small.ring, &chain, 0);
	expect_marked(BUFFER_GPA / PAGE + 1, BUFFER_GPA / PAGE + 1);
	free(small.mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_page_that_a_range_touches_is_marked_and_no_other),
		cmocka_unit_test(the_last_byte_of_a_page_is_not_in_the_next),
		cmocka_unit_test(what_lies_behind_the_end_is_missed_and_harms_nothing),
		cmocka_unit_test(threads_that_mark_the_same_bytes_lose_no_mark),
		cmocka_unit_test(a_mark_that_is_there_already_is_set_again),
		cmocka_unit_test(
			a_rings_own_writes_are_marked_where_the_log_has_them_or_not_at_all),
		cmocka_unit_test(the_status_of_a_chain_that_is_incomplete_is_marked),
		cmocka_unit_test(of_a_chain_that_is_too_long_only_the_status_is_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
