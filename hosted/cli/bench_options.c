/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_options.h"

#include "abi/virtio_blk.h"
#include "hosted/cli/bench_run.h"

#define BLOCK_BYTES_MAX (16u << 20)
#define DEPTH_MAX       1024u
#define QUEUES_MAX      256u

static const char *const patterns[] = { "random", "sequential", NULL };

static const struct pv_option device_options[] = {
	{ "socket-path", "PATH", "the socket where the back-end listens",
	  PV_OPTION_TEXT_AT(struct pv_bench_options, socket_path) },
	{ "queues", "N", "queues to use, a thread for each (default 1)",
	  PV_OPTION_NUMBER_AT(struct pv_bench_options, queues, 1, QUEUES_MAX) },
	{ "packed", NULL, "use packed rings; the back-end must offer them",
	  PV_OPTION_FLAG_AT(struct pv_bench_options, is_packed) },
	{ "reconnect", NULL,
	  "go on with the next back-end at the socket when this one dies; it must keep account of "
	  "what is in flight",
	  PV_OPTION_FLAG_AT(struct pv_bench_options, is_reconnecting) },
	{ 0 },
};

static const struct pv_option load_options[] = {
	{ "block-size", "SIZE", "bytes of each request (default 4k)",
	  PV_OPTION_SIZE_AT(struct pv_bench_options, block_bytes, VIRTIO_BLK_SECTOR_BYTES,
	                    BLOCK_BYTES_MAX) },
	{ "depth", "N", "requests in flight on each queue (default 32)",
	  PV_OPTION_NUMBER_AT(struct pv_bench_options, depth, 1, DEPTH_MAX) },
	{ "mix", "PERCENT",
	  "reads among the requests (default 100); less than 100 overwrites the disk",
	  PV_OPTION_NUMBER_AT(struct pv_bench_options, mix, 0, 100) },
	{ "pattern", "KIND", "random or sequential (default random)",
	  PV_OPTION_CHOICE_AT(struct pv_bench_options, pattern, patterns) },
	{ "seconds", "N", "how long to measure, such as 0.2 (default 5)",
	  PV_OPTION_SECONDS_AT(struct pv_bench_options, milliseconds, PV_BENCH_MS_MIN,
	                       PV_BENCH_MS_MAX) },
	{ "size-limit", "SIZE", "use only the beginning of the disk (default all of it)",
	  PV_OPTION_SIZE_AT(struct pv_bench_options, size_limit, VIRTIO_BLK_SECTOR_BYTES,
	                    UINT64_MAX) },
	{ "verify", NULL,
	  "overwrite the disk with patterns, half the requests unless --mix says otherwise, and "
	  "check every read",
	  PV_OPTION_FLAG_AT(struct pv_bench_options, is_verifying) },
	{ "blocking", NULL, "sleep until interrupted instead of polling",
	  PV_OPTION_FLAG_AT(struct pv_bench_options, is_blocking) },
	{ 0 },
};

static const struct pv_option report_options[] = {
	{ "json", NULL, "print one JSON object on one line",
	  PV_OPTION_FLAG_AT(struct pv_bench_options, is_json) },
	{ 0 },
};

static const struct pv_option_group device_group = { "Device", device_options };
static const struct pv_option_group load_group = { "Load", load_options };
static const struct pv_option_group report_group = { "Report", report_options };
static const struct pv_option_group *const groups[] = { &device_group, &load_group, &report_group,
	                                                NULL };

const struct pv_command_line pv_cli_bench_blk_command = {
	.name = "paravane bench blk",
	.usage = "--socket-path PATH [OPTION]...",
	.summary = "Measures a vhost-user block device with Paravane's own driver. It only reads, "
		   "unless --mix or --verify asks for writes: those destroy what is on the disk.",
	.groups = groups,
};

const char *pv_bench_options_check(void *values)
{
	struct pv_bench_options *options = values;

	if (!options->socket_path)
		return "--socket-path is missing; it says where the back-end listens";
	if (options->block_bytes % VIRTIO_BLK_SECTOR_BYTES)
		return "--block-size is no multiple of 512 bytes";
	if (options->is_verifying && options->mix == 100)
		return "--verify writes to the disk; leave out --mix 100";
	if (options->mix == PV_OPTION_UNSET)
		options->mix = options->is_verifying ? 50 : 100;
	return NULL;
}
