/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's life: its line is opened on the control side, started on the loop's thread and shown to
 * the device on the control side again; in the end all that the other way round.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/control/ports_internal.h"
#include "hosted/control/sandbox.h"
#include "ring/err.h"

static struct pv_ports_port *port_of(struct pv_loop_message *message)
{
	return (struct pv_ports_port *)((char *)message - offsetof(struct pv_ports_port, message));
}

static void post(struct pv_ports_port *port, struct pv_loop *loop,
                 void (*run)(struct pv_loop_message *message))
{
	port->message.run = run;
	pv_loop_post(loop, &port->message);
}

static void tell(struct pv_ports_waiter waiter, const char *sentence)
{
	if (waiter.call)
		waiter.call(waiter.arg, sentence);
}

static void free_port(struct pv_ports_port *port)
{
	struct pv_ports_waiter waiter = port->waiter;
	char sentence[PV_SENTENCE_BYTES];
	int error = port->error;

	if (port->line)
		pv_line_close(port->line);
	port->ports->port[port->number] = NULL;
	free(port);
	pv_sentence_wrong(sentence, "the port cannot be started: %s", strerror(-error));
	tell(waiter, error ? sentence : NULL);
}

/* ---- names ---- */

struct pv_ports_port *pv_ports_find(const struct pv_ports *ports, const char *id)
{
	for (uint16_t i = 0; i < ports->ports_max; i++)
		if (ports->port[i] && strcmp(ports->port[i]->id, id) == 0)
			return ports->port[i];
	return NULL;
}

static bool is_name_free(const struct pv_ports *ports, const char *name)
{
	for (uint16_t i = 0; i < ports->ports_max; i++)
		if (ports->port[i] && strcmp(ports->port[i]->name, name) == 0)
			return false;
	return true;
}

/* The lowest; one too large when all are taken. */
static uint16_t free_number(const struct pv_ports *ports)
{
	uint16_t number = 0;

	while (number < ports->ports_max && ports->port[number])
		number++;
	return number;
}

static bool has_room(const struct pv_ports_port *port, char sentence[static PV_SENTENCE_BYTES])
{
	return port->number < port->ports->ports_max ||
	       pv_sentence_wrong(sentence, "there is room for %u ports, and all are taken",
	                         port->ports->ports_max);
}

static void name_port(struct pv_ports_port *port, const struct pv_ports_plan *plan)
{
	const char *id = plan->id ? plan->id : plan->name;

	if (id)
		snprintf(port->id, sizeof(port->id), "%s", id);
	else
		snprintf(port->id, sizeof(port->id), "console%u", port->number);
	if (plan->name)
		snprintf(port->name, sizeof(port->name), "%s", plan->name);
}

/* Has what it is called a place among the others? */
static bool may_be_named(const struct pv_ports *ports, const struct pv_ports_port *port,
                         char sentence[static PV_SENTENCE_BYTES])
{
	if (pv_ports_find(ports, port->id))
		return pv_sentence_wrong(sentence,
		                         "another port is called '%s' already; choose another id",
		                         port->id);
	return !port->name[0] || is_name_free(ports, port->name) ||
	       pv_sentence_wrong(sentence, "another port has the name '%s' already; choose another",
	                         port->name);
}

/* A link that was left behind is replaced, but not that of a port. */
static bool may_have_link(const struct pv_ports *ports, const struct pv_ports_plan *plan,
                          char sentence[static PV_SENTENCE_BYTES])
{
	const char *path = plan->line.path;

	for (uint16_t i = 0; plan->pty && path && i < ports->ports_max; i++)
		if (ports->port[i] && pv_line_pty_has_link(ports->port[i]->line, path))
			return pv_sentence_wrong(sentence,
			                         "pty=%s: it is the link of port '%s' already; "
			                         "choose another path",
			                         path, ports->port[i]->id);
	return true;
}

/* ---- opening ---- */

static void end_program(struct pv_loop_message *message)
{
	struct pv_ports *ports =
		(struct pv_ports *)((char *)message - offsetof(struct pv_ports, escape));

	pv_service_end(ports->service, "host-ui");
}

/* The loop's thread. */
static void escaped(void *arg, char key)
{
	struct pv_ports *ports = arg;

	if ((key != 'x' && key != 'X') ||
	    __atomic_exchange_n(&ports->has_escaped, true, __ATOMIC_RELAXED))
		return;
	ports->escape.run = end_program;
	pv_loop_post(ports->control, &ports->escape);
}

static bool open_line(struct pv_ports_port *port, const struct pv_ports_plan *plan,
                      char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_line_options options = plan->line;

	options.name = port->id;
	options.loop = port->ports->loop;
	options.escaped = escaped;
	options.arg = port->ports;
	if (pv_line_open(&port->line, &options, sentence, PV_SENTENCE_BYTES))
		return false;
	if (plan->columns != PV_OPTION_UNSET) {
		port->line->columns = (uint16_t)plan->columns;
		port->line->rows = (uint16_t)plan->rows;
	}
	return true;
}

struct pv_ports_port *pv_ports_port_open(struct pv_ports *ports, const struct pv_ports_plan *plan,
                                         char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_ports_port *port = calloc(1, sizeof(*port));

	if (!port) {
		pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
		return NULL;
	}
	port->ports = ports;
	port->is_console = plan->is_console;
	port->has_legacy_resize = plan->resize_order == 1;
	port->kind = plan->line.kind;
	port->number = free_number(ports);
	name_port(port, plan);
	if (may_be_named(ports, port, sentence) && has_room(port, sentence) &&
	    may_have_link(ports, plan, sentence) && open_line(port, plan, sentence)) {
		ports->port[port->number] = port;
		return port;
	}
	free(port);
	return NULL;
}

/* ---- coming ---- */

/* Returns 0 or -errno. */
static int show_to_device(struct pv_ports_port *port)
{
	const struct pv_serial_port shown = {
		.line = port->line,
		.name = port->name,
		.is_console = port->is_console,
		.has_legacy_resize = port->has_legacy_resize,
	};

	if (pv_serial_add_port(port->ports->device, port->number, &shown))
		return -EBUSY;
	port->state = PV_PORTS_THERE;
	return 0;
}

bool pv_ports_port_begin(struct pv_ports_port *port, char sentence[static PV_SENTENCE_BYTES])
{
	int error = pv_line_start(port->line);

	port->is_started = !error;
	if (!error)
		error = show_to_device(port);
	return !error || pv_sentence_wrong(sentence, "port '%s' cannot be started: %s", port->id,
	                                   strerror(-error));
}

static void stop_line(struct pv_loop_message *message);

/* Control side. */
static void line_started(struct pv_loop_message *message)
{
	struct pv_ports_port *port = port_of(message);
	struct pv_ports_waiter waiter = port->waiter;

	if (!port->error)
		port->error = show_to_device(port);
	if (port->error && port->is_started) {
		post(port, port->ports->loop, stop_line);
	} else if (port->error) {
		free_port(port);
	} else {
		port->waiter = (struct pv_ports_waiter){ 0 };
		tell(waiter, NULL);
	}
}

/* The loop's thread. */
static void start_line(struct pv_loop_message *message)
{
	struct pv_ports_port *port = port_of(message);

	port->error = pv_line_start(port->line);
	port->is_started = !port->error;
	post(port, port->ports->control, line_started);
}

struct pv_ports_port *pv_ports_add(struct pv_ports *ports, const struct pv_ports_plan *plan,
                                   struct pv_ports_waiter waiter,
                                   char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_ports_port *port = pv_ports_port_open(ports, plan, sentence);

	if (!port)
		return NULL;
	port->waiter = waiter;
	post(port, ports->loop, start_line);
	return port;
}

/* ---- going ---- */

/* Control side. */
static void line_stopped(struct pv_loop_message *message)
{
	free_port(port_of(message));
}

/* The loop's thread. */
static void stop_line(struct pv_loop_message *message)
{
	struct pv_ports_port *port = port_of(message);

	pv_line_stop(port->line);
	port->is_started = false;
	post(port, port->ports->control, line_stopped);
}

/* Control side: the device does not use the line any more. */
static void port_removed(void *arg)
{
	struct pv_ports_port *port = arg;

	post(port, port->ports->loop, stop_line);
}

bool pv_ports_remove(struct pv_ports_port *port, struct pv_ports_waiter waiter,
                     char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_waiter removed = { port_removed, port };

	if (port->state != PV_PORTS_THERE)
		return pv_sentence_wrong(sentence, "port '%s' is just coming or going", port->id);
	port->state = PV_PORTS_LEAVING;
	port->waiter = waiter;
	pv_bug_on(pv_serial_remove_port(port->ports->device, port->number, removed));
	return true;
}

void pv_ports_port_end(struct pv_ports_port *port)
{
	struct pv_ports *ports = port->ports;

	if (port->is_started)
		pv_line_stop(port->line);
	if (port->line)
		pv_line_close(port->line);
	ports->port[port->number] = NULL;
	tell(port->waiter, "the program ends");
	free(port);
}
