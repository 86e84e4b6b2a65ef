/* SPDX-License-Identifier: BSD-2-Clause */
/* Our driver of a balloon and `paravane serve balloon`, each in a process of its own. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "drivers/balloon/balloon.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "tests/support/server.h"

#define PAGE         VIRTIO_BALLOON_PAGE_BYTES
#define MEMORY_BYTES (64u << 20)
#define TARGET       "40M"
#define PAGES        ((24u << 20) / PAGE)
#define TIMEOUT_NS   20000000000ull
#define PATTERN      0x5a

static struct server server;
static struct pv_vhu_bus *bus;
static struct pv_baldrv *balloon;
/* Of the driver's memory, so many pages as the host wants. */
static uint8_t *pages;
static struct pv_gpa gpa;
static uint32_t times_asked;

static uint32_t say_stats(struct virtio_balloon_stat *stat, uint32_t max, void *arg)
{
	(void)arg;
	assert_true(max >= 2);
	times_asked++;
	stat[0] = (struct virtio_balloon_stat){ pv_le16_of(VIRTIO_BALLOON_S_MEMTOT),
		                                pv_le64_of(MEMORY_BYTES) };
	stat[1] = (struct virtio_balloon_stat){ pv_le16_of(VIRTIO_BALLOON_S_MAJFLT),
		                                pv_le64_of(times_asked) };
	return 2;
}

static void open_with(const char *const *server_options, const struct pv_baldrv_options *options)
{
	struct pv_vhu_bus_options bus_options = { .path = server.socket,
		                                  .device_id = VIRTIO_ID_BALLOON,
		                                  .memory_bytes = MEMORY_BYTES };
	char sentence[256];
	struct pv_os *os;

	server_start_balloon(&server, server_options);
	bus_options.path = server.socket;
	if (pv_vhu_bus_create(&bus, &bus_options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
	os = pv_vhu_bus_os(bus);
	assert_int_equal(pv_baldrv_create(&balloon, pv_vhu_bus_bus(bus), os, options), 0);
	pages = os->ops->shared_alloc(os, (size_t)PAGES * PAGE, PAGE, &gpa);
	assert_non_null(pages);
	memset(pages, PATTERN, (size_t)PAGES * PAGE);
}

static int teardown(void **state)
{
	(void)state;
	pv_baldrv_destroy(balloon);
	pv_vhu_bus_destroy(bus);
	assert_int_equal(server_end(&server), 0);
	server_stop(&server);
	server = (struct server){ 0 };
	return 0;
}

/* Of all pages, those that the file of the memory has. */
static uint32_t pages_there(void)
{
	static unsigned char is_there[PAGES];
	uint32_t count = 0;

	assert_int_equal(mincore(pages, (size_t)PAGES * PAGE, is_there), 0);
	for (uint32_t i = 0; i < PAGES; i++)
		count += is_there[i] & 1;
	return count;
}

static void assert_all_are(uint8_t value)
{
	for (size_t i = 0; i < (size_t)PAGES * PAGE; i++)
		if (pages[i] != value)
			fail_msg("byte %zu is %02x", i, pages[i]);
}

static void wait_for(struct pv_baldrv_request *request)
{
	assert_int_equal(pv_baldrv_wait(balloon, &request->is_done, TIMEOUT_NS), 0);
	assert_int_equal(request->error, 0);
	assert_int_equal(request->pages, PAGES);
}

/* What query-balloon says, by its answer's beginning. */
static void assert_actual(uint64_t bytes)
{
	char answer[4096], wanted[64];

	snprintf(wanted, sizeof(wanted), "\"actual\":%llu,", (unsigned long long)bytes);
	assert_true(server_qmp(&server, "{\"execute\": \"query-balloon\", \"id\": 7}", answer,
	                       sizeof(answer)));
	if (!strstr(answer, wanted))
		fail_msg("%s: %s", wanted, answer);
}

static void inflate_all(void)
{
	const struct pv_baldrv_range range = { gpa.v, PAGES };
	struct pv_baldrv_request request = { .range = &range, .ranges = 1 };

	assert_int_equal(pv_baldrv_inflate(balloon, &request), 0);
	wait_for(&request);
}

static void deflate_all(void)
{
	const struct pv_baldrv_range range = { gpa.v, PAGES };
	struct pv_baldrv_request request = { .range = &range, .ranges = 1 };

	assert_int_equal(pv_baldrv_deflate(balloon, &request), 0);
	wait_for(&request);
}

static void what_the_host_wants_goes_and_comes_back(void **state)
{
	static const struct pv_baldrv_options options = { 0 };
	uint32_t wanted;

	(void)state;
	open_with((const char *const[]){ "--target", TARGET, NULL }, &options);
	assert_true(pv_baldrv_features(balloon) & VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	assert_int_equal(pv_baldrv_target(balloon, &wanted), 0);
	assert_int_equal(wanted, PAGES);
	for (int turn = 0; turn < 3; turn++) {
		assert_int_equal(pages_there(), PAGES);
		inflate_all();
		assert_int_equal(pages_there(), 0);
		assert_actual(MEMORY_BYTES - (uint64_t)PAGES * PAGE);
		deflate_all();
		assert_actual(MEMORY_BYTES);
		assert_all_are(0);
		memset(pages, PATTERN, (size_t)PAGES * PAGE);
	}
}

static void report_all(void)
{
	const struct pv_sg range = { gpa, PAGES * PAGE };
	struct pv_baldrv_report report = { .range = &range, .ranges = 1 };

	assert_int_equal(pv_baldrv_report(balloon, &report), 0);
	assert_int_equal(pv_baldrv_wait(balloon, &report.is_done, TIMEOUT_NS), 0);
	assert_int_equal(report.error, 0);
}

static void what_is_reported_goes(void **state)
{
	static const struct pv_baldrv_options options = { 0 };

	(void)state;
	open_with((const char *const[]){ "--no-packed", NULL }, &options);
	report_all();
	assert_int_equal(pages_there(), 0);
	assert_all_are(0);
}

static void what_is_reported_and_poisoned_stays(void **state)
{
	static const struct pv_baldrv_options options = { .has_poison = true,
		                                          .poison = 0x5a5a5a5a };

	(void)state;
	open_with((const char *const[]){ NULL }, &options);
	report_all();
	assert_int_equal(pages_there(), PAGES);
	assert_all_are(PATTERN);
}

static void without_reporting_there_is_none(void **state)
{
	static const struct pv_baldrv_options options = { 0 };

	(void)state;
	open_with((const char *const[]){ "--free-page-reporting", "off", "--deflate-on-oom", "off",
	                                 NULL },
	          &options);
	assert_false(pv_baldrv_features(balloon) &
	             (VIRTIO_BALLOON_F_PAGE_REPORTING | VIRTIO_BALLOON_F_PAGE_POISON |
	              VIRTIO_BALLOON_F_DEFLATE_ON_OOM));
}

static void statistics_are_asked_for_and_told(void **state)
{
	static const struct pv_baldrv_options options = { .stats = say_stats };
	char answer[8192];
	bool never = false;

	(void)state;
	times_asked = 0;
	open_with((const char *const[]){ "--stats-interval", "1", "--in-order", NULL }, &options);
	/* The first are told at the start; two more are asked for. */
	for (int turn = 0; times_asked < 3 && turn < 100; turn++)
		pv_baldrv_wait(balloon, &never, 200000000u);
	assert_true(times_asked >= 3);
	assert_true(server_qmp(&server, "{\"execute\": \"query-balloon-stats\", \"id\": 7}", answer,
	                       sizeof(answer)));
	assert_non_null(strstr(answer, "\"supported\":true"));
	assert_non_null(strstr(answer, "\"total-memory\":67108864"));
	assert_non_null(strstr(answer, "\"free-memory\":null"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_the_host_wants_goes_and_comes_back, teardown),
		cmocka_unit_test_teardown(what_is_reported_goes, teardown),
		cmocka_unit_test_teardown(what_is_reported_and_poisoned_stays, teardown),
		cmocka_unit_test_teardown(without_reporting_there_is_none, teardown),
		cmocka_unit_test_teardown(statistics_are_asked_for_and_told, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
