/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane bench serial: our driver as a load of ports. */
#include <stdlib.h>
#include <string.h>

#include "abi/virtio_ids.h"
#include "hosted/cli/bench_command.h"
#include "hosted/cli/bench_serial_options.h"
#include "hosted/cli/bench_serial_report.h"
#include "hosted/cli/cli.h"
#include "ring/err.h"

/* Rings and tables of one port, at most, and of the control queues with the driver's own. */
#define PORT_BYTES     (128u << 10)
#define BYTES_OF_PLACE 1024u
#define CONTROL_BYTES  (4u << 20)

#define PORTS_COME_NS 5000000000ull

#define FEATURES                                                                                   \
	((PV_SERDRV_FEATURES & ~(VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER)) |                      \
	 VIRTIO_CONSOLE_F_MULTIPORT)

struct run {
	struct pv_bench_serial bench;
	const struct pv_bench_serial_options *options;
};

/* ---- the device ---- */

static uint64_t required_of(const struct pv_bench_serial_options *options)
{
	return (options->is_packed ? VIRTIO_F_RING_PACKED : 0) |
	       (options->is_in_order ? VIRTIO_F_IN_ORDER : 0);
}

static bool driver_start(struct run *run)
{
	struct pv_bench_serial *bench = &run->bench;
	const struct pv_bench_serial_options *options = run->options;
	uint64_t without = options->no_indirect ? VIRTIO_F_INDIRECT_DESC : 0;
	const struct pv_serdrv_options wish = {
		.required = required_of(options),
		.wanted = (FEATURES & ~without) | required_of(options),
		.ports_max = bench->plan.end,
		.queue_size = (uint16_t)options->queue_size,
	};
	int error = pv_serdrv_create(&bench->serial, pv_vhu_bus_bus(bench->run.bus),
	                             pv_vhu_bus_os(bench->run.bus), &wish);

	if (error)
		pv_bench_driver_failed(&bench->run, wish.required, NULL, error);
	return !error;
}

/* Waits until the device has told of the port, and opens it. */
static bool port_open(struct pv_bench_serial *bench, uint32_t number)
{
	struct pv_serdrv_port *port = pv_serdrv_port(bench->serial, number);
	uint64_t end_ns = pv_clock_ns(CLOCK_MONOTONIC) + PORTS_COME_NS;
	uint32_t spins = 0;

	while (port && !pv_serdrv_state(port)->is_there && pv_clock_ns(CLOCK_MONOTONIC) < end_ns) {
		if (pv_serdrv_poll(bench->serial) == 0)
			pv_bench_idle(&spins);
	}
	if (!port || !pv_serdrv_state(port)->is_there)
		pv_bench_fail(&bench->run, "the device has no port %u", number);
	else if (pv_serdrv_open(port))
		pv_bench_fail(&bench->run, "port %u cannot be opened", number);
	else
		return true;
	return false;
}

static bool ports_open(struct pv_bench_serial *bench)
{
	for (uint32_t i = bench->plan.first; i < bench->plan.end; i++)
		if (!port_open(bench, i))
			return false;
	return true;
}

/* ---- the run ---- */

static void plan_load(struct run *run)
{
	const struct pv_bench_serial_options *options = run->options;

	uint64_t end = options->port + options->ports;

	run->bench.sent_out = run->bench.sent_in = PV_BENCH_SERIAL_GOING_ON;
	run->bench.plan = (struct pv_bench_serial_plan){
		.mode = (enum pv_bench_serial_mode)options->mode,
		.port = (uint16_t)options->port,
		.ports = (uint16_t)options->ports,
		.first = options->open ? 0 : (uint16_t)options->port,
		.end = (uint16_t)(options->open > end ? options->open : end),
		.write_bytes = (uint32_t)options->write_bytes,
		.depth = (uint16_t)options->depth,
		.is_blocking = options->is_blocking,
		.is_checking = options->is_checking,
		.peer = options->peer,
	};
}

static bool workers_create(struct pv_bench_serial *bench, struct pv_bench_worker **worker)
{
	struct pv_bench_run *run = &bench->run;

	run->worker = worker;
	bench->load = pv_bench_serial_load_create(bench);
	if (!bench->load)
		return false;
	worker[run->workers++] = pv_bench_serial_load_worker(bench->load);
	if (!bench->plan.peer)
		return true;
	bench->peer = pv_bench_serial_peer_create(bench);
	if (!bench->peer)
		return false;
	worker[run->workers++] = pv_bench_serial_peer_worker(bench->peer);
	return true;
}

/* Of nothing there is no report: its figures would be no one's. */
static bool has_measured(struct pv_bench_serial *bench)
{
	const struct pv_bench_serial_result *result = pv_bench_serial_load_result(bench->load);

	if (bench->plan.mode == PV_BENCH_SERIAL_IN && result->bytes_in == 0)
		pv_bench_fail(&bench->run, "no byte has come; have somebody write at the port's "
		                           "other end, as --peer does");
	else if (result->bytes_in + result->bytes_out == 0)
		/* What never comes has failed the load: it was too late. */
		pv_bench_fail(&bench->run, "no byte has come in time; give more --seconds");
	return !pv_bench_is_aborted(&bench->run);
}

static void report(struct run *run)
{
	struct pv_bench_serial *bench = &run->bench;
	const struct pv_bench_serial_report report = {
		.plan = &bench->plan,
		.run = &bench->run,
		.result = pv_bench_serial_load_result(bench->load),
		.features = pv_serdrv_info(bench->serial)->features,
		.checked = pv_bench_serial_load_result(bench->load)->checked +
		           (bench->peer ? pv_bench_serial_peer_checked(bench->peer) : 0),
	};

	if (run->options->is_json)
		pv_bench_serial_report_json(&report, stdout);
	else
		pv_bench_serial_report_text(&report, stdout);
}

static void run_device(struct run *run)
{
	struct pv_bench_serial *bench = &run->bench;
	struct pv_bench_worker *worker[2];

	if (!driver_start(run) || !ports_open(bench) || !workers_create(bench, worker))
		return;
	bench->run.milliseconds = run->options->milliseconds;
	bench->run.unit = "kB/s";
	bench->run.unit_bytes = 1;
	pv_bench_run_measure(&bench->run);
	if (!pv_bench_is_aborted(&bench->run) && has_measured(bench))
		report(run);
}

/* The device lets go of the buffers before they go. */
static void run_fini(struct pv_bench_serial *bench)
{
	if (bench->serial)
		pv_serdrv_destroy(bench->serial);
	if (bench->load)
		pv_bench_serial_load_destroy(bench->load);
	if (bench->peer)
		pv_bench_serial_peer_destroy(bench->peer);
	pv_vhu_bus_destroy(bench->run.bus);
}

static bool connect_to(struct run *run, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_bench_serial_options *options = run->options;
	/* The driver sets up all ports up to the last that is used. */
	size_t of_queues =
		run->bench.plan.end * (PORT_BYTES + options->queue_size * BYTES_OF_PLACE);
	const struct pv_vhu_bus_options wish = {
		.path = options->socket_path,
		.device_id = VIRTIO_ID_CONSOLE,
		.queue_size_max = (uint16_t)options->queue_size,
		.protocol_features = PV_VHU_BUS_FEATURES & ~VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
		.memory_bytes =
			CONTROL_BYTES + of_queues + pv_bench_serial_load_memory(&run->bench.plan),
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
	run_fini(&run.bench);
	return is_good;
}

int pv_cli_bench_serial(int argc, char **argv)
{
	static const struct pv_bench_command command = { &pv_cli_bench_serial_command,
		                                         pv_bench_serial_options_check,
		                                         measure_device };
	struct pv_bench_serial_options options = PV_BENCH_SERIAL_OPTIONS_DEFAULT;

	return pv_bench_command(&command, &options, argc, argv);
}
