/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chardev-add and chardev-remove: QEMU's objects as plans of ports.
 *
 * What any new line needs, and what those do that open something (ports.h: may_plug):
 *
 * #syscalls eventfd2
 * #syscalls [plug] openat access faccessat newfstatat ioctl fchmod symlink rename
 * #syscalls [plug] socket bind listen inotify_init1 inotify_add_watch
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_object_iterator.h>
#include <json-c/json_util.h>

#include "hosted/control/json_add.h"
#include "hosted/control/port_commands_internal.h"

/* A member of one of the objects, and where it goes: const char *, bool, int64_t or the object. */
struct member {
	const char *name; /* NULL ends a list */
	enum json_type type;
	void *to;
};

static bool take_member(const struct member *member, struct json_object *value,
                        char sentence[static PV_SENTENCE_BYTES])
{
	if (!json_object_is_type(value, member->type))
		return pv_sentence_wrong(sentence, "member '%s' must be of the type %s",
		                         member->name, json_type_to_name(member->type));
	if (member->type == json_type_string)
		*(const char **)member->to = json_object_get_string(value);
	else if (member->type == json_type_boolean)
		*(bool *)member->to = json_object_get_boolean(value);
	else if (member->type == json_type_int)
		*(int64_t *)member->to = json_object_get_int64(value);
	else
		*(struct json_object **)member->to = value;
	return true;
}

/* All members that are there must be known. Those that are not leave things as they were. */
static bool take_members(struct json_object *object, const struct member *members,
                         char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object_iterator at, end;

	if (!object)
		return true;
	at = json_object_iter_begin(object);
	end = json_object_iter_end(object);
	for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
		const char *name = json_object_iter_peek_name(&at);
		const struct member *m = members;

		while (m->name && strcmp(m->name, name) != 0)
			m++;
		if (!m->name)
			return pv_sentence_wrong(sentence, "member '%.64s' is not known here",
			                         name);
		if (!take_member(m, json_object_iter_peek_value(&at), sentence))
			return false;
	}
	return true;
}

/* {"type": TYPE, "data": {...}}: how QEMU writes a choice. */
static bool take_choice(struct json_object *object, const char **type, struct json_object **data,
                        char sentence[static PV_SENTENCE_BYTES])
{
	const struct member members[] = {
		{ "type", json_type_string, type },
		{ "data", json_type_object, data },
		{ 0 },
	};

	*type = NULL;
	*data = NULL;
	return take_members(object, members, sentence) &&
	       (*type || pv_sentence_wrong(sentence, "member 'type' is missing"));
}

static bool is_within(int64_t number, const char *name, int64_t least, int64_t most,
                      char sentence[static PV_SENTENCE_BYTES])
{
	return (number >= least && number <= most) ||
	       pv_sentence_wrong(sentence, "member '%s' must be from %lld to %lld", name,
	                         (long long)least, (long long)most);
}

/* ---- sockets ---- */

static bool take_number(const char *text, const char *name, int64_t max, int64_t *number,
                        char sentence[static PV_SENTENCE_BYTES])
{
	char *end;

	*number = text ? strtoll(text, &end, 10) : -1;
	return (*number >= 0 && *number <= max && end != text && !*end) ||
	       pv_sentence_wrong(sentence, "member '%s' must be a number up to %lld", name,
	                         (long long)max);
}

/* Who knows a name is asked, which may take long; a loopback interface needs no asking. */
static bool is_known_at_once(const char *host)
{
	const struct addrinfo wanted = { .ai_flags = AI_NUMERICHOST };
	struct addrinfo *found;

	if (getaddrinfo(host, NULL, &wanted, &found) != 0)
		return false;
	freeaddrinfo(found);
	return true;
}

static bool take_host(struct pv_ports_plan *plan, const char *host,
                      char sentence[static PV_SENTENCE_BYTES])
{
	plan->line.host = host && strcmp(host, "localhost") == 0 ? NULL : host;
	return !plan->line.host || is_known_at_once(host) ||
	       pv_sentence_wrong(sentence,
	                         "member 'host' must be an address or localhost, not '%.64s'",
	                         host);
}

static bool take_inet(struct pv_ports_plan *plan, struct json_object *data,
                      char sentence[static PV_SENTENCE_BYTES])
{
	const char *host = NULL, *port = NULL;
	int64_t number;
	const struct member members[] = {
		{ "host", json_type_string, &host },
		{ "port", json_type_string, &port },
		{ 0 },
	};

	if (!take_members(data, members, sentence) ||
	    !take_number(port, "port", UINT16_MAX, &number, sentence) ||
	    !take_host(plan, host, sentence))
		return false;
	plan->line.port = (uint16_t)number;
	return true;
}

static bool take_fd(struct pv_ports_plan *plan, struct json_object *data,
                    char sentence[static PV_SENTENCE_BYTES])
{
	const char *text = NULL;
	int64_t number;
	const struct member members[] = { { "str", json_type_string, &text }, { 0 } };

	if (!take_members(data, members, sentence) ||
	    !take_number(text, "str", INT32_MAX, &number, sentence))
		return false;
	plan->fd = (int)number;
	return true;
}

static bool take_address(struct pv_ports_plan *plan, struct json_object *address,
                         char sentence[static PV_SENTENCE_BYTES])
{
	const struct member of_unix[] = { { "path", json_type_string, &plan->socket }, { 0 } };
	struct json_object *data;
	const char *type;

	if (!address)
		return pv_sentence_wrong(sentence, "member 'addr' is missing");
	if (!take_choice(address, &type, &data, sentence))
		return false;
	if (strcmp(type, "unix") == 0)
		return take_members(data, of_unix, sentence);
	if (strcmp(type, "inet") == 0)
		return take_inet(plan, data, sentence);
	if (strcmp(type, "fd") == 0)
		return take_fd(plan, data, sentence);
	return pv_sentence_wrong(sentence, "an address is unix, inet or fd, not '%.64s'", type);
}

#define MS_PER_S 1000

static bool take_socket(struct pv_ports_plan *plan, struct json_object *data,
                        char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *address = NULL;
	int64_t seconds = 0, milliseconds = 0;
	bool must_wait = false;
	const struct member members[] = {
		{ "addr", json_type_object, &address },
		{ "server", json_type_boolean, &plan->is_server },
		{ "wait", json_type_boolean, &must_wait },
		{ "reconnect", json_type_int, &seconds },
		{ "reconnect-ms", json_type_int, &milliseconds },
		{ 0 },
	};

	if (!take_members(data, members, sentence))
		return false;
	if (must_wait)
		return pv_sentence_wrong(sentence, "nobody is waited for here; leave 'wait' out");
	if (!is_within(seconds, "reconnect", 0, PV_PORTS_RECONNECT_MS_MAX / MS_PER_S, sentence) ||
	    !is_within(milliseconds, "reconnect-ms", 0, PV_PORTS_RECONNECT_MS_MAX, sentence))
		return false;
	if (seconds && milliseconds)
		return pv_sentence_wrong(sentence, "'reconnect' and 'reconnect-ms' say the same; "
		                                   "leave one out");
	plan->reconnect_ms = (uint64_t)(seconds * MS_PER_S + milliseconds);
	return take_address(plan, address, sentence);
}

/* ---- the other lines ---- */

static bool take_ring(struct pv_ports_plan *plan, struct json_object *data, char text[static 24],
                      char sentence[static PV_SENTENCE_BYTES])
{
	int64_t bytes = -1;
	const struct member members[] = { { "size", json_type_int, &bytes }, { 0 } };

	if (!take_members(data, members, sentence))
		return false;
	snprintf(text, 24, "%lld", (long long)bytes);
	plan->ringbuf = bytes == -1 ? "" : text;
	return true;
}

static bool take_backend(struct pv_ports_plan *plan, struct json_object *backend,
                         char text[static 24], char sentence[static PV_SENTENCE_BYTES])
{
	const struct member none[] = { { 0 } };
	const struct member of_pty[] = { { "path", json_type_string, &plan->pty }, { 0 } };
	const struct member of_file[] = { { "out", json_type_string, &plan->file },
		                          { "append", json_type_boolean, &plan->is_appending },
		                          { 0 } };
	const struct member of_pipe[] = { { "device", json_type_string, &plan->pipe }, { 0 } };
	struct json_object *data;
	const char *type;

	if (!take_choice(backend, &type, &data, sentence))
		return false;
	if (strcmp(type, "socket") == 0)
		return take_socket(plan, data, sentence);
	if (strcmp(type, "ringbuf") == 0)
		return take_ring(plan, data, text, sentence);
	if (strcmp(type, "file") == 0)
		return take_members(data, of_file, sentence);
	if (strcmp(type, "pipe") == 0)
		return take_members(data, of_pipe, sentence);
	if (strcmp(type, "pty") == 0) {
		plan->pty = "";
		return take_members(data, of_pty, sentence);
	}
	plan->is_null = strcmp(type, "null") == 0;
	plan->is_echo = strcmp(type, "echo") == 0;
	if (plan->is_null || plan->is_echo)
		return take_members(data, none, sentence);
	return pv_sentence_wrong(sentence,
	                         "a line that is added is pty, socket, file, pipe, ringbuf, null "
	                         "or echo, not '%.64s'",
	                         type);
}

/* ---- chardev-add ---- */

/* Of a terminal's size. */
static bool take_cells(struct json_object *arguments, const char *name, uint64_t *cells,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *value;

	if (!json_object_object_get_ex(arguments, name, &value))
		return true;
	/* What is too large for it is the largest. */
	*cells = (uint64_t)json_object_get_int64(value);
	return is_within(json_object_get_int64(value), name, 1, UINT16_MAX, sentence);
}

static bool take_port(struct pv_ports_plan *plan, struct json_object *arguments,
                      char sentence[static PV_SENTENCE_BYTES])
{
	const char *order = pv_json_text_of(arguments, "resize-order");

	plan->id = pv_json_text_of(arguments, "id");
	plan->name = pv_json_text_of(arguments, "name");
	plan->on_closed = pv_json_text_of(arguments, "on-closed");
	plan->is_console = json_object_get_boolean(json_object_object_get(arguments, "console"));
	if (!plan->is_console && !plan->name)
		plan->name = plan->id;
	if (!take_cells(arguments, "columns", &plan->columns, sentence) ||
	    !take_cells(arguments, "rows", &plan->rows, sentence))
		return false;
	plan->resize_order = order && strcmp(order, "legacy") == 0;
	return !order || plan->resize_order || strcmp(order, "spec") == 0 ||
	       pv_sentence_wrong(sentence, "'resize-order' takes spec or legacy, not '%.64s'",
	                         order);
}

/* Without files, terminals and sockets there is nothing that a sandbox forbids. */
static bool may_open(const struct pv_ports *ports, const struct pv_ports_plan *plan,
                     char sentence[static PV_SENTENCE_BYTES])
{
	return ports->may_plug || plan->is_null || plan->is_echo || plan->ringbuf ||
	       pv_sentence_wrong(sentence, "the sandbox does not let this be opened; start the "
	                                   "program with hot-plug");
}

/* Whoever connects but once waits for it, and here everybody else would wait too. */
static bool may_connect(const struct pv_ports_plan *plan, char sentence[static PV_SENTENCE_BYTES])
{
	return plan->line.kind != PV_LINE_TCP || plan->is_server || plan->reconnect_ms ||
	       pv_sentence_wrong(sentence, "a connection may take long; give 'reconnect' too: "
	                                   "nobody is waited for while the program runs");
}

/* A port that is being added or removed for a client. */
struct pending {
	struct pv_qmp_request *request;
	char *pty; /* the path of its terminal; NULL: it is none */
};

static void answer(void *arg, const char *sentence)
{
	struct pending *pending = arg;
	struct json_object *result = NULL;

	if (!sentence && pending->pty) {
		result = json_object_new_object();
		pv_json_add_text(result, "pty", pending->pty);
	}
	if (sentence)
		pv_qmp_fail(pending->request, PV_QMP_GENERIC_ERROR, "%s", sentence);
	else
		pv_qmp_return(pending->request, result);
	free(pending->pty);
	free(pending);
}

static struct pending *pending_of(struct pv_qmp_request *request)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (pending)
		pending->request = request;
	else
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "out of memory");
	return pending;
}

static bool add(struct pv_ports *ports, struct pv_ports_plan *plan, struct pending *pending,
                char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_ports_port *port;

	if (!pv_ports_plan_check(plan, sentence) || !may_open(ports, plan, sentence) ||
	    !may_connect(plan, sentence))
		return false;
	port = pv_ports_add(ports, plan, (struct pv_ports_waiter){ answer, pending }, sentence);
	if (port && pv_line_pty(port->line))
		pending->pty = strdup(pv_line_pty(port->line));
	return port;
}

void pv_port_chardev_add(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_port_commands *commands = arg;
	struct json_object *backend = json_object_object_get(arguments, "backend");
	struct pv_ports_plan plan = pv_ports_plan_defaults();
	struct pending *pending = pending_of(request);
	char sentence[PV_SENTENCE_BYTES], text[24];

	if (!pending || (take_port(&plan, arguments, sentence) &&
	                 take_backend(&plan, backend, text, sentence) &&
	                 add(commands->ports, &plan, pending, sentence)))
		return;
	answer(pending, sentence);
}

void pv_port_chardev_remove(struct pv_qmp_request *request, void *arg,
                            struct json_object *arguments)
{
	struct pv_ports_port *port = pv_port_of(request, arg, arguments, "id");
	struct pending *pending = port ? pending_of(request) : NULL;
	char sentence[PV_SENTENCE_BYTES];

	if (pending &&
	    !pv_ports_remove(port, (struct pv_ports_waiter){ answer, pending }, sentence))
		answer(pending, sentence);
}
