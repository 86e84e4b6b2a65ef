/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of `paravane bench net`. */
#ifndef PV_CLI_BENCH_NET_OPTIONS_H
#define PV_CLI_BENCH_NET_OPTIONS_H

#include "hosted/control/options.h"

struct pv_bench_net_options {
	const char *socket_path;
	const char *destination; /* an address, or NULL */
	uint64_t pairs;
	uint64_t queue_size;
	uint64_t frame_bytes;
	uint64_t depth;
	uint64_t burst;
	uint64_t milliseconds;
	unsigned int mode; /* enum pv_bench_net_mode */
	bool is_blocking;
	bool is_checking;
	bool is_packed;
	bool is_in_order;
	bool no_mergeable;
	bool no_indirect;
	bool is_json;
};

/* What holds where an option is not given. */
#define PV_BENCH_NET_OPTIONS_DEFAULT                                                               \
	{                                                                                          \
		.pairs = 1, .queue_size = 256, .frame_bytes = 64, .depth = 32, .burst = 32,        \
		.milliseconds = 5000,                                                              \
	}

extern const struct pv_command_line pv_cli_bench_net_command;

extern const char *const pv_bench_net_modes[];

/*
 * `values`: such options. What no bound of one of them can say. Returns NULL, or a sentence that
 * names what is wrong.
 */
const char *pv_bench_net_options_check(void *values);

#endif
