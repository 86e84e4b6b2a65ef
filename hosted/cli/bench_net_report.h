/* SPDX-License-Identifier: BSD-2-Clause */
/* What `paravane bench net` has found out, for people and for machines. */
#ifndef PV_CLI_BENCH_NET_REPORT_H
#define PV_CLI_BENCH_NET_REPORT_H

#include <stdio.h>

#include "hosted/cli/bench_net_load.h"

struct pv_bench_net_report {
	const struct pv_bench_net_plan *plan;
	const struct pv_bench_run *run;
	uint64_t features; /* negotiated */
	double seconds;
	struct pv_bench_net_result total;
};

void pv_bench_net_report_text(const struct pv_bench_net_report *report, FILE *to);

/* One object on one line. */
void pv_bench_net_report_json(const struct pv_bench_net_report *report, FILE *to);

#endif
