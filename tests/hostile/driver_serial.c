/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A console device under a driver that means harm: chains that are nothing, endless ones, ones that
 * change while half of them has gone, messages of noise while ports come and go, and rings of
 * noise.  What is wrong comes back with nothing and is counted; no message of the device breaks the
 * rules of section 5.3.6.2.1; and the next byte goes through as before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/each.h"
#include "tests/support/serial_rig.h"

#define PORTS     SERIAL_RIG_LINES
#define MULTIPORT VIRTIO_CONSOLE_F_MULTIPORT

/* What devices/serial promises of one run. */
#define RUN_BYTES (1u << 20)
#define RUN_BURST 64u

static struct serial_rig rig;
static uint8_t data[4096];

/* Of so many, as many as are worth their time. */
static uint32_t some_of(uint32_t many)
{
	return getenv("PV_SHORT") ? many / 10 : many;
}

static void add_lines(struct serial_rig *to)
{
	for (uint16_t i = 0; i < PORTS; i++)
		serial_rig_add(to, i, i, "port", i == 0);
}

/* The driver takes what it is told without a look, and leaves no buffers. */
static void be_told(void)
{
	uint32_t bytes;

	serial_rig_run(&rig);
	while (!rig.device->queue[CONTROL_RX].is_stalled) {
		serial_rig_buffer(&rig, CONTROL_RX, 80);
		serial_rig_run(&rig);
		assert_non_null(device_rig_take(&rig.base, CONTROL_RX, &bytes));
	}
}

static void rig_open(uint64_t kind)
{
	const struct pv_serial_options options = { .ports_max = PORTS };

	serial_rig_open(&rig, &options);
	add_lines(&rig);
	serial_rig_start(&rig, kind | MULTIPORT);
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	be_told();
	for (uint32_t i = 0; i < PORTS; i++) {
		serial_rig_say(&rig, i, VIRTIO_CONSOLE_PORT_READY, 1);
		serial_rig_say(&rig, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}
	be_told();
}

static void expect_service(void)
{
	uint32_t bytes;
	uint8_t *buffer;

	pv_memory_line_forget(&rig.line[1]);
	serial_rig_send(&rig, TX(1), data, 100);
	serial_rig_buffer(&rig, RX(1), 100);
	pv_memory_line_put(&rig.line[1], data, 70);
	serial_rig_run(&rig);
	serial_rig_expect_back(&rig, TX(1));
	assert_int_equal(rig.line[1].written_bytes, 100);
	assert_memory_equal(rig.line[1].written, data, 100);
	buffer = device_rig_take(&rig.base, RX(1), &bytes);
	assert_non_null(buffer);
	assert_int_equal(bytes, 70);
	assert_memory_equal(buffer, data, 70);
	assert_int_equal(rig.base.needs_resets, 0);
}

static void on_every_ring(void (*evil)(void))
{
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		rig_open(pv_ring_kind[i]);
		expect_service();
		evil();
		expect_service();
		serial_rig_close(&rig);
	}
}

#define EVIL(name) PV_TEST_EACH(on_every_ring, name)

/* ---- chains that are nothing ---- */

static void expect_bad(uint16_t queue, const struct pv_sg *sg, uint16_t readable, uint16_t writable)
{
	uint64_t bad = serial_rig_counters(&rig, queue)->bad_chains;

	device_rig_offer(&rig.base, queue, sg, readable, writable);
	serial_rig_run(&rig);
	serial_rig_expect_back(&rig, queue);
	assert_int_equal(serial_rig_counters(&rig, queue)->bad_chains, bad + 1);
}

EVIL(chains_that_are_nothing_come_back_from_every_queue)
{
	const struct pv_sg some[] = { device_rig_alloc(&rig.base, 64),
		                      device_rig_alloc(&rig.base, 64) };
	const struct pv_sg nowhere = { pv_gpa_of(DEVICE_RIG_NOWHERE), 8 };
	const struct pv_sg at_the_end = { pv_gpa_of(UINT64_MAX - 3), 8 };
	const struct pv_sg crumbs = { rig.base.crumbs, SERIAL_RIG_CRUMBS };
	const uint16_t outs[] = { TX(1), CONTROL_TX }, ins[] = { RX(1), CONTROL_RX };
	uint32_t bytes;

	for (int i = 0; i < 2; i++) {
		expect_bad(outs[i], &nowhere, 1, 0);
		expect_bad(outs[i], &at_the_end, 1, 0);
		expect_bad(outs[i], &crumbs, 1, 0);
		expect_bad(outs[i], some, 0, 1);
		expect_bad(outs[i], some, 1, 1);
	}
	/* There must be something to be told, and to come, or nobody looks. */
	pv_memory_line_set_open(&rig.line[2], false);
	pv_memory_line_put(&rig.line[1], data, 1);
	for (int i = 0; i < 2; i++) {
		expect_bad(ins[i], &nowhere, 0, 1);
		expect_bad(ins[i], &at_the_end, 0, 1);
		expect_bad(ins[i], &crumbs, 0, 1);
		expect_bad(ins[i], some, 1, 0);
		expect_bad(ins[i], some, 1, 1);
	}
	be_told();
	serial_rig_buffer(&rig, RX(1), 1);
	serial_rig_run(&rig);
	assert_non_null(device_rig_take(&rig.base, RX(1), &bytes));
	assert_int_equal(bytes, 1);
}

/* ---- too much of it ---- */

/* One buffer a hundred times over, in chains of many pieces: others on the loop have their turn. */
EVIL(a_run_is_bounded_whatever_there_is)
{
	const struct pv_sg big = device_rig_alloc(&rig.base, RUN_BYTES);
	const struct pv_sg sg[] = { big, big, big };
	const struct pv_sg tiny = device_rig_alloc(&rig.base, 1);
	uint64_t before;

	device_rig_offer(&rig.base, TX(2), sg, 3, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(serial_rig_counters(&rig, TX(2))->completions, 0);
		pv_memory_line_forget(&rig.line[2]);
		serial_rig_run_once(&rig);
		assert_int_equal(rig.line[2].written_bytes, RUN_BYTES);
	}
	serial_rig_expect_back(&rig, TX(2));
	serial_rig_run(&rig);
	pv_memory_line_forget(&rig.line[2]);
	before = serial_rig_counters(&rig, TX(2))->completions;
	for (uint32_t i = 0; i < DEVICE_RIG_SIZE; i++)
		device_rig_offer(&rig.base, TX(2), &tiny, 1, 0);
	serial_rig_run_once(&rig);
	assert_in_range(serial_rig_counters(&rig, TX(2))->completions - before, 1, RUN_BURST);
	serial_rig_run(&rig);
}

/* The driver gives no buffers: what waits for it is as much as it was. */
EVIL(a_driver_that_is_told_nothing_costs_nothing)
{
	uint64_t told = pv_count_of(rig.device, CONTROL_RX, "messages");

	for (uint16_t i = 0; i < some_of(20000); i++) {
		pv_memory_line_set_open(&rig.line[i % PORTS], i / PORTS % 2);
		pv_memory_line_set_size(&rig.line[0], (uint16_t)(i + 1), 25);
		pv_serial_remove_port(rig.device, 3, (struct pv_waiter){ 0 });
		serial_rig_run_once(&rig);
		serial_rig_add(&rig, 3, 3, NULL, false);
		serial_rig_run_once(&rig);
	}
	be_told();
	assert_in_range(pv_count_of(rig.device, CONTROL_RX, "messages") - told, 1, 5 * PORTS);
}

/* ---- chains that change ---- */

/* While a part of it has gone, it becomes shorter, longer, or none; whatever goes out was in it. */
static void a_chain_that_changes_harms_nobody(void **state)
{
	const uint32_t lengths[] = { 0, 1, 29, 30, 31, 100, 4000, 1u << 30 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct virtq_desc *table;
		struct pv_sg sg;

		rig_open(0);
		sg = device_rig_alloc(&rig.base, 100);
		pv_memory_line_allow(&rig.line[1], 30);
		device_rig_offer(&rig.base, TX(1), &sg, 1, 0);
		serial_rig_run(&rig);
		table = (struct virtq_desc *)(void *)(rig.base.memory +
		                                      (rig.base.queue[TX(1)].config.desc_area.v -
		                                       rig.base.mem->region[0].gpa.v));
		for (uint32_t j = 0; j < DEVICE_RIG_SIZE; j++)
			table[j].len = pv_le32_of(lengths[i]);
		pv_memory_line_allow(&rig.line[1], 100000);
		serial_rig_run(&rig);
		serial_rig_expect_back(&rig, TX(1));
		assert_in_range(rig.line[1].written_bytes, 30, 30 + 4000);
		expect_service();
		serial_rig_close(&rig);
	}
}

/* ---- messages of noise ---- */

#define NOISE_BYTES 100u

static struct pv_sg noise_buffers;
static uint32_t noise_area_at; /* what lies behind it is of no importance */

/* What the driver may think that it has. */
static struct {
	bool has_said_ready;
	bool has[PORTS];
} told;

static void hear_message(const uint8_t *buffer, uint32_t bytes)
{
	struct virtio_console_control message;
	uint16_t event;
	uint32_t id;

	assert_in_range(bytes, sizeof(message), 80);
	memcpy(&message, buffer, sizeof(message));
	id = pv_le32_get(message.id);
	event = pv_le16_get(message.event);
	assert_in_range(id, 0, PORTS - 1);
	switch (event) {
	case VIRTIO_CONSOLE_DEVICE_ADD:
		assert_false(told.has[id]);
		told.has[id] = true;
		break;
	case VIRTIO_CONSOLE_DEVICE_REMOVE:
		assert_true(told.has[id]);
		told.has[id] = false;
		break;
	default:
		assert_true(told.has[id]);
		assert_in_range(event, VIRTIO_CONSOLE_CONSOLE_PORT, VIRTIO_CONSOLE_PORT_NAME);
		break;
	}
}

/* A buffer that was too small comes back empty. */
static void hear_all(void)
{
	uint32_t bytes;
	uint8_t *buffer;

	while ((buffer = device_rig_take(&rig.base, CONTROL_RX, &bytes)))
		if (bytes > 0)
			hear_message(buffer, bytes);
}

/* That there is none, or another in its place. */
static bool is_end_of_driver(uint16_t event, uint16_t value)
{
	return event == VIRTIO_CONSOLE_DEVICE_READY &&
	       (value == 0 || (value == 1 && told.has_said_ready));
}

/* By this the driver says what it has. */
static void note_said(uint32_t id, uint16_t event, uint16_t value)
{
	if (is_end_of_driver(event, value))
		memset(&told, 0, sizeof(told));
	if (event == VIRTIO_CONSOLE_DEVICE_READY && value == 1)
		told.has_said_ready = true;
	if (event == VIRTIO_CONSOLE_PORT_READY && value == 1 && !told.has_said_ready && id < PORTS)
		told.has[id] = true;
}

static void say_noise(void)
{
	uint32_t id = pv_random_below(&rig.random, PORTS + 1);
	uint16_t event = (uint16_t)pv_random_below(&rig.random, 9);
	uint16_t value = (uint16_t)pv_random_below(&rig.random, 3);
	uint32_t bytes = pv_random_chance(&rig.random, 90) ? 8 : pv_random_below(&rig.random, 30);
	struct virtio_console_control message[4] = { { pv_le32_of(id), pv_le16_of(event),
		                                       pv_le16_of(value) } };

	if (is_end_of_driver(event, value) && !pv_random_chance(&rig.random, 10))
		return;
	/* What lies there was told before it was said. */
	hear_all();
	rig.base.area_at = noise_area_at;
	serial_rig_send(&rig, CONTROL_TX, message, bytes);
	if (bytes == sizeof(message[0]))
		note_said(id, event, value);
	pv_queue_run(&rig.device->queue[CONTROL_TX]);
	serial_rig_expect_back(&rig, CONTROL_TX);
}

static void disturb(void)
{
	uint16_t port = (uint16_t)pv_random_below(&rig.random, PORTS);
	struct pv_memory_line *line = &rig.line[port];

	switch (pv_random_below(&rig.random, 4)) {
	case 0:
		pv_memory_line_set_open(line, !line->line.is_open);
		break;
	case 1:
		pv_memory_line_set_size(line, (uint16_t)pv_random_below(&rig.random, 3), 25);
		break;
	case 2:
		if (pv_serial_remove_port(rig.device, port, (struct pv_waiter){ 0 }) == 0)
			serial_rig_run(&rig);
		break;
	case 3:
		(void)pv_serial_add_port(rig.device, port,
		                         &(struct pv_serial_port){ .line = &line->line,
		                                                   .name = "noise",
		                                                   .is_console = port % 2 });
		break;
	}
}

static void exchange(void)
{
	uint32_t area_at = rig.base.area_at;
	uint16_t port = (uint16_t)pv_random_below(&rig.random, PORTS);
	uint32_t bytes;

	serial_rig_send(&rig, TX(port), data, 50);
	pv_memory_line_put(&rig.line[port], data, 5);
	if (rig.base.queue[RX(port)].ring.free_descs > 0)
		serial_rig_buffer(&rig, RX(port), 10);
	serial_rig_run(&rig);
	while (device_rig_take(&rig.base, TX(port), &bytes) ||
	       device_rig_take(&rig.base, RX(port), &bytes))
		;
	for (uint16_t i = 0; i < PORTS; i++)
		pv_memory_line_forget(&rig.line[i]);
	/* What still lies on a ring there may be overwritten. */
	rig.base.area_at = area_at;
}

#define NOISE_STEPS 6000u
#define SOAK_S      300 /* the long run, over all rings */

static bool noise_goes_on(uint32_t steps, time_t begin)
{
	if (getenv("PV_LONG"))
		return time(NULL) - begin < SOAK_S / PV_RING_KINDS;
	return steps < some_of(NOISE_STEPS);
}

/* Buffers are used in their order: one of twice as many as the ring holds is free again. */
static void give_buffer(void)
{
	static uint32_t turn;
	struct pv_sg sg = { pv_gpa_add(noise_buffers.addr, turn * NOISE_BYTES),
		            pv_random_below(&rig.random, NOISE_BYTES) };

	if (rig.base.queue[CONTROL_RX].ring.free_descs == 0)
		return;
	turn = (turn + 1) % (2 * DEVICE_RIG_SIZE);
	device_rig_offer(&rig.base, CONTROL_RX, &sg, 0, 1);
}

static void noise_step(void)
{
	uint32_t dice = pv_random_below(&rig.random, 100);

	if (dice < 50)
		say_noise();
	else if (dice < 65)
		disturb();
	else if (dice < 80)
		give_buffer();
	else if (dice < 85)
		exchange();
	else
		serial_rig_run_once(&rig);
}

static void no_message_of_noise_makes_the_device_say_what_it_must_not(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		const time_t begin = time(NULL);

		rig_open(pv_ring_kind[i]);
		told.has_said_ready = true;
		for (uint32_t port = 0; port < PORTS; port++)
			told.has[port] = true;
		noise_buffers = device_rig_alloc(&rig.base, 2 * DEVICE_RIG_SIZE * NOISE_BYTES);
		noise_area_at = rig.base.area_at;
		for (uint32_t step = 0; noise_goes_on(step, begin); step++) {
			noise_step();
			hear_all();
		}
		assert_int_equal(rig.base.needs_resets, 0);
		assert_int_equal(pv_device_reset(rig.device, (struct pv_waiter){ 0 }), 0);
		serial_rig_close(&rig);
	}
}

/* ---- rings of noise ---- */

static void scribble(uint8_t *area, uint32_t bytes)
{
	for (uint32_t n = pv_random_below(&rig.random, 12); n > 0; n--)
		area[pv_random_below(&rig.random, bytes)] =
			(uint8_t)pv_random_below(&rig.random, 256);
}

static uint8_t *area_of(uint64_t gpa)
{
	return rig.base.memory + (gpa - rig.base.mem->region[0].gpa.v);
}

static void rings_of_noise_break_queues_at_most(void **state)
{
	uint32_t broken = 0;

	(void)state;
	for (uint32_t round = 0; round < some_of(40) * PV_RING_KINDS; round++) {
		rig_open(pv_ring_kind[round % PV_RING_KINDS]);
		rig.random = pv_random_start(pv_random_seed(), 1000 + round);
		for (int step = 0; step < 10; step++) {
			uint16_t queue = (uint16_t)pv_random_below(&rig.random, 2 * PORTS + 2);
			const struct pv_ring_config *config = &rig.base.queue[queue].config;

			pv_memory_line_forget(&rig.line[1]);
			pv_memory_line_put(&rig.line[1], data, 10);
			serial_rig_send(&rig, TX(1), data, 10);
			scribble(area_of(config->desc_area.v), DEVICE_RIG_SIZE * 16);
			scribble(area_of(config->driver_area.v), DEVICE_RIG_SIZE * 2 + 6);
			for (int i = 0; i < 5; i++)
				serial_rig_run_once(&rig);
		}
		broken += rig.base.needs_resets > 0;
		for (uint16_t i = 0; i < rig.device->queues; i++)
			assert_true(pv_queue_is_quiet(&rig.device->queue[i]));
		serial_rig_close(&rig);
	}
	assert_true(broken > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_that_are_nothing_come_back_from_every_queue),
		cmocka_unit_test(a_run_is_bounded_whatever_there_is),
		cmocka_unit_test(a_driver_that_is_told_nothing_costs_nothing),
		cmocka_unit_test(a_chain_that_changes_harms_nobody),
		cmocka_unit_test(no_message_of_noise_makes_the_device_say_what_it_must_not),
		cmocka_unit_test(rings_of_noise_break_queues_at_most),
	};

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + (i >> 8));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
