/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of the user's data: checked, mapped, put on the ring, and ended. */
#include "drivers/serial/internal.h"
#include "ring/err.h"

static struct pv_serdrv_port *port_of_in(struct pv_driver_queue *queue)
{
	return (struct pv_serdrv_port *)((uint8_t *)queue - offsetof(struct pv_serdrv_port, in));
}

static struct pv_serdrv_port *port_of_out(struct pv_driver_queue *queue)
{
	return (struct pv_serdrv_port *)((uint8_t *)queue - offsetof(struct pv_serdrv_port, out));
}

/* ---- onto the ring ---- */

/* What is copied lies in memory that is shared all the time. */
static int map(struct pv_serdrv_port *port, struct pv_serdrv_data *data, bool is_read)
{
	int pieces;

	if (data == &port->put)
		return 0;
	pieces = pv_driver_map(port->serial->driver.os, &data->buffer, 1, 0, is_read, data->piece,
	                       PV_SERDRV_PIECES);
	if (pieces < 0)
		return pieces;
	data->pieces = (uint16_t)pieces;
	return 0;
}

static void unmap(struct pv_serdrv_port *port, struct pv_serdrv_data *data, bool is_read)
{
	if (data != &port->put)
		pv_driver_unmap(port->serial->driver.os, data->piece, data->pieces, is_read);
}

static int add(struct pv_driver_queue *queue, struct pv_serdrv_data *data, bool is_read)
{
	return pv_drv_ring_add(&queue->ring, data->piece, is_read ? 0 : data->pieces,
	                       is_read ? data->pieces : 0, data);
}

static int submit(struct pv_serdrv_port *port, struct pv_driver_queue *queue,
                  struct pv_serdrv_data *data, bool is_read)
{
	int error;

	data->is_done = false;
	if (queue->ring.is_broken)
		return -PV_EBROKEN;
	if (!port->state.is_there || !port->state.is_open)
		return -PV_EIO;
	/* What was in flight before the reset comes first. */
	if (port->is_missing)
		return -PV_ENOSPC;
	error = map(port, data, is_read);
	if (error)
		return error;
	error = add(queue, data, is_read);
	if (error) {
		unmap(port, data, is_read);
		return error;
	}
	data->turn = port->turn++;
	return 0;
}

int pv_serdrv_write(struct pv_serdrv_port *port, struct pv_serdrv_data *data)
{
	int error = submit(port, &port->out, data, false);

	if (!error)
		pv_driver_request_begin(&port->out, &data->base,
		                        data->timeout_ns ? data->timeout_ns
		                                         : port->serial->options.write_timeout_ns);
	return error;
}

int pv_serdrv_read(struct pv_serdrv_port *port, struct pv_serdrv_data *data)
{
	if (port->own.buffers > 0)
		return -PV_ENOTSUP;
	data->base.deadline_ns = 0; /* nobody knows when something comes */
	return submit(port, &port->in, data, true);
}

/* ---- and off it ---- */

static void end(struct pv_serdrv_port *port, struct pv_serdrv_data *data, int error, uint32_t bytes)
{
	if (error)
		port->counters.errors++;
	data->error = error;
	data->bytes = error ? 0 : bytes;
	data->is_done = true;
	if (data->done)
		data->done(data);
}

static void end_write(struct pv_serdrv_port *port, struct pv_serdrv_data *data, int error)
{
	unmap(port, data, false);
	if (!error) {
		port->counters.writes++;
		port->counters.bytes_out += data->buffer.bytes;
	}
	end(port, data, error, data->buffer.bytes);
}

static void end_read(struct pv_serdrv_port *port, struct pv_serdrv_data *data, int error,
                     uint32_t bytes)
{
	unmap(port, data, true);
	if (!error) {
		port->counters.reads++;
		port->counters.bytes_in += bytes;
	}
	end(port, data, error, bytes);
}

/* What comes back from a port that was removed did not get anywhere. */
static int fate(const struct pv_serdrv_port *port)
{
	return port->state.is_there ? 0 : -PV_EIO;
}

uint32_t pv_serdrv_poll_writes(struct pv_serdrv_port *port)
{
	struct pv_drv_ring *ring = &port->out.ring;
	uint32_t done = 0, written_bytes;
	void *token;

	while (done < ring->size &&
	       pv_drv_ring_take(ring, &token, &written_bytes) == PV_DRV_TAKEN) {
		end_write(port, token, fate(port));
		done++;
	}
	return done;
}

/* Nothing in it, and nothing against it: the device has it once more, as it was mapped. */
static bool post_again(struct pv_serdrv_port *port, struct pv_serdrv_data *data)
{
	if (fate(port) || add(&port->in, data, true))
		return false;
	port->counters.empty++;
	return true;
}

uint32_t pv_serdrv_poll_reads(struct pv_serdrv_port *port)
{
	struct pv_drv_ring *ring = &port->in.ring;
	uint32_t done = 0, empty = 0, written_bytes;
	void *token;

	while (done + empty < ring->size &&
	       pv_drv_ring_take(ring, &token, &written_bytes) == PV_DRV_TAKEN) {
		if (written_bytes == 0 && post_again(port, token)) {
			empty++;
			continue;
		}
		end_read(port, token, written_bytes == 0 ? -PV_EIO : fate(port), written_bytes);
		done++;
	}
	if (empty > 0)
		pv_driver_queue_publish(&port->in);
	return done;
}

/* ---- a device that was reset ---- */

static int repeat_write(struct pv_driver_queue *queue, struct pv_driver_request *request)
{
	return add(queue, (struct pv_serdrv_data *)request, false);
}

static void end_write_request(struct pv_driver_queue *queue, struct pv_driver_request *request,
                              int error)
{
	end_write(port_of_out(queue), (struct pv_serdrv_data *)request, error);
}

static int repeat_read(struct pv_driver_queue *queue, struct pv_driver_request *request)
{
	return add(queue, (struct pv_serdrv_data *)request, true);
}

static void end_read_request(struct pv_driver_queue *queue, struct pv_driver_request *request,
                             int error)
{
	end_read(port_of_in(queue), (struct pv_serdrv_data *)request, error, 0);
}

const struct pv_driver_request_ops pv_serdrv_write_ops = { repeat_write, end_write_request };
const struct pv_driver_request_ops pv_serdrv_read_ops = { repeat_read, end_read_request };
