/* SPDX-License-Identifier: BSD-2-Clause */
/* What `paravane bench serial` has found out, for people and for machines. */
#ifndef PV_CLI_BENCH_SERIAL_REPORT_H
#define PV_CLI_BENCH_SERIAL_REPORT_H

#include <stdio.h>

#include "hosted/cli/bench_serial_load.h"

struct pv_bench_serial_report {
	const struct pv_bench_serial_plan *plan;
	const struct pv_bench_run *run;
	const struct pv_bench_serial_result *result;
	uint64_t features; /* negotiated */
	uint64_t checked;  /* bytes, of both ends */
};

void pv_bench_serial_report_text(const struct pv_bench_serial_report *report, FILE *to);

/* One object on one line. */
void pv_bench_serial_report_json(const struct pv_bench_serial_report *report, FILE *to);

#endif
