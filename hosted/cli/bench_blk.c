/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/virtio_ids.h"
#include "hosted/cli/bench_command.h"
#include "hosted/cli/bench_options.h"
#include "hosted/cli/bench_report.h"
#include "hosted/cli/cli.h"
#include "ring/err.h"

/* The largest ring that back-ends in use agree to. */
#define QUEUE_SIZE_MAX 1024u
#define QUEUE_SIZE_MIN 64u

/* Rings, tables, headers and status bytes of one queue, at most. */
#define QUEUE_BYTES (2u << 20)

/* ---- the device ---- */

/* Room for `depth` requests: one place each, or one for each descriptor without indirect ones. */
static uint16_t queue_size_for(uint64_t features, uint64_t depth, uint32_t segments)
{
	uint64_t places = depth * (features & VIRTIO_F_INDIRECT_DESC ? 1 : segments + 2);
	uint16_t size = QUEUE_SIZE_MIN;

	while (size < places && size < QUEUE_SIZE_MAX)
		size = (uint16_t)(size * 2);
	return size;
}

static bool driver_create(struct pv_bench *bench, const struct pv_bench_options *options,
                          uint16_t segments)
{
	const uint64_t packed = options->is_packed ? VIRTIO_F_RING_PACKED : 0;
	uint64_t offered = pv_vhu_frontend_features(pv_vhu_bus_frontend(bench->run.bus));
	const struct pv_blkdrv_options wish = {
		.required = packed,
		.wanted = (PV_BLKDRV_FEATURES & ~VIRTIO_F_RING_PACKED) | packed,
		.queues = (uint16_t)options->queues,
		.queue_size = queue_size_for(offered, options->depth, segments),
		.segments_max = segments,
	};
	int error = pv_blkdrv_create(&bench->blk, pv_vhu_bus_bus(bench->run.bus),
	                             pv_vhu_bus_os(bench->run.bus), &wish);

	if (error)
		pv_bench_driver_failed(&bench->run, wish.required, NULL, error);
	return !error;
}

/* A block is one buffer, or as many as the disk's largest segment makes necessary. */
static bool driver_start(struct pv_bench *bench, const struct pv_bench_options *options)
{
	const struct pv_blkdrv_disk *disk;
	uint64_t segments;

	if (!driver_create(bench, options, 1))
		return false;
	disk = pv_blkdrv_disk(bench->blk);
	segments = (options->block_bytes + disk->segment_bytes_max - 1) / disk->segment_bytes_max;
	bench->plan.segments = (uint16_t)segments;
	if (segments == 1)
		return true;
	pv_blkdrv_destroy(bench->blk);
	bench->blk = NULL;
	if (segments > QUEUE_SIZE_MAX - 2 || !driver_create(bench, options, (uint16_t)segments))
		segments = 0;
	if (segments && pv_blkdrv_disk(bench->blk)->segments_max >= segments)
		return true;
	pv_bench_fail(&bench->run, "--block-size %llu is more than the disk takes in one request",
	              (unsigned long long)options->block_bytes);
	return false;
}

/* ---- the plan ---- */

static bool disk_fits(struct pv_bench *bench, const struct pv_bench_options *options)
{
	const struct pv_blkdrv_disk *disk = pv_blkdrv_disk(bench->blk);

	if (disk->queues < options->queues)
		pv_bench_fail(&bench->run, "--queues %llu is more than the disk's %u",
		              (unsigned long long)options->queues, disk->queues);
	else if (options->block_bytes % disk->block_bytes)
		pv_bench_fail(&bench->run,
		              "--block-size %llu is no multiple of the disk's blocks of %u bytes",
		              (unsigned long long)options->block_bytes, disk->block_bytes);
	else if (disk->is_read_only && options->mix < 100)
		pv_bench_fail(&bench->run, "the disk is read-only; leave out --mix and --verify");
	else
		return true;
	return false;
}

static bool plan_make(struct pv_bench *bench, const struct pv_bench_options *options)
{
	struct pv_bench_plan *plan = &bench->plan;
	uint64_t bytes = pv_blkdrv_capacity(bench->blk) << VIRTIO_BLK_SECTOR_SHIFT;
	uint64_t least;

	if (!disk_fits(bench, options))
		return false;
	plan->is_random = options->pattern == 0;
	plan->seed = options->is_verifying ? pv_clock_ns(CLOCK_MONOTONIC) : 1;
	plan->blocks =
		(bytes < options->size_limit ? bytes : options->size_limit) / options->block_bytes;
	least = options->queues * (options->is_verifying ? options->depth : 1);
	if (plan->blocks >= least)
		return true;
	pv_bench_fail(&bench->run,
	              "the disk, or --size-limit, has room for %llu blocks; at least %llu are "
	              "needed",
	              (unsigned long long)plan->blocks, (unsigned long long)least);
	return false;
}

/* ---- the run ---- */

struct run {
	struct pv_bench bench;
	const struct pv_bench_options *options;
	struct pv_bench_load **load;
	uint16_t loads;
	struct pv_bench_report report;
};

static bool loads_create(struct run *run)
{
	struct pv_bench_run *workers = &run->bench.run;
	uint16_t queues = run->bench.plan.queues;

	run->load = calloc(queues, sizeof(struct pv_bench_load *));
	workers->worker = calloc(queues, sizeof(struct pv_bench_worker *));
	for (uint16_t i = 0; run->load && workers->worker && i < queues; i++) {
		run->load[i] = pv_bench_load_create(&run->bench, i);
		if (!run->load[i])
			return false;
		run->loads++;
		workers->worker[workers->workers++] = pv_bench_load_worker(run->load[i]);
	}
	return run->load && workers->worker;
}

static void results_add(struct run *run)
{
	struct pv_bench_result *total = &run->report.total;
	uint64_t ns = 0;

	for (uint16_t i = 0; i < run->loads; i++) {
		const struct pv_bench_result *one = pv_bench_load_result(run->load[i]);

		total->reads += one->reads;
		total->writes += one->writes;
		total->cpu_ns += one->cpu_ns;
		total->verified_blocks += one->verified_blocks;
		total->kicks += one->kicks;
		total->interrupts += one->interrupts;
		pv_histogram_merge(&total->latency, &one->latency);
		ns += one->ns;
	}
	run->report.seconds = (double)ns / run->loads / 1e9;
}

static void measure(struct run *run)
{
	struct pv_bench_run *workers = &run->bench.run;

	workers->milliseconds = run->options->milliseconds;
	workers->unit = "kIOPS";
	workers->unit_bytes = run->bench.plan.block_bytes;
	if (run->options->is_reconnecting)
		workers->reconnect_path = run->options->socket_path;
	pv_bench_run_measure(workers);
	results_add(run);
}

static void report(struct run *run)
{
	run->report.plan = &run->bench.plan;
	run->report.run = &run->bench.run;
	run->report.is_packed = pv_blkdrv_disk(run->bench.blk)->features & VIRTIO_F_RING_PACKED;
	if (run->options->is_json)
		pv_bench_report_json(&run->report, stdout);
	else
		pv_bench_report_text(&run->report, stdout);
}

/* The device lets go of the buffers before they go. */
static void run_fini(struct run *run)
{
	if (run->bench.blk)
		pv_blkdrv_destroy(run->bench.blk);
	for (uint16_t i = 0; i < run->loads; i++)
		pv_bench_load_destroy(run->load[i]);
	free(run->load);
	free(run->bench.run.worker);
	pv_vhu_bus_destroy(run->bench.run.bus);
}

static void run_device(struct run *run)
{
	struct pv_bench *bench = &run->bench;

	if (!driver_start(bench, run->options) || !plan_make(bench, run->options))
		return;
	if (!loads_create(run)) {
		pv_bench_fail(&bench->run, "out of memory");
		return;
	}
	measure(run);
	if (!pv_bench_is_aborted(&bench->run))
		report(run);
}

static bool connect_to(struct run *run, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_bench_options *options = run->options;
	struct pv_bench_plan *plan = &run->bench.plan;
	struct pv_vhu_bus_options wish = {
		.path = options->socket_path,
		.device_id = VIRTIO_ID_BLOCK,
		.queue_size_max = QUEUE_SIZE_MAX,
		/* What costs time is asked for only where it is needed. */
		.protocol_features = PV_VHU_BUS_FEATURES & ~VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
		.may_reconnect = options->is_reconnecting,
	};

	if (options->is_reconnecting)
		wish.protocol_features = PV_VHU_BUS_FEATURES;
	plan->block_bytes = (uint32_t)options->block_bytes;
	plan->depth = (uint16_t)options->depth;
	plan->queues = (uint16_t)options->queues;
	plan->read_percent = (uint32_t)options->mix;
	plan->is_blocking = options->is_blocking;
	plan->is_verifying = options->is_verifying;
	wish.memory_bytes = plan->queues * (pv_bench_load_memory(plan) + QUEUE_BYTES);
	return pv_bench_connect(&run->bench.run, &wish, sentence);
}

static bool measure_device(const void *options, char sentence[static PV_SENTENCE_BYTES])
{
	static struct run run;
	bool is_good;

	memset(&run, 0, sizeof(run));
	run.options = options;
	if (!connect_to(&run, sentence))
		return false;
	run_device(&run);
	is_good = pv_bench_outcome(&run.bench.run, sentence);
	run_fini(&run);
	return is_good;
}

int pv_cli_bench_blk(int argc, char **argv)
{
	static const struct pv_bench_command command = { &pv_cli_bench_blk_command,
		                                         pv_bench_options_check, measure_device };
	struct pv_bench_options options = PV_BENCH_OPTIONS_DEFAULT;

	return pv_bench_command(&command, &options, argc, argv);
}
