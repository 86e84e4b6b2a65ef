/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue (virtio 1.3, section 5.1.6.5): what each command needs, and what it does.  A
 * command that is not in the table, was not negotiated, or has data of another length is refused
 * and changes nothing.
 */
#include "devices/net/internal.h"

#include "ring/err.h"

#define COMMANDS_MAX 16u /* in a run */
#define PIECES_MAX   256u

struct controller {
	struct pv_net_lane lane;
	struct pv_iov iov[PIECES_MAX];
};

struct call {
	struct pv_queue *queue;
	struct pv_net *net;
	uint8_t command;
	struct pv_cursor data;
	uint64_t data_bytes;
	struct pv_cursor result;
	uint32_t result_bytes;
};

#define ANY_BYTES UINT32_MAX

struct command {
	uint8_t command_class, command;
	uint64_t feature;
	uint32_t bytes; /* of its data */
	bool (*run)(struct call *call);
};

/* ---- what comes in ---- */

static void filter_changed(struct call *call)
{
	struct pv_port *port = call->queue->device->port;

	pv_net_rules_changed(call->net);
	port->ops->queue_event(port, call->queue);
}

static bool set_mode(struct call *call)
{
	struct pv_net_rules *rules = &call->net->rules;
	bool *const mode[] = {
		[VIRTIO_NET_CTRL_RX_PROMISC] = &rules->is_promiscuous,
		[VIRTIO_NET_CTRL_RX_ALLMULTI] = &rules->has_all_multi,
		[VIRTIO_NET_CTRL_RX_ALLUNI] = &rules->has_all_uni,
		[VIRTIO_NET_CTRL_RX_NOMULTI] = &rules->has_no_multi,
		[VIRTIO_NET_CTRL_RX_NOUNI] = &rules->has_no_uni,
		[VIRTIO_NET_CTRL_RX_NOBCAST] = &rules->has_no_bcast,
	};
	uint8_t is_on;

	pv_cursor_read(&call->data, &is_on, sizeof(is_on));
	if (is_on > 1)
		return false;
	*mode[call->command] = is_on;
	filter_changed(call);
	return true;
}

/* One of the two tables. Of more addresses than there is room for all are let in. */
static bool read_macs(struct call *call, struct pv_net_macs *macs)
{
	struct pv_le32 entries;
	uint64_t bytes;

	*macs = (struct pv_net_macs){ 0 };
	if (pv_cursor_read(&call->data, &entries, sizeof(entries)) != sizeof(entries))
		return false;
	call->data_bytes -= sizeof(entries);
	bytes = (uint64_t)pv_le32_get(entries) * VIRTIO_NET_MAC_BYTES;
	if (bytes > call->data_bytes)
		return false;
	call->data_bytes -= bytes;
	macs->has_overflow = pv_le32_get(entries) > PV_NET_MACS_MAX;
	if (macs->has_overflow)
		return pv_cursor_skip(&call->data, (size_t)bytes) == bytes;
	macs->count = (uint16_t)pv_le32_get(entries);
	return pv_cursor_read(&call->data, macs->mac, (size_t)bytes) == bytes;
}

static bool set_mac_table(struct call *call)
{
	struct pv_net_macs unicast, multicast;

	if (!read_macs(call, &unicast) || !read_macs(call, &multicast) || call->data_bytes != 0)
		return false;
	call->net->rules.unicast = unicast;
	call->net->rules.multicast = multicast;
	filter_changed(call);
	return true;
}

static bool set_mac(struct call *call)
{
	pv_cursor_read(&call->data, call->net->rules.mac, VIRTIO_NET_MAC_BYTES);
	filter_changed(call);
	return true;
}

static bool set_vlan(struct call *call)
{
	struct pv_le16 id;
	uint8_t *byte, bit;

	pv_cursor_read(&call->data, &id, sizeof(id));
	if (pv_le16_get(id) >= VIRTIO_NET_VLANS)
		return false;
	byte = &call->net->rules.vlans[pv_le16_get(id) / 8];
	bit = (uint8_t)(1u << pv_le16_get(id) % 8);
	if (call->command == VIRTIO_NET_CTRL_VLAN_ADD)
		*byte |= bit;
	else
		*byte &= (uint8_t)~bit;
	filter_changed(call);
	return true;
}

static bool acknowledge_announce(struct call *call)
{
	__atomic_store_n(&call->net->is_announcing, false, __ATOMIC_RELAXED);
	return true;
}

/* ---- which queue ---- */

static bool use_pairs(struct pv_net *net, uint16_t pairs)
{
	const struct pv_net_wire_ops *ops = net->wire->ops;

	if (pairs == 0 || pairs > net->options.pairs)
		return false;
	if (ops->set_pairs && !ops->set_pairs(net->wire, pairs))
		return false;
	net->rules.pairs = pairs;
	return true;
}

static bool set_pairs(struct call *call)
{
	struct pv_le16 pairs;

	pv_cursor_read(&call->data, &pairs, sizeof(pairs));
	if (!use_pairs(call->net, pv_le16_get(pairs)))
		return false;
	call->net->rules.steering.is_on = false;
	pv_net_tell_spread(call->net, &call->net->rules);
	pv_net_rules_changed(call->net);
	return true;
}

/*
 * The key is all that is left of the data, but for a byte or so: Linux 6.12 sends the structure as
 * the compiler has padded it.
 */
#define PADDING_MAX 3u

static bool read_key(struct call *call, struct pv_net_hashing *hashing, uint8_t key_bytes)
{
	hashing->key_bytes = key_bytes;
	return !(hashing->types & ~pv_net_hash_types(call->net)) &&
	       key_bytes <= PV_NET_HASH_KEY_BYTES && call->data_bytes >= key_bytes &&
	       call->data_bytes <= key_bytes + PADDING_MAX &&
	       pv_cursor_read(&call->data, hashing->key, key_bytes) == key_bytes;
}

static bool set_hashing(struct call *call)
{
	struct pv_net_hashing hashing = { 0 };
	struct virtio_net_hash_head head;

	if (call->data_bytes < sizeof(head))
		return false;
	pv_cursor_read(&call->data, &head, sizeof(head));
	call->data_bytes -= sizeof(head);
	hashing.types = pv_le32_get(head.hash_types);
	if (!read_key(call, &hashing, head.hash_key_length))
		return false;
	call->net->rules.hashing = hashing;
	pv_net_rules_changed(call->net);
	return true;
}

/* Reads a table of pairs, whose length is a power of two, and checks it. */
static bool read_table(struct call *call, struct pv_net_steering *steering)
{
	uint32_t entries = steering->mask + 1u;

	if (entries > PV_NET_RSS_TABLE_MAX || (entries & steering->mask) ||
	    call->data_bytes < entries * sizeof(struct pv_le16))
		return false;
	call->data_bytes -= entries * sizeof(struct pv_le16);
	for (uint32_t i = 0; i < entries; i++) {
		struct pv_le16 pair;

		pv_cursor_read(&call->data, &pair, sizeof(pair));
		steering->table[i] = pv_le16_get(pair);
		if (steering->table[i] >= call->net->options.pairs)
			return false;
	}
	return true;
}

static bool read_steering(struct call *call, struct pv_net_rules *rules)
{
	struct pv_net_steering *steering = &rules->steering;
	struct virtio_net_rss_head head;
	struct virtio_net_rss_tail tail;

	if (call->data_bytes < sizeof(head))
		return false;
	pv_cursor_read(&call->data, &head, sizeof(head));
	call->data_bytes -= sizeof(head);
	rules->hashing.types = pv_le32_get(head.hash_types);
	steering->mask = pv_le16_get(head.indirection_table_mask);
	steering->unclassified = pv_le16_get(head.unclassified_queue);
	if (steering->unclassified >= call->net->options.pairs || !read_table(call, steering) ||
	    call->data_bytes < sizeof(tail))
		return false;
	pv_cursor_read(&call->data, &tail, sizeof(tail));
	call->data_bytes -= sizeof(tail);
	rules->pairs = pv_le16_get(tail.max_tx_vq);
	return read_key(call, &rules->hashing, tail.hash_key_length);
}

static bool set_steering(struct call *call)
{
	struct pv_net_rules rules = { .steering.is_on = true };

	if (!read_steering(call, &rules) || !pv_net_tell_spread(call->net, &rules))
		return false;
	if (!use_pairs(call->net, rules.pairs)) {
		pv_net_tell_spread(call->net, &call->net->rules);
		return false;
	}
	call->net->rules.hashing = rules.hashing;
	call->net->rules.steering = rules.steering;
	pv_net_rules_changed(call->net);
	return true;
}

/* ---- offloads, interrupts, statistics ---- */

static bool set_offloads(struct call *call)
{
	uint64_t negotiated = call->net->device.features & PV_NET_GUEST_OFFLOADS;
	struct pv_le64 wanted;

	pv_cursor_read(&call->data, &wanted, sizeof(wanted));
	if (pv_le64_get(wanted) & ~negotiated)
		return false;
	call->net->rules.offloads_off = negotiated & ~pv_le64_get(wanted);
	pv_net_rules_changed(call->net);
	pv_net_tell_wire(call->net);
	return true;
}

static void coalesce(struct pv_net *net, uint16_t queue, const struct virtio_net_ctrl_coal *coal)
{
	struct pv_net_coalescing *set = &net->coalescing[queue];

	__atomic_store_n(&set->max_packets, pv_le32_get(coal->max_packets), __ATOMIC_RELAXED);
	__atomic_store_n(&set->max_usecs, pv_le32_get(coal->max_usecs), __ATOMIC_RELAXED);
}

static bool set_coalescing(struct call *call)
{
	enum pv_net_role role = call->command == VIRTIO_NET_CTRL_NOTF_COAL_RX_SET ? PV_NET_RECEIVES
	                                                                          : PV_NET_SENDS;
	struct pv_net *net = call->net;
	struct virtio_net_ctrl_coal coal;

	pv_cursor_read(&call->data, &coal, sizeof(coal));
	for (uint16_t i = 0; i < net->device.queues; i++)
		if (pv_net_role(&net->device, i) == role)
			coalesce(net, i, &coal);
	*(role == PV_NET_RECEIVES ? &net->rx_coalescing : &net->tx_coalescing) =
		(struct pv_net_coalescing){ pv_le32_get(coal.max_packets),
		                            pv_le32_get(coal.max_usecs) };
	return true;
}

static bool carries_packets(const struct pv_net *net, uint16_t queue)
{
	enum pv_net_role role = pv_net_role(&net->device, queue);

	return (role == PV_NET_RECEIVES || role == PV_NET_SENDS) && queue / 2 < net->rules.pairs;
}

static bool set_coalescing_of(struct call *call)
{
	struct virtio_net_ctrl_coal_vq coal;

	pv_cursor_read(&call->data, &coal, sizeof(coal));
	if (!carries_packets(call->net, pv_le16_get(coal.vq_index)))
		return false;
	coalesce(call->net, pv_le16_get(coal.vq_index), &coal.coal);
	return true;
}

static bool get_coalescing_of(struct call *call)
{
	struct virtio_net_ctrl_coal coal;
	const struct pv_net_coalescing *set;
	struct pv_le16 queue;

	if (call->data_bytes < 2 * sizeof(queue))
		return false;
	pv_cursor_read(&call->data, &queue, sizeof(queue));
	if (!carries_packets(call->net, pv_le16_get(queue)))
		return false;
	set = &call->net->coalescing[pv_le16_get(queue)];
	coal.max_packets = pv_le32_of(set->max_packets);
	coal.max_usecs = pv_le32_of(set->max_usecs);
	call->result_bytes = (uint32_t)pv_cursor_write(&call->result, &coal, sizeof(coal));
	return call->result_bytes == sizeof(coal);
}

static bool query_stats(struct call *call)
{
	call->result_bytes = pv_net_stats_query(call->net, &call->result);
	return call->result_bytes > 0;
}

static bool get_stats(struct call *call)
{
	return pv_net_stats_get(call->queue, &call->data, call->data_bytes, &call->result,
	                        &call->result_bytes);
}

/* ---- the table ---- */

#define CLASS(class, command) VIRTIO_NET_CTRL_##class, VIRTIO_NET_CTRL_##class##_##command
#define IF(feature)           VIRTIO_NET_F_##feature

static const struct command commands[] = {
	{ CLASS(RX, PROMISC), IF(CTRL_RX), 1, set_mode },
	{ CLASS(RX, ALLMULTI), IF(CTRL_RX), 1, set_mode },
	{ CLASS(RX, ALLUNI), IF(CTRL_RX_EXTRA), 1, set_mode },
	{ CLASS(RX, NOMULTI), IF(CTRL_RX_EXTRA), 1, set_mode },
	{ CLASS(RX, NOUNI), IF(CTRL_RX_EXTRA), 1, set_mode },
	{ CLASS(RX, NOBCAST), IF(CTRL_RX_EXTRA), 1, set_mode },
	{ CLASS(MAC, TABLE_SET), IF(CTRL_RX), ANY_BYTES, set_mac_table },
	{ CLASS(MAC, ADDR_SET), IF(CTRL_MAC_ADDR), VIRTIO_NET_MAC_BYTES, set_mac },
	{ CLASS(VLAN, ADD), IF(CTRL_VLAN), 2, set_vlan },
	{ CLASS(VLAN, DEL), IF(CTRL_VLAN), 2, set_vlan },
	{ CLASS(ANNOUNCE, ACK), IF(GUEST_ANNOUNCE), 0, acknowledge_announce },
	{ CLASS(MQ, VQ_PAIRS_SET), IF(MQ), 2, set_pairs },
	{ CLASS(MQ, RSS_CONFIG), IF(RSS), ANY_BYTES, set_steering },
	{ CLASS(MQ, HASH_CONFIG), IF(HASH_REPORT), ANY_BYTES, set_hashing },
	{ CLASS(GUEST_OFFLOADS, SET), IF(CTRL_GUEST_OFFLOADS), 8, set_offloads },
	{ CLASS(NOTF_COAL, TX_SET), IF(NOTF_COAL), 8, set_coalescing },
	{ CLASS(NOTF_COAL, RX_SET), IF(NOTF_COAL), 8, set_coalescing },
	{ CLASS(NOTF_COAL, VQ_SET), IF(VQ_NOTF_COAL), 12, set_coalescing_of },
	{ CLASS(NOTF_COAL, VQ_GET), IF(VQ_NOTF_COAL), ANY_BYTES, get_coalescing_of },
	{ CLASS(STATS, QUERY), IF(DEVICE_STATS), 0, query_stats },
	{ CLASS(STATS, GET), IF(DEVICE_STATS), ANY_BYTES, get_stats },
};

static const struct command *find(const struct pv_net *net, const struct virtio_net_ctrl *head)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].command_class == head->command_class &&
		    commands[i].command == head->command &&
		    pv_net_has(&net->device, commands[i].feature))
			return &commands[i];
	return NULL;
}

/* ---- the queue ---- */

static bool carry_out(struct call *call)
{
	struct virtio_net_ctrl head;
	const struct command *command;

	if (call->data_bytes < sizeof(head))
		return false;
	pv_cursor_read(&call->data, &head, sizeof(head));
	call->data_bytes -= sizeof(head);
	call->command = head.command;
	command = find(call->net, &head);
	return command && (command->bytes == ANY_BYTES || command->bytes == call->data_bytes) &&
	       command->run(call);
}

/* The acknowledgement comes before the result, and is known after it. Returns the bytes written. */
static uint32_t answer(struct pv_queue *queue, const struct pv_chain *chain,
                       struct pv_net_counters *counters)
{
	struct pv_cursor writer = pv_chain_writer(chain);
	struct call call = {
		.queue = queue,
		.net = pv_net_of(queue->device),
		.data = pv_chain_reader(chain),
		.data_bytes = chain->readable_bytes,
		.result = writer,
	};
	uint8_t ack = VIRTIO_NET_ERR;

	pv_count(&counters->commands);
	pv_cursor_skip(&call.result, sizeof(ack));
	if (carry_out(&call)) {
		ack = VIRTIO_NET_OK;
		pv_count(&counters->commands_ok);
	} else {
		call.result_bytes = 0;
	}
	return (uint32_t)pv_cursor_write(&writer, &ack, sizeof(ack)) + call.result_bytes;
}

int pv_net_controller_start(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;
	struct controller *controller = port->ops->alloc(port, sizeof(*controller));

	if (!controller)
		return -PV_ENOMEM;
	controller->lane.counters = &pv_net_of(queue->device)->counters[queue->index];
	queue->own = controller;
	return 0;
}

void pv_net_controller_stop(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	port->ops->free(port, queue->own, sizeof(struct controller));
}

bool pv_net_controller_run(struct pv_queue *queue)
{
	struct controller *controller = queue->own;
	uint32_t count;

	for (count = 0; count < COMMANDS_MAX; count++) {
		struct pv_chain chain = { .iov = controller->iov, .capacity = PIECES_MAX };
		uint32_t written = 0;

		if (!pv_queue_take(queue, &chain))
			break;
		if (!chain.is_incomplete && chain.writable_bytes > 0)
			written = answer(queue, &chain, controller->lane.counters);
		else if (!chain.is_incomplete)
			pv_queue_bad_chain(queue, "a command without room for an answer");
		pv_queue_return(queue, &chain, written);
	}
	return count > 0;
}
