/* SPDX-License-Identifier: BSD-2-Clause */
/* What all `paravane bench DEVICE` do in the same way. */
#ifndef PV_CLI_BENCH_COMMAND_H
#define PV_CLI_BENCH_COMMAND_H

#include "hosted/cli/bench_run.h"
#include "hosted/control/options.h"

struct pv_bench_command {
	const struct pv_command_line *line;
	/* Why the options make no sense together; NULL: they do. It may complete them. */
	const char *(*check)(void *options);
	/* Measures, and prints what was found. False with a sentence. */
	bool (*measure)(const void *options, char sentence[static PV_SENTENCE_BYTES]);
};

/*
 * Takes in the command line, whose groups all go to `options`, and measures, or says why not.
 * Returns the exit status.
 */
int pv_bench_command(const struct pv_bench_command *command, void *options, int argc, char **argv);

/* Connects a run that is all zero. False with a sentence about --socket-path. */
bool pv_bench_connect(struct pv_bench_run *run, const struct pv_vhu_bus_options *wish,
                      char sentence[static PV_SENTENCE_BYTES]);

/* Did it come through? False with the sentence of what failed first. */
bool pv_bench_outcome(const struct pv_bench_run *run, char sentence[static PV_SENTENCE_BYTES]);

/* A feature of the device type's that an option asks for, and what is said where it is missing. */
struct pv_bench_need {
	uint64_t features;
	const char *text;
};

/*
 * The driver did not start: the run has failed. `need`, which may be NULL, is beside --packed and
 * --in-order.
 */
void pv_bench_driver_failed(struct pv_bench_run *run, uint64_t required,
                            const struct pv_bench_need *need, int error);

#endif
