/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon driver on a device by script, as driver_blk.c.  Each request and report ends once,
 * and no page is counted that the device has not confirmed.
 */
#include <string.h>

#include "drivers/balloon/balloon.h"
#include "ring/err.h"
#include "tests/fuzz/scripted.h"

#define TIMEOUT_NS 20000000u
#define RANGES     5u
#define REPORTS    3u

static struct scripted scripted;
static struct pv_baldrv *balloon;

static struct {
	struct pv_baldrv_request request;
	struct pv_baldrv_range range[RANGES];
	bool is_out;
} way[2];

static struct {
	struct pv_baldrv_report report;
	bool is_out;
} reports[REPORTS];

static uint64_t confirmed[2];

static void request_done(struct pv_baldrv_request *request)
{
	const unsigned int which = request == &way[1].request;
	uint64_t pages = 0;

	pv_bug_on(!way[which].is_out || !request->is_done);
	for (uint32_t i = 0; i < request->ranges; i++)
		pages += request->range[i].pages;
	pv_bug_on(request->pages > pages);
	pv_bug_on((request->pages == pages) != (request->error == 0));
	way[which].is_out = false;
	confirmed[which] += request->pages;
}

static void report_done(struct pv_baldrv_report *report)
{
	bool *is_out = report->arg;

	pv_bug_on(!*is_out || !report->is_done);
	*is_out = false;
}

static void begin(unsigned int which, struct fuzz_input *input)
{
	struct pv_baldrv_request *request = &way[which].request;
	const uint8_t what = fuzz_u8(input);

	if (way[which].is_out)
		return;
	*request = (struct pv_baldrv_request){ .range = way[which].range,
		                               .ranges = what % (RANGES + 1),
		                               .timeout_ns = what & 0x80 ? TIMEOUT_NS : 0,
		                               .done = request_done };
	for (uint32_t i = 0; i < request->ranges; i++)
		way[which].range[i] = (struct pv_baldrv_range){ (uint64_t)fuzz_u32(input)
			                                                << (what & 0x40 ? 12 : 4),
			                                        fuzz_u16(input) };
	way[which].is_out = true;
	if (which ? pv_baldrv_deflate(balloon, request) : pv_baldrv_inflate(balloon, request))
		way[which].is_out = false;
}

static void begin_report(unsigned int which, struct fuzz_input *input)
{
	struct pv_sg range[PV_BALDRV_REPORT_RANGES];
	struct pv_baldrv_report *report = &reports[which].report;
	const uint8_t what = fuzz_u8(input);

	if (reports[which].is_out)
		return;
	for (uint32_t i = 0; i < PV_BALDRV_REPORT_RANGES; i++)
		range[i] = (struct pv_sg){ { i * 0x100000ull }, 0x1000u * (what / 32u) };
	*report = (struct pv_baldrv_report){ .range = range,
		                             .ranges = what % (PV_BALDRV_REPORT_RANGES + 1),
		                             .timeout_ns = what & 0x80 ? TIMEOUT_NS : 0,
		                             .done = report_done,
		                             .arg = &reports[which].is_out };
	reports[which].is_out = true;
	if (pv_baldrv_report(balloon, report))
		reports[which].is_out = false;
}

static uint32_t collect(struct virtio_balloon_stat *stat, uint32_t max, void *arg)
{
	const uint32_t count = fuzz_u8(arg) % (max + 1);

	memset(stat, 0x5a, count * sizeof(*stat));
	return count;
}

static void step(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	uint32_t pages;

	switch (what % 8) {
	case 0:
	case 1:
		begin(what % 2, input);
		break;
	case 2:
		begin_report(what / 8 % REPORTS, input);
		break;
	case 3:
		pv_baldrv_tend(balloon);
		break;
	case 4:
		scripted.now_ns += 10000000;
		if (!pv_baldrv_interrupts_on(balloon))
			pv_baldrv_interrupts_off(balloon);
		break;
	case 5:
		pv_baldrv_target(balloon, &pages);
		break;
	case 6:
		pv_baldrv_poll(balloon);
		break;
	default:
		scripted_act(&scripted);
		break;
	}
}

static void expect_all_ended(void)
{
	for (unsigned int i = 0; i < 2; i++)
		pv_bug_on(way[i].is_out);
	for (unsigned int i = 0; i < REPORTS; i++)
		pv_bug_on(reports[i].is_out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	uint8_t bits = fuzz_u8(&input);
	const struct pv_baldrv_options options = {
		.queue_size = bits & 1 ? 2 : 0,
		.fails_on_reset = bits & 2,
		.request_timeout_ns = bits & 4 ? TIMEOUT_NS : 0,
		.has_poison = bits & 8,
		.poison = bits,
		.stats = bits & 16 ? NULL : collect,
		.arg = &input,
	};

	memset(way, 0, sizeof(way));
	memset(reports, 0, sizeof(reports));
	memset(confirmed, 0, sizeof(confirmed));
	scripted_open(&scripted, &input);
	if (pv_baldrv_create(&balloon, &scripted.bus, &scripted.os, &options) == 0) {
		while (input.bytes > 0)
			step(&input);
		pv_baldrv_fail(balloon);
		expect_all_ended();
		pv_bug_on(pv_baldrv_counters(balloon).inflated != confirmed[0]);
		pv_bug_on(pv_baldrv_counters(balloon).deflated != confirmed[1]);
		pv_baldrv_destroy(balloon);
	}
	scripted_close(&scripted);
	return 0;
}
