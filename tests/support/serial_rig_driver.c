/* SPDX-License-Identifier: BSD-2-Clause */
/* What the driver of a serial rig does: chains, and control messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/serial_rig.h"

/* ---- chains ---- */

void serial_rig_send(struct serial_rig *rig, uint16_t queue, const void *data, uint32_t bytes)
{
	struct pv_sg whole = device_rig_alloc(&rig->base, bytes);
	struct pv_sg sg[3] = { { whole.addr, bytes / 3 },
		               { pv_gpa_add(whole.addr, bytes / 3), bytes / 3 },
		               { pv_gpa_add(whole.addr, bytes / 3 * 2), bytes - bytes / 3 * 2 } };

	memcpy(device_rig_at(&rig->base, whole.addr), data, bytes);
	device_rig_offer(&rig->base, queue, sg, 3, 0);
}

void serial_rig_buffer(struct serial_rig *rig, uint16_t queue, uint32_t bytes)
{
	struct pv_sg sg = device_rig_alloc(&rig->base, bytes);

	device_rig_offer(&rig->base, queue, &sg, 0, 1);
}

void serial_rig_expect_back(struct serial_rig *rig, uint16_t queue)
{
	uint32_t bytes = 1;

	assert_non_null(device_rig_take(&rig->base, queue, &bytes));
	assert_int_equal(bytes, 0);
}

void serial_rig_expect_none(struct serial_rig *rig, uint16_t queue)
{
	uint32_t bytes;

	assert_null(device_rig_take(&rig->base, queue, &bytes));
}

/* ---- control messages ---- */

void serial_rig_post(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control message = { pv_le32_of(id), pv_le16_of(event),
		                                        pv_le16_of(value) };

	serial_rig_send(rig, CONTROL_TX, &message, sizeof(message));
}

void serial_rig_say(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value)
{
	serial_rig_post(rig, id, event, value);
	serial_rig_run(rig);
	serial_rig_expect_back(rig, CONTROL_TX);
}

void serial_rig_listen(struct serial_rig *rig, uint32_t messages)
{
	while (messages-- > 0)
		serial_rig_buffer(rig, CONTROL_RX, 256);
	serial_rig_run(rig);
}

void serial_rig_expect_message(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value,
                               const void *more, uint32_t bytes)
{
	struct virtio_console_control message;
	uint32_t written = 0;
	uint8_t *buffer = device_rig_take(&rig->base, CONTROL_RX, &written);

	if (!buffer)
		fail_msg("nothing was told of port %u, event %u", id, event);
	assert_int_equal(written, sizeof(message) + bytes);
	memcpy(&message, buffer, sizeof(message));
	assert_int_equal(pv_le32_get(message.id), id);
	assert_int_equal(pv_le16_get(message.event), event);
	assert_int_equal(pv_le16_get(message.value), value);
	if (bytes > 0)
		assert_memory_equal(buffer + sizeof(message), more, bytes);
}

void serial_rig_expect_told(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value,
                            const void *more, uint32_t bytes)
{
	serial_rig_listen(rig, 1);
	serial_rig_expect_message(rig, id, event, value, more, bytes);
}

/* The buffer stays there. */
void serial_rig_expect_silence(struct serial_rig *rig)
{
	serial_rig_run(rig);
	assert_true(rig->device->queue[CONTROL_RX].is_stalled);
	serial_rig_expect_none(rig, CONTROL_RX);
}

/* ---- what is counted ---- */

const struct pv_queue_counters *serial_rig_counters(const struct serial_rig *rig, uint16_t queue)
{
	return &rig->device->queue[queue].counters;
}
