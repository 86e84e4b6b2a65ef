/* SPDX-License-Identifier: BSD-2-Clause */
/* The control queue: one command at a time, and waiting for it (section 5.1.6.5). */
#include "drivers/net/internal.h"
#include "ring/barrier.h"
#include "ring/err.h"

/* Head, data in up to two buffers, acknowledgement, answer. */
#define CHAIN_MAX      5u
#define FIRST_WRITABLE 3u

#define LINE_BYTES 64u

/* Where things lie in the shared memory; data and answer lie behind it. */
#define HEAD_AT 0u
#define ACK_AT  (LINE_BYTES - 1u)
#define DATA_AT LINE_BYTES

/* No device answers so: a command that was not worked on. */
#define ACK_UNWRITTEN 0xffu

#define COMMAND_BYTES_DEFAULT 4096u

static uint32_t answer_at(const struct pv_netdrv_control *control)
{
	return DATA_AT + ((control->bytes_max + LINE_BYTES - 1) & ~(LINE_BYTES - 1));
}

static size_t shared_bytes(const struct pv_netdrv_control *control)
{
	return (size_t)answer_at(control) + control->bytes_max;
}

/* ---- set up ---- */

static void end_request(struct pv_driver_queue *queue, struct pv_driver_request *request, int error)
{
	struct pv_netdrv_control *control =
		(struct pv_netdrv_control *)((uint8_t *)queue -
	                                     offsetof(struct pv_netdrv_control, queue));

	(void)request;
	control->is_out = false;
	control->is_ended = true;
	control->error = error;
}

/* None is repeated as it is: what it did is. */
static const struct pv_driver_request_ops command_ops = { .end = end_request };

static uint32_t memo_bytes_max(const struct pv_netdrv_control *control,
                               enum pv_netdrv_memo_kind kind)
{
	switch (kind) {
	case PV_NETDRV_MEMO_MACS:
	case PV_NETDRV_MEMO_STEERING:
		return control->bytes_max;
	case PV_NETDRV_MEMO_HASH:
		return sizeof(struct virtio_net_hash_head) + PV_NETDRV_KEY_MAX;
	default:
		return sizeof(struct virtio_net_ctrl_coal);
	}
}

static bool alloc_private(struct pv_netdrv *net)
{
	struct pv_netdrv_control *control = &net->control;
	size_t at = control->bytes_max;

	control->private_bytes = control->bytes_max;
	for (uint32_t i = 0; i < PV_NETDRV_MEMOS; i++)
		control->private_bytes += memo_bytes_max(control, i);
	control->scratch = net->driver.os->ops->alloc(net->driver.os, control->private_bytes);
	if (!control->scratch)
		return false;
	for (uint32_t i = 0; i < PV_NETDRV_MEMOS; i++) {
		control->memo_data[i] = control->scratch + at;
		at += memo_bytes_max(control, i);
	}
	return true;
}

static bool alloc_shared(struct pv_netdrv *net)
{
	struct pv_netdrv_control *control = &net->control;
	struct pv_os *os = net->driver.os;

	control->shared =
		os->ops->shared_alloc(os, shared_bytes(control), LINE_BYTES, &control->gpa);
	return control->shared;
}

int pv_netdrv_control_setup(struct pv_netdrv *net)
{
	const struct pv_driver_queue_options ring = { .indirect_max = CHAIN_MAX,
		                                      .requests = &command_ops };
	struct pv_netdrv_control *control = &net->control;
	int error;

	if (!net->info.has_control)
		return 0;
	error = pv_driver_queue_init(&control->queue, &net->driver, pv_netdrv_control_index(net),
	                             &ring);
	if (error)
		return error;
	net->has_control = true;
	if (control->queue.place.size < CHAIN_MAX)
		return -PV_EINVAL;
	return alloc_private(net) && alloc_shared(net) ? 0 : -PV_ENOMEM;
}

void pv_netdrv_control_init(struct pv_netdrv_control *control,
                            const struct pv_netdrv_options *options)
{
	control->bytes_max = options->command_bytes ? options->command_bytes
	                                            : COMMAND_BYTES_DEFAULT;
	control->timeout_ns = options->command_timeout_ns ? options->command_timeout_ns
	                                                  : PV_DRIVER_TIMEOUT_NS;
}

void pv_netdrv_control_teardown(struct pv_netdrv *net)
{
	struct pv_netdrv_control *control = &net->control;
	struct pv_os *os = net->driver.os;

	if (!net->has_control)
		return;
	if (control->shared && net->driver.is_reset)
		os->ops->shared_free(os, control->shared, shared_bytes(control));
	if (control->scratch)
		os->ops->free(os, control->scratch, control->private_bytes);
	pv_driver_queue_fini(&control->queue);
}

uint16_t pv_netdrv_control_index(const struct pv_netdrv *net)
{
	/* Section 5.1.2: behind all pairs that the device has, if the driver knows of them. */
	if (net->info.features & (VIRTIO_NET_F_MQ | VIRTIO_NET_F_RSS))
		return (uint16_t)(2u * net->info.pairs_max);
	return 2;
}

/* ---- a command ---- */

/* Head, data, acknowledgement and answer are buffers of their own: old devices want that. */
static int add(struct pv_netdrv_control *control, const struct pv_netdrv_command *command)
{
	const uint32_t first = command->first_bytes ? command->first_bytes : command->bytes;
	const struct {
		uint32_t at, bytes;
	} part[CHAIN_MAX] = {
		{ HEAD_AT, sizeof(struct virtio_net_ctrl) },   { DATA_AT, first },
		{ DATA_AT + first, command->bytes - first },   { ACK_AT, 1 },
		{ answer_at(control), command->answer_bytes },
	};
	struct pv_sg sg[CHAIN_MAX];
	uint16_t count[2] = { 0 }; /* readable, writable */

	for (uint32_t i = 0; i < CHAIN_MAX; i++) {
		if (part[i].bytes == 0)
			continue;
		sg[count[0] + count[1]] =
			(struct pv_sg){ pv_gpa_add(control->gpa, part[i].at), part[i].bytes };
		count[i < FIRST_WRITABLE ? 0 : 1]++;
	}
	return pv_drv_ring_add(&control->queue.ring, sg, count[0], count[1], &control->request);
}

static void write(struct pv_netdrv_control *control, const struct pv_netdrv_command *command)
{
	const struct virtio_net_ctrl head = { command->command_class, command->command };

	__builtin_memcpy(control->shared + HEAD_AT, &head, sizeof(head));
	if (command->bytes > 0)
		__builtin_memcpy(control->shared + DATA_AT, command->data, command->bytes);
	control->shared[ACK_AT] = ACK_UNWRITTEN;
}

uint32_t pv_netdrv_control_poll(struct pv_netdrv *net)
{
	struct pv_netdrv_control *control = &net->control;
	void *token;

	if (!net->has_control ||
	    pv_drv_ring_take(&control->queue.ring, &token, &control->written_bytes) != PV_DRV_TAKEN)
		return 0;
	end_request(&control->queue, token, 0);
	return 1;
}

static uint32_t poll(void *net)
{
	return pv_netdrv_control_poll(net);
}

/* What it answered. The acknowledgement counts among the bytes written. */
static int read_answer(const struct pv_netdrv_control *control, struct pv_netdrv_command *command)
{
	uint32_t bytes = control->written_bytes > 0 ? control->written_bytes - 1 : 0;
	uint8_t ack;

	if (control->error)
		return control->error;
	pv_copy_once(&ack, control->shared + ACK_AT, sizeof(ack));
	if (ack != VIRTIO_NET_OK)
		return -PV_EIO;
	command->answered_bytes = bytes < command->answer_bytes ? bytes : command->answer_bytes;
	if (command->answered_bytes > 0)
		pv_copy_once(command->answer, control->shared + answer_at(control),
		             command->answered_bytes);
	return 0;
}

static int send(struct pv_netdrv *net, struct pv_netdrv_command *command)
{
	struct pv_netdrv_control *control = &net->control;
	int error;

	write(control, command);
	error = add(control, command);
	if (error)
		return error;
	control->is_out = true;
	control->is_ended = false;
	pv_driver_request_begin(&control->queue, &control->request, control->timeout_ns);
	pv_driver_queue_publish(&control->queue);
	return 0;
}

int pv_netdrv_command(struct pv_netdrv *net, struct pv_netdrv_command *command)
{
	struct pv_netdrv_control *control = &net->control;
	int error;

	command->answered_bytes = 0;
	if (!net->has_control)
		return -PV_ENOTSUP;
	if (command->bytes > control->bytes_max || command->answer_bytes > control->bytes_max ||
	    command->first_bytes > command->bytes)
		return -PV_EINVAL;
	/* Its memory is the device's while one that timed out is out. */
	pv_netdrv_control_poll(net);
	if (control->is_out)
		return control->queue.ring.is_broken ? -PV_EBROKEN : -PV_EBUSY;
	error = send(net, command);
	if (!error)
		error = pv_driver_queue_wait(&control->queue, &control->is_ended, poll, net,
		                             control->timeout_ns);
	return error ? error : read_answer(control, command);
}
