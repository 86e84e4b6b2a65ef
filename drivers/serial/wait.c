/* SPDX-License-Identifier: BSD-2-Clause */
/* For those that have nothing else to do: waiting, and bytes that are copied. */
#include "drivers/serial/internal.h"
#include "ring/barrier.h"
#include "ring/err.h"

int pv_serdrv_wait(struct pv_serdrv *serial, const bool *is_done, uint64_t timeout_ns)
{
	struct pv_os *os = serial->driver.os;
	const uint64_t begin_ns = os->ops->now_ns(os);

	while (!*is_done) {
		const uint64_t waited_ns = os->ops->now_ns(os) - begin_ns;
		const uint32_t came = pv_serdrv_poll(serial);

		if (*is_done)
			break;
		if (pv_serdrv_has_broken_queue(serial))
			return -PV_EBROKEN;
		/* Also while a device talks without an end of something else. */
		if (waited_ns >= timeout_ns)
			return -PV_ETIMEDOUT;
		if (came == 0 && !pv_serdrv_interrupts_on(serial))
			os->ops->wait(os, timeout_ns - waited_ns);
		pv_serdrv_interrupts_off(serial);
	}
	return 0;
}

/* What is left of a time, 0: nothing. */
static uint64_t left_ns(struct pv_os *os, uint64_t begin_ns, uint64_t timeout_ns)
{
	const uint64_t passed_ns = os->ops->now_ns(os) - begin_ns;

	return passed_ns < timeout_ns ? timeout_ns - passed_ns : 0;
}

/* ---- out ---- */

static int put_piece(struct pv_serdrv_port *port, const uint8_t *from, uint32_t bytes,
                     uint64_t timeout_ns)
{
	const struct pv_serdrv_own_buffer *memory = port->put_memory.buffer;
	struct pv_serdrv_data *data = &port->put;
	int error;

	__builtin_memcpy(memory->memory, from, bytes);
	*data = (struct pv_serdrv_data){
		.buffer = { memory->memory, bytes },
		.pieces = 1,
		.piece = { { memory->piece.addr, bytes } },
	};
	error = pv_serdrv_write(port, data);
	if (error) {
		data->is_done = true;
		return error;
	}
	pv_serdrv_publish(port);
	error = pv_serdrv_wait(port->serial, &data->is_done, timeout_ns);
	return error ? error : data->error;
}

int pv_serdrv_put(struct pv_serdrv_port *port, const void *from, size_t bytes, uint64_t timeout_ns)
{
	struct pv_os *os = port->serial->driver.os;
	const uint64_t begin_ns = os->ops->now_ns(os);
	const uint32_t room = port->put_memory.buffer->piece.bytes;
	const uint8_t *at = from;
	int error = 0;

	pv_serdrv_poll_port(port);
	if (!port->put.is_done)
		return -PV_EBUSY;
	while (!error && bytes > 0) {
		const uint32_t piece = bytes < room ? (uint32_t)bytes : room;

		error = put_piece(port, at, piece, left_ns(os, begin_ns, timeout_ns));
		at += piece;
		bytes -= piece;
	}
	return error;
}

/* ---- in ---- */

static int copy_waiting(struct pv_serdrv_port *port, void *to, size_t *bytes)
{
	if (!port->waiting)
		return -PV_EIO;
	if (*bytes > port->waiting_bytes)
		*bytes = port->waiting_bytes;
	pv_copy_once(to, port->waiting->memory + port->waiting_at, *bytes);
	pv_serdrv_take_waiting(port, (uint32_t)*bytes);
	pv_driver_queue_publish(&port->in);
	return 0;
}

int pv_serdrv_get(struct pv_serdrv_port *port, void *to, size_t *bytes, uint64_t timeout_ns)
{
	const size_t room = *bytes;
	int error;

	*bytes = 0;
	if (port->own.buffers == 0 || port->serial->options.received)
		return -PV_ENOTSUP;
	if (!port->state.is_open)
		return -PV_EIO;
	port->has_news = port->waiting;
	error = pv_serdrv_wait(port->serial, &port->has_news, timeout_ns);
	if (error)
		return error;
	*bytes = room;
	error = copy_waiting(port, to, bytes);
	if (error)
		*bytes = 0;
	return error;
}
