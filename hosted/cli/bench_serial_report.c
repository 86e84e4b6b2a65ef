/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_serial_report.h"

#include "hosted/cli/bench_serial_options.h"

static double seconds_of(const struct pv_bench_serial_report *report)
{
	return (double)report->result->ns / 1e9;
}

static double mb_per_second(const struct pv_bench_serial_report *report, uint64_t bytes)
{
	return report->result->ns ? (double)bytes / 1e6 / seconds_of(report) : 0;
}

static uint64_t bytes_of(const struct pv_bench_serial_report *report)
{
	return report->plan->mode == PV_BENCH_SERIAL_OUT ? report->result->bytes_out
	                                                 : report->result->bytes_in;
}

/* What less than a piece costs says nothing about a whole one. */
static bool has_pieces(const struct pv_bench_serial_report *report)
{
	return bytes_of(report) >= report->plan->write_bytes;
}

/* A piece is as much as one write: what is read in smaller ones is counted so too. */
static double per_piece(const struct pv_bench_serial_report *report, double amount)
{
	return amount * report->plan->write_bytes / (double)bytes_of(report);
}

static double quantile_us(const struct pv_bench_serial_report *report, uint32_t per_mille)
{
	return (double)pv_histogram_quantile(&report->result->latency, per_mille) *
	       report->run->ns_per_tick / 1e3;
}

static const char *ring_of(const struct pv_bench_serial_report *report)
{
	return report->features & VIRTIO_F_RING_PACKED ? "packed" : "split";
}

static void costs_text(const struct pv_bench_serial_report *report, FILE *to)
{
	const struct pv_bench_serial_result *result = report->result;

	fprintf(to, "  per write    %.4f us CPU here, ",
	        per_piece(report, (double)result->cpu_ns / 1e3));
	if (report->run->has_backend_cpu)
		fprintf(to, "%.4f us in the back-end, ",
		        per_piece(report, (double)report->run->backend_cpu_ns / 1e3));
	fprintf(to, "%.4f kicks, %.4f interrupts\n", per_piece(report, (double)result->kicks),
	        per_piece(report, (double)result->interrupts));
}

void pv_bench_serial_report_text(const struct pv_bench_serial_report *report, FILE *to)
{
	const struct pv_bench_serial_plan *plan = report->plan;
	const struct pv_bench_serial_result *result = report->result;

	fprintf(to, "%u bytes, %s, depth %u, %u port%s, %s, %s ring, %.1f s\n", plan->write_bytes,
	        pv_bench_serial_modes[plan->mode], plan->depth, plan->ports,
	        plan->ports == 1 ? "" : "s", plan->is_blocking ? "blocking" : "polling",
	        ring_of(report), seconds_of(report));
	fprintf(to, "  throughput   %.1f MB/s out, %.1f MB/s in\n",
	        mb_per_second(report, result->bytes_out), mb_per_second(report, result->bytes_in));
	if (plan->mode != PV_BENCH_SERIAL_IN)
		fprintf(to, "  %s   p50 %.1f us, p99 %.1f us, p99.9 %.1f us\n",
		        plan->mode == PV_BENCH_SERIAL_ECHO ? "round trip" : "taken in  ",
		        quantile_us(report, 500), quantile_us(report, 990),
		        quantile_us(report, 999));
	if (has_pieces(report))
		costs_text(report, to);
	if (plan->is_checking)
		fprintf(to, "  checked      %llu bytes, all as they were sent\n",
		        (unsigned long long)report->checked);
}

/* ---- for machines ---- */

static void costs_json(const struct pv_bench_serial_report *report, FILE *to)
{
	const struct pv_bench_serial_result *result = report->result;

	if (!has_pieces(report)) {
		fprintf(to, "\"client_cpu_us_per_write\": null, \"backend_cpu_us_per_write\": "
		            "null, \"kicks_per_write\": null, \"interrupts_per_write\": null, ");
		return;
	}
	fprintf(to, "\"client_cpu_us_per_write\": %.5f, \"backend_cpu_us_per_write\": ",
	        per_piece(report, (double)result->cpu_ns / 1e3));
	if (report->run->has_backend_cpu)
		fprintf(to, "%.5f, ", per_piece(report, (double)report->run->backend_cpu_ns / 1e3));
	else
		fprintf(to, "null, ");
	fprintf(to, "\"kicks_per_write\": %.6f, \"interrupts_per_write\": %.6f, ",
	        per_piece(report, (double)result->kicks),
	        per_piece(report, (double)result->interrupts));
}

void pv_bench_serial_report_json(const struct pv_bench_serial_report *report, FILE *to)
{
	const struct pv_bench_serial_plan *plan = report->plan;
	const struct pv_bench_serial_result *result = report->result;

	fprintf(to,
	        "{\"mode\": \"%s\", \"write_bytes\": %u, \"depth\": %u, \"port\": %u, \"ports\": "
	        "%u, \"waiting\": \"%s\", \"ring\": \"%s\", ",
	        pv_bench_serial_modes[plan->mode], plan->write_bytes, plan->depth, plan->port,
	        plan->ports, plan->is_blocking ? "blocking" : "polling", ring_of(report));
	fprintf(to,
	        "\"seconds\": %.3f, \"writes\": %llu, \"reads\": %llu, \"bytes_out\": %llu, "
	        "\"bytes_in\": %llu, \"mb_per_s_out\": %.3f, \"mb_per_s_in\": %.3f, ",
	        seconds_of(report), (unsigned long long)result->writes,
	        (unsigned long long)result->reads, (unsigned long long)result->bytes_out,
	        (unsigned long long)result->bytes_in, mb_per_second(report, result->bytes_out),
	        mb_per_second(report, result->bytes_in));
	fprintf(to, "\"latency_us\": {\"p50\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f}, ",
	        quantile_us(report, 500), quantile_us(report, 990), quantile_us(report, 999));
	costs_json(report, to);
	fprintf(to, "\"checked_bytes\": %llu}\n", (unsigned long long)report->checked);
}
