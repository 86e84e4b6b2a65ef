/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * line_bridge KIND KEY=VALUE...: a line with a guest that sends back what it gets, in the sandbox,
 * so that a script can play the other end.  It says on descriptor 3 what the line says: where it
 * is, that somebody came or left, the size of the terminal, and what was typed behind the escape
 * key.  Of some bytes it dies: Q ends its loop, E calls exit(), A abort(), S makes a fault, T sends
 * SIGTERM, and Z stops it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosted/backends/line.h"
#include "hosted/control/sandbox.h"
#include "tests/support/engine.h"

static const char *const kinds[] = { "stdio", "pty",     "socket", "tcp", "file",
	                             "pipe",  "ringbuf", "null",   "echo" };

static struct pv_line_options options = { .name = "port", .fd = -1 };
static struct pv_line *line;
static struct pv_loop *loop;
static uint8_t memory[65536];
static size_t first, next;
static bool is_deaf;

static void say(const char *what, long one, long two)
{
	dprintf(3, "%s %ld %ld\n", what, one, two);
}

static void escaped(void *arg, char key)
{
	(void)arg;
	say("escape", key, 0);
}

static void open_changed(void *arg, bool is_open)
{
	(void)arg;
	say("open", is_open, 0);
}

static void changed(void *arg)
{
	(void)arg;
	say("size", line->columns, line->rows);
}

static void input_came(void *arg)
{
	(void)arg;
}

static const struct pv_line_user user = { changed, input_came };

static void set(char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	options.is_server |= strcmp(word, "server") == 0;
	is_deaf |= strcmp(word, "deaf") == 0;
	if (strcmp(word, "escape") == 0)
		options.escaped = escaped;
	if (strcmp(word, "path") == 0)
		options.path = value;
	if (strcmp(word, "port") == 0)
		options.port = (uint16_t)atoi(value);
	if (strcmp(word, "reconnect") == 0)
		options.reconnect_ms = (uint32_t)atoi(value);
	if (strcmp(word, "keep") == 0) {
		options.on_closed = PV_LINE_KEEP;
		options.keep_bytes = (uint32_t)atoi(value);
	}
}

static void mind(uint8_t byte)
{
	switch (byte) {
	case 'Q':
		pv_loop_stop(loop);
		break;
	case 'E':
		exit(0);
	case 'A':
		abort();
	case 'S':
		raise(SIGSEGV);
		break;
	case 'T':
		raise(SIGTERM);
		break;
	case 'Z':
		raise(SIGTSTP);
		break;
	default:
		break;
	}
}

static bool echo(struct pv_poller *poller)
{
	const struct pv_iov room = { memory, sizeof(memory) };
	struct pv_iov iov = { memory + first, next - first };

	(void)poller;
	if (first < next && line->has_room) {
		first += line->ops->write(line, &iov, 1);
		return true;
	}
	if (first < next || is_deaf || !line->has_input)
		return false;
	first = 0;
	next = line->ops->read(line, &room, 1);
	if (next == 1)
		mind(memory[0]);
	return next > 0;
}

static bool arm(struct pv_poller *poller)
{
	(void)poller;
	return false;
}

static void disarm(struct pv_poller *poller)
{
	(void)poller;
}

static int fail(const char *sentence)
{
	fprintf(stderr, "line_bridge: %s\n", sentence);
	return EXIT_FAILURE;
}

static int run(void)
{
	struct pv_poller poller = { .poll = echo, .arm = arm, .disarm = disarm };
	unsigned int needs = pv_line_needs(line);

	if (needs & PV_LINE_NEEDS_DIAL)
		pv_sandbox_allow(PV_SANDBOX_DIAL);
	if (needs & PV_LINE_NEEDS_INTERNET)
		pv_sandbox_allow(PV_SANDBOX_INTERNET);
	line->user = &user;
	dprintf(3, "%s\n", pv_line_text(line));
	if (pv_line_start(line))
		return fail("cannot start");
	pv_loop_poller_add(loop, &poller);
	if (pv_sandbox_enter())
		return fail("no sandbox");
	pv_loop_run(loop);
	pv_line_stop(line);
	pv_line_close(line);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const struct pv_loop_options loop_options = { .name = "test", .engine = test_engine() };
	char error[256];

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i], argv[1]) == 0)
			options.kind = (enum pv_line_kind)i;
	for (int i = 2; i < argc; i++)
		set(argv[i]);
	signal(SIGPIPE, SIG_IGN);
	options.open_changed = open_changed;
	if (pv_sandbox_prepare() || pv_loop_create(&loop, &loop_options))
		return fail("no loop");
	options.loop = loop;
	if (pv_line_open(&line, &options, error, sizeof(error)))
		return fail(error);
	return run();
}
