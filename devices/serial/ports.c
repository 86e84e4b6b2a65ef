/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports that come and go, and what their lines say about themselves.
 *
 * A request in a slot goes one way: the control side writes ADD or REMOVE, the lane answers an ADD
 * by NOTHING and a REMOVE by REMOVED.  A REMOVE that overtakes its ADD replaces it.
 */
#include "devices/serial/internal.h"

#include "ring/err.h"

static bool does_any_queue_run(const struct pv_device *device)
{
	for (uint16_t i = 0; i < device->queues; i++)
		if (device->queue[i].state == PV_QUEUE_RUNNING ||
		    device->queue[i].state == PV_QUEUE_STOPPING)
			return true;
	return false;
}

/* Pairs with the exchange in pv_serial_follow(): what was written before is seen there. */
void pv_serial_raise_news(struct pv_serial *serial)
{
	__atomic_store_n(&serial->has_news, true, __ATOMIC_RELEASE);
}

/* ---- lines ---- */

/* Of a port that may have gone meanwhile, and whose queues need not run. */
static void line_changed(void *arg)
{
	struct pv_serial_slot *slot = arg;

	__atomic_store_n(&slot->has_line_changed, true, __ATOMIC_RELEASE);
	pv_serial_raise_news(slot->serial);
}

/* The receiveq waits for nothing else. */
static void input_came(void *arg)
{
	struct pv_serial_slot *slot = arg;
	struct pv_device *device = &slot->serial->device;
	uint16_t index = virtio_console_receiveq((uint32_t)(slot - slot->serial->slot));
	struct pv_queue *queue = &device->queue[index];

	if (!queue->is_woken)
		return;
	queue->is_woken = false;
	device->port->ops->queue_wake(device->port, queue);
}

/* Its thread may be about to call while the control side says that it need not any more. */
static void listen_to(struct pv_serial_slot *slot, bool is_on)
{
	static const struct pv_line_user user = { line_changed, input_came };

	slot->line->arg = slot;
	__atomic_store_n(&slot->line->user, is_on ? &user : NULL, __ATOMIC_RELEASE);
}

static uint32_t size_of(const struct pv_line *line)
{
	return (uint32_t)line->rows << 16 | line->columns;
}

static bool is_size(uint32_t size)
{
	return (size & 0xffffu) && size >> 16;
}

static void set_config_size(struct pv_serial_slot *slot, uint32_t size)
{
	struct pv_serial *serial = slot->serial;

	if (slot != serial->slot || serial->size == size)
		return;
	__atomic_store_n(&serial->size, size, __ATOMIC_RELAXED);
	serial->has_to_tell = true;
}

void pv_serial_look_at_line(struct pv_serial_slot *slot)
{
	uint32_t size;

	if (!slot->is_there)
		return;
	size = size_of(slot->line);
	set_config_size(slot, size);
	if (!slot->is_ready)
		return;
	if (slot->line->is_open != slot->told_open)
		pv_serial_mark(slot, PV_MARK_OPEN);
	if (slot->is_console && is_size(size) && size != slot->told_size)
		pv_serial_mark(slot, PV_MARK_RESIZE);
}

/* ---- coming and going, by whoever has the slots ---- */

static void take_in(struct pv_serial_slot *slot)
{
	slot->is_there = true;
	slot->burst = 1;
	listen_to(slot, true);
	if (slot->line->has_input)
		input_came(slot);
	if (slot->serial->is_driver_ready)
		pv_serial_mark(slot, PV_MARK_ADD);
	pv_serial_look_at_line(slot);
}

/* A driver that was not told of it need not hear of it at all. */
static void let_go(struct pv_serial_slot *slot)
{
	if (!slot->is_there)
		return;
	listen_to(slot, false);
	slot->is_there = false;
	slot->is_ready = false;
	slot->is_stale |= slot->is_known;
	slot->progress = (struct pv_serial_progress){ 0 };
	pv_serial_set_guest_open(slot, false);
	set_config_size(slot, 0);
	pv_serial_unmark(slot, PV_MARKS);
	if (slot->is_known)
		pv_serial_mark(slot, PV_MARK_REMOVE);
}

static void follow_request(struct pv_serial_slot *slot)
{
	enum pv_serial_request wanted = PV_SERIAL_ADD;

	if (__atomic_compare_exchange_n(&slot->request, &wanted, PV_SERIAL_NOTHING, false,
	                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		take_in(slot);
	} else if (wanted == PV_SERIAL_REMOVE) {
		let_go(slot);
		__atomic_store_n(&slot->request, PV_SERIAL_REMOVED, __ATOMIC_RELEASE);
	}
}

bool pv_serial_follow(struct pv_serial *serial)
{
	if (!__atomic_load_n(&serial->has_news, __ATOMIC_RELAXED) ||
	    !__atomic_exchange_n(&serial->has_news, false, __ATOMIC_ACQUIRE))
		return false;
	serial->has_to_tell = true;
	for (uint16_t i = 0; i < serial->options.ports_max; i++) {
		struct pv_serial_slot *slot = &serial->slot[i];

		follow_request(slot);
		if (__atomic_exchange_n(&slot->has_line_changed, false, __ATOMIC_ACQUIRE))
			pv_serial_look_at_line(slot);
	}
	return true;
}

void pv_serial_set_guest_open(struct pv_serial_slot *slot, bool is_open)
{
	if (slot->is_guest_open == is_open)
		return;
	__atomic_store_n(&slot->is_guest_open, is_open, __ATOMIC_RELAXED);
	slot->serial->has_to_tell = true;
}

void pv_serial_forget_driver(struct pv_serial *serial)
{
	serial->is_driver_ready = false;
	serial->was_ready_said = false;
	for (uint16_t i = 0; i < serial->options.ports_max; i++) {
		struct pv_serial_slot *slot = &serial->slot[i];

		slot->is_known = false;
		slot->is_ready = false;
		slot->is_stale = false;
		pv_serial_set_guest_open(slot, false);
		pv_serial_unmark(slot, PV_MARKS);
	}
}

void pv_serial_begin_anew(struct pv_serial *serial)
{
	pv_serial_forget_driver(serial);
	for (uint16_t i = 0; i < serial->options.ports_max; i++)
		serial->slot[i].progress = (struct pv_serial_progress){ 0 };
}

void pv_serial_tell_control(struct pv_serial *serial, struct pv_queue *queue)
{
	struct pv_port *port = serial->device.port;

	if (!serial->has_to_tell)
		return;
	serial->has_to_tell = false;
	port->ops->queue_event(port, queue);
}

/* ---- what the control side hears ---- */

/* Whoever is told may add a port here, or anywhere. */
static void finish_removal(struct pv_serial_slot *slot)
{
	struct pv_waiter removed = slot->removed;

	if (__atomic_load_n(&slot->request, __ATOMIC_ACQUIRE) != PV_SERIAL_REMOVED)
		return;
	__atomic_store_n(&slot->request, PV_SERIAL_NOTHING, __ATOMIC_RELAXED);
	slot->presence = PV_SERIAL_ABSENT;
	slot->line = NULL;
	slot->removed = (struct pv_waiter){ 0 };
	if (removed.call)
		removed.call(removed.arg);
}

static void tell_guest_open(struct pv_serial *serial, uint16_t index)
{
	struct pv_serial_slot *slot = &serial->slot[index];
	bool is_open = pv_serial_is_guest_open(&serial->device, index);

	if (slot->told_guest_open == is_open)
		return;
	slot->told_guest_open = is_open;
	if (serial->options.guest_changed)
		serial->options.guest_changed(serial->options.arg, index, is_open);
}

static void show_size(struct pv_serial *serial)
{
	uint32_t size = __atomic_load_n(&serial->size, __ATOMIC_RELAXED);

	if (serial->shown_size == size)
		return;
	serial->shown_size = size;
	if (serial->device.features & VIRTIO_CONSOLE_F_SIZE)
		pv_device_config_changed(&serial->device);
}

void pv_serial_heard(struct pv_serial *serial)
{
	show_size(serial);
	for (uint16_t i = 0; i < serial->options.ports_max; i++) {
		tell_guest_open(serial, i);
		finish_removal(&serial->slot[i]);
	}
}

void pv_serial_rested(struct pv_serial *serial)
{
	if (does_any_queue_run(&serial->device))
		return;
	pv_serial_follow(serial);
	serial->has_to_tell = false;
	pv_serial_heard(serial);
}

/* ---- what the control side wants ---- */

/* Has whoever has the slots carry out what was written into one. */
static void have_followed(struct pv_serial *serial)
{
	struct pv_device *device = &serial->device;

	pv_serial_raise_news(serial);
	for (uint16_t i = 0; i < device->queues; i++)
		if (device->queue[i].state == PV_QUEUE_RUNNING) {
			device->port->ops->queue_wake(device->port, &device->queue[i]);
			return;
		}
	/* Where queues are stopping the last one will see to it. */
	pv_serial_rested(serial);
}

int pv_serial_free_port(const struct pv_device *device)
{
	const struct pv_serial *serial = pv_serial_of_const(device);

	for (uint16_t i = 0; i < serial->options.ports_max; i++)
		if (serial->slot[i].presence == PV_SERIAL_ABSENT)
			return i;
	return -PV_ENOSPC;
}

static uint8_t copy_name(char to[static PV_SERIAL_NAME_MAX], const char *name)
{
	uint8_t bytes = 0;

	for (; name && bytes < PV_SERIAL_NAME_MAX && name[bytes]; bytes++)
		to[bytes] = name[bytes];
	return bytes;
}

int pv_serial_add_port(struct pv_device *device, uint16_t index, const struct pv_serial_port *port)
{
	struct pv_serial *serial = pv_serial_of(device);
	struct pv_serial_slot *slot;

	if (index >= serial->options.ports_max)
		return -PV_EINVAL;
	slot = &serial->slot[index];
	if (slot->presence != PV_SERIAL_ABSENT)
		return -PV_EBUSY;
	slot->presence = PV_SERIAL_PRESENT;
	slot->line = port->line;
	slot->is_console = port->is_console;
	slot->has_legacy_resize = port->has_legacy_resize;
	slot->name_bytes = copy_name(slot->name, port->name);
	__atomic_store_n(&slot->request, PV_SERIAL_ADD, __ATOMIC_RELEASE);
	have_followed(serial);
	return 0;
}

int pv_serial_remove_port(struct pv_device *device, uint16_t index, struct pv_waiter removed)
{
	struct pv_serial *serial = pv_serial_of(device);
	struct pv_serial_slot *slot;

	if (index >= serial->options.ports_max || serial->slot[index].presence == PV_SERIAL_ABSENT)
		return -PV_EINVAL;
	slot = &serial->slot[index];
	if (slot->presence == PV_SERIAL_LEAVING)
		return -PV_EBUSY;
	slot->presence = PV_SERIAL_LEAVING;
	slot->removed = removed;
	__atomic_store_n(&slot->request, PV_SERIAL_REMOVE, __ATOMIC_RELEASE);
	have_followed(serial);
	return 0;
}

bool pv_serial_is_guest_open(const struct pv_device *device, uint16_t index)
{
	const struct pv_serial *serial = pv_serial_of_const(device);

	if (index >= serial->options.ports_max)
		return false;
	if (!pv_serial_is_multiport(serial))
		return index == 0 && device->queue[0].state != PV_QUEUE_IDLE;
	return __atomic_load_n(&serial->slot[index].is_guest_open, __ATOMIC_RELAXED);
}

/* Without MULTIPORT there is but a console. */
static bool is_console(const struct pv_serial *serial, const struct pv_serial_slot *slot)
{
	return slot->presence == PV_SERIAL_PRESENT &&
	       (slot->is_console || serial->options.is_single);
}

struct pv_line *pv_serial_emergency_line(const struct pv_serial *serial)
{
	for (uint16_t i = 0; i < serial->options.ports_max; i++)
		if (is_console(serial, &serial->slot[i]))
			return serial->slot[i].line;
	return NULL;
}
