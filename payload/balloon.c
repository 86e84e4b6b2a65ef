/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The self test of a balloon: pages go into it and come back, those beside them stay as they were,
 * and pages that came back can be used.  What is in them then the specification does not say.
 */
#include "drivers/balloon/balloon.h"
#include "payload/payload.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"

#define TIMEOUT_NS 5000000000ull
#define PAGE       VIRTIO_BALLOON_PAGE_BYTES
#define PAGES      128u
#define ALONE      8u

/* Not on the stack: one that was given up is in flight until the driver ends. */
static struct pv_baldrv_request request;
static struct pv_baldrv_report report;

static struct {
	struct pv_baldrv *balloon;
	struct pv_bus *bus;
	uint8_t *memory; /* PAGES of them */
	uint64_t address;
	struct pv_baldrv_range range[PAGES];
	uint32_t ranges;
} test;

/* ---- pages ---- */

static uint8_t *page_at(uint32_t page)
{
	return test.memory + (size_t)page * PAGE;
}

static uint8_t pattern_of(uint32_t page, uint32_t round)
{
	return (uint8_t)(1 + (page * 7 + round * 31) % 255);
}

static void fill(uint32_t page, uint32_t round)
{
	__builtin_memset(page_at(page), pattern_of(page, round), PAGE);
}

static bool is_filled(uint32_t page, uint32_t round)
{
	const volatile uint8_t *at = page_at(page);

	for (uint32_t i = 0; i < PAGE; i++)
		if (at[i] != pattern_of(page, round))
			return false;
	return true;
}

/* Every `step`th page is for the balloon, the others are the kernel's. */
static bool is_for_balloon(uint32_t page, uint32_t step)
{
	return page % step == 0;
}

static void choose(uint32_t step)
{
	test.ranges = 0;
	for (uint32_t page = 0; page < PAGES; page++)
		if (is_for_balloon(page, step))
			test.range[test.ranges++] =
				(struct pv_baldrv_range){ test.address + (uint64_t)page * PAGE, 1 };
}

static bool are_others_kept(uint32_t step, uint32_t round)
{
	for (uint32_t page = 0; page < PAGES; page++)
		if (!is_for_balloon(page, step) && !is_filled(page, round))
			return false;
	return true;
}

static bool can_be_used(uint32_t step, uint32_t round)
{
	for (uint32_t page = 0; page < PAGES; page++)
		if (is_for_balloon(page, step))
			fill(page, round);
	for (uint32_t page = 0; page < PAGES; page++)
		if (!is_filled(page, round))
			return false;
	return true;
}

/* ---- both ways ---- */

static bool has_gone_through(int error)
{
	return error == 0 && pv_baldrv_wait(test.balloon, &request.is_done, TIMEOUT_NS) == 0 &&
	       request.error == 0;
}

static bool inflate(void)
{
	request = (struct pv_baldrv_request){ .range = test.range, .ranges = test.ranges };
	return has_gone_through(pv_baldrv_inflate(test.balloon, &request));
}

static bool deflate(void)
{
	request = (struct pv_baldrv_request){ .range = test.range, .ranges = test.ranges };
	return has_gone_through(pv_baldrv_deflate(test.balloon, &request));
}

/* What the device shows that it was told. */
static uint32_t told(void)
{
	struct pv_le32 actual = pv_le32_of(0);

	test.bus->ops->config_read(test.bus, offsetof(struct virtio_balloon_config, actual),
	                           &actual, sizeof(actual));
	return pv_le32_get(actual);
}

static void test_pages(uint32_t step, uint32_t round)
{
	for (uint32_t page = 0; page < PAGES; page++)
		fill(page, round);
	choose(step);
	if (!payload_ok(inflate(), "pages go into it"))
		return;
	payload_ok(pv_baldrv_actual(test.balloon) == test.ranges && told() == test.ranges,
	           "it knows how many they are");
	payload_ok(are_others_kept(step, round), "those beside them stay as they were");
	payload_ok(deflate(), "and they come back");
	payload_ok(pv_baldrv_actual(test.balloon) == 0 && told() == 0, "it knows that, too");
	payload_ok(can_be_used(step, round), "and can be used");
}

/* ---- interrupts ---- */

/* One after the other; nobody looks at the ring but when an interrupt has come. */
static bool are_announced(void)
{
	const uint16_t queue = (uint16_t)pv_baldrv_queue_number(test.balloon, PV_BALDRV_INFLATE);
	bool is_good = true;

	choose(2);
	for (unsigned int i = 0; i < ALONE && is_good; i++) {
		const uint32_t before = interrupts_of_queue(queue);

		request = (struct pv_baldrv_request){ .range = test.range, .ranges = test.ranges };
		is_good = !pv_baldrv_interrupts_on(test.balloon) &&
		          pv_baldrv_inflate(test.balloon, &request) == 0 &&
		          payload_sleep(queue, before, TIMEOUT_NS);
		pv_baldrv_poll(test.balloon);
		pv_baldrv_interrupts_off(test.balloon);
		is_good = is_good && request.is_done && request.error == 0 && deflate();
	}
	return is_good;
}

/* ---- the rest ---- */

static uint32_t collect(struct virtio_balloon_stat *stat, uint32_t max, void *arg)
{
	(void)max;
	(void)arg;
	stat[0] = (struct virtio_balloon_stat){ pv_le16_of(VIRTIO_BALLOON_S_MEMTOT),
		                                pv_le64_of((uint64_t)PAGES * PAGE) };
	return 1;
}

/* Half of the pages are free. */
static bool can_be_reported(void)
{
	const struct pv_sg range[] = {
		{ pv_gpa_of(test.address), PAGES / 4 * PAGE },
		{ pv_gpa_of(test.address + PAGES / 2 * PAGE), PAGES / 4 * PAGE },
	};

	report = (struct pv_baldrv_report){ .range = range, .ranges = 2 };
	return pv_baldrv_report(test.balloon, &report) == 0 &&
	       pv_baldrv_wait(test.balloon, &report.is_done, TIMEOUT_NS) == 0 && report.error == 0;
}

static void test_reports(void)
{
	bool are_kept = true;

	for (uint32_t page = 0; page < PAGES; page++)
		fill(page, 9);
	payload_ok(can_be_reported(), "free pages are reported");
	for (uint32_t page = 0; page < PAGES; page++)
		are_kept &= page / (PAGES / 4) % 2 == 0 || is_filled(page, 9);
	payload_ok(are_kept, "and no others are touched");
	payload_ok(can_be_used(1, 10), "and used again without a word");
}

static bool get_memory(void)
{
	struct pv_gpa address = { 0 };

	test.memory = bare_alloc((size_t)PAGES * PAGE, PAGE);
	if (!test.memory ||
	    bare_os.ops->map(&bare_os, test.memory, PAGES * PAGE, true, &address) != PAGES * PAGE)
		return false;
	test.address = address.v;
	return address.v % PAGE == 0;
}

static void test_all(void)
{
	uint32_t target;

	payload_note("features", pv_baldrv_features(test.balloon));
	payload_ok(pv_baldrv_target(test.balloon, &target) == 0, "it says how many pages it wants");
	if (!payload_ok(get_memory(), "there are pages"))
		return;
	if (interrupts_are_on()) {
		payload_ok(are_announced(), "that they have gone is announced by interrupts");
		payload_note("interrupts", interrupts_taken());
	}
	test_pages(1, 1);
	test_pages(2, 2);
	test_pages(5, 3);
	if (pv_baldrv_features(test.balloon) & VIRTIO_BALLOON_F_STATS_VQ)
		payload_ok(pv_baldrv_counters(test.balloon).stats > 0, "it was told statistics");
	if (pv_baldrv_features(test.balloon) & VIRTIO_BALLOON_F_PAGE_REPORTING)
		test_reports();
	payload_ok(!pv_baldrv_is_broken(test.balloon), "it is sound in the end");
}

void payload_test_balloon(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_baldrv_options wanted = { .timeout_ns = TIMEOUT_NS, .stats = collect };
	int error;

	(void)options;
	bare_forget();
	test.bus = bus;
	error = pv_baldrv_create(&test.balloon, bus, &bare_os, &wanted);
	if (!payload_ok(error == 0, "it comes up")) {
		payload_note("error", (uint64_t)-error);
		return;
	}
	test_all();
	pv_baldrv_destroy(test.balloon);
}
