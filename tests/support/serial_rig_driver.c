/* SPDX-License-Identifier: BSD-2-Clause */
/* What the driver of a serial rig does: chains, and control messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/serial_rig.h"

/* ---- chains ---- */

void serial_rig_offer(struct serial_rig *rig, uint16_t queue, const struct pv_sg *sg,
                      uint16_t readable, uint16_t writable)
{
	struct pv_drv_ring *ring = &rig->queue[queue].ring;
	void *token = serial_rig_at(rig, sg[0].addr);

	assert_int_equal(pv_drv_ring_add(ring, sg, readable, writable, token), 0);
	pv_drv_ring_publish(ring);
}

#define AREA_ALIGN 16u

struct pv_sg serial_rig_alloc(struct serial_rig *rig, uint32_t bytes)
{
	struct pv_sg sg = { pv_gpa_add(rig->area, rig->area_at), bytes };

	rig->area_at += (bytes + AREA_ALIGN) & ~(AREA_ALIGN - 1);
	assert_in_range(rig->area_at, 0, SERIAL_RIG_AREA_BYTES);
	return sg;
}

/* What is no memory has a token all the same. */
uint8_t *serial_rig_at(const struct serial_rig *rig, struct pv_gpa gpa)
{
	uint64_t offset = gpa.v - rig->area.v;

	return rig->area_host + (offset < SERIAL_RIG_AREA_BYTES ? offset : 0);
}

void serial_rig_send(struct serial_rig *rig, uint16_t queue, const void *data, uint32_t bytes)
{
	struct pv_sg whole = serial_rig_alloc(rig, bytes);
	struct pv_sg sg[3] = { { whole.addr, bytes / 3 },
		               { pv_gpa_add(whole.addr, bytes / 3), bytes / 3 },
		               { pv_gpa_add(whole.addr, bytes / 3 * 2), bytes - bytes / 3 * 2 } };

	memcpy(serial_rig_at(rig, whole.addr), data, bytes);
	serial_rig_offer(rig, queue, sg, 3, 0);
}

void serial_rig_buffer(struct serial_rig *rig, uint16_t queue, uint32_t bytes)
{
	struct pv_sg sg = serial_rig_alloc(rig, bytes);

	serial_rig_offer(rig, queue, &sg, 0, 1);
}

uint8_t *serial_rig_take(struct serial_rig *rig, uint16_t queue, uint32_t *written_bytes)
{
	enum pv_drv_take taken;
	void *token = NULL;

	taken = pv_drv_ring_take(&rig->queue[queue].ring, &token, written_bytes);
	assert_int_not_equal(taken, PV_DRV_BROKEN);
	return token;
}

void serial_rig_expect_back(struct serial_rig *rig, uint16_t queue)
{
	uint32_t bytes = 1;

	assert_non_null(serial_rig_take(rig, queue, &bytes));
	assert_int_equal(bytes, 0);
}

void serial_rig_expect_none(struct serial_rig *rig, uint16_t queue)
{
	uint32_t bytes;

	assert_null(serial_rig_take(rig, queue, &bytes));
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
	uint8_t *buffer = serial_rig_take(rig, CONTROL_RX, &written);

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

uint64_t serial_rig_count(const struct serial_rig *rig, uint16_t queue, const char *name)
{
	const struct pv_device_ops *ops = rig->device->ops;
	const struct pv_counter_name *which = ops->counter_names;

	while (strcmp(which->name, name) != 0)
		which++;
	return pv_counter_at(ops->queue_counters(rig->device, queue), which);
}

const struct pv_queue_counters *serial_rig_counters(const struct serial_rig *rig, uint16_t queue)
{
	return &rig->device->queue[queue].counters;
}
