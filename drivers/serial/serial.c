/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/serial/serial.h"

#include "drivers/serial/internal.h"
#include "ring/err.h"

#define QUEUE_SIZE_DEFAULT 64u

/* ---- its life ---- */

static int setup_queues(struct pv_serdrv *serial)
{
	int error = pv_serdrv_control_setup(serial);

	for (uint16_t i = 0; !error && i < serial->info.ports; i++)
		error = pv_serdrv_port_setup(serial, i);
	return error;
}

static int start(struct pv_serdrv *serial)
{
	int error = pv_driver_start(&serial->driver);

	if (!error)
		error = pv_serdrv_control_start(serial);
	if (!error && !serial->info.has_control)
		pv_serdrv_port_add(&serial->port[0]);
	return error;
}

static int bring_up(struct pv_driver *driver)
{
	struct pv_serdrv *serial = (struct pv_serdrv *)driver;
	int error = pv_serdrv_config_load(serial);

	if (!error)
		error = setup_queues(serial);
	return error ? error : start(serial);
}

static void release(struct pv_serdrv *serial)
{
	struct pv_os *os = serial->driver.os;

	for (uint32_t i = 0; i < serial->info.ports; i++)
		if (serial->port[i].serial)
			pv_serdrv_port_teardown(&serial->port[i]);
	pv_serdrv_control_teardown(serial);
	os->ops->free(os, serial, serial->bytes);
}

static struct pv_serdrv *alloc_driver(struct pv_os *os, const struct pv_serdrv_options *options)
{
	uint16_t ports = options->ports_max ? options->ports_max : 1;
	struct pv_serdrv *serial;
	size_t bytes;

	if (ports > VIRTIO_CONSOLE_PORTS_MAX)
		ports = VIRTIO_CONSOLE_PORTS_MAX;
	bytes = sizeof(*serial) + sizeof(serial->port[0]) * ports;
	serial = os->ops->alloc(os, bytes);
	if (!serial)
		return NULL;
	serial->bytes = bytes;
	serial->options = *options;
	serial->options.ports_max = ports;
	if (options->queue_size == 0)
		serial->options.queue_size = QUEUE_SIZE_DEFAULT;
	return serial;
}

int pv_serdrv_create(struct pv_serdrv **serial, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_serdrv_options *options)
{
	const struct pv_driver_wish wish = {
		.required = options->required,
		.wanted = options->wanted ? options->wanted : PV_SERDRV_FEATURES,
		.timeout_ns = options->timeout_ns,
		.bring_up = bring_up,
	};
	struct pv_serdrv *made = alloc_driver(os, options);
	int error;

	if (!made)
		return -PV_ENOMEM;
	error = pv_driver_init(&made->driver, bus, os, &wish);
	if (error)
		release(made);
	else
		*serial = made;
	return error;
}

int pv_serdrv_fail(struct pv_serdrv *serial)
{
	int error = pv_driver_stop(&serial->driver);

	for (uint32_t i = 0; i < serial->info.ports; i++) {
		pv_driver_queue_end_all(&serial->port[i].out, -PV_EBROKEN);
		pv_driver_queue_end_all(&serial->port[i].in, -PV_EBROKEN);
	}
	if (serial->info.has_control) {
		pv_driver_queue_end_all(&serial->control.in, -PV_EBROKEN);
		pv_driver_queue_end_all(&serial->control.out, -PV_EBROKEN);
	}
	return error;
}

void pv_serdrv_destroy(struct pv_serdrv *serial)
{
	pv_serdrv_fail(serial);
	release(serial);
}

const struct pv_serdrv_info *pv_serdrv_info(const struct pv_serdrv *serial)
{
	return &serial->info;
}

/* ---- ports ---- */

struct pv_serdrv_port *pv_serdrv_port(struct pv_serdrv *serial, uint32_t number)
{
	return number < serial->info.ports ? &serial->port[number] : NULL;
}

static bool is_called(const struct pv_serdrv_state *state, const char *name)
{
	uint32_t at = 0;

	while (state->name[at] && state->name[at] == name[at])
		at++;
	return state->is_there && state->name[at] == name[at];
}

struct pv_serdrv_port *pv_serdrv_find(struct pv_serdrv *serial, const char *name)
{
	for (uint32_t i = 0; i < serial->info.ports; i++)
		if (is_called(&serial->port[i].state, name))
			return &serial->port[i];
	return NULL;
}

uint32_t pv_serdrv_poll(struct pv_serdrv *serial)
{
	uint32_t count = pv_serdrv_control_poll(serial);

	for (uint32_t i = 0; i < serial->info.ports; i++)
		count += pv_serdrv_poll_port(&serial->port[i]);
	return count;
}

static bool is_idle(const struct pv_driver_queue *queue)
{
	return queue->ring.free_descs == queue->ring.size;
}

/* Who asks wants all to be asked for. */
static bool ask(struct pv_driver_queue *queue, bool has_some)
{
	if (is_idle(queue))
		return has_some;
	return pv_drv_ring_interrupts_on(&queue->ring) || has_some;
}

bool pv_serdrv_interrupts_on(struct pv_serdrv *serial)
{
	bool has_some = false;

	if (serial->info.has_control) {
		has_some = ask(&serial->control.in, has_some);
		if (serial->control.first_owing)
			has_some = ask(&serial->control.out, has_some);
	}
	for (uint32_t i = 0; i < serial->info.ports; i++) {
		has_some = ask(&serial->port[i].in, has_some);
		has_some = ask(&serial->port[i].out, has_some);
	}
	return has_some;
}

void pv_serdrv_interrupts_off(struct pv_serdrv *serial)
{
	if (serial->info.has_control) {
		pv_drv_ring_interrupts_off(&serial->control.in.ring);
		pv_drv_ring_interrupts_off(&serial->control.out.ring);
	}
	for (uint32_t i = 0; i < serial->info.ports; i++) {
		pv_drv_ring_interrupts_off(&serial->port[i].in.ring);
		pv_drv_ring_interrupts_off(&serial->port[i].out.ring);
	}
}
