/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon, both real halves against each other: a kernel that gives pages away, takes them back
 * and reports free ones, at random, with every combination of ring features and host pages of
 * several sizes; and in between the device is saved and loaded into another one, or asks for a
 * reset.
 *
 * No page goes back to the host while the kernel may use it; what it has kept is as it was; and in
 * the end all that can have gone has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/balloon/balloon.h"
#include "drivers/balloon/balloon.h"
#include "ring/err.h"
#include "drivers/bus/legacy.h"
#include "tests/support/pci_couple.h"

#define STEPS (getenv("PV_LONG") ? 30000u : getenv("PV_SHORT") ? 300u : 1500u)

#define QUEUE_SIZE   16u
#define MEMORY_BYTES (4u << 20)
#define STATE_BYTES  4096u
#define SECOND_NS    1000000000ull
#define PAGE         4096u
#define PAGES        128u
#define REPORTS      3u
#define LARGE_PAGES  4u

#define RING_BITS                                                                                  \
	(VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER)

static const uint64_t rings[] = {
	0,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_IN_ORDER,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER | VIRTIO_F_EVENT_IDX,
};

#define RINGS (sizeof(rings) / sizeof(rings[0]))

/* What the kernel does with a page. */
enum page_state {
	USED,
	ON_ITS_WAY, /* out or in again, or reported: the device may do with it what it likes */
	AWAY,       /* in the balloon */
};

struct flight {
	struct pv_baldrv_request request;
	struct pv_baldrv_range range[PAGES];
	bool is_out;
};

struct report {
	struct pv_baldrv_report report;
	struct pv_sg range[PV_BALDRV_REPORT_RANGES];
	uint32_t first, pages;
	bool is_out;
};

static struct pair {
	struct pv_pci_couple pci; /* or the couple in it alone */
	bool has_pci;
	struct pv_port_ops ops;
	struct pv_random random;
	struct pv_balloon_options options;
	uint8_t *storage[2];
	unsigned int current;
	struct pv_baldrv *driver;
	uint32_t host_pages; /* in one of the host's */

	struct pv_gpa memory;
	enum page_state state[PAGES];
	bool has_gone[PAGES]; /* since it was used */
	uint8_t fill[PAGES];  /* of those that are used */
	uint8_t next_fill;
	struct flight way[2];
	struct report report[REPORTS];
	uint32_t moves, stats_came, actual_changes;
	uint64_t told_free;
} pair;

/* Of all tests: requests that were done, to inflate and to deflate. */
static uint64_t done[2];

/* ---- the kernel ---- */

static struct pv_gpa gpa_of(uint32_t page)
{
	return pv_gpa_add(pair.memory, (uint64_t)page * PAGE);
}

static uint8_t *at(uint32_t page)
{
	return (uint8_t *)pv_twin_driver(&pair.pci.couple.twin, pair.memory) + (size_t)page * PAGE;
}

static void use(uint32_t page)
{
	pair.state[page] = USED;
	pair.has_gone[page] = false;
	pair.fill[page] = ++pair.next_fill;
	memset(at(page), pair.fill[page], PAGE);
}

static void expect_kept(uint32_t page)
{
	for (uint32_t i = 0; i < PAGE; i += 512)
		assert_int_equal(at(page)[i], pair.fill[page]);
	assert_int_equal(at(page)[PAGE - 1], pair.fill[page]);
}

static void request_done(struct pv_baldrv_request *request)
{
	struct flight *flight = (struct flight *)request;
	const bool is_inflating = flight == &pair.way[0];

	assert_true(flight->is_out);
	assert_int_equal(request->error, 0);
	flight->is_out = false;
	done[!is_inflating]++;
	for (uint32_t i = 0; i < request->ranges; i++) {
		uint32_t first = (uint32_t)((flight->range[i].address - pair.memory.v) / PAGE);

		for (uint32_t page = first; page < first + flight->range[i].pages; page++) {
			assert_int_equal(pair.state[page], ON_ITS_WAY);
			if (is_inflating)
				pair.state[page] = AWAY;
			else
				use(page);
		}
	}
}

/* Pages of one kind here and there, in rows. */
static uint32_t choose(struct pv_baldrv_range *range, enum page_state kind)
{
	const uint32_t percent = 1 + pv_random_below(&pair.random, 60);
	uint32_t ranges = 0;

	for (uint32_t page = 0; page < PAGES; page++) {
		uint32_t pages = 0;

		if (pair.state[page] != kind || !pv_random_chance(&pair.random, percent))
			continue;
		while (page + pages < PAGES && pair.state[page + pages] == kind &&
		       (pages == 0 || pv_random_chance(&pair.random, 80)))
			pair.state[page + pages++] = ON_ITS_WAY;
		range[ranges++] = (struct pv_baldrv_range){ gpa_of(page).v, pages };
		page += pages - 1;
	}
	return ranges;
}

static void begin(uint32_t which)
{
	struct flight *flight = &pair.way[which];

	if (flight->is_out)
		return;
	flight->request =
		(struct pv_baldrv_request){ .range = flight->range, .done = request_done };
	flight->request.ranges = choose(flight->range, which ? AWAY : USED);
	if (flight->request.ranges == 0)
		return;
	flight->is_out = true;
	assert_int_equal(which ? pv_baldrv_deflate(pair.driver, &flight->request)
	                       : pv_baldrv_inflate(pair.driver, &flight->request),
	                 0);
}

static void report_done(struct pv_baldrv_report *of)
{
	struct report *report = (struct report *)of;

	assert_true(report->is_out);
	assert_int_equal(of->error, 0);
	report->is_out = false;
	for (uint32_t i = 0; i < report->pages; i++)
		use(report->first + i);
}

static void begin_report(void)
{
	struct report *report = &pair.report[pv_random_below(&pair.random, REPORTS)];
	uint32_t first = pv_random_below(&pair.random, PAGES), pages = 0;
	int error;

	if (report->is_out)
		return;
	while (first + pages < PAGES && pages < 8 && pair.state[first + pages] == USED)
		pages++;
	if (pages == 0)
		return;
	for (uint32_t i = 0; i < pages; i++) {
		report->range[i] = (struct pv_sg){ gpa_of(first + i), PAGE };
		pair.state[first + i] = ON_ITS_WAY;
	}
	report->report = (struct pv_baldrv_report){ .range = report->range,
		                                    .ranges = (uint16_t)pages,
		                                    .done = report_done };
	report->first = first;
	report->pages = pages;
	error = pv_baldrv_report(pair.driver, &report->report);
	report->is_out = !error;
	assert_true(!error || error == -PV_ENOSPC);
	for (uint32_t i = 0; error && i < pages; i++)
		pair.state[first + i] = USED;
}

static uint32_t collect(struct virtio_balloon_stat *stat, uint32_t max, void *arg)
{
	(void)arg;
	assert_true(max >= 2);
	stat[0] = (struct virtio_balloon_stat){ pv_le16_of(VIRTIO_BALLOON_S_MEMFREE),
		                                pv_le64_of(++pair.told_free) };
	stat[1] = (struct virtio_balloon_stat){ pv_le16_of(1000), pv_le64_of(UINT64_MAX) };
	return 2;
}

/* ---- the host ---- */

/* What goes is nothing that the kernel may use. */
static void discard_one(const struct pv_region *region, uint8_t *host, uint64_t bytes)
{
	const uint64_t unit = (uint64_t)pair.host_pages * PAGE;
	const uint64_t first = (uint64_t)(host - region->host);

	assert_int_equal(region->gpa.v, pair.memory.v);
	assert_true(bytes > 0 && first % unit == 0 && bytes % unit == 0);
	assert_true(first + bytes <= region->bytes);
	for (uint64_t page = first / PAGE; page < (first + bytes) / PAGE; page++) {
		assert_int_not_equal(pair.state[page], USED);
		pair.has_gone[page] = true;
	}
	memset(host, 0, (size_t)bytes);
}

static int discard(struct pv_port *port, const struct pv_region *region, const struct pv_iov *piece,
                   uint32_t pieces)
{
	(void)port;
	for (uint32_t i = 0; i < pieces; i++)
		discard_one(region, piece[i].base, piece[i].bytes);
	return 0;
}

static void stats_came(void *arg)
{
	struct pv_balloon_stats stats;

	(void)arg;
	pair.stats_came++;
	pv_balloon_stats(pair.pci.couple.device, &stats);
	assert_int_equal(stats.known, 1u << VIRTIO_BALLOON_S_MEMFREE);
	assert_true(stats.value[VIRTIO_BALLOON_S_MEMFREE] <= pair.told_free);
	assert_int_equal(stats.unknown_tag[0], 1000);
	assert_true(stats.unknown_value[0] == UINT64_MAX);
}

static void actual_changed(void *arg)
{
	(void)arg;
	pair.actual_changes++;
}

/* ---- its life ---- */

static struct pv_device *make_device(void)
{
	unsigned int which = pair.driver ? !pair.current : pair.current;
	size_t bytes = (pv_balloon_bytes() + 63) & ~(size_t)63;

	free(pair.storage[which]);
	pair.storage[which] = aligned_alloc(64, bytes);
	memset(pair.storage[which], 0, bytes);
	return pv_balloon_init(pair.storage[which], &pair.pci.couple.port, &pair.options);
}

/* Of the kernel's pages alone the host takes any back. */
static void mark_table(enum pv_twin_view view)
{
	struct pv_mem *mem = pair.pci.couple.twin.table[view];

	for (uint32_t i = 0; i < mem->count; i++)
		if (mem->region[i].gpa.v == pair.memory.v)
			mem->region[i].page_bytes = (uint64_t)pair.host_pages * PAGE;
}

/* What is between the two. */
enum between {
	NOTHING,
	PCI,
	LEGACY_PCI,
};

static void open_between(enum between between)
{
	if (between == NOTHING) {
		pv_couple_open(&pair.pci.couple, MEMORY_BYTES, pair.random);
		return;
	}
	pair.has_pci = true;
	pv_pci_couple_open(&pair.pci, MEMORY_BYTES, pair.random);
	pair.pci.is_driver_legacy = between == LEGACY_PCI;
}

/* Returns the driver's bus. */
static struct pv_bus *set_first_device(enum between between)
{
	if (between == NOTHING) {
		pv_couple_set_device(&pair.pci.couple, make_device(), PV_VIEW_DEVICE);
		return &pair.pci.couple.bus;
	}
	pv_pci_couple_set_device(&pair.pci, make_device(), PV_VIEW_DEVICE, between == LEGACY_PCI);
	assert_int_equal(pv_pci_couple_probe(&pair.pci), 0);
	assert_int_equal(pair.pci.bus.bus.device_id, 5);
	assert_true(pair.pci.bus.bus.is_legacy == (between == LEGACY_PCI));
	return &pair.pci.bus.bus;
}

static void pair_open(uint64_t ring_features, uint64_t number, uint32_t host_pages,
                      enum between between)
{
	struct pv_bus *bus;

	const struct pv_baldrv_options wish = {
		.wanted = (PV_BALDRV_FEATURES & ~RING_BITS) | ring_features,
		.stats = collect,
	};

	memset(&pair, 0, sizeof(pair));
	pair.random = pv_random_start(pv_random_seed(), number);
	pair.host_pages = host_pages;
	pair.options = (struct pv_balloon_options){ .queue_size_max = QUEUE_SIZE,
		                                    .is_in_order = true,
		                                    .reporting = true,
		                                    .deflate_on_oom = true,
		                                    .owner = { actual_changed, stats_came, NULL } };
	open_between(between);
	pair.pci.couple.has_whole_lines = true;
	pair.ops = *pair.pci.couple.port.ops;
	pair.ops.discard = discard;
	pair.pci.couple.port.ops = &pair.ops;
	bus = set_first_device(between);
	pair.memory = pv_twin_alloc(&pair.pci.couple.twin, PAGES * PAGE, PV_WHOLE, 0, &pair.random);
	assert_int_equal(pv_baldrv_create(&pair.driver, bus, &pair.pci.couple.os, &wish), 0);
	assert_int_equal(pv_baldrv_features(pair.driver) & RING_BITS, ring_features);
	mark_table(PV_VIEW_DEVICE);
	mark_table(PV_VIEW_DEVICE_OTHER);
	/* What the device makes of the table it does when its queues start. */
	assert_int_equal(pv_baldrv_recover(pair.driver), 0);
	for (uint32_t i = 0; i < PAGES; i++)
		use(i);
}

static void look(void)
{
	pv_baldrv_poll(pair.driver);
}

static bool is_any_out(void)
{
	bool is_out = pair.way[0].is_out || pair.way[1].is_out;

	for (uint32_t i = 0; i < REPORTS; i++)
		is_out |= pair.report[i].is_out;
	return is_out;
}

/* By kicks alone. */
static void settle(void)
{
	for (uint32_t i = 0; is_any_out(); i++) {
		assert_in_range(i, 0, 1000);
		pv_couple_run(&pair.pci.couple);
		pv_couple_sleep(&pair.pci.couple);
		look();
	}
}

static void pair_close(void)
{
	settle();
	pv_baldrv_destroy(pair.driver);
	assert_int_equal(pv_device_status(pair.pci.couple.device), 0);
	assert_true(pv_twin_guards_hold(&pair.pci.couple.twin));
	if (pair.has_pci)
		pv_pci_couple_close(&pair.pci);
	else
		pv_couple_close(&pair.pci.couple);
	free(pair.storage[0]);
	free(pair.storage[1]);
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

static void move(void)
{
	static uint8_t state[STATE_BYTES];
	struct pv_state_writer to = { .data = state, .capacity = STATE_BYTES };
	struct pv_couple *couple = &pair.pci.couple;
	struct pv_device *old = couple->device, *device;
	enum pv_twin_view from = couple->view;
	enum pv_twin_view view = from == PV_VIEW_DEVICE ? PV_VIEW_DEVICE_OTHER : PV_VIEW_DEVICE;
	uint32_t stats_came_before;
	bool is_paused = false;

	assert_int_equal(pv_device_pause(old, (struct pv_waiter){ note, &is_paused }), 0);
	for (int i = 0; !is_paused && i < 100; i++)
		pv_couple_run(couple);
	assert_true(is_paused);
	assert_int_equal(pv_device_save(old, &to), 0);
	pv_twin_allow(&couple->twin, from, false);
	pv_twin_allow(&couple->twin, view, true);
	stats_came_before = pair.stats_came;
	assert_int_equal(pv_device_abandon(old), 0);
	assert_int_equal(pair.stats_came, stats_came_before);
	device = make_device();
	pair.current = !pair.current;
	pv_couple_set_device(couple, device, view);
	assert_int_equal(pv_device_load(device, state, to.bytes), 0);
	pv_balloon_stats_period_set(device, SECOND_NS);
	pair.moves++;
	pv_device_resume(device);
	for (uint16_t i = 0; i < device->queues; i++)
		couple->lane[i].is_kicked = true;
}

static void need_reset(void)
{
	pv_device_needs_reset(pair.pci.couple.device);
	assert_int_equal(pv_baldrv_tend(pair.driver), 1);
}

static void one_step(void (*seldom)(void))
{
	uint32_t dice = pv_random_below(&pair.random, 100);

	if (dice < 15)
		begin(0);
	else if (dice < 28)
		begin(1);
	else if (dice < 40)
		begin_report();
	else if (dice < 65)
		pv_couple_run(&pair.pci.couple);
	else if (dice < 70)
		pv_couple_sleep(&pair.pci.couple);
	else if (dice < 75)
		pv_couple_pass(&pair.pci.couple, SECOND_NS / 2);
	else if (dice < 98 || !seldom)
		look();
	else
		seldom();
}

/* All that the kernel uses is as it wrote it, and the two agree about the rest. */
static void expect_all_well(void)
{
	uint32_t away = 0;

	for (uint32_t page = 0; page < PAGES; page++) {
		assert_int_not_equal(pair.state[page], ON_ITS_WAY);
		if (pair.state[page] == USED)
			expect_kept(page);
		else
			away++;
	}
	assert_int_equal(pv_baldrv_actual(pair.driver), away);
	assert_int_equal(pv_balloon_actual(pair.pci.couple.device), (uint64_t)away * PAGE);
	assert_int_equal(pv_baldrv_counters(pair.driver).lies, 0);
}

static void run_steps(void (*seldom)(void))
{
	pv_balloon_stats_period_set(pair.pci.couple.device, SECOND_NS);
	for (uint32_t step = 0; step < STEPS; step++)
		one_step(seldom);
	if (seldom)
		seldom(); /* at least once */
	settle();
	expect_all_well();
	assert_int_equal(pair.pci.couple.needs_resets, 0);
	assert_true(pair.stats_came > 0 && pair.actual_changes > 0);
}

static void on_every_kind(void (*body)(void))
{
	for (uint64_t i = 0; i < 2 * RINGS; i++) {
		pair_open(rings[i / 2], i, i % 2 ? LARGE_PAGES : 1, NOTHING);
		body();
		pair_close();
	}
}

#define ON_EVERY_KIND(name)                                                                        \
	static void name##_body(void);                                                             \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		on_every_kind(name##_body);                                                        \
	}                                                                                          \
	static void name##_body(void)

/* Whole pages of the host that are all away have gone. */
ON_EVERY_KIND(what_is_given_away_goes_and_nothing_else)
{
	run_steps(NULL);
	for (uint32_t page = 0; page < PAGES; page += pair.host_pages) {
		bool is_away = true;

		for (uint32_t i = 0; i < pair.host_pages; i++)
			is_away &= pair.state[page + i] == AWAY;
		for (uint32_t i = 0; is_away && i < pair.host_pages; i++)
			assert_true(pair.has_gone[page + i]);
	}
}

ON_EVERY_KIND(a_device_that_moves_loses_no_list_and_takes_no_page)
{
	run_steps(move);
	move();
	assert_true(pair.moves > 1);
	expect_all_well();
}

ON_EVERY_KIND(a_device_that_was_reset_goes_on)
{
	run_steps(need_reset);
	need_reset();
	expect_all_well();
}

/* The configuration by registers of 1, 2 and 4 bytes, and the two numbers of the device. */
static void all_goes_through_registers_modern_and_legacy(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < RINGS; i++) {
		pair_open(rings[i], 100 + i, 1, PCI);
		run_steps(NULL);
		pair_close();
	}
	if (!PV_LEGACY_IS_KNOWN)
		return;
	for (uint64_t i = 0; i < 3; i++) {
		pair_open(rings[i], 200 + i, LARGE_PAGES, LEGACY_PCI);
		run_steps(NULL);
		pair_close();
	}
}

/* Both sleep: each is woken by the other. */
ON_EVERY_KIND(a_request_can_be_waited_for)
{
	for (uint32_t i = 0; i < 10; i++) {
		pv_couple_run(&pair.pci.couple);
		pv_couple_sleep(&pair.pci.couple);
		begin(i % 2);
		if (pair.way[i % 2].is_out)
			assert_int_equal(pv_baldrv_wait(pair.driver,
			                                &pair.way[i % 2].request.is_done,
			                                SECOND_NS),
			                 0);
	}
}

ON_EVERY_KIND(the_target_reaches_the_driver)
{
	uint32_t pages = 1, changes = pair.pci.couple.config_changes;

	assert_int_equal(pv_baldrv_target(pair.driver, &pages), 0);
	assert_int_equal(pages, 0);
	assert_int_equal(pv_balloon_target_set(pair.pci.couple.device, 77 * PAGE), 0);
	assert_int_equal(pair.pci.couple.config_changes, changes + 1);
	assert_int_equal(pv_baldrv_target(pair.driver, &pages), 0);
	assert_int_equal(pages, 77);
}

/* A host asks again and again, and each time the driver tells anew. */
ON_EVERY_KIND(statistics_are_asked_for_in_their_period)
{
	struct pv_balloon_stats stats;

	pv_couple_run(&pair.pci.couple);
	assert_int_equal(pair.stats_came, 1);
	pv_balloon_stats_period_set(pair.pci.couple.device, SECOND_NS);
	for (uint32_t i = 0; i < 5; i++) {
		pv_couple_run(&pair.pci.couple);
		pv_couple_sleep(&pair.pci.couple);
		look();
		pv_couple_run(&pair.pci.couple);
		assert_int_equal(pair.stats_came, 2 + i);
		pv_balloon_stats(pair.pci.couple.device, &stats);
		assert_int_equal(stats.value[VIRTIO_BALLOON_S_MEMFREE], 2 + i);
		pv_couple_sleep(&pair.pci.couple);
		look();
		pv_couple_run(&pair.pci.couple);
		assert_int_equal(pair.stats_came, 2 + i);
		pv_couple_pass(&pair.pci.couple, SECOND_NS);
	}
}

static int tell(void **state)
{
	(void)state;
	print_message("%llu times pages went in, %llu times some came back\n",
	              (unsigned long long)done[0], (unsigned long long)done[1]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_given_away_goes_and_nothing_else),
		cmocka_unit_test(a_device_that_moves_loses_no_list_and_takes_no_page),
		cmocka_unit_test(a_device_that_was_reset_goes_on),
		cmocka_unit_test(all_goes_through_registers_modern_and_legacy),
		cmocka_unit_test(a_request_can_be_waited_for),
		cmocka_unit_test(the_target_reaches_the_driver),
		cmocka_unit_test(statistics_are_asked_for_in_their_period),
	};

	return cmocka_run_group_tests(tests, NULL, tell);
}
