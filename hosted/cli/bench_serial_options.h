/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of `paravane bench serial`. */
#ifndef PV_CLI_BENCH_SERIAL_OPTIONS_H
#define PV_CLI_BENCH_SERIAL_OPTIONS_H

#include "hosted/control/options.h"

struct pv_bench_serial_options {
	const char *socket_path;
	const char
		*peer; /* a port's socket, whose other end is ours; NULL: it is somebody else's */
	uint64_t port; /* the first */
	uint64_t ports;
	uint64_t open; /* 0: those that are used */
	uint64_t queue_size;
	uint64_t write_bytes;
	uint64_t depth;
	uint64_t milliseconds;
	unsigned int mode; /* enum pv_bench_serial_mode */
	bool is_blocking;
	bool is_checking;
	bool is_packed;
	bool is_in_order;
	bool no_indirect;
	bool is_json;
};

/* What holds where an option is not given. */
#define PV_BENCH_SERIAL_OPTIONS_DEFAULT                                                            \
	{                                                                                          \
		.ports = 1, .queue_size = 64, .write_bytes = 65536, .depth = 8,                    \
		.milliseconds = 5000,                                                              \
	}

extern const struct pv_command_line pv_cli_bench_serial_command;

extern const char *const pv_bench_serial_modes[];

/*
 * `values`: such options. What no bound of one of them can say. Returns NULL, or a sentence that
 * names what is wrong.
 */
const char *pv_bench_serial_options_check(void *values);

#endif
