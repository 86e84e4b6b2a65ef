/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/port_commands.h"

#include <stdio.h>
#include <string.h>

#include "hosted/control/json_add.h"
#include "hosted/control/port_commands_internal.h"

#define NS_PER_S 1000000000u

struct pv_ports_port *pv_port_of(struct pv_qmp_request *request,
                                 const struct pv_port_commands *commands,
                                 struct json_object *arguments, const char *argument)
{
	const char *id = pv_json_text_of(arguments, argument);
	struct pv_ports_port *port = pv_ports_find(commands->ports, id);

	if (!port)
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "there is no port '%.64s'; query-chardev lists them", id);
	return port;
}

/* ---- what there is ---- */

static bool is_lonely_socket(const struct pv_ports_port *port)
{
	return (port->kind == PV_LINE_SOCKET || port->kind == PV_LINE_TCP) &&
	       !pv_line_has_peer(port->line);
}

static struct json_object *chardev_of(const struct pv_ports *ports,
                                      const struct pv_ports_port *port)
{
	struct json_object *object = json_object_new_object();
	bool is_there = port->state == PV_PORTS_THERE;
	char filename[512];

	snprintf(filename, sizeof(filename), "%s%s", is_lonely_socket(port) ? "disconnected:" : "",
	         pv_line_text(port->line));
	pv_json_add_text(object, "label", port->id);
	pv_json_add_text(object, "filename", filename);
	pv_json_add_bool(object, "frontend-open",
	                 is_there && pv_serial_is_guest_open(ports->device, port->number));
	return object;
}

static void query_chardev(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_port_commands *commands = arg;
	const struct pv_ports *ports = commands->ports;
	struct json_object *list = json_object_new_array();

	(void)arguments;
	for (uint16_t i = 0; i < ports->ports_max; i++)
		if (ports->port[i])
			json_object_array_add(list, chardev_of(ports, ports->port[i]));
	pv_qmp_return(request, list);
}

/* ---- a terminal's size ---- */

static bool take_side(struct json_object *arguments, const char *name, uint16_t *side)
{
	int64_t number = json_object_get_int64(json_object_object_get(arguments, name));

	*side = (uint16_t)number;
	return number >= 0 && number <= UINT16_MAX;
}

static void window_size_changed(struct pv_qmp_request *request, void *arg,
                                struct json_object *arguments)
{
	const struct pv_ports_port *port = pv_port_of(request, arg, arguments, "id");
	uint16_t columns, rows;

	if (!port)
		return;
	if (!take_side(arguments, "cols", &columns) || !take_side(arguments, "rows", &rows)) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "Parameters 'cols' and 'rows' must be from 0 to %u", UINT16_MAX);
		return;
	}
	pv_line_resize(port->line, columns, rows);
	pv_qmp_return(request, NULL);
}

/* ---- ports that are opened and closed ---- */

static void tell(const struct pv_port_commands *commands, const struct pv_ports_port *port,
                 bool is_open)
{
	struct json_object *data = json_object_new_object();

	pv_json_add_text(data, "id", port->id);
	pv_json_add_bool(data, "open", is_open);
	pv_qmp_event(commands->qmp, "VSERPORT_CHANGE", data);
}

/* A driver that opens and closes without end is told of once in a while. */
static void wait_a_second(struct pv_port_commands *commands)
{
	if (!commands->is_timing)
		pv_timer_set(&commands->timer, NS_PER_S);
	commands->is_timing = true;
}

static void guest_changed(void *arg, uint16_t number, bool is_open)
{
	struct pv_port_commands *commands = arg;
	struct pv_ports_port *port = commands->ports->port[number];

	if (port && !port->news.is_due) {
		tell(commands, port, is_open);
		port->news = (struct pv_ports_news){ .was_open = is_open, .is_due = true };
		wait_a_second(commands);
	}
}

static void tell_what_is_due(struct pv_port_commands *commands, uint16_t number)
{
	struct pv_ports_port *port = commands->ports->port[number];
	bool is_open;

	if (!port || !port->news.is_due)
		return;
	port->news.is_due = false;
	is_open = port->state == PV_PORTS_THERE &&
	          pv_serial_is_guest_open(commands->ports->device, number);
	if (is_open != port->news.was_open)
		guest_changed(commands, number, is_open);
}

static void timer_expired(void *arg)
{
	struct pv_port_commands *commands = arg;

	commands->is_timing = false;
	for (uint16_t i = 0; i < commands->ports->ports_max; i++)
		tell_what_is_due(commands, i);
}

/* ---- all of them ---- */

static const struct pv_qmp_parameter add_parameters[] = {
	{ "id", PV_QMP_TEXT, true },
	{ "backend", PV_QMP_OBJECT, true },
	{ "console", PV_QMP_BOOL, false },
	{ "name", PV_QMP_TEXT, false },
	{ "columns", PV_QMP_INTEGER, false },
	{ "rows", PV_QMP_INTEGER, false },
	{ "on-closed", PV_QMP_TEXT, false },
	{ "resize-order", PV_QMP_TEXT, false },
	{ 0 },
};

static const struct pv_qmp_parameter remove_parameters[] = {
	{ "id", PV_QMP_TEXT, true },
	{ 0 },
};

static const struct pv_qmp_parameter size_parameters[] = {
	{ "id", PV_QMP_TEXT, true },
	{ "cols", PV_QMP_INTEGER, true },
	{ "rows", PV_QMP_INTEGER, true },
	{ 0 },
};

static const struct pv_qmp_parameter read_parameters[] = {
	{ "device", PV_QMP_TEXT, true },
	{ "size", PV_QMP_INTEGER, true },
	{ "format", PV_QMP_TEXT, false },
	{ 0 },
};

static const struct pv_qmp_parameter write_parameters[] = {
	{ "device", PV_QMP_TEXT, true },
	{ "data", PV_QMP_TEXT, true },
	{ "format", PV_QMP_TEXT, false },
	{ 0 },
};

static const struct pv_qmp_command command_table[] = {
	{ "chardev-add", add_parameters, pv_port_chardev_add },
	{ "chardev-remove", remove_parameters, pv_port_chardev_remove },
	{ "chardev-window-size-changed", size_parameters, window_size_changed },
	{ "query-chardev", NULL, query_chardev },
	{ "ringbuf-read", read_parameters, pv_port_ring_read },
	{ "ringbuf-write", write_parameters, pv_port_ring_write },
	{ 0 },
};

bool pv_port_commands_init(struct pv_port_commands *commands, struct pv_qmp *qmp,
                           struct pv_loop *control, struct pv_ports *ports,
                           char sentence[static PV_SENTENCE_BYTES])
{
	int error;

	*commands = (struct pv_port_commands){ .ports = ports, .qmp = qmp };
	if (!qmp)
		return true;
	error = pv_timer_init(&commands->timer, control, timer_expired, commands);
	if (error) {
		pv_port_commands_fini(commands);
		return pv_sentence_wrong(sentence, "option '--qmp': %s", strerror(-error));
	}
	ports->guest_changed = guest_changed;
	ports->guest_arg = commands;
	pv_qmp_register(qmp, command_table, commands);
	return true;
}

void pv_port_commands_fini(struct pv_port_commands *commands)
{
	if (!commands->qmp)
		return;
	commands->ports->guest_changed = NULL;
	pv_timer_fini(&commands->timer);
	*commands = (struct pv_port_commands){ 0 };
}
