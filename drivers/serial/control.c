/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queues (section 5.3.6.2).  What the device is to be told are marks, not messages that
 * wait: a device that takes none costs nothing more.
 */
#include "drivers/serial/internal.h"
#include "ring/barrier.h"
#include "ring/err.h"

#define QUEUE_SIZE 32u

/* A name that is longer than it may be is seen to be. */
#define MESSAGE_BYTES (sizeof(struct virtio_console_control) + PV_SERDRV_NAME_MAX + 2)

/* ---- set up ---- */

static uint16_t messages(const struct pv_driver_queue *queue)
{
	return queue->place.size < QUEUE_SIZE ? queue->place.size : QUEUE_SIZE;
}

static int setup_queue(struct pv_serdrv *serial, struct pv_driver_queue *queue, uint16_t index,
                       struct pv_serdrv_own *own, uint32_t message_bytes)
{
	const struct pv_driver_queue_options ring = { .size_max = QUEUE_SIZE,
		                                      .requests = &pv_serdrv_own_ops };
	int error = pv_driver_queue_init(queue, &serial->driver, index, &ring);

	return error ? error
	             : pv_serdrv_own_alloc(serial->driver.os, own, messages(queue), message_bytes);
}

int pv_serdrv_control_setup(struct pv_serdrv *serial)
{
	struct pv_serdrv_control *control = &serial->control;
	int error;

	if (!serial->info.has_control)
		return 0;
	error = setup_queue(serial, &control->in, VIRTIO_CONSOLE_CONTROL_RECEIVEQ, &control->in_own,
	                    MESSAGE_BYTES);
	return error ? error
	             : setup_queue(serial, &control->out, VIRTIO_CONSOLE_CONTROL_TRANSMITQ,
	                           &control->out_own, sizeof(struct virtio_console_control));
}

void pv_serdrv_control_teardown(struct pv_serdrv *serial)
{
	struct pv_serdrv_control *control = &serial->control;

	pv_serdrv_own_free(&serial->driver, &control->in_own);
	pv_serdrv_own_free(&serial->driver, &control->out_own);
	if (control->in.driver)
		pv_driver_queue_fini(&control->in);
	if (control->out.driver)
		pv_driver_queue_fini(&control->out);
}

/* What was owed before a reset is of no use any more. */
static void forget(struct pv_serdrv_control *control)
{
	for (struct pv_serdrv_port *port = control->first_owing; port; port = port->next_owing)
		port->is_owing = port->owes_ready = port->owes_open = false;
	control->first_owing = NULL;
	__builtin_memset(control->refused, 0, sizeof(control->refused));
}

int pv_serdrv_control_start(struct pv_serdrv *serial)
{
	struct pv_serdrv_control *control = &serial->control;
	int error;

	if (!serial->info.has_control)
		return 0;
	pv_driver_queue_end_aside(&control->in, -PV_EBROKEN);
	pv_driver_queue_end_aside(&control->out, -PV_EBROKEN);
	forget(control);
	error = pv_serdrv_own_post(&control->in, &control->in_own, NULL);
	control->owes_device_ready = true;
	pv_serdrv_control_tell(serial);
	return error;
}

/* ---- to the device ---- */

static struct pv_serdrv_own_buffer *free_message(struct pv_serdrv_control *control)
{
	for (uint32_t i = 0; i < control->out_own.buffers; i++)
		if (!control->out_own.buffer[i].is_posted)
			return &control->out_own.buffer[i];
	return NULL;
}

/* False: not now. */
static bool send(struct pv_serdrv_control *control, uint32_t id, uint16_t event, bool value)
{
	const struct virtio_console_control message = { pv_le32_of(id), pv_le16_of(event),
		                                        pv_le16_of(value) };
	struct pv_serdrv_own_buffer *buffer = free_message(control);

	if (!buffer)
		return false;
	__builtin_memcpy(buffer->memory, &message, sizeof(message));
	if (pv_drv_ring_add(&control->out.ring, &buffer->piece, 1, 0, buffer))
		return false;
	buffer->is_posted = true;
	control->counters.messages_out++;
	return true;
}

/* A port that was announced, and that there are no queues for. */
static bool tell_refusals(struct pv_serdrv_control *control)
{
	for (uint32_t i = 0; i < sizeof(control->refused) / sizeof(control->refused[0]); i++) {
		while (control->refused[i]) {
			const uint32_t bit = (uint32_t)__builtin_ctz(control->refused[i]);

			if (!send(control, 32 * i + bit, VIRTIO_CONSOLE_PORT_READY, false))
				return false;
			control->refused[i] &= control->refused[i] - 1;
		}
	}
	return true;
}

/* A port has to be ready before it can be open. */
static bool tell_of(struct pv_serdrv_control *control, struct pv_serdrv_port *port)
{
	const uint16_t id = port->state.number;

	if (port->owes_ready && !send(control, id, VIRTIO_CONSOLE_PORT_READY, true))
		return false;
	port->owes_ready = false;
	if (port->owes_open && !send(control, id, VIRTIO_CONSOLE_PORT_OPEN, port->says_open))
		return false;
	port->owes_open = false;
	return true;
}

static void tell_all(struct pv_serdrv_control *control)
{
	struct pv_serdrv_port *port;

	if (control->owes_device_ready && !send(control, 0, VIRTIO_CONSOLE_DEVICE_READY, true))
		return;
	control->owes_device_ready = false;
	if (!tell_refusals(control))
		return;
	while ((port = control->first_owing) && tell_of(control, port)) {
		control->first_owing = port->next_owing;
		port->is_owing = false;
	}
}

/* Messages that the device has read. */
static void take_back(struct pv_serdrv_control *control)
{
	uint32_t written_bytes;
	void *token;

	for (uint32_t i = 0; i < control->out.ring.size; i++) {
		if (pv_drv_ring_take(&control->out.ring, &token, &written_bytes) != PV_DRV_TAKEN)
			return;
		((struct pv_serdrv_own_buffer *)token)->is_posted = false;
	}
}

void pv_serdrv_control_tell(struct pv_serdrv *serial)
{
	if (!serial->info.has_control)
		return;
	take_back(&serial->control);
	tell_all(&serial->control);
	pv_driver_queue_publish(&serial->control.out);
}

void pv_serdrv_control_owe(struct pv_serdrv_port *port)
{
	struct pv_serdrv_control *control = &port->serial->control;

	if (!port->serial->info.has_control || port->is_owing)
		return;
	port->is_owing = true;
	port->next_owing = NULL;
	if (control->first_owing)
		control->last_owing->next_owing = port;
	else
		control->first_owing = port;
	control->last_owing = port;
}

/* ---- from the device ---- */

/* Copied, and its buffer is the device's again, before anything is made of it. */
static void receive(struct pv_serdrv *serial, struct pv_serdrv_own_buffer *buffer, uint32_t bytes)
{
	struct pv_serdrv_control *control = &serial->control;
	uint8_t message[MESSAGE_BYTES];

	pv_copy_once(message, buffer->memory, bytes);
	pv_serdrv_own_add(&control->in, buffer);
	control->counters.messages_in++;
	if (!pv_serdrv_event(serial, message, bytes))
		control->counters.malformed++;
}

uint32_t pv_serdrv_control_poll(struct pv_serdrv *serial)
{
	struct pv_serdrv_control *control = &serial->control;
	uint32_t count = 0, written_bytes;
	void *token;

	if (!serial->info.has_control)
		return 0;
	while (count < control->in.ring.size &&
	       pv_drv_ring_take(&control->in.ring, &token, &written_bytes) == PV_DRV_TAKEN) {
		receive(serial, token, written_bytes);
		count++;
	}
	pv_driver_queue_publish(&control->in);
	pv_serdrv_control_tell(serial);
	return count;
}

struct pv_serdrv_control_counters pv_serdrv_control_counters(const struct pv_serdrv *serial)
{
	const struct pv_serdrv_control *control = &serial->control;
	struct pv_serdrv_control_counters counters = control->counters;

	counters.kicks = control->in.kicks + control->out.kicks;
	counters.lies = control->in.lies + control->in.ring.lies + control->out.lies +
	                control->out.ring.lies;
	return counters;
}
