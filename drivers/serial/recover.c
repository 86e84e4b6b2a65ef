/* SPDX-License-Identifier: BSD-2-Clause */
/* A device that needs a reset gets it, and its ports go on where they were. */
#include "drivers/serial/internal.h"
#include "ring/err.h"

static int read_again(struct pv_serdrv *serial)
{
	const struct pv_serdrv_info before = serial->info;
	int error = pv_serdrv_config_load(serial);

	if (!error &&
	    (serial->info.ports != before.ports || serial->info.ports_max != before.ports_max))
		error = -PV_EBROKEN;
	if (error)
		serial->info = before;
	return error;
}

static int begin_again(struct pv_driver_queue *one, struct pv_driver_queue *other)
{
	int error = pv_driver_queue_begin_again(one);

	return error ? error : pv_driver_queue_begin_again(other);
}

static int start_again(struct pv_serdrv *serial)
{
	int error = 0;

	if (serial->info.has_control)
		error = begin_again(&serial->control.in, &serial->control.out);
	for (uint32_t i = 0; !error && i < serial->info.ports; i++)
		error = begin_again(&serial->port[i].in, &serial->port[i].out);
	return error ? error : pv_driver_start(&serial->driver);
}

/* ---- ports that are to come back ---- */

static void miss(struct pv_serdrv_port *port)
{
	port->is_awaited = false;
	if (port->state.is_there) {
		port->is_missing = true;
		port->serial->control.missing++;
		return;
	}
	/* The device had it still, of a port that was removed. */
	pv_driver_queue_end_aside(&port->out, -PV_EIO);
	pv_driver_queue_end_aside(&port->in, -PV_EIO);
}

static void miss_all(struct pv_serdrv *serial)
{
	serial->control.missing = 0;
	for (uint32_t i = 0; i < serial->info.ports; i++)
		miss(&serial->port[i]);
	serial->control.are_all_back = serial->control.missing == 0;
}

static void give_up_missing(struct pv_serdrv *serial)
{
	for (uint32_t i = 0; i < serial->info.ports; i++)
		if (serial->port[i].is_missing)
			pv_serdrv_port_remove(&serial->port[i]);
	serial->control.missing = 0;
}

/* The device says which ports there are, after it was told that somebody listens. */
static int meet_again(struct pv_serdrv *serial)
{
	int error;

	miss_all(serial);
	error = pv_serdrv_control_start(serial);
	if (!error)
		error = pv_serdrv_wait(serial, &serial->control.are_all_back,
		                       serial->driver.timeout_ns);
	if (error != 0 && error != -PV_ETIMEDOUT)
		return error;
	give_up_missing(serial);
	return 0;
}

static int go_on(struct pv_serdrv *serial)
{
	if (serial->info.has_control)
		return meet_again(serial);
	pv_serdrv_port_come_back(&serial->port[0]);
	return 0;
}

int pv_serdrv_recover(struct pv_serdrv *serial)
{
	int error = pv_driver_init_again(&serial->driver);

	if (!error)
		error = read_again(serial);
	if (!error)
		error = start_again(serial);
	if (!error)
		error = go_on(serial);
	if (error) {
		pv_driver_fail(&serial->driver);
		pv_serdrv_fail(serial);
	}
	return error;
}

/* ---- when ---- */

static bool is_broken(const struct pv_driver_queue *in, const struct pv_driver_queue *out)
{
	return in->ring.is_broken || out->ring.is_broken;
}

bool pv_serdrv_has_broken_queue(const struct pv_serdrv *serial)
{
	for (uint32_t i = 0; i < serial->info.ports; i++)
		if (is_broken(&serial->port[i].in, &serial->port[i].out))
			return true;
	return serial->info.has_control && is_broken(&serial->control.in, &serial->control.out);
}

bool pv_serdrv_is_broken(struct pv_serdrv *serial)
{
	return pv_serdrv_has_broken_queue(serial) || pv_driver_needs_reset(&serial->driver);
}

uint64_t pv_serdrv_deadline_ns(const struct pv_serdrv *serial)
{
	uint64_t earliest_ns = UINT64_MAX;

	for (uint32_t i = 0; i < serial->info.ports; i++) {
		const uint64_t port_ns = pv_driver_queue_deadline_ns(&serial->port[i].out);

		if (port_ns < earliest_ns)
			earliest_ns = port_ns;
	}
	return earliest_ns;
}

int pv_serdrv_tend(struct pv_serdrv *serial)
{
	struct pv_os *os = serial->driver.os;
	int error;

	pv_serdrv_poll(serial);
	if (!pv_serdrv_is_broken(serial) && os->ops->now_ns(os) < pv_serdrv_deadline_ns(serial))
		return 0;
	error = pv_serdrv_recover(serial);
	return error ? error : 1;
}
