/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/control/device_storage.h"
#include "hosted/control/ports_internal.h"
#include "hosted/control/sandbox.h"

#define QUEUE_SIZE_MAX 32768u

/* What a port may have open beside its queues: what listens, who came, two pipes, a terminal. */
#define DESCRIPTORS_OF_PORT 6u

#define PORTS struct pv_ports_options
static const struct pv_option ports_options[] = {
	{ "ports-max", "N", "ports that there can be, with those that come later (default 31)",
	  PV_OPTION_NUMBER_AT(PORTS, ports_max, 1, PV_PORTS_MAX) },
	{ "queue-size", "N", "largest size of a queue (default 256, in a machine 128)",
	  PV_OPTION_NUMBER_AT(PORTS, queue_size, 2, QUEUE_SIZE_MAX) },
	{ "in-order", NULL, "offer IN_ORDER", PV_OPTION_FLAG_AT(PORTS, is_in_order) },
	{ "no-packed", NULL, "do not offer packed queues", PV_OPTION_FLAG_AT(PORTS, no_packed) },
	{ "no-multiport", NULL, "do not offer MULTIPORT: the first port is all there is",
	  PV_OPTION_FLAG_AT(PORTS, no_multiport) },
	{ "hot-plug", NULL,
	  "let chardev-add open files, terminals and sockets; otherwise the sandbox forbids that",
	  PV_OPTION_FLAG_AT(PORTS, may_plug) },
	{ 0 },
};

const struct pv_option_group pv_ports_option_group = { "Serial", ports_options };

bool pv_ports_options_check(const struct pv_ports_options *options,
                            char sentence[static PV_SENTENCE_BYTES])
{
	return (options->queue_size & (options->queue_size - 1)) == 0 ||
	       pv_sentence_wrong(sentence, "'queue-size' takes a power of two, not %llu",
	                         (unsigned long long)options->queue_size);
}

static struct pv_serial_options device_options(const PORTS *options)
{
	return (struct pv_serial_options){
		.ports_max = options->no_multiport ? 1 : (uint16_t)options->ports_max,
		.queue_size_max = (uint16_t)options->queue_size,
		.is_single = options->no_multiport,
		.is_in_order = options->is_in_order,
		.no_packed = options->no_packed,
	};
}

void pv_ports_extend(struct pv_service_extent *extent, const struct pv_ports_options *options,
                     uint64_t own_loops)
{
	const struct pv_serial_options serial = device_options(options);
	unsigned int queues = pv_serial_queues(&serial);

	extent->devices++;
	extent->queues += queues;
	extent->own_loops += (unsigned int)own_loops;
	if (own_loops > 0)
		extent->queues_on_own_loops += queues;
	else
		extent->queues_with_others += queues - 1;
	extent->descriptors += DESCRIPTORS_OF_PORT * serial.ports_max;
}

/* ---- the device ---- */

static void guest_changed(void *arg, uint16_t port, bool is_open)
{
	const struct pv_ports *ports = arg;

	if (ports->guest_changed)
		ports->guest_changed(ports->guest_arg, port, is_open);
}

/* Returns 0 or -errno. */
static int make_device(struct pv_ports *ports, const PORTS *wanted, struct pv_host_options *host)
{
	struct pv_serial_options options = device_options(wanted);
	int error;

	options.guest_changed = guest_changed;
	options.arg = ports;
	host->queues = pv_serial_queues(&options);
	host->loops = 1;
	host->may_rest = true;
	error = pv_host_create(&ports->host, host);
	if (error)
		return error;
	ports->port = calloc(wanted->ports_max, sizeof(struct pv_ports_port *));
	ports->storage = pv_device_storage(pv_serial_bytes(&options));
	if (!ports->port || !ports->storage)
		return -ENOMEM;
	ports->ports_max = options.ports_max;
	ports->device = pv_serial_init(ports->storage, pv_host_port(ports->host), &options);
	return 0;
}

/* ---- its ports ---- */

static void allow_calls(unsigned int needs)
{
	if (needs & PV_LINE_NEEDS_DIAL)
		pv_sandbox_allow(PV_SANDBOX_DIAL);
	if (needs & PV_LINE_NEEDS_INTERNET)
		pv_sandbox_allow(PV_SANDBOX_INTERNET);
}

static bool begin_ports(struct pv_ports *ports, const struct pv_ports_plan *plan,
                        unsigned int plans, char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < plans; i++) {
		struct pv_ports_port *port = pv_ports_port_open(ports, &plan[i], sentence);

		if (!port || !pv_ports_port_begin(port, sentence))
			return pv_ports_blame(&plan[i], sentence);
		allow_calls(pv_line_needs(port->line));
	}
	if (ports->may_plug) {
		pv_sandbox_allow(PV_SANDBOX_PLUG);
		allow_calls(PV_LINE_NEEDS_DIAL | PV_LINE_NEEDS_INTERNET);
	}
	return true;
}

/* Of the terminals, which have no other name unless they were given one. */
static void describe(const struct pv_ports *ports, char *text, size_t bytes)
{
	size_t used = 0;

	for (uint16_t i = 0; i < ports->ports_max && used < bytes; i++) {
		const struct pv_ports_port *port = ports->port[i];

		if (port)
			used += (size_t)snprintf(text + used, bytes - used, "%s%s (%s)",
			                         used ? ", " : "", port->id,
			                         pv_line_text(port->line));
	}
	if (used == 0)
		snprintf(text, bytes, "no ports yet");
}

/* Control side. */
static bool read_counters(void *arg, unsigned int number, uint64_t *counters)
{
	const struct pv_ports *ports = arg;
	struct pv_line_counters of_line;

	_Static_assert(sizeof(of_line) <= PV_STATS_GROUND_MAX * sizeof(uint64_t), "room for all");
	if (!ports->port[number])
		return false;
	of_line = pv_line_counters(ports->port[number]->line);
	memcpy(counters, &of_line, sizeof(of_line));
	return true;
}

static void show_counters(struct pv_ports *ports, struct pv_export *export)
{
	static const struct pv_counter_name names[] = {
		{ "dropped", offsetof(struct pv_line_counters, dropped) },
		{ "kept", offsetof(struct pv_line_counters, kept) },
		{ "connections", offsetof(struct pv_line_counters, connections) },
		{ "refused", offsetof(struct pv_line_counters, refused) },
		{ 0 },
	};
	const struct pv_stats_ground ground = { .names = names,
		                                .arg = ports,
		                                .part_name = "port",
		                                .parts = ports->ports_max,
		                                .read_part = read_counters };

	pv_export_set_ground(export, &ground);
}

static bool may_have(const PORTS *options, unsigned int plans,
                     char sentence[static PV_SENTENCE_BYTES])
{
	unsigned int most = options->no_multiport ? 1 : (unsigned int)options->ports_max;

	return plans <= most ||
	       pv_sentence_wrong(sentence, "there are %u ports, and room for %u; %s", plans, most,
	                         options->no_multiport ? "leave the others out"
	                                               : "choose a larger 'ports-max'");
}

static bool open_on(struct pv_ports *ports, const PORTS *options, struct pv_export *export,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_host_options host = pv_export_host(export);
	int error;

	ports->name = host.name;
	ports->loop = host.loop[0];
	ports->control = host.control;
	ports->may_plug = options->may_plug;
	error = make_device(ports, options, &host);
	return !error ||
	       pv_sentence_wrong(sentence, "cannot make the serial device: %s", strerror(-error));
}

/* When all ports are there, so that it can say which. */
static bool attach(struct pv_ports *ports, struct pv_export *export,
                   char sentence[static PV_SENTENCE_BYTES])
{
	char what[512];

	show_counters(ports, export);
	describe(ports, what, sizeof(what));
	return pv_export_attach(export, ports->host, ports->device, what) == 0 ||
	       pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
}

bool pv_ports_open(struct pv_ports *ports, const struct pv_ports_options *options,
                   const struct pv_ports_plan *plan, unsigned int plans,
                   const struct pv_export_options *export_options, struct pv_service *service,
                   char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_export *export;

	*ports = (struct pv_ports){ .service = service };
	export = may_have(options, plans, sentence)
	                 ? pv_service_export(service, PV_PORTS_KIND, export_options, sentence)
	                 : NULL;
	if (export && open_on(ports, options, export, sentence) &&
	    begin_ports(ports, plan, plans, sentence) && attach(ports, export, sentence))
		return true;
	pv_ports_close(ports);
	return false;
}

void pv_ports_close(struct pv_ports *ports)
{
	for (uint16_t i = 0; ports->port && i < ports->ports_max; i++)
		if (ports->port[i])
			pv_ports_port_end(ports->port[i]);
	if (ports->host)
		pv_host_destroy(ports->host);
	free(ports->storage);
	free(ports->port);
	*ports = (struct pv_ports){ 0 };
}
