/* SPDX-License-Identifier: BSD-2-Clause */
/* A receiving queue's beginning and end, and the rules that it goes by in between. */
#include "devices/net/internal.h"

#include "ring/err.h"

static struct pv_net_receiver *receiver_of(const struct pv_queue *queue)
{
	return queue->own;
}

int pv_net_receiver_start(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;
	struct pv_net *net = pv_net_of(queue->device);
	struct pv_net_receiver *receiver = port->ops->alloc(port, sizeof(*receiver));

	if (!receiver)
		return -PV_ENOMEM;
	receiver->lane.counters = &net->counters[queue->index];
	receiver->lane.hdr_bytes = pv_net_hdr_bytes(queue->device);
	receiver->lane.whole_bytes_max = pv_net_whole_bytes_max(queue->device);
	receiver->is_mergeable = pv_net_has(queue->device, VIRTIO_NET_F_MRG_RXBUF);
	/* Another than the one in force: there are no rules yet. */
	receiver->lane.version = net->version - 1;
	queue->own = receiver;
	return 0;
}

void pv_net_receiver_stop(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	port->ops->free(port, queue->own, sizeof(struct pv_net_receiver));
}

/* Nobody gives it frames any more. */
void pv_net_receiver_drain(struct pv_queue *queue)
{
	struct pv_net *net = pv_net_of(queue->device);

	if (net->receiver[pv_net_pair(queue)] == receiver_of(queue))
		net->receiver[pv_net_pair(queue)] = NULL;
	if (net->crowded == receiver_of(queue))
		net->crowded = NULL;
}

void pv_net_receiver_copy_rules(struct pv_queue *queue, uint32_t version)
{
	struct pv_net *net = pv_net_of(queue->device);
	struct pv_net_receiver *receiver = receiver_of(queue);

	receiver->lane.version = version;
	__builtin_memcpy(&receiver->rules, &net->rules, sizeof(receiver->rules));
	receiver->offloads = pv_net_offloads(net);
	if (!pv_net_has(queue->device, VIRTIO_NET_F_CTRL_VQ))
		receiver->rules.pairs = pv_net_pairs_known(queue->device);
	receiver->has_to_look = !receiver->rules.is_promiscuous || receiver->rules.hashing.types;
	if (receiver->rules.hashing.types)
		pv_net_hasher_set(&receiver->hasher, receiver->rules.hashing.types,
		                  receiver->rules.hashing.key, receiver->rules.hashing.key_bytes);
}
