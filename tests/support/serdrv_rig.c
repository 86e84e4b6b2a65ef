/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/serdrv_rig.h"

#define DESCS_MAX 20u

const struct pv_serdrv_options serdrv_rig_own = { .ports_max = SERDRV_RIG_PORTS,
	                                          .own_buffer_bytes = 16,
	                                          .own_buffers = 2 };

/* ---- what the driver hands on ---- */

static void changed(struct pv_serdrv_port *port, uint32_t what, void *arg)
{
	struct serdrv_rig *rig = arg;

	if (rig->changes < SERDRV_RIG_CHANGES)
		rig->change[rig->changes++] =
			(struct serdrv_rig_change){ pv_serdrv_state(port)->number, what };
	if (what & PV_SERDRV_ADDED && rig->opens_all)
		assert_int_equal(pv_serdrv_open(port), 0);
}

static uint32_t received(struct pv_serdrv_port *port, const void *data, uint32_t bytes, void *arg)
{
	struct serdrv_rig *rig = arg;
	const uint32_t took = bytes < rig->takes ? bytes : rig->takes;

	(void)port;
	assert_true(bytes > 0);
	assert_true(rig->received_bytes + took <= SERDRV_RIG_BYTES);
	memcpy(rig->received + rig->received_bytes, data, took);
	rig->received_bytes += took;
	return took;
}

struct pv_serdrv_port *serdrv_rig_port(struct serdrv_rig *rig, uint32_t number)
{
	return pv_serdrv_port(rig->serial, number);
}

const struct pv_serdrv_state *serdrv_rig_state(struct serdrv_rig *rig, uint32_t number)
{
	return pv_serdrv_state(serdrv_rig_port(rig, number));
}

void serdrv_rig_expect_change(const struct serdrv_rig *rig, uint32_t at, uint16_t port,
                              uint32_t what)
{
	assert_true(at < rig->changes);
	assert_int_equal(rig->change[at].port, port);
	assert_int_equal(rig->change[at].what, what);
}

/* ---- rings ---- */

static uint8_t *at_desc(const struct virtq_desc *desc)
{
	return pv_fake_at(pv_gpa_of(pv_le64_get(desc->addr)));
}

static bool is_writable(const struct virtq_desc *desc)
{
	return pv_le16_get(desc->flags) & VIRTQ_DESC_F_WRITE;
}

static uint32_t fill(struct serdrv_rig *rig, uint16_t queue, const void *data, uint32_t bytes)
{
	struct virtq_desc desc[DESCS_MAX];
	uint16_t head, count = pv_fake_take(&rig->fake, queue, desc, DESCS_MAX, &head);
	uint32_t at = 0;

	for (uint16_t i = 0; i < count; i++) {
		uint32_t piece = pv_le32_get(desc[i].len);

		assert_true(is_writable(&desc[i]));
		if (piece > bytes - at)
			piece = bytes - at;
		memcpy(at_desc(&desc[i]), (const uint8_t *)data + at, piece);
		at += piece;
	}
	if (count > 0)
		pv_fake_return(&rig->fake, queue, head, at);
	return count > 0 ? at : UINT32_MAX;
}

static uint32_t empty(struct serdrv_rig *rig, uint16_t queue, void *to)
{
	struct virtq_desc desc[DESCS_MAX];
	uint16_t head, count = pv_fake_take(&rig->fake, queue, desc, DESCS_MAX, &head);
	uint32_t at = 0;

	for (uint16_t i = 0; i < count; i++) {
		const uint32_t piece = pv_le32_get(desc[i].len);

		assert_false(is_writable(&desc[i]));
		assert_true(at + piece <= SERDRV_RIG_BYTES);
		memcpy((uint8_t *)to + at, at_desc(&desc[i]), piece);
		at += piece;
	}
	if (count > 0)
		pv_fake_return(&rig->fake, queue, head, 0);
	return at;
}

uint32_t serdrv_rig_give(struct serdrv_rig *rig, uint16_t port, const void *data, uint32_t bytes)
{
	const uint32_t filled = fill(rig, virtio_console_receiveq(port), data, bytes);

	return filled == UINT32_MAX ? 0 : filled;
}

uint32_t serdrv_rig_sent(struct serdrv_rig *rig, uint16_t port, void *to)
{
	return empty(rig, virtio_console_transmitq(port), to);
}

/* ---- messages ---- */

bool serdrv_rig_say_raw(struct serdrv_rig *rig, const void *message, uint32_t bytes)
{
	return fill(rig, VIRTIO_CONSOLE_CONTROL_RECEIVEQ, message, bytes) != UINT32_MAX;
}

bool serdrv_rig_say_more(struct serdrv_rig *rig, uint32_t id, uint16_t event, uint16_t value,
                         const void *data, uint32_t bytes)
{
	const struct virtio_console_control head = { pv_le32_of(id), pv_le16_of(event),
		                                     pv_le16_of(value) };
	uint8_t message[1024];

	assert_true(sizeof(head) + bytes <= sizeof(message));
	memcpy(message, &head, sizeof(head));
	if (bytes > 0)
		memcpy(message + sizeof(head), data, bytes);
	return serdrv_rig_say_raw(rig, message, (uint32_t)sizeof(head) + bytes);
}

bool serdrv_rig_say(struct serdrv_rig *rig, uint32_t id, uint16_t event, uint16_t value)
{
	return serdrv_rig_say_more(rig, id, event, value, NULL, 0);
}

static void announce(struct serdrv_rig *rig)
{
	for (uint32_t i = 0; i < SERDRV_RIG_PORTS; i++)
		if (rig->announces >> i & 1)
			assert_true(serdrv_rig_say(rig, i, VIRTIO_CONSOLE_DEVICE_ADD, 0));
}

void serdrv_rig_read_messages(struct serdrv_rig *rig)
{
	struct virtio_console_control head;
	uint8_t message[SERDRV_RIG_BYTES];
	uint32_t bytes;

	if (!rig->fake.is_enabled[VIRTIO_CONSOLE_CONTROL_TRANSMITQ])
		return;
	while ((bytes = empty(rig, VIRTIO_CONSOLE_CONTROL_TRANSMITQ, message)) > 0) {
		assert_int_equal(bytes, sizeof(head));
		assert_true(rig->messages < SERDRV_RIG_MESSAGES);
		memcpy(&head, message, sizeof(head));
		rig->message[rig->messages++] =
			(struct serdrv_rig_message){ pv_le32_get(head.id), pv_le16_get(head.event),
			                             pv_le16_get(head.value) };
		if (pv_le16_get(head.event) == VIRTIO_CONSOLE_DEVICE_READY)
			announce(rig);
	}
}

void serdrv_rig_expect_told(struct serdrv_rig *rig, uint32_t id, uint16_t event, uint16_t value)
{
	const struct serdrv_rig_message *message = &rig->message[rig->looked];

	serdrv_rig_read_messages(rig);
	assert_true(rig->looked++ < rig->messages);
	assert_int_equal(message->id, id);
	assert_int_equal(message->event, event);
	assert_int_equal(message->value, value);
}

void serdrv_rig_expect_told_no_more(struct serdrv_rig *rig)
{
	serdrv_rig_read_messages(rig);
	assert_int_equal(rig->looked, rig->messages);
}

static void while_it_waits(struct pv_fake_bus *fake)
{
	struct serdrv_rig *rig = (struct serdrv_rig *)fake;

	if (!rig->is_silent)
		serdrv_rig_read_messages(rig);
}

/* ---- its life ---- */

struct virtio_console_config *serdrv_rig_config(struct serdrv_rig *rig)
{
	return (struct virtio_console_config *)(void *)rig->fake.config;
}

void serdrv_rig_open(struct serdrv_rig *rig, uint64_t offered)
{
	*rig = (struct serdrv_rig){ .takes = UINT32_MAX };
	pv_fake_bus_open(&rig->fake, offered | VIRTIO_F_VERSION_1);
	rig->fake.on_wait = while_it_waits;
	for (uint32_t i = 0; i < SERDRV_RIG_BYTES; i++)
		rig->text[i] = (uint8_t)(i * 7 + i / 256);
	*serdrv_rig_config(rig) = (struct virtio_console_config){
		.cols = pv_le16_of(80),
		.rows = pv_le16_of(25),
		.max_nr_ports = pv_le32_of(SERDRV_RIG_PORTS),
	};
}

int serdrv_rig_start(struct serdrv_rig *rig, const struct pv_serdrv_options *options)
{
	struct pv_serdrv_options own = { .ports_max = SERDRV_RIG_PORTS };

	if (options)
		own = *options;
	own.changed = changed;
	if (rig->takes > 0)
		own.received = received;
	own.arg = rig;
	return pv_serdrv_create(&rig->serial, &rig->fake.bus, &rig->fake.os, &own);
}

void serdrv_rig_up(struct serdrv_rig *rig, uint64_t offered,
                   const struct pv_serdrv_options *options)
{
	serdrv_rig_open(rig, offered | VIRTIO_CONSOLE_F_MULTIPORT);
	assert_int_equal(serdrv_rig_start(rig, options), 0);
	rig->announces = 1u << 1;
	serdrv_rig_read_messages(rig);
	pv_serdrv_poll(rig->serial);
	assert_int_equal(pv_serdrv_open(pv_serdrv_port(rig->serial, 1)), 0);
	serdrv_rig_read_messages(rig);
	rig->looked = rig->messages;
	rig->changes = 0;
}

void serdrv_rig_close(struct serdrv_rig *rig)
{
	pv_serdrv_destroy(rig->serial);
	assert_int_equal(rig->fake.mapped_out, 0);
	assert_int_equal(rig->fake.shared_out + rig->fake.private_out, 0);
}
