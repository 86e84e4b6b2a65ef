/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of a port: the port itself, the kinds of lines, and what only some of them have. */
#include <stdlib.h>
#include <string.h>

#include "hosted/control/ports_internal.h"
#include "hosted/control/utf8.h"

#define KEEP_DEFAULT (64u << 10)
#define KEEP_MAX     (64u << 20)
#define RING_DEFAULT (64u << 10)
#define RING_MAX     (16u << 20)

static const char *const resize_orders[] = { "spec", "legacy", NULL };

#define PLAN struct pv_ports_plan
static const struct pv_option port_keys[] = {
	{ "console", NULL, "it is a console: hvc0 and so on in a Linux guest",
	  PV_OPTION_FLAG_AT(PLAN, is_console) },
	{ "name", "NAME", "what the guest calls it: /dev/virtio-ports/NAME",
	  PV_OPTION_TEXT_AT(PLAN, name) },
	{ "id", "NAME", "what control commands call it (default: its name, or console0, ...)",
	  PV_OPTION_TEXT_AT(PLAN, id) },
	{ "columns", "N",
	  "the size of the terminal that the guest is told, where the line has none",
	  PV_OPTION_NUMBER_AT(PLAN, columns, 1, UINT16_MAX) },
	{ "rows", "N", "the same", PV_OPTION_NUMBER_AT(PLAN, rows, 1, UINT16_MAX) },
	{ "resize-order", "spec|legacy",
	  "legacy: tell rows before columns, as older Linux drivers read them (default spec)",
	  PV_OPTION_CHOICE_AT(PLAN, resize_order, resize_orders) },
	{ "on-closed", "wait|drop|buffer=SIZE",
	  "what becomes of the guest's output while nobody is at the other end: it waits, is "
	  "dropped, or its newest bytes are kept (default of a console buffer=64K, of "
	  "others, and with pipe, wait)",
	  PV_OPTION_TEXT_AT(PLAN, on_closed) },
	{ 0 },
};

static const struct pv_option line_keys[] = {
	{ "pty", "[=LINK]", "a new terminal, and a symbolic link to it",
	  PV_OPTION_TEXT_AT(PLAN, pty) },
	{ "stdio", NULL, "this program's terminal, in raw mode; Ctrl-A x ends the program",
	  PV_OPTION_FLAG_AT(PLAN, is_stdio) },
	{ "socket", "PATH", "a Unix socket, for one client at a time",
	  PV_OPTION_TEXT_AT(PLAN, socket) },
	{ "fd", "N", "a socket that is open already, connected or listening",
	  PV_OPTION_FD_AT(PLAN, fd) },
	{ "tcp", "[HOST:]PORT", "a TCP socket, on the loopback interface unless HOST is given",
	  PV_OPTION_TEXT_AT(PLAN, tcp) },
	{ "file", "PATH", "a file, for output alone", PV_OPTION_TEXT_AT(PLAN, file) },
	{ "pipe", "PATH", "the named pipes PATH.in and PATH.out, or PATH, for output alone",
	  PV_OPTION_TEXT_AT(PLAN, pipe) },
	{ "ringbuf", "[=SIZE]", "memory that ringbuf-read and ringbuf-write of --qmp work on",
	  PV_OPTION_TEXT_AT(PLAN, ringbuf) },
	{ "null", NULL, "nothing: takes all and gives nothing", PV_OPTION_FLAG_AT(PLAN, is_null) },
	{ "echo", NULL, "gives back what it takes", PV_OPTION_FLAG_AT(PLAN, is_echo) },
	{ 0 },
};

static const struct pv_option more_keys[] = {
	{ "server", NULL, "socket, tcp: listen; off: connect to who does (default on)",
	  PV_OPTION_FLAG_AT(PLAN, is_server) },
	{ "reconnect-ms", "N",
	  "with server=off: connect again after so many milliseconds, doubled each time (default "
	  "0: "
	  "never)",
	  PV_OPTION_NUMBER_AT(PLAN, reconnect_ms, 0, PV_PORTS_RECONNECT_MS_MAX) },
	{ "append", NULL, "file: keep what is in it (default off)",
	  PV_OPTION_FLAG_AT(PLAN, is_appending) },
	{ 0 },
};

static const struct pv_option_group port_group = { "Keys of every port", port_keys };
static const struct pv_option_group line_group = { "Its line, one of these", line_keys };
static const struct pv_option_group more_group = { "Keys of some lines", more_keys };

const struct pv_option_group *const pv_ports_key_groups[] = { &port_group, &line_group, &more_group,
	                                                      NULL };

struct pv_ports_plan pv_ports_plan_defaults(void)
{
	return (struct pv_ports_plan){ .columns = PV_OPTION_UNSET,
		                       .rows = PV_OPTION_UNSET,
		                       .fd = PV_OPTION_UNSET_FD,
		                       .is_server = true };
}

/* ---- the port ---- */

static bool is_good_id(const char *id)
{
	size_t chars = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                          "0123456789-._");

	return chars > 0 && !id[chars] && chars < PV_PORTS_ID_BYTES && id[0] != '-';
}

/* UTF-8 without control characters: it is shown, and sent as JSON. */
static bool is_text(const char *name)
{
	size_t bytes = strlen(name);
	uint32_t code;

	for (size_t at = 0; at < bytes;) {
		size_t length = pv_utf8_character(name + at, bytes - at, &code);

		if (length == 0 || code < 0x20 || (code >= 0x7f && code <= 0x9f))
			return false;
		at += length;
	}
	return true;
}

static bool is_good_name(const char *name)
{
	return *name && strlen(name) <= PV_SERIAL_NAME_MAX && !strpbrk(name, " /");
}

static bool is_port_good(const PLAN *plan, char sentence[static PV_SENTENCE_BYTES])
{
	if (!plan->is_console && !plan->name)
		return pv_sentence_wrong(sentence, "a port has a use: say console, or name=NAME");
	if (plan->name && !is_text(plan->name))
		return pv_sentence_wrong(sentence, "'name' takes UTF-8 without control characters");
	if (plan->name && !is_good_name(plan->name))
		return pv_sentence_wrong(sentence,
		                         "'name' takes up to %u characters without blanks and '/', "
		                         "not '%.64s'",
		                         PV_SERIAL_NAME_MAX, plan->name);
	if (plan->id && !is_good_id(plan->id))
		return pv_sentence_wrong(sentence,
		                         "'id' takes letters, digits, '-', '.' or '_', at most %u, "
		                         "not '%.64s'",
		                         PV_PORTS_ID_BYTES - 1, plan->id);
	return (plan->columns == PV_OPTION_UNSET) == (plan->rows == PV_OPTION_UNSET) ||
	       pv_sentence_wrong(sentence, "'columns' and 'rows' go together; give both");
}

/* ---- its line ---- */

static bool find_kind(PLAN *plan, char sentence[static PV_SENTENCE_BYTES])
{
	const struct {
		const char *key;
		bool is_given;
		enum pv_line_kind kind;
	} kinds[] = {
		{ "pty", plan->pty, PV_LINE_PTY },
		{ "stdio", plan->is_stdio, PV_LINE_STDIO },
		{ "socket", plan->socket, PV_LINE_SOCKET },
		{ "fd", plan->fd != PV_OPTION_UNSET_FD, PV_LINE_SOCKET },
		{ "tcp", plan->tcp || plan->line.port, PV_LINE_TCP },
		{ "file", plan->file, PV_LINE_FILE },
		{ "pipe", plan->pipe, PV_LINE_PIPE },
		{ "ringbuf", plan->ringbuf, PV_LINE_RINGBUF },
		{ "null", plan->is_null, PV_LINE_NULL },
		{ "echo", plan->is_echo, PV_LINE_ECHO },
	};
	const char *found = NULL;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!kinds[i].is_given)
			continue;
		if (found)
			return pv_sentence_wrong(sentence,
			                         "a port has one line, not '%s' and '%s'; leave "
			                         "one out",
			                         found, kinds[i].key);
		found = kinds[i].key;
		plan->line.kind = kinds[i].kind;
	}
	return found ||
	       pv_sentence_wrong(sentence, "a port has a line: say pty, stdio, socket=PATH, "
	                                   "tcp=PORT, file=PATH, pipe=PATH, ringbuf, null or "
	                                   "echo");
}

/* "[::1]:4555", "localhost:4555", "4555": cut into its parts. */
static bool take_tcp(PLAN *plan, char sentence[static PV_SENTENCE_BYTES])
{
	char *host = (char *)(uintptr_t)plan->tcp, *colon = strrchr(host, ':');
	const char *port = colon ? colon + 1 : host;
	unsigned int number;
	char rest;

	if (sscanf(port, "%5u%c", &number, &rest) != 1 || *port < '0' || *port > '9' ||
	    number == 0 || number > UINT16_MAX || colon == host)
		return pv_sentence_wrong(sentence, "'tcp' takes a port or HOST:PORT, not '%.64s'",
		                         plan->tcp);
	plan->line.port = (uint16_t)number;
	if (!colon)
		return true;
	*colon = '\0';
	if (host[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		host++;
	}
	plan->line.host = host;
	return true;
}

static bool take_ring(PLAN *plan, char sentence[static PV_SENTENCE_BYTES])
{
	uint64_t bytes = RING_DEFAULT;

	if (*plan->ringbuf &&
	    (!pv_size_parse(plan->ringbuf, &bytes) || bytes == 0 || bytes > RING_MAX))
		return pv_sentence_wrong(sentence,
		                         "'ringbuf' takes a size up to 16M, such as 64k, not "
		                         "'%.64s'",
		                         plan->ringbuf);
	plan->line.ring_bytes = (uint32_t)bytes;
	return true;
}

#define BUFFER "buffer"

static bool take_size_to_keep(PLAN *plan, const char *text)
{
	uint64_t bytes = KEEP_DEFAULT;

	if (*text == '=' && !pv_size_parse(text + 1, &bytes))
		return false;
	if ((*text && *text != '=') || bytes == 0 || bytes > KEEP_MAX)
		return false;
	plan->line.on_closed = PV_LINE_KEEP;
	plan->line.keep_bytes = (uint32_t)bytes;
	return true;
}

static bool take_policy(PLAN *plan, char sentence[static PV_SENTENCE_BYTES])
{
	const char *text = plan->on_closed;

	/* Of a pipe nobody can tell whether it is read. */
	if (!text)
		text = plan->is_console && !plan->pipe ? BUFFER : "wait";
	plan->line.on_closed = PV_LINE_WAIT;
	if (strcmp(text, "wait") == 0)
		return true;
	if (strcmp(text, "drop") == 0) {
		plan->line.on_closed = PV_LINE_DROP;
		return true;
	}
	return (strncmp(text, BUFFER, strlen(BUFFER)) == 0 &&
	        take_size_to_keep(plan, text + strlen(BUFFER))) ||
	       pv_sentence_wrong(sentence,
	                         "'on-closed' takes wait, drop or buffer=SIZE with a size up to "
	                         "64M, not '%.64s'",
	                         text);
}

static bool is_more_good(const PLAN *plan, char sentence[static PV_SENTENCE_BYTES])
{
	bool is_net = plan->socket || plan->line.port;

	if (!plan->is_server && !is_net)
		return pv_sentence_wrong(sentence, "'server' goes with socket and tcp; leave it "
		                                   "out");
	if (plan->reconnect_ms && (plan->is_server || !is_net))
		return pv_sentence_wrong(sentence,
		                         "'reconnect-ms' goes with server=off, of socket and tcp; "
		                         "leave it out");
	return !plan->is_appending || plan->file ||
	       pv_sentence_wrong(sentence, "'append' goes with file; leave it out");
}

/* A link or a path that was not given is none. */
static const char *path_of(const PLAN *plan)
{
	const char *path = plan->pty      ? plan->pty
	                   : plan->socket ? plan->socket
	                   : plan->file   ? plan->file
	                                  : plan->pipe;

	return path && *path ? path : NULL;
}

bool pv_ports_plan_check(struct pv_ports_plan *plan, char sentence[static PV_SENTENCE_BYTES])
{
	if (!is_port_good(plan, sentence) || !find_kind(plan, sentence) ||
	    (plan->tcp && !take_tcp(plan, sentence)) ||
	    (plan->ringbuf && !take_ring(plan, sentence)) || !take_policy(plan, sentence) ||
	    !is_more_good(plan, sentence))
		return false;
	plan->line.path = path_of(plan);
	plan->line.fd = plan->fd;
	plan->line.is_server = plan->is_server;
	plan->line.reconnect_ms = (uint32_t)plan->reconnect_ms;
	plan->line.is_appending = plan->is_appending;
	return true;
}

/* ---- reading ---- */

bool pv_ports_blame(const struct pv_ports_plan *plan, char sentence[static PV_SENTENCE_BYTES])
{
	char about[64];

	snprintf(about, sizeof(about), "option '--%s'", plan->option);
	return plan->option ? pv_sentence_about(sentence, about) : false;
}

bool pv_ports_parse(const char *option, struct pv_ports_plan *plan, char *text,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_option table[PV_OPTION_KEYS_MAX];
	unsigned int count = 0;

	plan->option = option;
	pv_options_add_keys(table, &count, port_keys);
	pv_options_add_keys(table, &count, line_keys);
	pv_options_add_keys(table, &count, more_keys);
	if (!pv_options_parse_keys(option, table, plan, text, sentence))
		return false;
	return pv_ports_plan_check(plan, sentence) || pv_ports_blame(plan, sentence);
}

struct pv_ports_plan *pv_ports_parse_all(const char *option, const struct pv_option_texts *texts,
                                         char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_ports_plan *plan = calloc(texts->count + 1u, sizeof(*plan));
	unsigned int terminals = 0;
	bool is_good = plan || pv_sentence_wrong(sentence, "out of memory");

	for (unsigned int i = 0; is_good && i < texts->count; i++) {
		/* It is in argv, which is ours to write to. */
		char *text = (char *)(uintptr_t)texts->text[i];

		plan[i] = pv_ports_plan_defaults();
		is_good = pv_ports_parse(option, &plan[i], text, sentence);
		terminals += plan[i].is_stdio;
		if (is_good && terminals > 1)
			is_good = pv_sentence_wrong(sentence,
			                            "option '--%s': there is one terminal, for one "
			                            "stdio; choose pty or socket for the other",
			                            option);
	}
	if (is_good)
		return plan;
	free(plan);
	return NULL;
}
