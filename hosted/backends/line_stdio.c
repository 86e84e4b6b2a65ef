/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal of this process, or what stands in its place.
 *
 * A terminal's keys are taken as they are typed, whether the guest reads them or not, so that the
 * escape key is heard while it does not: what was typed ahead waits here. What comes from a pipe or
 * a file has no escape key, and waits there.
 *
 * #syscalls read
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "hosted/backends/line_fd.h"
#include "hosted/backends/terminal.h"

#define ESCAPE      ('a' & 0x1f)
#define TYPED_BYTES 4096u

struct line_stdio {
	struct pv_line_fd fd;
	void (*escaped)(void *arg, char key);
	void *arg;
	struct pv_byte_ring typed;
	bool is_escaping; /* the next key is for us */
	bool has_terminal;
};

/* ---- keys ---- */

static void take_key(struct line_stdio *line, uint8_t key)
{
	bool was_escaping = line->is_escaping;

	line->is_escaping = key == ESCAPE && !was_escaping;
	if (line->is_escaping)
		return;
	if (was_escaping && key != ESCAPE)
		line->escaped(line->arg, (char)key);
	else
		pv_byte_ring_put(&line->typed, &key, 1);
}

/* As far as there is room for all that comes: what is typed beyond that the terminal keeps. */
static void take_keys(struct line_stdio *line)
{
	uint8_t keys[64];
	ssize_t got = 0;

	while (got >= 0 && pv_byte_ring_room(&line->typed) >= sizeof(keys)) {
		got = read(line->fd.in_fd, keys, sizeof(keys));
		if (got == 0 || (got < 0 && errno != EINTR))
			break;
		for (ssize_t i = 0; i < got; i++)
			take_key(line, keys[i]);
	}
	pv_line_set_input(&line->fd.base.line, line->typed.bytes > 0);
}

static size_t read_typed(struct pv_line *base, const struct pv_iov *iov, uint16_t pieces)
{
	struct line_stdio *line = (struct line_stdio *)base;
	size_t got = pv_byte_ring_get_pieces(&line->typed, iov, pieces);

	take_keys(line);
	return got;
}

static void seen(struct pv_line_fd *fd, int events)
{
	struct line_stdio *line = (struct line_stdio *)fd;

	(void)events;
	if (line->typed.memory)
		take_keys(line);
}

/* ---- its life ---- */

/* What comes to its end has no other beginning. */
static void input_ended(struct pv_line_fd *fd)
{
	fd->in_fd = -1;
}

static const struct pv_line_fd_ops ops = {
	.seen = seen,
	.input_ended = input_ended,
	.output_failed = pv_line_fd_lose,
};

static void look_at_size(struct line_stdio *line)
{
	uint16_t columns, rows;

	if (pv_terminal_size(&columns, &rows))
		pv_line_set_size(&line->fd.base, columns, rows);
}

/* The bell has rung: perhaps for the size. */
static void rung(struct pv_line_base *base)
{
	look_at_size((struct line_stdio *)base);
	pv_line_fd_rung(base);
}

static int start(struct pv_line_base *base)
{
	struct line_stdio *line = (struct line_stdio *)base;
	int err = line->fd.in_fd >= 0 ? pv_line_fd_watch(&line->fd, line->fd.in_fd) : 0;

	if (!err)
		look_at_size(line);
	return err;
}

static void stop(struct pv_line_base *base)
{
	pv_line_fd_ignore((struct pv_line_fd *)base);
}

static void close_stdio(struct pv_line_base *base)
{
	struct line_stdio *line = (struct line_stdio *)base;

	if (line->has_terminal)
		pv_terminal_give_back();
	pv_byte_ring_fini(&line->typed);
}

static const struct pv_line_kind_ops kind = {
	.start = start,
	.stop = stop,
	.rung = rung,
	.close = close_stdio,
};

static const struct pv_line_ops keyboard_ops = {
	.write = pv_line_fd_write,
	.read = read_typed,
	.write_emergency = pv_line_write_emergency,
};

/* Within a signal handler. */
static void resized(void *arg)
{
	pv_bell_ring(&((struct pv_line_base *)arg)->bell);
}

/* Keys are looked through where there is somebody who types them, and somebody to tell. */
static bool take_keyboard(struct line_stdio *line, const struct pv_line_options *options)
{
	if (!options->escaped || !pv_terminal_is_raw())
		return true;
	line->escaped = options->escaped;
	line->arg = options->arg;
	line->fd.base.line.ops = &keyboard_ops;
	return pv_byte_ring_init(&line->typed, TYPED_BYTES);
}

int pv_line_stdio_open(struct pv_line_opening *opening)
{
	struct line_stdio *line = pv_line_fd_begin(opening, sizeof(*line), &ops, &kind);
	const struct pv_terminal_wish wish = { .resized = resized, .arg = line };

	if (!line)
		return -ENOMEM;
	line->has_terminal = pv_terminal_take(&wish);
	if (!line->has_terminal)
		return pv_refuse(&opening->refusal, -EBUSY,
		                 "stdio: it is in use already; give one of the two another kind");
	if (!take_keyboard(line, opening->options))
		return pv_line_no_memory(opening);
	line->fd.in_fd = pv_terminal_input();
	line->fd.out_fd = pv_terminal_output();
	pv_line_is_always_there(&line->fd.base);
	snprintf(line->fd.base.text, sizeof(line->fd.base.text), "stdio");
	return 0;
}
