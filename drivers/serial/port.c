/* SPDX-License-Identifier: BSD-2-Clause */
/* A port: its queues, whether it is there, and whether it is open. */
#include "drivers/serial/internal.h"
#include "ring/err.h"

#define OWN_BUFFERS_DEFAULT 4u

/* What pv_serdrv_put() copies at once. */
#define PUT_BYTES 256u

/* ---- memory ---- */

static int alloc_own(struct pv_serdrv_port *port)
{
	const struct pv_serdrv_options *options = &port->serial->options;
	uint16_t buffers = options->own_buffers ? options->own_buffers : OWN_BUFFERS_DEFAULT;

	if (options->own_buffer_bytes == 0)
		return 0;
	if (buffers > port->in.place.size)
		buffers = port->in.place.size;
	return pv_serdrv_own_alloc(port->serial->driver.os, &port->own, buffers,
	                           options->own_buffer_bytes);
}

static int setup_queues(struct pv_serdrv_port *port, uint16_t number)
{
	const struct pv_serdrv_options *options = &port->serial->options;
	struct pv_driver *driver = &port->serial->driver;
	/* No tables: what is in one piece needs none, and they are large. */
	struct pv_driver_queue_options ring = {
		.size_max = options->queue_size,
		.requests = options->own_buffer_bytes ? &pv_serdrv_own_ops : &pv_serdrv_read_ops,
	};
	int error = pv_driver_queue_init(&port->in, driver, virtio_console_receiveq(number), &ring);

	ring.requests = &pv_serdrv_write_ops;
	return error ? error
	             : pv_driver_queue_init(&port->out, driver, virtio_console_transmitq(number),
	                                    &ring);
}

int pv_serdrv_port_setup(struct pv_serdrv *serial, uint16_t number)
{
	struct pv_serdrv_port *port = &serial->port[number];
	int error;

	port->serial = serial;
	port->state.number = number;
	port->put.is_done = true;
	error = setup_queues(port, number);
	if (!error)
		error = alloc_own(port);
	return error ? error
	             : pv_serdrv_own_alloc(serial->driver.os, &port->put_memory, 1, PUT_BYTES);
}

/* Of what was set up in part, too. */
void pv_serdrv_port_teardown(struct pv_serdrv_port *port)
{
	struct pv_driver *driver = &port->serial->driver;

	pv_serdrv_own_free(driver, &port->own);
	pv_serdrv_own_free(driver, &port->put_memory);
	if (port->in.driver)
		pv_driver_queue_fini(&port->in);
	if (port->out.driver)
		pv_driver_queue_fini(&port->out);
}

/* ---- there, or not ---- */

void pv_serdrv_changed(struct pv_serdrv_port *port, uint32_t what)
{
	const struct pv_serdrv_options *options = &port->serial->options;

	if (options->changed)
		options->changed(port, what, options->arg);
}

static void begin(struct pv_serdrv_port *port)
{
	struct pv_serdrv *serial = port->serial;

	port->is_awaited = false;
	port->state.is_there = true;
	if (serial->info.has_control) {
		port->owes_ready = true;
		pv_serdrv_control_owe(port);
	} else {
		port->state.is_console = true;
		port->state.host_is_open = true;
	}
	pv_serdrv_changed(port, PV_SERDRV_ADDED);
}

static bool has_writes(const struct pv_serdrv_port *port)
{
	return port->out.ring.free_descs < port->out.ring.size;
}

void pv_serdrv_port_add(struct pv_serdrv_port *port)
{
	port->is_awaited = true;
	if (!has_writes(port))
		begin(port);
}

static int take_back(struct pv_driver_queue *queue)
{
	int error = pv_driver_queue_reset(queue);

	if (error)
		return error;
	pv_driver_queue_end_all(queue, -PV_EIO);
	return pv_driver_queue_enable(queue);
}

static int take_queues_back(struct pv_serdrv_port *port)
{
	int error = take_back(&port->out);

	return error ? error : take_back(&port->in);
}

/*
 * Without a reset of queues the device has what it has, until it gives it back: of a port that was
 * removed it may still write to a buffer, or find it when the port is there again. What is to be
 * dropped it has to see now.
 */
static void let_go(struct pv_serdrv_port *port)
{
	int error;

	pv_driver_queue_end_aside(&port->out, -PV_EIO);
	pv_driver_queue_end_aside(&port->in, -PV_EIO);
	error = take_queues_back(port);
	if (error == -PV_ENOTSUP)
		pv_serdrv_publish(port);
	else if (error)
		port->out.ring.is_broken = true; /* for pv_serdrv_tend() */
}

void pv_serdrv_port_remove(struct pv_serdrv_port *port)
{
	const uint16_t number = port->state.number;

	/* What came before that is still good. */
	pv_serdrv_poll_port(port);
	port->state = (struct pv_serdrv_state){ .number = number };
	port->says_open = false;
	port->owes_ready = false;
	port->owes_open = false;
	port->is_missing = false;
	/* What was not taken of it is no beginning of what comes when the port is there again. */
	pv_serdrv_poll_port(port);
	port->has_news = true;
	let_go(port);
	pv_serdrv_changed(port, PV_SERDRV_REMOVED);
}

/* The bytes of a stream keep their order. */
static void sort(struct pv_driver_request **list)
{
	struct pv_driver_request *rest = *list;

	*list = NULL;
	while (rest) {
		struct pv_driver_request *first = rest, **at = list;
		const uint64_t turn = ((struct pv_serdrv_data *)first)->turn;

		rest = first->next;
		while (*at && ((struct pv_serdrv_data *)*at)->turn < turn)
			at = &(*at)->next;
		first->next = *at;
		*at = first;
	}
}

void pv_serdrv_port_come_back(struct pv_serdrv_port *port)
{
	port->is_missing = false;
	if (port->serial->info.has_control) {
		port->says_open = port->state.is_open;
		port->owes_ready = true;
		port->owes_open = port->state.is_open;
		pv_serdrv_control_owe(port);
	}
	if (port->own.buffers == 0)
		sort(&port->in.aside);
	pv_driver_queue_repeat(&port->in, false);
	if (port->state.is_open)
		pv_serdrv_own_post(&port->in, &port->own, port->waiting);
	sort(&port->out.aside);
	pv_driver_queue_repeat(&port->out, port->serial->options.fails_on_reset);
}

/* ---- open, or not ---- */

int pv_serdrv_open(struct pv_serdrv_port *port)
{
	int error = 0;

	if (!port->state.is_there)
		return -PV_EIO;
	if (port->state.is_open)
		return 0;
	port->state.is_open = true;
	if (!port->is_missing)
		error = pv_serdrv_own_post(&port->in, &port->own, port->waiting);
	port->says_open = true;
	port->owes_open = true;
	pv_serdrv_control_owe(port);
	pv_serdrv_control_tell(port->serial);
	return error;
}

void pv_serdrv_close(struct pv_serdrv_port *port)
{
	if (!port->state.is_open)
		return;
	port->state.is_open = false;
	port->has_news = true;
	port->says_open = false;
	port->owes_open = true;
	pv_serdrv_control_owe(port);
	pv_serdrv_control_tell(port->serial);
}

/* ---- both queues ---- */

void pv_serdrv_publish(struct pv_serdrv_port *port)
{
	pv_driver_queue_publish(&port->in);
	pv_driver_queue_publish(&port->out);
}

uint32_t pv_serdrv_poll_port(struct pv_serdrv_port *port)
{
	const uint32_t came = port->own.buffers > 0 ? pv_serdrv_poll_own(port)
	                                            : pv_serdrv_poll_reads(port);
	const uint32_t went = pv_serdrv_poll_writes(port);

	if (port->is_awaited && !has_writes(port)) {
		begin(port);
		pv_serdrv_control_tell(port->serial);
	}
	return came + went;
}

int pv_serdrv_queues_reset(struct pv_serdrv_port *port)
{
	int error = take_queues_back(port);

	if (!error && port->state.is_open)
		error = pv_serdrv_own_post(&port->in, &port->own, port->waiting);
	return error;
}

const struct pv_serdrv_state *pv_serdrv_state(const struct pv_serdrv_port *port)
{
	return &port->state;
}

struct pv_serdrv_counters pv_serdrv_counters(const struct pv_serdrv_port *port)
{
	struct pv_serdrv_counters counters = port->counters;

	counters.kicks = port->in.kicks + port->out.kicks;
	counters.lies = port->in.lies + port->in.ring.lies + port->out.lies + port->out.ring.lies;
	counters.repeats = port->in.repeats + port->out.repeats;
	counters.overdue = port->out.overdue;
	return counters;
}

uint16_t pv_serdrv_out_size(const struct pv_serdrv_port *port)
{
	return port->out.ring.size;
}

uint16_t pv_serdrv_in_size(const struct pv_serdrv_port *port)
{
	return port->in.ring.size;
}
