/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_net_report.h"

#include "hosted/cli/bench_net_options.h"

/* What counts: those that came back, or the only ones there are. */
static uint64_t packets_of(const struct pv_bench_net_report *report)
{
	return report->plan->mode == PV_BENCH_NET_SEND ? report->total.sent
	                                               : report->total.received;
}

static double per_packet(const struct pv_bench_net_report *report, double amount)
{
	uint64_t packets = packets_of(report);

	return packets ? amount / (double)packets : 0;
}

static double packets_per_second(const struct pv_bench_net_report *report)
{
	return report->seconds > 0 ? (double)packets_of(report) / report->seconds : 0;
}

static double gigabits_per_second(const struct pv_bench_net_report *report)
{
	return packets_per_second(report) * report->plan->frame_bytes * 8 / 1e9;
}

static double us_of(const struct pv_bench_net_report *report, double ticks)
{
	return ticks * report->run->ns_per_tick / 1e3;
}

static double quantile_us(const struct pv_bench_net_report *report, uint32_t per_mille)
{
	return us_of(report, (double)pv_histogram_quantile(&report->total.latency, per_mille));
}

static const char *ring_of(const struct pv_bench_net_report *report)
{
	return report->features & VIRTIO_F_RING_PACKED ? "packed" : "split";
}

static void costs_text(const struct pv_bench_net_report *report, FILE *to)
{
	fprintf(to, "  per packet   %.4f us CPU here, ",
	        per_packet(report, (double)report->total.cpu_ns / 1e3));
	if (report->run->has_backend_cpu)
		fprintf(to, "%.4f us in the back-end, ",
		        per_packet(report, (double)report->run->backend_cpu_ns / 1e3));
	fprintf(to, "%.4f kicks, %.4f interrupts\n",
	        per_packet(report, (double)report->total.kicks),
	        per_packet(report, (double)report->total.interrupts));
}

static void check_text(const struct pv_bench_net_report *report, FILE *to)
{
	const struct pv_bench_net_result *total = &report->total;

	if (report->plan->is_checking && report->plan->mode != PV_BENCH_NET_SEND)
		fprintf(to,
		        "  checked      %llu frames: %llu lost, %llu doubled, %llu reordered, "
		        "%llu altered\n",
		        (unsigned long long)total->checked, (unsigned long long)total->lost,
		        (unsigned long long)total->doubled, (unsigned long long)total->reordered,
		        (unsigned long long)total->altered);
	else if (total->lost > 0)
		fprintf(to, "  lost         %llu frames\n", (unsigned long long)total->lost);
	if (total->foreign > 0)
		fprintf(to, "  not ours     %llu frames\n", (unsigned long long)total->foreign);
}

void pv_bench_net_report_text(const struct pv_bench_net_report *report, FILE *to)
{
	const struct pv_bench_net_plan *plan = report->plan;

	fprintf(to, "%u bytes, %s, depth %u, burst %u, %u pair%s, %s, %s ring, %.1f s\n",
	        plan->frame_bytes, pv_bench_net_modes[plan->mode], plan->depth, plan->burst,
	        plan->pairs, plan->pairs == 1 ? "" : "s",
	        plan->is_blocking ? "blocking" : "polling", ring_of(report), report->seconds);
	fprintf(to, "  throughput   %.0f packets/s, %.3f Gbit/s\n", packets_per_second(report),
	        gigabits_per_second(report));
	if (plan->mode == PV_BENCH_NET_ECHO)
		fprintf(to, "  round trip   p50 %.1f us, p99 %.1f us, p99.9 %.1f us\n",
		        quantile_us(report, 500), quantile_us(report, 990),
		        quantile_us(report, 999));
	costs_text(report, to);
	check_text(report, to);
}

/* ---- for machines ---- */

static void plan_json(const struct pv_bench_net_report *report, FILE *to)
{
	const struct pv_bench_net_plan *plan = report->plan;

	fprintf(to,
	        "\"mode\": \"%s\", \"frame_bytes\": %u, \"depth\": %u, \"burst\": %u, \"pairs\": "
	        "%u, \"waiting\": \"%s\", \"ring\": \"%s\", \"is_mergeable\": %s, ",
	        pv_bench_net_modes[plan->mode], plan->frame_bytes, plan->depth, plan->burst,
	        plan->pairs, plan->is_blocking ? "blocking" : "polling", ring_of(report),
	        report->features & VIRTIO_NET_F_MRG_RXBUF ? "true" : "false");
}

static void check_json(const struct pv_bench_net_result *total, FILE *to)
{
	fprintf(to,
	        "\"checked\": %llu, \"lost\": %llu, \"doubled\": %llu, \"reordered\": %llu, "
	        "\"altered\": %llu, \"foreign\": %llu",
	        (unsigned long long)total->checked, (unsigned long long)total->lost,
	        (unsigned long long)total->doubled, (unsigned long long)total->reordered,
	        (unsigned long long)total->altered, (unsigned long long)total->foreign);
}

static void costs_json(const struct pv_bench_net_report *report, FILE *to)
{
	fprintf(to, "\"client_cpu_us_per_packet\": %.5f, \"backend_cpu_us_per_packet\": ",
	        per_packet(report, (double)report->total.cpu_ns / 1e3));
	if (report->run->has_backend_cpu)
		fprintf(to, "%.5f, ",
		        per_packet(report, (double)report->run->backend_cpu_ns / 1e3));
	else
		fprintf(to, "null, ");
	fprintf(to, "\"kicks_per_packet\": %.6f, \"interrupts_per_packet\": %.6f, ",
	        per_packet(report, (double)report->total.kicks),
	        per_packet(report, (double)report->total.interrupts));
}

void pv_bench_net_report_json(const struct pv_bench_net_report *report, FILE *to)
{
	fputc('{', to);
	plan_json(report, to);
	fprintf(to,
	        "\"seconds\": %.3f, \"sent\": %llu, \"received\": %llu, \"packets_per_s\": %.1f, "
	        "\"gbit_per_s\": %.4f, ",
	        report->seconds, (unsigned long long)report->total.sent,
	        (unsigned long long)report->total.received, packets_per_second(report),
	        gigabits_per_second(report));
	fprintf(to, "\"round_trip_us\": {\"p50\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f}, ",
	        quantile_us(report, 500), quantile_us(report, 990), quantile_us(report, 999));
	costs_json(report, to);
	check_json(&report->total, to);
	fprintf(to, "}\n");
}
