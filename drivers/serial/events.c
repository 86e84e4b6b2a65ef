/* SPDX-License-Identifier: BSD-2-Clause */
/* What the device says about its ports (section 5.3.6.2), believed as far as it makes sense. */
#include "drivers/serial/internal.h"
#include "ring/err.h"

static bool come_back(struct pv_serdrv_port *port)
{
	struct pv_serdrv_control *control = &port->serial->control;
	const bool was_open = port->state.host_is_open;

	pv_serdrv_port_come_back(port);
	control->are_all_back = --control->missing == 0;
	/* Whether somebody is at the other end it says anew. */
	port->state.host_is_open = false;
	if (was_open)
		pv_serdrv_changed(port, PV_SERDRV_HOST);
	return true;
}

static bool add(struct pv_serdrv *serial, uint32_t id)
{
	struct pv_serdrv_port *port;

	if (id >= serial->info.ports) {
		serial->control.refused[id / 32] |= 1u << id % 32;
		return true;
	}
	port = &serial->port[id];
	if (port->is_missing)
		return come_back(port);
	if (port->state.is_there || port->is_awaited)
		return false;
	pv_serdrv_port_add(port);
	return true;
}

static bool remove(struct pv_serdrv_port *port)
{
	struct pv_serdrv_control *control = &port->serial->control;

	if (port->is_missing)
		control->are_all_back = --control->missing == 0;
	if (port->is_awaited)
		port->is_awaited = false;
	else
		pv_serdrv_port_remove(port);
	return true;
}

/* The driver MUST answer that it is open. */
static bool become_console(struct pv_serdrv_port *port)
{
	port->state.is_console = true;
	port->says_open = true;
	port->owes_open = true;
	pv_serdrv_control_owe(port);
	pv_serdrv_changed(port, PV_SERDRV_IS_CONSOLE);
	return true;
}

static bool resize(struct pv_serdrv_port *port, const uint8_t *data, uint32_t bytes)
{
	struct virtio_console_resize size;

	if (bytes < sizeof(size))
		return false;
	__builtin_memcpy(&size, data, sizeof(size));
	port->state.columns = pv_le16_get(size.cols);
	port->state.rows = pv_le16_get(size.rows);
	pv_serdrv_changed(port, PV_SERDRV_RESIZED);
	return true;
}

static bool open(struct pv_serdrv_port *port, uint16_t value)
{
	if (value > 1)
		return false;
	if (port->state.host_is_open == (value == 1))
		return true;
	port->state.host_is_open = value == 1;
	pv_serdrv_changed(port, PV_SERDRV_HOST);
	return true;
}

/* Some devices write the end that the specification does without. */
static bool name(struct pv_serdrv_port *port, const uint8_t *data, uint32_t bytes)
{
	if (bytes > 0 && data[bytes - 1] == 0)
		bytes--;
	if (!pv_serdrv_name_is_good(data, bytes))
		return false;
	__builtin_memcpy(port->state.name, data, bytes);
	port->state.name[bytes] = 0;
	pv_serdrv_changed(port, PV_SERDRV_NAMED);
	return true;
}

static bool event_of(struct pv_serdrv_port *port, const struct virtio_console_control *head,
                     const uint8_t *data, uint32_t bytes)
{
	const uint16_t event = pv_le16_get(head->event);

	if (!port->state.is_there && !port->is_awaited)
		return false;
	if (event == VIRTIO_CONSOLE_DEVICE_REMOVE)
		return remove(port);
	/* The device says more when the port is ready, which one that is awaited is not. */
	if (port->is_awaited)
		return false;
	switch (event) {
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		return become_console(port);
	case VIRTIO_CONSOLE_RESIZE:
		return resize(port, data, bytes);
	case VIRTIO_CONSOLE_PORT_OPEN:
		return open(port, pv_le16_get(head->value));
	case VIRTIO_CONSOLE_PORT_NAME:
		return name(port, data, bytes);
	default:
		return false;
	}
}

bool pv_serdrv_event(struct pv_serdrv *serial, const uint8_t *message, uint32_t bytes)
{
	struct virtio_console_control head;
	uint32_t id;

	if (bytes < sizeof(head))
		return false;
	__builtin_memcpy(&head, message, sizeof(head));
	id = pv_le32_get(head.id);
	if (id >= serial->info.ports_max)
		return false;
	if (pv_le16_get(head.event) == VIRTIO_CONSOLE_DEVICE_ADD)
		return add(serial, id);
	/* It was told that there is no such port here, but may not have read it yet. */
	if (id >= serial->info.ports)
		return true;
	return event_of(&serial->port[id], &head, message + sizeof(head),
	                (uint32_t)(bytes - sizeof(head)));
}
