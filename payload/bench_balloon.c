/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a balloon is: so much memory goes in and comes back, again and again, in one row and
 * every other page of it; and is reported as free, in as many pieces as Linux reports at once.
 * Each page is written to before, so that there is something to give back.
 */
#include "drivers/balloon/balloon.h"
#include "payload/payload.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"

#define TIMEOUT_NS 60000000000ull
#define PAGE       VIRTIO_BALLOON_PAGE_BYTES
#define FEW        512u /* pages, in the image */
#define MEMORY_AT  (32u << 20)
#define RANGES_MAX (1u << 15)
#define PIECES_MAX 4u
#define MS         1000000ull
#define SECOND     1000000000ull

static struct pv_baldrv_request request;
static struct pv_baldrv_report report;
static struct pv_baldrv_range ranges[RANGES_MAX];

static struct {
	struct pv_baldrv *balloon;
	struct pv_baldrv_range piece[PIECES_MAX]; /* where the memory is */
	uint32_t pieces, pages, ranges;
	uint64_t in_ns, out_ns, moved;
} bench;

/* ---- which pages ---- */

static void take_piece(uint64_t base, uint64_t end, uint32_t wanted)
{
	uint64_t pages;

	base = base < MEMORY_AT ? MEMORY_AT : (base + PAGE - 1) / PAGE * PAGE;
	if (base >= end || bench.pages == wanted || bench.pieces == PIECES_MAX)
		return;
	pages = (end - base) / PAGE;
	if (pages > wanted - bench.pages)
		pages = wanted - bench.pages;
	bench.piece[bench.pieces++] = (struct pv_baldrv_range){ base, (uint32_t)pages };
	bench.pages += (uint32_t)pages;
}

/* "balloon=": of the machine's memory, where nobody else has any; otherwise some of the image's. */
static bool choose_memory(const struct payload_options *options)
{
	const uint32_t wanted = options->balloon_mib << 8;
	struct start_range range;
	uint8_t *memory;

	if (wanted) {
		for (unsigned int i = 0; memory_piece(i, &range); i++)
			take_piece(range.base, range.base + range.bytes, wanted);
		return bench.pages == wanted;
	}
	memory = bare_alloc((size_t)FEW * PAGE, PAGE);
	bench.piece[0] = (struct pv_baldrv_range){ (uint64_t)memory, FEW };
	bench.pieces = 1;
	bench.pages = FEW;
	return memory;
}

static uint32_t make_row(void)
{
	for (bench.ranges = 0; bench.ranges < bench.pieces; bench.ranges++)
		ranges[bench.ranges] = bench.piece[bench.ranges];
	return bench.pages;
}

static uint32_t make_holes(void)
{
	bench.ranges = 0;
	for (uint32_t i = 0; i < bench.pieces; i++)
		for (uint32_t page = 0;
		     page + 1 < bench.piece[i].pages && bench.ranges < RANGES_MAX; page += 2)
			ranges[bench.ranges++] = (struct pv_baldrv_range){
				bench.piece[i].address + (uint64_t)page * PAGE, 1
			};
	return bench.ranges;
}

static void touch(void)
{
	for (uint32_t i = 0; i < bench.ranges; i++)
		for (uint32_t page = 0; page < ranges[i].pages; page++)
			*(volatile uint8_t *)(uintptr_t)(ranges[i].address +
			                                 (uint64_t)page * PAGE) = 1;
}

/* ---- how fast ---- */

static bool go(int (*begin)(struct pv_baldrv *balloon, struct pv_baldrv_request *request),
               uint64_t *took_ns)
{
	const uint64_t begin_ns = clock_ns();
	bool is_good;

	request = (struct pv_baldrv_request){ .range = ranges, .ranges = bench.ranges };
	is_good = begin(bench.balloon, &request) == 0 &&
	          pv_baldrv_wait(bench.balloon, &request.is_done, TIMEOUT_NS) == 0 &&
	          request.error == 0;
	*took_ns += clock_ns() - begin_ns;
	return is_good;
}

static bool run(uint32_t pages, uint64_t ms)
{
	const uint64_t begin_ns = clock_ns();
	bool is_good = true;

	bench.in_ns = bench.out_ns = bench.moved = 0;
	do {
		touch();
		is_good = go(pv_baldrv_inflate, &bench.in_ns) &&
		          go(pv_baldrv_deflate, &bench.out_ns);
		bench.moved += pages;
	} while (is_good && clock_ns() - begin_ns < ms * MS);
	return is_good;
}

static void bench_pages(uint32_t pages, uint64_t ms, bool is_row)
{
	const uint64_t kicks = pv_baldrv_counters(bench.balloon).kicks;

	payload_ok(run(pages, ms), is_row ? "pages go in and out to the end"
	                                  : "every other page goes in and out to the end");
	payload_note(is_row ? "pages in a row" : "pages between others", pages);
	payload_note("pages in and out", bench.moved);
	payload_note("pages inflated a second", bench.moved * SECOND / (bench.in_ns + 1));
	payload_note("pages deflated a second", bench.moved * SECOND / (bench.out_ns + 1));
	payload_note("kicks in 1000 pages",
	             (pv_baldrv_counters(bench.balloon).kicks - kicks) * 500 / (bench.moved + 1));
}

/* ---- reports ---- */

static bool report_all(uint64_t *took_ns)
{
	const uint64_t bytes = (uint64_t)bench.piece[0].pages / PV_BALDRV_REPORT_RANGES * PAGE;
	struct pv_sg range[PV_BALDRV_REPORT_RANGES];
	uint64_t begin_ns;
	bool is_good;

	/* The last first, as no two of Linux's lie side by side for certain. */
	for (uint32_t i = 0; i < PV_BALDRV_REPORT_RANGES; i++)
		range[i] = (struct pv_sg){ pv_gpa_of(bench.piece[0].address +
			                             (PV_BALDRV_REPORT_RANGES - 1 - i) * bytes),
			                   (uint32_t)bytes };
	report = (struct pv_baldrv_report){ .range = range, .ranges = PV_BALDRV_REPORT_RANGES };
	begin_ns = clock_ns();
	is_good = pv_baldrv_report(bench.balloon, &report) == 0 &&
	          pv_baldrv_wait(bench.balloon, &report.is_done, TIMEOUT_NS) == 0 &&
	          report.error == 0;
	*took_ns = clock_ns() - begin_ns;
	return is_good;
}

static void bench_reports(uint64_t ms)
{
	const uint64_t begin_ns = clock_ns();
	uint64_t count = 0, all_ns = 0, longest_ns = 0, took_ns;
	bool is_good = true;

	make_row();
	do {
		touch();
		is_good = report_all(&took_ns);
		all_ns += took_ns;
		longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
		count++;
	} while (is_good && clock_ns() - begin_ns < ms * MS);
	payload_ok(is_good, "free pages are reported to the end");
	payload_note("pages in a report", bench.piece[0].pages);
	payload_note("reports", count);
	payload_note("a report of 32 ranges, ns", all_ns / count);
	payload_note("the longest, ns", longest_ns);
}

static bool has_reports(void)
{
	return pv_baldrv_features(bench.balloon) & VIRTIO_BALLOON_F_PAGE_REPORTING;
}

void payload_bench_balloon(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_baldrv_options wanted = { .timeout_ns = TIMEOUT_NS,
		                                  .queue_size = PV_BALDRV_REPORT_RANGES };

	bare_forget();
	if (!payload_ok(pv_baldrv_create(&bench.balloon, bus, &bare_os, &wanted) == 0,
	                "it comes up"))
		return;
	if (payload_ok(choose_memory(options), "there is memory for it")) {
		if (options->balloon_step == 0 || options->balloon_step == 1)
			bench_pages(make_row(), options->ms, true);
		if (options->balloon_step == 0 || options->balloon_step == 2)
			bench_pages(make_holes(), options->ms, false);
		if (has_reports() && (options->balloon_step == 0 || options->balloon_step == 3))
			bench_reports(options->ms);
	}
	pv_baldrv_destroy(bench.balloon);
}
