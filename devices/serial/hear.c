/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control transmitq (virtio 1.3, section 5.3.6.2): what the driver says.  What has another
 * size, names no port or nothing that can be said, or comes before what it depends on is counted,
 * and changes nothing.
 *
 * A port may have been taken away, and another put in its place, while the driver said something
 * about it: what is about a port that it has not heard the end of is no mistake, and of no
 * consequence.
 */
#include "devices/serial/internal.h"

#define MESSAGES_MAX 64u                                   /* in a run */
#define PIECES_MAX   sizeof(struct virtio_console_control) /* memory may be cut anywhere */

/* Each returns whether the driver could say that. */

static bool hear_device_ready(struct pv_serial *serial, bool is_ready)
{
	if (!is_ready) {
		pv_serial_forget_driver(serial);
		return true;
	}
	/* Another driver, in the place of one that left without a reset (User Mode Linux's). */
	if (serial->was_ready_said)
		pv_serial_begin_anew(serial);
	serial->was_ready_said = true;
	serial->is_driver_ready = true;
	for (uint16_t i = 0; i < serial->options.ports_max; i++)
		if (serial->slot[i].is_there && !serial->slot[i].is_known)
			pv_serial_mark(&serial->slot[i], PV_MARK_ADD);
	return true;
}

/* Does the driver still mean the port that was here before? */
static bool is_outdated(const struct pv_serial_slot *slot)
{
	return slot->marks & PV_MARK_REMOVE;
}

/*
 * A driver that wakes up with the device reset goes on with the ports that it had (Linux does): it
 * says that they are ready, and not that it is.
 */
static bool is_waking(const struct pv_serial_slot *slot)
{
	return !slot->is_known && !slot->serial->was_ready_said;
}

static void begin_port(struct pv_serial_slot *slot)
{
	slot->serial->is_driver_ready = true;
	slot->is_known = true;
	if (!slot->is_there) {
		/* It has gone meanwhile. */
		pv_serial_mark(slot, PV_MARK_REMOVE);
		return;
	}
	slot->is_ready = true;
	slot->is_stale = false;
	pv_serial_mark_all(slot);
}

static void end_port(struct pv_serial_slot *slot)
{
	slot->is_ready = false;
	pv_serial_set_guest_open(slot, false);
	pv_serial_unmark(slot, PV_MARKS);
}

static bool hear_port_ready(struct pv_serial_slot *slot, bool is_ready)
{
	if (is_outdated(slot))
		return true;
	if (!slot->is_known && !(is_ready && is_waking(slot)))
		return false;
	if (is_ready)
		begin_port(slot);
	else
		end_port(slot);
	return true;
}

static bool hear_port_open(struct pv_serial_slot *slot, bool is_open)
{
	if (is_outdated(slot))
		return true;
	if (!slot->is_ready)
		return false;
	pv_serial_set_guest_open(slot, is_open);
	return true;
}

static bool hear(struct pv_serial *serial, const struct virtio_console_control *message)
{
	uint32_t id = pv_le32_get(message->id);
	uint16_t event = pv_le16_get(message->event), value = pv_le16_get(message->value);

	if (value > 1)
		return false;
	if (event == VIRTIO_CONSOLE_DEVICE_READY)
		return hear_device_ready(serial, value);
	if (id >= serial->options.ports_max)
		return false;
	if (event == VIRTIO_CONSOLE_PORT_READY)
		return hear_port_ready(&serial->slot[id], value);
	if (event == VIRTIO_CONSOLE_PORT_OPEN)
		return hear_port_open(&serial->slot[id], value);
	return false;
}

static void hear_chain(struct pv_queue *queue, const struct pv_chain *chain)
{
	struct pv_serial_counters *counters = pv_serial_counters_of(queue);
	struct virtio_console_control message;
	struct pv_cursor reader = pv_chain_reader(chain);

	if (chain->is_incomplete)
		return;
	if (chain->writable_bytes > 0) {
		pv_queue_bad_chain(queue, "a control message that is to be written to");
		return;
	}
	pv_count(&counters->messages);
	if (chain->readable_bytes != sizeof(message) ||
	    pv_cursor_read(&reader, &message, sizeof(message)) != sizeof(message) ||
	    !hear(pv_serial_of(queue->device), &message))
		pv_count(&counters->bad_messages);
}

bool pv_serial_hear(struct pv_queue *queue)
{
	struct pv_iov iov[PIECES_MAX];
	uint32_t count;

	pv_serial_of(queue->device)->hearing = queue;
	for (count = 0; count < MESSAGES_MAX; count++) {
		struct pv_chain chain = { .iov = iov, .capacity = PIECES_MAX };

		if (!pv_queue_take(queue, &chain))
			break;
		hear_chain(queue, &chain);
		pv_queue_return(queue, &chain, 0);
	}
	return count > 0;
}

void pv_serial_hear_drain(struct pv_queue *queue)
{
	pv_serial_of(queue->device)->hearing = NULL;
}
