/* SPDX-License-Identifier: BSD-2-Clause */
/* What `paravane bench blk` has found out, for people and for machines. */
#ifndef PV_CLI_BENCH_REPORT_H
#define PV_CLI_BENCH_REPORT_H

#include <stdio.h>

#include "hosted/cli/bench_load.h"

struct pv_bench_report {
	const struct pv_bench_plan *plan;
	const struct pv_bench_run *run;
	bool is_packed;
	double seconds;
	struct pv_bench_result total; /* latency in ticks */
};

void pv_bench_report_text(const struct pv_bench_report *report, FILE *to);

/* One object on one line. */
void pv_bench_report_json(const struct pv_bench_report *report, FILE *to);

#endif
