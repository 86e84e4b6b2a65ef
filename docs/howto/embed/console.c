/* SPDX-License-Identifier: BSD-2-Clause */
#include "console.h"

#include <string.h>

#include <paravane/ring/err.h>

#define ID_CONSOLE 3u

/* Section 5.3.2. */
enum { RECEIVE, TRANSMIT, QUEUES };

#define QUEUE_SIZE_MAX 64u
#define PIECES         64u
#define INPUT_BYTES    256u

/* What a guest can have done in one turn, so that it cannot have all of the host's time. */
#define TURN_CHAINS 16u
#define TEXT_MAX    (64u << 10)

struct console {
	struct pv_device device;
	struct pv_queue queue[QUEUES];
	struct pv_iov iov[QUEUES][PIECES];
	struct console_options options;
	uint8_t input[INPUT_BYTES]; /* typed, and not taken yet */
	uint16_t input_bytes;
};

static struct console *console_of(struct pv_device *device)
{
	return (struct console *)device;
}

/* ---- what the guest writes ---- */

static bool is_text(struct pv_queue *queue, const struct pv_chain *chain)
{
	if (chain->is_incomplete)
		return false;
	if (chain->readable_bytes <= TEXT_MAX)
		return true;
	pv_queue_bad_chain(queue, "more text at once than anybody reads");
	return false;
}

static void output(const struct console *console, const struct pv_chain *chain)
{
	const struct console_options *options = &console->options;

	for (uint16_t i = 0; i < chain->readable; i++)
		options->output(options->arg, chain->iov[i].base, chain->iov[i].bytes);
}

static bool transmit(struct pv_queue *queue)
{
	struct console *console = console_of(queue->device);
	uint32_t chains;

	for (chains = 0; chains < TURN_CHAINS; chains++) {
		struct pv_chain chain = { .iov = console->iov[TRANSMIT], .capacity = PIECES };

		if (!pv_queue_take(queue, &chain))
			break;
		if (is_text(queue, &chain))
			output(console, &chain);
		pv_queue_return(queue, &chain, 0);
	}
	return chains > 0;
}

/* ---- what is typed ---- */

size_t console_room(const struct pv_device *device)
{
	return INPUT_BYTES - ((const struct console *)device)->input_bytes;
}

void console_input(struct pv_device *device, const void *text, size_t bytes)
{
	struct console *console = console_of(device);
	struct pv_queue *queue = &console->queue[RECEIVE];

	pv_bug_on(bytes > console_room(device));
	memcpy(console->input + console->input_bytes, text, bytes);
	console->input_bytes = (uint16_t)(console->input_bytes + bytes);
	if (queue->state == PV_QUEUE_RUNNING)
		device->port->ops->queue_wake(device->port, queue);
}

/* Returns the bytes that the guest got. */
static uint32_t give_input(struct console *console, struct pv_queue *queue,
                           const struct pv_chain *chain)
{
	struct pv_cursor to = pv_chain_writer(chain);
	size_t bytes;

	if (chain->is_incomplete)
		return 0;
	if (chain->writable_bytes == 0)
		pv_queue_bad_chain(queue, "a buffer that has no room for what is typed");
	bytes = pv_cursor_write(&to, console->input, console->input_bytes);
	console->input_bytes = (uint16_t)(console->input_bytes - bytes);
	memmove(console->input, console->input + bytes, console->input_bytes);
	return (uint32_t)bytes;
}

/* Buffers stay on the ring until there is something for them: so there is nothing to hold or save.
 */
static bool receive(struct pv_queue *queue)
{
	struct console *console = console_of(queue->device);
	uint32_t chains;

	for (chains = 0; chains < TURN_CHAINS && console->input_bytes > 0; chains++) {
		struct pv_chain chain = { .iov = console->iov[RECEIVE], .capacity = PIECES };

		if (!pv_queue_take(queue, &chain))
			break;
		pv_queue_return(queue, &chain, give_input(console, queue, &chain));
	}
	queue->is_stalled = console->input_bytes == 0;
	return chains > 0;
}

/* ---- the device ---- */

/* Neither a size nor several ports: the configuration has nothing to say. */
static uint64_t features(const struct pv_device *device)
{
	(void)device;
	return 0;
}

static int queue_start(struct pv_queue *queue)
{
	(void)queue;
	return 0;
}

static void queue_stop(struct pv_queue *queue)
{
	(void)queue;
}

static bool queue_run(struct pv_queue *queue)
{
	return queue->index == RECEIVE ? receive(queue) : transmit(queue);
}

/* What was typed is not forgotten by that. */
static void reset(struct pv_device *device)
{
	(void)device;
}

static void save(const struct pv_device *device, struct pv_state_writer *to)
{
	const struct console *console = (const struct console *)device;

	pv_state_put_u16(to, console->input_bytes);
	for (uint16_t i = 0; i < console->input_bytes; i++)
		pv_state_put_u8(to, console->input[i]);
}

static int load(struct pv_device *device, struct pv_state_reader *from, uint16_t version)
{
	struct console *console = console_of(device);
	uint16_t bytes = pv_state_get_u16(from);

	(void)version;
	if (!pv_state_check(from, bytes <= INPUT_BYTES))
		return -PV_ESTATE;
	for (uint16_t i = 0; i < bytes; i++)
		console->input[i] = pv_state_get_u8(from);
	console->input_bytes = bytes;
	return from->is_bad ? -PV_ESTATE : 0;
}

static const struct pv_virtio_ops virtio_ops = {
	.id = ID_CONSOLE,
	.features = features,
	.queue_start = queue_start,
	.queue_run = queue_run,
	.queue_stop = queue_stop,
};

static const struct pv_device_ops console_ops = {
	.name = "console",
	.virtio = &virtio_ops,
	.reset = reset,
	.state_version = 1,
	.save = save,
	.load = load,
};

size_t console_bytes(void)
{
	return sizeof(struct console);
}

struct pv_device *console_init(void *storage, struct pv_port *port,
                               const struct console_options *options)
{
	struct console *console = storage;

	pv_device_init(&console->device, &console_ops, port, pv_device_ring_features(false, false),
	               console->queue, QUEUES, QUEUE_SIZE_MAX);
	console->options = *options;
	return &console->device;
}
