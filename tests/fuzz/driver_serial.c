/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial driver on a device by script: whatever that does, each write and each read ends once,
 * what is received lies in memory that was posted, a port that is not there takes nothing, names
 * can be shown, and nothing is left behind.
 */
#include <string.h>

#include "drivers/serial/serial.h"
#include "ring/err.h"
#include "tests/fuzz/scripted.h"

#define PORTS      2u
#define TIMEOUT_NS 20000000u

static struct scripted scripted;
static struct pv_serdrv *serial;
static uint32_t takes; /* bytes in a call */

static struct slot {
	struct pv_serdrv_data data;
	bool is_out;
} slots[SCRIPTED_BUFFERS];

static void done(struct pv_serdrv_data *data)
{
	struct slot *slot = (struct slot *)(void *)data;

	pv_bug_on(!slot->is_out || !data->is_done);
	pv_bug_on(data->bytes > data->buffer.bytes);
	pv_bug_on((data->bytes == 0) == (data->error == 0));
	slot->is_out = false;
}

static uint32_t received(struct pv_serdrv_port *port, const void *data, uint32_t bytes, void *arg)
{
	volatile uint8_t last = ((const uint8_t *)data)[bytes - 1];

	(void)arg;
	(void)last;
	pv_bug_on(bytes == 0 || !pv_serdrv_state(port)->is_open);
	return bytes < takes ? bytes : takes;
}

static void changed(struct pv_serdrv_port *port, uint32_t what, void *arg)
{
	const struct pv_serdrv_state *state = pv_serdrv_state(port);

	(void)arg;
	pv_bug_on(state->number >= PORTS);
	pv_bug_on(state->is_there == (what == PV_SERDRV_REMOVED));
	for (const char *at = state->name; *at; at++)
		pv_bug_on((uint8_t)*at < 0x20 || *at == 0x7f);
	if (what & PV_SERDRV_ADDED)
		pv_serdrv_open(port);
}

static void configure(struct fuzz_input *input)
{
	struct virtio_console_config config = { .cols = pv_le16_of(80),
		                                .max_nr_ports = pv_le32_of(PORTS) };

	memcpy(scripted.config, &config, sizeof(config));
	if (fuzz_u8(input) % 8 == 0)
		fuzz_copy(input, scripted.config + 4, 4);
	scripted.head_bytes = 16;
	scripted.queues = 2 * PORTS + 2;
	/* A wait is to end while the device says something all the time. */
	scripted.tick_ns = TIMEOUT_NS / 100;
}

static void submit(struct pv_serdrv_port *port, struct slot *slot, uint32_t bytes, uint8_t what)
{
	int error;

	if (slot->is_out)
		return;
	slot->data = (struct pv_serdrv_data){
		.buffer = { scripted.buffer[slot - slots].memory,
		            bytes % ((uint32_t)scripted.buffer[0].bytes + 1) },
		.timeout_ns = what & 1 ? TIMEOUT_NS : 0,
		.done = done,
	};
	slot->is_out = true;
	error = what & 2 ? pv_serdrv_write(port, &slot->data) : pv_serdrv_read(port, &slot->data);
	pv_bug_on(error == 0 && !pv_serdrv_state(port)->is_open);
	if (error)
		slot->is_out = false;
}

static void wait_a_little(struct pv_serdrv_port *port, uint8_t what)
{
	uint8_t text[2 * UINT8_MAX] = { 0 };
	size_t bytes = sizeof(text);

	if (what & 1) {
		pv_serdrv_put(port, text, 2u * what, TIMEOUT_NS);
		return;
	}
	pv_serdrv_get(port, text, &bytes, TIMEOUT_NS);
	pv_bug_on(bytes > sizeof(text));
}

static void step(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	struct pv_serdrv_port *port =
		pv_serdrv_port(serial, what / 16 % pv_serdrv_info(serial)->ports);

	switch (what % 16) {
	case 0:
		pv_serdrv_publish(port);
		break;
	case 1:
		pv_serdrv_tend(serial);
		break;
	case 2:
		pv_serdrv_config_changed(serial);
		break;
	case 3:
		pv_serdrv_queues_reset(port);
		break;
	case 4:
		pv_serdrv_open(port);
		break;
	case 5:
		pv_serdrv_close(port);
		break;
	case 6:
		if (!pv_serdrv_interrupts_on(serial))
			pv_serdrv_interrupts_off(serial);
		break;
	case 7:
		scripted.now_ns += 10000000;
		takes = fuzz_u8(input) % 64;
		break;
	case 8:
		wait_a_little(port, fuzz_u8(input));
		break;
	case 9:
	case 10:
		pv_serdrv_poll(serial);
		break;
	case 11:
	case 12:
		scripted_act(&scripted);
		break;
	default:
		submit(port, &slots[what / 32], fuzz_u16(input), fuzz_u8(input));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	uint8_t bits = fuzz_u8(&input);
	const struct pv_serdrv_options options = {
		.ports_max = PORTS,
		.queue_size = bits & 2 ? 4 : 0,
		.timeout_ns = TIMEOUT_NS,
		.write_timeout_ns = bits & 8 ? TIMEOUT_NS : 0,
		.fails_on_reset = bits & 4,
		.own_buffer_bytes = bits & 32 ? 128 : 0,
		.changed = changed,
		.received = bits & 64 ? received : NULL,
	};

	memset(slots, 0, sizeof(slots));
	takes = UINT32_MAX;
	scripted_open(&scripted, &input);
	configure(&input);
	if (pv_serdrv_create(&serial, &scripted.bus, &scripted.os, &options) == 0) {
		while (input.bytes > 0)
			step(&input);
		pv_serdrv_destroy(serial);
	}
	for (uint32_t i = 0; i < SCRIPTED_BUFFERS; i++)
		pv_bug_on(slots[i].is_out);
	scripted_close(&scripted);
	return 0;
}
