/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a balloon is: so much memory goes in and comes back, again and again, in one row and
 * every other page of it.  Each page is written to before, so that there is something to give back.
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
#define MS         1000000ull
#define SECOND     1000000000ull

static struct pv_baldrv_request request;
static struct pv_baldrv_range ranges[RANGES_MAX];

static struct {
	struct pv_baldrv *balloon;
	uint64_t address;
	uint32_t pages, ranges;
	uint64_t in_ns, out_ns, moved;
} bench;

/* ---- which pages ---- */

/* "balloon=": of the machine's memory, where nobody else has any; otherwise some of the image's. */
static bool choose_memory(const struct payload_options *options)
{
	uint8_t *memory;

	bench.pages = options->balloon_mib ? options->balloon_mib << 8 : FEW;
	bench.address = MEMORY_AT;
	if (options->balloon_mib)
		return true;
	memory = bare_alloc((size_t)FEW * PAGE, PAGE);
	bench.address = (uint64_t)memory;
	return memory;
}

static uint32_t make_row(void)
{
	ranges[0] = (struct pv_baldrv_range){ bench.address, bench.pages };
	bench.ranges = 1;
	return bench.pages;
}

static uint32_t make_holes(void)
{
	for (bench.ranges = 0; bench.ranges < bench.pages / 2 && bench.ranges < RANGES_MAX;
	     bench.ranges++)
		ranges[bench.ranges] =
			(struct pv_baldrv_range){ bench.address + (uint64_t)bench.ranges * 2 * PAGE,
			                          1 };
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

void payload_bench_balloon(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_baldrv_options wanted = { .timeout_ns = TIMEOUT_NS };

	bare_forget();
	if (!payload_ok(pv_baldrv_create(&bench.balloon, bus, &bare_os, &wanted) == 0,
	                "it comes up"))
		return;
	if (payload_ok(choose_memory(options), "there is memory for it")) {
		if (options->balloon_step != 2)
			bench_pages(make_row(), options->ms, true);
		if (options->balloon_step != 1)
			bench_pages(make_holes(), options->ms, false);
	}
	pv_baldrv_destroy(bench.balloon);
}
