/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes into buffers of the driver's own, one after the other, and stays until it is taken. */
#include "drivers/serial/internal.h"
#include "ring/err.h"

void pv_serdrv_take_waiting(struct pv_serdrv_port *port, uint32_t bytes)
{
	struct pv_serdrv_own_buffer *buffer = port->waiting;

	pv_bug_on(bytes > port->waiting_bytes);
	port->waiting_at += bytes;
	port->waiting_bytes -= bytes;
	if (port->waiting_bytes > 0)
		return;
	port->waiting = NULL;
	pv_serdrv_own_add(&port->in, buffer);
}

static uint32_t hand_on(struct pv_serdrv_port *port)
{
	const struct pv_serdrv_options *options = &port->serial->options;

	if (!port->state.is_open) {
		port->counters.dropped += port->waiting_bytes;
		return port->waiting_bytes;
	}
	if (!options->received)
		return 0;
	return options->received(port, port->waiting->memory + port->waiting_at,
	                         port->waiting_bytes, options->arg);
}

/* False: the next has to wait behind what its user did not take. */
static bool has_handed_on(struct pv_serdrv_port *port)
{
	if (port->waiting)
		pv_serdrv_take_waiting(port, hand_on(port));
	return !port->waiting;
}

/* False: there is none. */
static bool take(struct pv_serdrv_port *port)
{
	uint32_t written_bytes;
	void *token;

	if (pv_drv_ring_take(&port->in.ring, &token, &written_bytes) != PV_DRV_TAKEN)
		return false;
	port->waiting = token;
	port->waiting->is_posted = false;
	port->waiting_at = 0;
	port->waiting_bytes = written_bytes;
	if (written_bytes == 0) {
		port->counters.empty++;
		pv_serdrv_take_waiting(port, 0);
		return true;
	}
	port->counters.reads++;
	port->counters.bytes_in += written_bytes;
	return true;
}

uint32_t pv_serdrv_poll_own(struct pv_serdrv_port *port)
{
	uint32_t buffers = 0;

	while (has_handed_on(port) && buffers < port->in.ring.size && take(port))
		buffers++;
	port->has_news = port->waiting;
	pv_driver_queue_publish(&port->in);
	return buffers;
}
