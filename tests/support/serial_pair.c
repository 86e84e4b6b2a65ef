/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/couple_move.h"
#include "tests/support/serial_pair.h"

#define QUEUE_SIZE   32u
#define REGION_MAX   900u
#define OWN_BYTES    700u
#define STATE_BYTES  (64u << 10)
#define MEMORY_BYTES (4u << 20)
#define STEP_NS      1000u
#define SECOND_NS    1000000000ull

/* ---- streams ---- */

static uint8_t byte_at(const struct serial_pair_stream *stream, size_t place)
{
	uint32_t mixed = (uint32_t)place * 2654435761u + stream->key * 40503u;

	return (uint8_t)(mixed >> 24 ^ mixed >> 11);
}

static void begin(struct serial_pair_stream *stream, uint8_t *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = byte_at(stream, stream->begun + i);
	stream->begun += bytes;
}

/* Each byte where it belongs, and none that was never sent. */
static void come(struct serial_pair_stream *stream, const uint8_t *data, size_t bytes)
{
	assert_true(stream->come + bytes <= stream->begun);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(data[i], byte_at(stream, stream->come + i));
	stream->come += bytes;
}

static void new_stream(struct serial_pair *pair, struct serial_pair_stream *stream)
{
	*stream = (struct serial_pair_stream){ .key = ++pair->keys };
}

/* ---- out ---- */

static void write_done(struct pv_serdrv_data *data)
{
	struct serial_pair_data *write = (struct serial_pair_data *)data;
	struct serial_pair_port *port = data->arg;

	assert_true(write->is_out);
	write->is_out = false;
	port->pair->writes_out--;
	port->pair->errors += data->error != 0;
	assert_true(data->error == 0 || port->pair->may_fail);
}

bool serial_pair_write(struct serial_pair *pair, uint32_t index)
{
	struct serial_pair_port *port = &pair->port[index];
	struct serial_pair_data *write =
		&port->write[pv_random_below(&pair->random, SERIAL_PAIR_DATA)];
	struct serial_pair_stream before = port->out;
	uint32_t bytes = 1 + pv_random_below(&pair->random, SERIAL_PAIR_DATA_BYTES);
	uint8_t text[SERIAL_PAIR_DATA_BYTES];
	int error;

	if (write->is_out)
		return false;
	begin(&port->out, text, bytes);
	pv_twin_write(&pair->couple.twin, write->memory, text, bytes);
	write->data = (struct pv_serdrv_data){
		.buffer = { pv_twin_handle(&pair->couple.twin, write->memory), bytes },
		.done = write_done,
		.arg = port,
	};
	error = pv_serdrv_write(pv_serdrv_port(pair->driver, index), &write->data);
	if (error) {
		assert_true(error == -PV_ENOSPC || pair->may_fail);
		port->out = before;
		return false;
	}
	write->is_out = true;
	pair->writes_out++;
	if (pv_random_chance(&pair->random, 70))
		pv_serdrv_publish(pv_serdrv_port(pair->driver, index));
	return true;
}

static void look_at_written(struct serial_pair_port *port)
{
	come(&port->out, port->line.written, port->line.written_bytes);
	pv_memory_line_forget(&port->line);
}

/* ---- in ---- */

void serial_pair_put(struct serial_pair *pair, uint32_t index)
{
	struct serial_pair_port *port = &pair->port[index];
	uint32_t bytes = 1 + pv_random_below(&pair->random, SERIAL_PAIR_DATA_BYTES);
	uint8_t text[SERIAL_PAIR_DATA_BYTES];

	if (!port->is_added || port->line.coming_bytes > PV_MEMORY_LINE_BYTES / 2)
		return;
	begin(&port->in, text, bytes);
	pv_memory_line_put(&port->line, text, bytes);
}

static void read_done(struct pv_serdrv_data *data)
{
	struct serial_pair_data *read = (struct serial_pair_data *)data;
	struct serial_pair_port *port = data->arg;
	uint8_t text[SERIAL_PAIR_DATA_BYTES];

	assert_true(read->is_out);
	read->is_out = false;
	port->pair->errors += data->error != 0;
	assert_true(data->error == 0 || port->pair->may_fail);
	assert_true(data->bytes <= data->buffer.bytes);
	pv_twin_read(&port->pair->couple.twin, read->memory, text, data->bytes);
	come(&port->in, text, data->bytes);
}

static void post_reads(struct serial_pair *pair, uint32_t index)
{
	struct serial_pair_port *port = &pair->port[index];

	for (uint32_t i = 0; i < SERIAL_PAIR_DATA; i++) {
		struct serial_pair_data *read = &port->read[i];

		if (read->is_out)
			continue;
		read->data = (struct pv_serdrv_data){
			.buffer = { pv_twin_handle(&pair->couple.twin, read->memory),
			            1 + pv_random_below(&pair->random, SERIAL_PAIR_DATA_BYTES) },
			.done = read_done,
			.arg = port,
		};
		read->is_out = pv_serdrv_read(pv_serdrv_port(pair->driver, index), &read->data) ==
		               0;
	}
	pv_serdrv_publish(pv_serdrv_port(pair->driver, index));
}

/* Of buffers of the driver's not everything is taken at once. */
static uint32_t received(struct pv_serdrv_port *of, const void *data, uint32_t bytes, void *arg)
{
	struct serial_pair *pair = arg;
	uint32_t took = pv_random_below(&pair->random, bytes + 1);

	come(&pair->port[pv_serdrv_state(of)->number].in, data, took);
	return took;
}

static void changed(struct pv_serdrv_port *port, uint32_t what, void *arg)
{
	(void)arg;
	if (what & PV_SERDRV_ADDED)
		assert_int_equal(pv_serdrv_open(port), 0);
}

/* ---- both ways ---- */

/* Lines are watched: whoever waits for one is awake when it has something. */
static void watch(void *arg)
{
	struct serial_pair *pair = arg;

	for (uint16_t i = 0; i < pair->couple.device->queues; i++)
		if (pair->couple.lane[i].is_attached)
			pv_couple_wake(&pair->couple, i);
}

void serial_pair_look(struct serial_pair *pair)
{
	watch(pair);
	pv_serdrv_poll(pair->driver);
	for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++) {
		look_at_written(&pair->port[i]);
		post_reads(pair, i);
	}
}

static bool is_quiet(const struct serial_pair *pair)
{
	for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++) {
		const struct serial_pair_port *port = &pair->port[i];

		if (port->is_added &&
		    (port->out.come < port->out.begun || port->in.come < port->in.begun))
			return false;
	}
	return pair->writes_out == 0;
}

void serial_pair_settle(struct serial_pair *pair)
{
	for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++)
		pv_memory_line_allow(&pair->port[i].line, SIZE_MAX);
	for (uint32_t i = 0; !is_quiet(pair); i++) {
		assert_in_range(i, 0, 100000);
		serial_pair_look(pair);
		pv_couple_run(&pair->couple);
		pv_couple_sleep(&pair->couple);
		pv_couple_pass(&pair->couple, STEP_NS);
	}
}

/* ---- ports ---- */

static void add_to(struct serial_pair *pair, struct pv_device *device, uint32_t index)
{
	const struct pv_serial_port port = { .line = &pair->port[index].line.line,
		                             .name = index == 1 ? "org.example.1" : NULL,
		                             .is_console = index == 0 };

	assert_int_equal(pv_serial_add_port(device, (uint16_t)index, &port), 0);
}

void serial_pair_add(struct serial_pair *pair, uint32_t index)
{
	struct serial_pair_port *port = &pair->port[index];

	pv_memory_line_close(&port->line);
	pv_memory_line_open(&port->line);
	new_stream(pair, &port->out);
	new_stream(pair, &port->in);
	port->is_added = true;
	add_to(pair, pair->couple.device, index);
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

/* What the driver was given of it already still comes; nothing of it comes later. */
void serial_pair_remove(struct serial_pair *pair, uint32_t index)
{
	struct serial_pair_port *port = &pair->port[index];
	bool is_removed = false;

	assert_int_equal(pv_serial_remove_port(pair->couple.device, (uint16_t)index,
	                                       (struct pv_waiter){ note, &is_removed }),
	                 0);
	pv_couple_run_until(&pair->couple, &is_removed, watch, pair);
	look_at_written(port);
	port->is_added = false;
	while (pv_serdrv_state(pv_serdrv_port(pair->driver, index))->is_there) {
		watch(pair);
		pv_couple_run(&pair->couple);
		pv_serdrv_poll(pair->driver);
	}
}

/* ---- its life ---- */

static struct pv_device *make_device(struct serial_pair *pair)
{
	unsigned int which = pair->driver ? !pair->current : pair->current;
	size_t bytes = (pv_serial_bytes(&pair->options) + 63) & ~(size_t)63;

	free(pair->storage[which]);
	pair->storage[which] = aligned_alloc(64, bytes);
	memset(pair->storage[which], 0, bytes);
	return pv_serial_init(pair->storage[which], &pair->couple.port, &pair->options);
}

static void make_memory(struct serial_pair *pair, struct serial_pair_port *port)
{
	for (uint32_t i = 0; i < SERIAL_PAIR_DATA; i++) {
		port->write[i].memory = pv_twin_alloc(&pair->couple.twin, SERIAL_PAIR_DATA_BYTES,
		                                      PV_SCATTERED, REGION_MAX, &pair->random);
		port->read[i].memory = pv_twin_alloc(&pair->couple.twin, SERIAL_PAIR_DATA_BYTES,
		                                     PV_SCATTERED, REGION_MAX, &pair->random);
	}
}

static void make_driver(struct serial_pair *pair, const struct serial_pair_options *options)
{
	const struct pv_serdrv_options wish = {
		.wanted = (PV_SERDRV_FEATURES & ~PV_RING_BITS & ~options->without) |
		          options->ring_features,
		.ports_max = SERIAL_PAIR_PORTS,
		.own_buffer_bytes = options->has_own_buffers ? OWN_BYTES : 0,
		.changed = changed,
		.received = received,
		.arg = pair,
	};

	assert_int_equal(
		pv_serdrv_create(&pair->driver, &pair->couple.bus, &pair->couple.os, &wish), 0);
	assert_int_equal(pv_serdrv_info(pair->driver)->features & PV_RING_BITS,
	                 options->ring_features);
}

static bool are_all_open(struct serial_pair *pair)
{
	for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++)
		if (!pv_serial_is_guest_open(pair->couple.device, (uint16_t)i) ||
		    !pv_serdrv_state(pv_serdrv_port(pair->driver, i))->host_is_open)
			return false;
	return true;
}

void serial_pair_open(struct serial_pair *pair, const struct serial_pair_options *options)
{
	memset(pair, 0, sizeof(*pair));
	pair->random = pv_random_start(pv_random_seed(), options->number);
	pair->options = (struct pv_serial_options){ .ports_max = SERIAL_PAIR_PORTS,
		                                    .queue_size_max = QUEUE_SIZE,
		                                    .is_in_order = true };
	pv_couple_open(&pair->couple, MEMORY_BYTES, pair->random);
	pair->couple.has_whole_lines = true;
	pv_couple_set_device(&pair->couple, make_device(pair), PV_VIEW_DEVICE);
	for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++) {
		pair->port[i].pair = pair;
		pv_memory_line_open(&pair->port[i].line);
		make_memory(pair, &pair->port[i]);
		serial_pair_add(pair, i);
	}
	make_driver(pair, options);
	for (uint32_t i = 0; !are_all_open(pair); i++) {
		assert_in_range(i, 0, 1000);
		serial_pair_look(pair);
		pv_couple_run(&pair->couple);
	}
}

void serial_pair_close(struct serial_pair *pair)
{
	pair->may_fail = true;
	pv_serdrv_destroy(pair->driver);
	assert_int_equal(pair->writes_out, 0);
	assert_int_equal(pv_device_status(pair->couple.device), 0);
	assert_true(pv_twin_guards_hold(&pair->couple.twin));
	for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++)
		pv_memory_line_close(&pair->port[i].line);
	pv_couple_close(&pair->couple);
	free(pair->storage[0]);
	free(pair->storage[1]);
}

/* ---- moving ---- */

static size_t save(struct serial_pair *pair, uint8_t *state)
{
	struct pv_state_writer to = { .data = state, .capacity = STATE_BYTES };

	pv_couple_pause(&pair->couple, watch, pair);
	assert_int_equal(pv_device_save(pair->couple.device, &to), 0);
	return to.bytes;
}

void serial_pair_move(struct serial_pair *pair)
{
	static uint8_t state[STATE_BYTES];
	struct pv_device *old = pair->couple.device, *device;
	size_t bytes = save(pair, state);
	enum pv_twin_view view = pv_couple_leave(&pair->couple);

	device = make_device(pair);
	pair->current = !pair->current;
	pv_couple_set_device(&pair->couple, device, view);
	for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++)
		if (pair->port[i].is_added)
			add_to(pair, device, i);
	assert_int_equal(pv_device_load(device, state, bytes), 0);
	pv_couple_forget(&pair->couple, old);
	pair->moves++;
	pv_couple_resume(&pair->couple);
}
