/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_serial_options.h"

#include "hosted/cli/bench_serial_load.h"

#define QUEUE_SIZE_MAX 1024u

const char *const pv_bench_serial_modes[] = { [PV_BENCH_SERIAL_OUT] = "out",
	                                      [PV_BENCH_SERIAL_IN] = "in",
	                                      [PV_BENCH_SERIAL_ECHO] = "echo",
	                                      NULL };

#define OPTIONS struct pv_bench_serial_options
static const struct pv_option device_options[] = {
	{ "socket-path", "PATH", "the socket where the back-end listens",
	  PV_OPTION_TEXT_AT(OPTIONS, socket_path) },
	{ "port", "N", "the port to use, or the first of them (default 0)",
	  PV_OPTION_NUMBER_AT(OPTIONS, port, 0, VIRTIO_CONSOLE_PORTS_MAX - 1) },
	{ "ports", "N", "so many ports at a time (default 1)",
	  PV_OPTION_NUMBER_AT(OPTIONS, ports, 1, PV_BENCH_SERIAL_PORTS_MAX) },
	{ "open", "N", "open the first so many ports, also those that are not used",
	  PV_OPTION_NUMBER_AT(OPTIONS, open, 1, PV_BENCH_SERIAL_PORTS_MAX) },
	{ "queue-size", "N", "places in each queue (default 64)",
	  PV_OPTION_NUMBER_AT(OPTIONS, queue_size, 2, QUEUE_SIZE_MAX) },
	{ "packed", NULL, "use packed rings; the back-end must offer them",
	  PV_OPTION_FLAG_AT(OPTIONS, is_packed) },
	{ "in-order", NULL, "use IN_ORDER; the back-end must offer it",
	  PV_OPTION_FLAG_AT(OPTIONS, is_in_order) },
	{ "no-indirect", NULL, "do without indirect descriptors",
	  PV_OPTION_FLAG_AT(OPTIONS, no_indirect) },
	{ 0 },
};

static const struct pv_option load_options[] = {
	{ "mode", "out|in|echo",
	  "out, the default: bytes are written; in: they are read; echo: what is written is "
	  "expected back",
	  PV_OPTION_CHOICE_AT(OPTIONS, mode, pv_bench_serial_modes) },
	{ "peer", "PATH",
	  "be the other end too: connect to the socket of the port, and read, write or send back "
	  "there (default: the port's line or another program does)",
	  PV_OPTION_TEXT_AT(OPTIONS, peer) },
	{ "size", "SIZE", "bytes of each write, and of each buffer to read into (default 64k)",
	  PV_OPTION_SIZE_AT(OPTIONS, write_bytes, 1, 1u << 20) },
	{ "depth", "N",
	  "writes, or buffers, of each port that the device has at a time (default 8)",
	  PV_OPTION_NUMBER_AT(OPTIONS, depth, 1, QUEUE_SIZE_MAX) },
	{ "seconds", "N", "how long to measure, such as 0.2 (default 5)",
	  PV_OPTION_SECONDS_AT(OPTIONS, milliseconds, PV_BENCH_MS_MIN, PV_BENCH_MS_MAX) },
	{ "check", NULL,
	  "send bytes that follow from their place, and find the first that was lost, doubled or "
	  "altered; both ends must do so",
	  PV_OPTION_FLAG_AT(OPTIONS, is_checking) },
	{ "blocking", NULL, "sleep until interrupted instead of polling",
	  PV_OPTION_FLAG_AT(OPTIONS, is_blocking) },
	{ 0 },
};

static const struct pv_option report_options[] = {
	{ "json", NULL, "print one JSON object on one line", PV_OPTION_FLAG_AT(OPTIONS, is_json) },
	{ 0 },
};

static const struct pv_option_group device_group = { "Device", device_options };
static const struct pv_option_group load_group = { "Load", load_options };
static const struct pv_option_group report_group = { "Report", report_options };
static const struct pv_option_group *const groups[] = { &device_group, &load_group, &report_group,
	                                                NULL };

const struct pv_command_line pv_cli_bench_serial_command = {
	.name = "paravane bench serial",
	.usage = "--socket-path PATH [OPTION]...",
	.summary = "Measures ports of a vhost-user serial device with Paravane's own driver.",
	.groups = groups,
};

const char *pv_bench_serial_options_check(void *values)
{
	const struct pv_bench_serial_options *options = values;

	if (!options->socket_path)
		return "--socket-path is missing; it says where the back-end listens";
	if (options->queue_size & (options->queue_size - 1))
		return "--queue-size is no power of two";
	if (options->depth > options->queue_size)
		return "--depth is more than --queue-size has places for";
	if (options->port + options->ports > VIRTIO_CONSOLE_PORTS_MAX)
		return "--port and --ports are more than a device can have";
	if (options->peer && options->ports > 1)
		return "--peer is the other end of one port; leave --ports out";
	return NULL;
}
