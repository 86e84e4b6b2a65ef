/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane attach: bytes both ways, and the size of the terminal. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <json-c/json_object.h>

#include "hosted/backends/terminal.h"
#include "hosted/cli/attach.h"
#include "hosted/control/qmp_remote.h"

#define TIMEOUT_S 10

/* One way. What was read waits here until it can be written. */
struct flow {
	int from, to;
	size_t first, next;
	uint64_t bytes; /* written, in all */
	bool has_ended; /* there is nothing more to read */
	bool was_cut;   /* ... because of a mishap */
	bool is_broken; /* nothing can be written any more */
	uint8_t memory[65536];
};

struct talk {
	struct pv_attach_session *session;
	struct flow in, out; /* seen from the port */
	int resized_fd;
	bool has_keys; /* the input can be read without waiting */
	bool is_typed; /* what goes in */
	bool is_left;  /* by the escape key */
};

/* ---- one way ---- */

static bool is_empty(const struct flow *flow)
{
	return flow->first == flow->next;
}

static bool wants_to_read(const struct flow *flow)
{
	return !flow->has_ended && flow->next < sizeof(flow->memory);
}

static void read_some(struct flow *flow)
{
	ssize_t got =
		read(flow->from, flow->memory + flow->next, sizeof(flow->memory) - flow->next);

	if (got > 0)
		flow->next += (size_t)got;
	else if (got == 0 || (errno != EAGAIN && errno != EINTR))
		flow->has_ended = true;
	flow->was_cut |= got < 0 && errno == ECONNRESET;
}

static void forget(struct flow *flow)
{
	flow->first = flow->next = 0;
}

static void write_some(struct flow *flow)
{
	ssize_t sent = write(flow->to, flow->memory + flow->first, flow->next - flow->first);

	if (sent > 0) {
		flow->first += (size_t)sent;
		flow->bytes += (uint64_t)sent;
	} else if (errno != EAGAIN && errno != EINTR) {
		flow->is_broken = flow->has_ended = true;
	}
	if (is_empty(flow) || flow->is_broken)
		forget(flow);
}

/* What comes after the key is nobody's. */
static void look_for_escape(struct talk *talk, size_t from)
{
	struct flow *in = &talk->in;
	const uint8_t *key;

	if (talk->session->escape == PV_ATTACH_NO_ESCAPE || !talk->is_typed)
		return;
	key = memchr(in->memory + from, talk->session->escape, in->next - from);
	if (!key)
		return;
	in->next = (size_t)(key - in->memory);
	talk->is_left = true;
}

/*
 * Keys are read ahead: the escape key is heard whether the port takes the others or not. An input
 * that we share with others may have been made to wait by one of them.
 */
static void carry_in(struct talk *talk)
{
	struct flow *in = &talk->in;
	size_t before = in->next;

	if (talk->has_keys) {
		read_some(in);
		look_for_escape(talk, before);
	}
	if (!is_empty(in))
		write_some(in);
}

static void carry_out(struct talk *talk)
{
	if (wants_to_read(&talk->out))
		read_some(&talk->out);
	if (!is_empty(&talk->out))
		write_some(&talk->out);
}

/* ---- the size ---- */

static void ignore_event(void *arg, struct json_object *event)
{
	(void)arg;
	(void)event;
}

/* A server that knows no sizes is one that need not be told. */
static void tell_server(const struct pv_attach_place *place, uint16_t columns, uint16_t rows)
{
	const struct pv_qmp_remote_options options = {
		.path = place->control,
		.timeout_s = TIMEOUT_S,
		.event = ignore_event,
	};
	char sentence[PV_SENTENCE_BYTES];
	struct pv_qmp_remote *remote;
	struct json_object *arguments;

	if (!pv_qmp_remote_open(&remote, &options, sentence))
		return;
	arguments = json_object_new_object();
	json_object_object_add(arguments, "id", json_object_new_string(place->port));
	json_object_object_add(arguments, "cols", json_object_new_int(columns));
	json_object_object_add(arguments, "rows", json_object_new_int(rows));
	json_object_put(
		pv_qmp_remote_ask(remote, "chardev-window-size-changed", arguments, sentence));
	json_object_put(arguments);
	pv_qmp_remote_close(remote);
}

static void tell_size(const struct pv_attach_session *session)
{
	struct winsize size = { 0 };

	if (!pv_terminal_size(&size.ws_col, &size.ws_row))
		return;
	if (session->place->is_terminal)
		ioctl(session->fd, TIOCSWINSZ, &size);
	if (session->place->control)
		tell_server(session->place, size.ws_col, size.ws_row);
}

/* Within a signal handler. */
static void note_resize(void *arg)
{
	const struct talk *talk = arg;
	const uint64_t one = 1;

	(void)!write(talk->resized_fd, &one, sizeof(one));
}

static void mind_resize(struct talk *talk)
{
	uint64_t times;

	if (read(talk->resized_fd, &times, sizeof(times)) > 0)
		tell_size(talk->session);
}

/* ---- both ways ---- */

/* Returns whether something happened before the time was over. */
static bool await(struct talk *talk, int patience_ms)
{
	const struct flow *in = &talk->in, *out = &talk->out;
	struct pollfd ready[] = {
		{ .fd = wants_to_read(in) ? in->from : -1, .events = POLLIN },
		{ .fd = out->from,
		  .events = (short)((wants_to_read(out) ? POLLIN : 0) |
		                    (is_empty(in) ? 0 : POLLOUT)) },
		{ .fd = is_empty(out) ? -1 : out->to, .events = POLLOUT },
		{ .fd = talk->resized_fd, .events = POLLIN },
	};
	int happened;

	/* A peer that has gone says so for ever: it is not asked while it waits for our output. */
	if (ready[1].events == 0)
		ready[1].fd = -1;
	happened = poll(ready, sizeof(ready) / sizeof(ready[0]), patience_ms);
	talk->has_keys = happened > 0 && ready[0].revents;
	return happened != 0;
}

static bool is_over(const struct talk *talk)
{
	return talk->is_left || talk->out.is_broken ||
	       (talk->out.has_ended && is_empty(&talk->out));
}

static int patience_ms(const struct talk *talk)
{
	bool is_quiet = talk->in.has_ended && is_empty(&talk->in) && is_empty(&talk->out);

	if (!is_quiet || talk->session->linger_s == PV_ATTACH_FOREVER)
		return -1;
	return talk->session->linger_s * 1000;
}

/* What is not ready and does not wait says so: that is cheaper than to be told which one is. */
static void carry(struct talk *talk)
{
	while (!is_over(talk) && await(talk, patience_ms(talk))) {
		mind_resize(talk);
		carry_in(talk);
		carry_out(talk);
	}
}

static bool judge(const struct talk *talk, char sentence[static PV_SENTENCE_BYTES])
{
	const struct flow *in = &talk->in, *out = &talk->out;
	const char *path = talk->session->place->path;

	if (out->is_broken)
		return pv_sentence_wrong(sentence, "cannot print: the reader of the output has "
		                                   "gone");
	if (talk->is_left || !out->has_ended)
		return true;
	if (out->bytes == 0 && in->bytes == 0)
		return pv_sentence_wrong(
			sentence, "%.128s: hung up at once; is somebody else attached?", path);
	if (out->was_cut || in->is_broken || !is_empty(in))
		return pv_sentence_wrong(sentence,
		                         "%.128s: hung up before it had all of the input%s", path,
		                         out->bytes ? "" : "; is somebody else attached?");
	return true;
}

bool pv_attach_run(struct pv_attach_session *session, char sentence[static PV_SENTENCE_BYTES])
{
	static struct talk talk;
	const struct pv_terminal_wish wish = { .is_not_raw = !session->is_raw,
		                               .resized = note_resize,
		                               .arg = &talk };

	talk.session = session;
	talk.in.to = talk.out.from = session->fd;
	talk.resized_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (talk.resized_fd < 0)
		return pv_sentence_wrong(sentence, "%s", strerror(errno));
	talk.is_typed = isatty(STDIN_FILENO);
	signal(SIGPIPE, SIG_IGN);
	tell_size(session);
	pv_terminal_take(&wish);
	talk.in.from = pv_terminal_input();
	talk.out.to = pv_terminal_output();
	carry(&talk);
	pv_terminal_give_back();
	close(talk.resized_fd);
	/* The prompt of whoever comes next begins a line. */
	if (talk.is_left)
		fputc('\n', stderr);
	return judge(&talk, sentence);
}
