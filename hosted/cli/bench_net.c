/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane bench net: our driver as a generator of packets. */
#include <stdlib.h>
#include <string.h>

#include "abi/virtio_ids.h"
#include "hosted/cli/bench_command.h"
#include "hosted/cli/bench_net_options.h"
#include "hosted/cli/bench_net_report.h"
#include "hosted/cli/cli.h"
#include "hosted/control/nic.h"
#include "ring/err.h"

/* Rings and tables of one pair, and of the control queue, at most. */
#define QUEUES_BYTES  (2u << 20)
#define CONTROL_BYTES (1u << 20)

/* A receive buffer of its own, where frames may be in several. */
#define BUFFER_BYTES 2048u

/* What the driver works by in any case. Frames that are not finished are of no use here. */
#define FEATURES                                                                                   \
	((PV_DRIVER_FEATURES & ~(VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER)) | VIRTIO_NET_F_MAC |   \
	 VIRTIO_NET_F_MRG_RXBUF)

/* Why not always: there are back-ends that offer a control queue and do not serve it. */
#define FEATURES_OF_PAIRS (VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_MQ)

struct run {
	struct pv_bench_net bench;
	const struct pv_bench_net_options *options;
	struct pv_bench_net_report report;
};

/* ---- the device ---- */

static uint64_t required_of(const struct pv_bench_net_options *options)
{
	return (options->is_packed ? VIRTIO_F_RING_PACKED : 0) |
	       (options->is_in_order ? VIRTIO_F_IN_ORDER : 0) |
	       (options->pairs > 1 ? FEATURES_OF_PAIRS : 0);
}

static uint64_t wanted_of(const struct pv_bench_net_options *options)
{
	uint64_t without = (options->no_mergeable ? VIRTIO_NET_F_MRG_RXBUF : 0) |
	                   (options->no_indirect ? VIRTIO_F_INDIRECT_DESC : 0);

	return (FEATURES & ~without) | required_of(options);
}

static uint32_t buffer_bytes(const struct pv_bench_net_options *options)
{
	uint32_t whole = PV_NETDRV_HEADROOM + (uint32_t)options->frame_bytes;

	return whole > BUFFER_BYTES && !options->no_mergeable ? BUFFER_BYTES : whole;
}

static bool driver_start(struct run *run)
{
	struct pv_bench_net *bench = &run->bench;
	const struct pv_bench_net_options *options = run->options;
	const struct pv_netdrv_options wish = {
		.required = required_of(options),
		.wanted = wanted_of(options),
		.pairs = (uint16_t)options->pairs,
		.queue_size = (uint16_t)options->queue_size,
		.segments_max = 1,
		.own_buffer_bytes = buffer_bytes(options),
		.received = pv_bench_net_received,
		.arg = bench,
	};
	static const struct pv_bench_need need = { FEATURES_OF_PAIRS,
		                                   "several pairs; leave out --pairs" };
	int error = pv_netdrv_create(&bench->net, pv_vhu_bus_bus(bench->run.bus),
	                             pv_vhu_bus_os(bench->run.bus), &wish);

	if (error)
		pv_bench_driver_failed(&bench->run, wish.required, &need, error);
	return !error;
}

static bool pairs_start(struct run *run)
{
	struct pv_bench_net *bench = &run->bench;
	uint16_t pairs = (uint16_t)run->options->pairs;
	const struct pv_netdrv_info *info = pv_netdrv_info(bench->net);

	if (info->pairs < pairs)
		pv_bench_fail(&bench->run, "--pairs %u is more than the device's %u", pairs,
		              info->pairs_max);
	else if (pairs > 1 && pv_netdrv_set_pairs(bench->net, pairs))
		pv_bench_fail(&bench->run, "the back-end refuses %u pairs", pairs);
	else
		return true;
	return false;
}

/* ---- the plan ---- */

static void plan_addresses(struct run *run)
{
	struct pv_bench_net_plan *plan = &run->bench.plan;
	const struct pv_netdrv_info *info = pv_netdrv_info(run->bench.net);
	static const uint8_t of_nobody[VIRTIO_NET_MAC_BYTES] = { 0x02 };
	const uint8_t *own = info->has_mac ? info->mac : of_nobody;

	memcpy(plan->from, own, sizeof(plan->from));
	memset(plan->to, 0xff, sizeof(plan->to));
	if (run->options->destination)
		pv_nic_mac_parse(run->options->destination, plan->to);
	else if (plan->mode == PV_BENCH_NET_ECHO)
		memcpy(plan->to, own, sizeof(plan->to));
}

static void plan_load(struct run *run)
{
	const struct pv_bench_net_options *options = run->options;

	run->bench.plan = (struct pv_bench_net_plan){
		.mode = (enum pv_bench_net_mode)options->mode,
		.run = (uint32_t)pv_clock_ns(CLOCK_REALTIME),
		.frame_bytes = (uint32_t)options->frame_bytes,
		.depth = (uint16_t)options->depth,
		.burst = (uint16_t)options->burst,
		.pairs = (uint16_t)options->pairs,
		.is_blocking = options->is_blocking,
		.is_checking = options->is_checking,
	};
}

/* ---- the run ---- */

static bool loads_create(struct pv_bench_net *bench)
{
	struct pv_bench_run *run = &bench->run;
	uint16_t pairs = bench->plan.pairs;

	bench->load = calloc(pairs, sizeof(struct pv_bench_net_load *));
	run->worker = calloc(pairs, sizeof(struct pv_bench_worker *));
	if (!bench->load || !run->worker) {
		pv_bench_fail(run, "out of memory");
		return false;
	}
	for (; bench->loads < pairs; bench->loads++) {
		struct pv_bench_net_load *load = pv_bench_net_load_create(bench, bench->loads);

		if (!load)
			return false;
		bench->load[bench->loads] = load;
		run->worker[run->workers++] = pv_bench_net_load_worker(load);
	}
	bench->busy = pairs;
	return true;
}

static void results_add(struct run *run)
{
	struct pv_bench_net_result *total = &run->report.total;

	for (uint16_t i = 0; i < run->bench.loads; i++) {
		const struct pv_bench_net_result *one =
			pv_bench_net_load_result(run->bench.load[i]);

		total->sent += one->sent;
		total->received += one->received;
		total->cpu_ns += one->cpu_ns;
		total->ns += one->ns;
		total->kicks += one->kicks;
		total->interrupts += one->interrupts;
		total->checked += one->checked;
		total->lost += one->lost;
		total->doubled += one->doubled;
		total->reordered += one->reordered;
		total->altered += one->altered;
		total->foreign += one->foreign;
		pv_histogram_merge(&total->latency, &one->latency);
	}
	run->report.seconds = (double)total->ns / run->bench.loads / 1e9;
}

/* Of nothing there is no report: its figures would be no one's. */
static bool has_measured(struct run *run)
{
	const struct pv_bench_net_result *total = &run->report.total;
	struct pv_bench_run *workers = &run->bench.run;

	if (run->options->mode == PV_BENCH_NET_SEND && total->sent == 0)
		pv_bench_fail(workers, "the back-end has taken no frame; see whether it still "
		                       "runs, or give more --seconds");
	else if (run->options->mode == PV_BENCH_NET_ECHO && total->received == 0)
		pv_bench_fail(workers, "no frame has come back; the network must return them, as "
		                       "--backend echo does, or measure by --mode send");
	else if (run->options->mode == PV_BENCH_NET_RECEIVE && total->received == 0)
		pv_bench_fail(workers, "no frame of paravane bench net has come; have one send to "
		                       "the same network meanwhile, by --mode send");
	return !pv_bench_is_aborted(workers);
}

/* The report comes first: it says how it went until then. */
static void judge(struct run *run)
{
	const struct pv_bench_net_result *total = &run->report.total;
	struct pv_bench_run *workers = &run->bench.run;

	if (!run->options->is_checking || run->options->mode == PV_BENCH_NET_SEND)
		return;
	if (total->lost + total->doubled + total->reordered + total->altered > 0)
		pv_bench_fail(workers,
		              "check failed: %llu lost, %llu doubled, %llu reordered, %llu altered "
		              "of %llu frames",
		              (unsigned long long)total->lost, (unsigned long long)total->doubled,
		              (unsigned long long)total->reordered,
		              (unsigned long long)total->altered,
		              (unsigned long long)total->checked);
}

static void report(struct run *run)
{
	run->report.plan = &run->bench.plan;
	run->report.run = &run->bench.run;
	run->report.features = pv_netdrv_info(run->bench.net)->features;
	if (run->options->is_json)
		pv_bench_net_report_json(&run->report, stdout);
	else
		pv_bench_net_report_text(&run->report, stdout);
}

static void run_device(struct run *run)
{
	struct pv_bench_run *workers = &run->bench.run;

	if (!driver_start(run) || !pairs_start(run))
		return;
	plan_addresses(run);
	if (!loads_create(&run->bench))
		return;
	workers->milliseconds = run->options->milliseconds;
	workers->unit = "kpackets/s";
	workers->unit_bytes = run->bench.plan.frame_bytes;
	pv_bench_run_measure(workers);
	if (pv_bench_is_aborted(workers))
		return;
	results_add(run);
	if (!has_measured(run))
		return;
	report(run);
	judge(run);
}

/* The device lets go of the frames before they go. */
static void run_fini(struct run *run)
{
	if (run->bench.net)
		pv_netdrv_destroy(run->bench.net);
	for (uint16_t i = 0; i < run->bench.loads; i++)
		pv_bench_net_load_destroy(run->bench.load[i]);
	free(run->bench.load);
	free(run->bench.run.worker);
	pv_vhu_bus_destroy(run->bench.run.bus);
}

static bool connect_to(struct run *run, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_bench_net_options *options = run->options;
	size_t of_pair = pv_bench_net_load_memory(&run->bench.plan) + QUEUES_BYTES +
	                 options->queue_size * (buffer_bytes(options) + 64u);
	const struct pv_vhu_bus_options wish = {
		.path = options->socket_path,
		.device_id = VIRTIO_ID_NET,
		.queue_size_max = (uint16_t)options->queue_size,
		.protocol_features = PV_VHU_BUS_FEATURES & ~VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
		.memory_bytes = CONTROL_BYTES + options->pairs * of_pair,
	};

	return pv_bench_connect(&run->bench.run, &wish, sentence);
}

static bool measure_device(const void *options, char sentence[static PV_SENTENCE_BYTES])
{
	static struct run run;
	bool is_good;

	memset(&run, 0, sizeof(run));
	run.options = options;
	plan_load(&run);
	if (!connect_to(&run, sentence))
		return false;
	run_device(&run);
	is_good = pv_bench_outcome(&run.bench.run, sentence);
	run_fini(&run);
	return is_good;
}

int pv_cli_bench_net(int argc, char **argv)
{
	static const struct pv_bench_command command = { &pv_cli_bench_net_command,
		                                         pv_bench_net_options_check,
		                                         measure_device };
	struct pv_bench_net_options options = PV_BENCH_NET_OPTIONS_DEFAULT;

	return pv_bench_command(&command, &options, argc, argv);
}
