/* SPDX-License-Identifier: BSD-2-Clause */
/* What `paravane bench blk` has found out, for people and for machines. */
#ifndef PV_CLI_BENCH_REPORT_H
#define PV_CLI_BENCH_REPORT_H

#include <stdio.h>

#include "hosted/cli/bench_load.h"

struct pv_bench_report {
	const struct pv_bench_plan *plan;
	bool is_packed;
	double seconds;
	struct pv_bench_result total; /* latency in ticks */
	double ns_per_tick;
	uint32_t reconnects; /* back-ends that took over from one that died */
	bool has_backend_cpu;
	uint64_t backend_cpu_ns;
};

void pv_bench_report_text(const struct pv_bench_report *report, FILE *to);

/* One object on one line. */
void pv_bench_report_json(const struct pv_bench_report *report, FILE *to);

#endif
