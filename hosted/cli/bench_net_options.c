/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_net_options.h"

#include "hosted/cli/bench_net_load.h"
#include "hosted/control/nic.h"

#define QUEUE_SIZE_MAX 1024u

const char *const pv_bench_net_modes[] = { [PV_BENCH_NET_ECHO] = "echo",
	                                   [PV_BENCH_NET_SEND] = "send",
	                                   [PV_BENCH_NET_RECEIVE] = "receive",
	                                   NULL };

#define OPTIONS struct pv_bench_net_options
static const struct pv_option device_options[] = {
	{ "socket-path", "PATH", "the socket where the back-end listens",
	  PV_OPTION_TEXT_AT(OPTIONS, socket_path) },
	{ "pairs", "N", "pairs of queues to use, a thread for each (default 1)",
	  PV_OPTION_NUMBER_AT(OPTIONS, pairs, 1, PV_NIC_PAIRS_MAX) },
	{ "queue-size", "N", "places in each queue (default 256)",
	  PV_OPTION_NUMBER_AT(OPTIONS, queue_size, 8, QUEUE_SIZE_MAX) },
	{ "packed", NULL, "use packed rings; the back-end must offer them",
	  PV_OPTION_FLAG_AT(OPTIONS, is_packed) },
	{ "in-order", NULL, "use IN_ORDER; the back-end must offer it",
	  PV_OPTION_FLAG_AT(OPTIONS, is_in_order) },
	{ "no-mergeable", NULL, "do without frames in several buffers",
	  PV_OPTION_FLAG_AT(OPTIONS, no_mergeable) },
	{ "no-indirect", NULL, "do without indirect descriptors",
	  PV_OPTION_FLAG_AT(OPTIONS, no_indirect) },
	{ 0 },
};

static const struct pv_option load_options[] = {
	{ "mode", "echo|send|receive",
	  "echo, the default: frames are sent and expected back; or one of the two alone",
	  PV_OPTION_CHOICE_AT(OPTIONS, mode, pv_bench_net_modes) },
	{ "size", "BYTES", "bytes of each frame, without its check sequence (default 64)",
	  PV_OPTION_NUMBER_AT(OPTIONS, frame_bytes, PV_FRAME_BYTES_MIN, PV_NETDRV_FRAME_MAX) },
	{ "depth", "N", "frames of each pair on their way at a time (default 32)",
	  PV_OPTION_NUMBER_AT(OPTIONS, depth, 1, QUEUE_SIZE_MAX) },
	{ "burst", "N", "frames that are handed to the back-end at once, at most (default 32)",
	  PV_OPTION_NUMBER_AT(OPTIONS, burst, 1, QUEUE_SIZE_MAX) },
	{ "seconds", "N", "how long to measure, such as 0.2 (default 5)",
	  PV_OPTION_SECONDS_AT(OPTIONS, milliseconds, PV_BENCH_MS_MIN, PV_BENCH_MS_MAX) },
	{ "check", NULL,
	  "number the frames and fill them with patterns, and find out what was lost, doubled, "
	  "reordered or altered; both ends must do so",
	  PV_OPTION_FLAG_AT(OPTIONS, is_checking) },
	{ "destination", "ADDRESS",
	  "where the frames are sent (default: to the device's own address in mode echo, to all in "
	  "mode send)",
	  PV_OPTION_TEXT_AT(OPTIONS, destination) },
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

const struct pv_command_line pv_cli_bench_net_command = {
	.name = "paravane bench net",
	.usage = "--socket-path PATH [OPTION]...",
	.summary = "Measures a vhost-user network device with Paravane's own driver, by Ethernet "
		   "frames of type 0x88b5.",
	.groups = groups,
};

const char *pv_bench_net_options_check(void *values)
{
	const struct pv_bench_net_options *options = values;
	uint8_t mac[VIRTIO_NET_MAC_BYTES];

	if (!options->socket_path)
		return "--socket-path is missing; it says where the back-end listens";
	if (options->queue_size & (options->queue_size - 1))
		return "--queue-size is no power of two";
	if (options->depth > options->queue_size)
		return "--depth is more than --queue-size has places for";
	if (options->destination && options->mode == PV_BENCH_NET_RECEIVE)
		return "--destination goes with --mode echo and send; leave it out";
	if (options->destination && !pv_nic_mac_parse(options->destination, mac))
		return "--destination is no address of one station, like 52:54:00:12:34:56";
	return NULL;
}
