/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of `paravane bench blk`. */
#ifndef PV_CLI_BENCH_OPTIONS_H
#define PV_CLI_BENCH_OPTIONS_H

#include "hosted/control/options.h"

struct pv_bench_options {
	const char *socket_path;
	uint64_t block_bytes;
	uint64_t depth;
	uint64_t queues;
	uint64_t mix;
	unsigned int pattern;
	uint64_t milliseconds;
	uint64_t size_limit;
	bool is_verifying;
	bool is_blocking;
	bool is_packed;
	bool is_reconnecting;
	bool is_json;
};

/* What holds where an option is not given. */
#define PV_BENCH_OPTIONS_DEFAULT                                                                   \
	{                                                                                          \
		.block_bytes = 4096, .depth = 32, .queues = 1, .mix = PV_OPTION_UNSET,             \
		.milliseconds = 5000, .size_limit = PV_OPTION_UNSET,                               \
	}

extern const struct pv_command_line pv_cli_bench_blk_command;

/*
 * `values`: such options. What no bound of one of them can say; and the share of reads is settled.
 * Returns NULL, or a sentence that names what is wrong.
 */
const char *pv_bench_options_check(void *values);

#endif
