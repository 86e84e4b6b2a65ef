/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines: opening and closing, and what may be asked of them from any thread, which their loop
 * carries out when their bell rings.
 */
#include "hosted/backends/line_internal.h"

#include <errno.h>
#include <stdio.h>

#include "ring/err.h"

#define KEEP_BYTES_DEFAULT 65536u

/* ---- from any thread ---- */

void pv_line_write_emergency(struct pv_line *line, uint8_t byte)
{
	struct pv_line_base *base = pv_line_base_of(line);
	bool has_room;

	pthread_mutex_lock(&base->emergency_lock);
	has_room = base->emergencies < PV_LINE_EMERGENCY_BYTES;
	if (has_room)
		base->emergency[base->emergencies++] = byte;
	pthread_mutex_unlock(&base->emergency_lock);
	if (has_room)
		pv_bell_ring(&base->bell);
	else
		pv_line_count(&base->counters.dropped, 1);
}

static void write_emergencies(struct pv_line_base *base)
{
	struct pv_line *line = &base->line;
	uint8_t byte[PV_LINE_EMERGENCY_BYTES];
	struct pv_iov iov = { byte, 0 };
	size_t written;

	pthread_mutex_lock(&base->emergency_lock);
	iov.bytes = base->emergencies;
	memcpy(byte, base->emergency, iov.bytes);
	base->emergencies = 0;
	pthread_mutex_unlock(&base->emergency_lock);
	if (iov.bytes == 0)
		return;
	written = line->has_room ? line->ops->write(line, &iov, 1) : 0;
	pv_line_count(&base->counters.dropped, iov.bytes - written);
}

void pv_line_resize(struct pv_line *line, uint16_t columns, uint16_t rows)
{
	struct pv_line_base *base = pv_line_base_of(line);

	__atomic_store_n(&base->new_size, (uint32_t)columns << 16 | rows, __ATOMIC_RELAXED);
	__atomic_store_n(&base->has_new_size, true, __ATOMIC_RELEASE);
	pv_bell_ring(&base->bell);
}

static void take_size(struct pv_line_base *base)
{
	uint32_t size;

	if (!__atomic_exchange_n(&base->has_new_size, false, __ATOMIC_ACQUIRE))
		return;
	size = __atomic_load_n(&base->new_size, __ATOMIC_RELAXED);
	pv_line_set_size(base, (uint16_t)(size >> 16), (uint16_t)size);
}

static void hear(void *arg)
{
	struct pv_line_base *base = arg;

	take_size(base);
	write_emergencies(base);
	if (base->kind->rung)
		base->kind->rung(base);
}

bool pv_line_has_peer(const struct pv_line *line)
{
	return __atomic_load_n(&((const struct pv_line_base *)line)->has_peer, __ATOMIC_RELAXED);
}

struct pv_line_counters pv_line_counters(const struct pv_line *line)
{
	const struct pv_line_counters *counters = &((const struct pv_line_base *)line)->counters;

	return (struct pv_line_counters){
		.dropped = __atomic_load_n(&counters->dropped, __ATOMIC_RELAXED),
		.kept = __atomic_load_n(&counters->kept, __ATOMIC_RELAXED),
		.connections = __atomic_load_n(&counters->connections, __ATOMIC_RELAXED),
		.refused = __atomic_load_n(&counters->refused, __ATOMIC_RELAXED),
	};
}

/* ---- its life ---- */

int pv_line_no_memory(struct pv_line_opening *opening)
{
	return pv_refuse(&opening->refusal, -ENOMEM, "no memory for the port");
}

static bool make_keep(struct pv_line_base *base, const struct pv_line_options *options)
{
	uint32_t bytes = options->keep_bytes ? options->keep_bytes : KEEP_BYTES_DEFAULT;

	return options->on_closed != PV_LINE_KEEP || pv_byte_ring_init(&base->kept, bytes);
}

void *pv_line_begin(struct pv_line_opening *opening, size_t bytes, const struct pv_line_ops *ops,
                    const struct pv_line_kind_ops *kind)
{
	const struct pv_line_options *options = opening->options;
	struct pv_line_base *base = calloc(1, bytes);

	if (!base || !make_keep(base, options) || pv_bell_open(&base->bell)) {
		pv_line_no_memory(opening);
		if (base)
			pv_byte_ring_fini(&base->kept);
		free(base);
		return NULL;
	}
	base->line.ops = ops;
	base->kind = kind;
	base->loop = options->loop;
	base->on_closed = options->on_closed;
	base->open_changed = options->open_changed;
	base->arg = options->arg;
	snprintf(base->name, sizeof(base->name), "%s", options->name ? options->name : "port");
	pthread_mutex_init(&base->emergency_lock, NULL);
	opening->base = base;
	return base;
}

static int open_kind(struct pv_line_opening *opening)
{
	switch (opening->options->kind) {
	case PV_LINE_STDIO:
		return pv_line_stdio_open(opening);
	case PV_LINE_PTY:
		return pv_line_pty_open(opening);
	case PV_LINE_SOCKET:
	case PV_LINE_TCP:
		return pv_line_socket_open(opening);
	case PV_LINE_FILE:
		return pv_line_file_open(opening);
	case PV_LINE_PIPE:
		return pv_line_pipe_open(opening);
	case PV_LINE_RINGBUF:
		return pv_line_ringbuf_open(opening);
	case PV_LINE_NULL:
		return pv_line_null_open(opening);
	case PV_LINE_ECHO:
		return pv_line_echo_open(opening);
	}
	return pv_refuse(&opening->refusal, -EINVAL, "no such kind of line");
}

int pv_line_open(struct pv_line **line, const struct pv_line_options *options, char *error,
                 size_t error_bytes)
{
	struct pv_line_opening opening = { .options = options, .refusal = { error, error_bytes } };
	int err = open_kind(&opening);

	if (err) {
		if (opening.base)
			pv_line_close(&opening.base->line);
		return err;
	}
	*line = &opening.base->line;
	return 0;
}

int pv_line_start(struct pv_line *line)
{
	struct pv_line_base *base = pv_line_base_of(line);
	int err = pv_bell_listen(&base->bell, base->loop, hear, base);

	if (!err && base->kind->start)
		err = base->kind->start(base);
	if (err)
		pv_bell_ignore(&base->bell);
	return err;
}

void pv_line_stop(struct pv_line *line)
{
	struct pv_line_base *base = pv_line_base_of(line);

	if (base->kind->stop)
		base->kind->stop(base);
	pv_bell_ignore(&base->bell);
}

void pv_line_close(struct pv_line *line)
{
	struct pv_line_base *base = pv_line_base_of(line);

	if (base->kind->close)
		base->kind->close(base);
	pv_bell_close(&base->bell);
	pv_byte_ring_fini(&base->kept);
	pthread_mutex_destroy(&base->emergency_lock);
	free(base);
}

unsigned int pv_line_needs(const struct pv_line *line)
{
	return ((const struct pv_line_base *)line)->needs;
}

const char *pv_line_text(const struct pv_line *line)
{
	return ((const struct pv_line_base *)line)->text;
}
