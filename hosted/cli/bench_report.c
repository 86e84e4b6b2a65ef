/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_report.h"

#include "hosted/control/options.h"

static uint64_t requests_of(const struct pv_bench_report *report)
{
	return report->total.reads + report->total.writes;
}

static double per_request(const struct pv_bench_report *report, double amount)
{
	uint64_t requests = requests_of(report);

	return requests ? amount / (double)requests : 0;
}

static double iops(const struct pv_bench_report *report)
{
	return report->seconds > 0 ? (double)requests_of(report) / report->seconds : 0;
}

static double megabytes_per_second(const struct pv_bench_report *report)
{
	return iops(report) * report->plan->block_bytes / 1e6;
}

static double us_of(const struct pv_bench_report *report, double ticks)
{
	return ticks * report->run->ns_per_tick / 1e3;
}

static double quantile_us(const struct pv_bench_report *report, uint32_t per_mille)
{
	return us_of(report, (double)pv_histogram_quantile(&report->total.latency, per_mille));
}

static double mean_us(const struct pv_bench_report *report)
{
	return us_of(report, per_request(report, (double)report->total.latency.sum));
}

static const char *kind_of(const struct pv_bench_plan *plan)
{
	if (plan->read_percent == 100)
		return "reads";
	return plan->read_percent == 0 ? "writes" : "reads and writes";
}

void pv_bench_report_text(const struct pv_bench_report *report, FILE *to)
{
	const struct pv_bench_plan *plan = report->plan;
	char size[PV_SIZE_TEXT_BYTES];

	fprintf(to, "%s %s %s, depth %u, %u queue%s, %s, %s ring, %.1f s\n",
	        pv_size_text(plan->block_bytes, size), plan->is_random ? "random" : "sequential",
	        kind_of(plan), plan->depth, plan->queues, plan->queues == 1 ? "" : "s",
	        plan->is_blocking ? "blocking" : "polling", report->is_packed ? "packed" : "split",
	        report->seconds);
	fprintf(to, "  throughput   %.0f IOPS, %.1f MB/s\n", iops(report),
	        megabytes_per_second(report));
	fprintf(to, "  latency      p50 %.1f us, p99 %.1f us, p99.9 %.1f us\n",
	        quantile_us(report, 500), quantile_us(report, 990), quantile_us(report, 999));
	fprintf(to, "  per request  %.3f us CPU here, ",
	        per_request(report, (double)report->total.cpu_ns / 1e3));
	if (report->run->has_backend_cpu)
		fprintf(to, "%.3f us in the back-end, ",
		        per_request(report, (double)report->run->backend_cpu_ns / 1e3));
	fprintf(to, "%.4f kicks, %.4f interrupts\n",
	        per_request(report, (double)report->total.kicks),
	        per_request(report, (double)report->total.interrupts));
	if (plan->is_verifying)
		fprintf(to, "  verified     %llu blocks, all as written\n",
		        (unsigned long long)report->total.verified_blocks);
	if (report->run->reconnects > 0)
		fprintf(to, "  back-ends    %u died\n", report->run->reconnects);
}

void pv_bench_report_json(const struct pv_bench_report *report, FILE *to)
{
	const struct pv_bench_plan *plan = report->plan;
	const struct pv_bench_result *total = &report->total;

	fprintf(to,
	        "{\"block_bytes\": %u, \"depth\": %u, \"queues\": %u, \"read_percent\": %u, "
	        "\"pattern\": \"%s\", \"mode\": \"%s\", \"ring\": \"%s\", ",
	        plan->block_bytes, plan->depth, plan->queues, plan->read_percent,
	        plan->is_random ? "random" : "sequential",
	        plan->is_blocking ? "blocking" : "polling", report->is_packed ? "packed" : "split");
	fprintf(to, "\"seconds\": %.3f, \"reads\": %llu, \"writes\": %llu, ", report->seconds,
	        (unsigned long long)total->reads, (unsigned long long)total->writes);
	fprintf(to, "\"iops\": %.1f, \"mb_per_s\": %.3f, ", iops(report),
	        megabytes_per_second(report));
	fprintf(to,
	        "\"latency_us\": {\"mean\": %.3f, \"p50\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f, "
	        "\"max\": %.3f}, ",
	        mean_us(report), quantile_us(report, 500), quantile_us(report, 990),
	        quantile_us(report, 999), us_of(report, (double)total->latency.max));
	fprintf(to, "\"client_cpu_us_per_request\": %.4f, ",
	        per_request(report, (double)total->cpu_ns / 1e3));
	if (report->run->has_backend_cpu)
		fprintf(to, "\"backend_cpu_us_per_request\": %.4f, ",
		        per_request(report, (double)report->run->backend_cpu_ns / 1e3));
	else
		fprintf(to, "\"backend_cpu_us_per_request\": null, ");
	fprintf(to,
	        "\"kicks_per_request\": %.6f, \"interrupts_per_request\": %.6f, "
	        "\"verified_blocks\": %llu, \"reconnects\": %u}\n",
	        per_request(report, (double)total->kicks),
	        per_request(report, (double)total->interrupts),
	        (unsigned long long)total->verified_blocks, report->run->reconnects);
}
