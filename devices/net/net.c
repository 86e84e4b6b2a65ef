/* SPDX-License-Identifier: BSD-2-Clause */
/* The network device: features, configuration, roles of queues, state. Its queues are in files of
 * their own. */
#include "devices/net/internal.h"

#include "abi/virtio_ids.h"
#include "devices/core/storage.h"
#include "ring/err.h"

#define COUNTER(field)                                                                             \
	{                                                                                          \
#field, offsetof(struct pv_net_counters, field)                                    \
	}

const struct pv_counter_name pv_net_counter_names[] = {
	COUNTER(packets),   COUNTER(bytes),           COUNTER(drops),       COUNTER(malformed),
	COUNTER(overruns),  COUNTER(filtered),        COUNTER(link_down),   COUNTER(needs_csum),
	COUNTER(csum_none), COUNTER(csum_valid),      COUNTER(gso_packets), COUNTER(gso_bytes),
	COUNTER(gso_whole), COUNTER(gso_whole_bytes), COUNTER(segments),    COUNTER(segments_bytes),
	COUNTER(throttled), COUNTER(commands),        COUNTER(commands_ok), { NULL, 0 },
};

/* ---- features ---- */

#define OFFLOADS                                                                                   \
	(PV_NET_GUEST_OFFLOADS | PV_NET_HOST_SEGMENTING | VIRTIO_NET_F_CSUM |                      \
	 VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_GUEST_HDRLEN | VIRTIO_NET_F_MRG_RXBUF)
#define COMMANDS                                                                                   \
	(VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_RX_EXTRA |                \
	 VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_CTRL_GUEST_OFFLOADS |  \
	 VIRTIO_NET_F_GUEST_ANNOUNCE | VIRTIO_NET_F_HASH_REPORT | VIRTIO_NET_F_NOTF_COAL |         \
	 VIRTIO_NET_F_VQ_NOTF_COAL | VIRTIO_NET_F_DEVICE_STATS)

static uint64_t features(const struct pv_device *device)
{
	const struct pv_net *net = pv_net_of_const(device);
	uint64_t bits = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_SPEED_DUPLEX |
	                OFFLOADS | COMMANDS;

	if (net->options.mtu > 0)
		bits |= VIRTIO_NET_F_MTU;
	if (net->options.pairs > 1)
		bits |= VIRTIO_NET_F_MQ;
	/* Some wires with a source for each pair go by flows, not by a hash of the driver's. */
	if (net->does_steer || net->wire->can_spread)
		bits |= VIRTIO_NET_F_RSS;
	return bits & ~net->options.without;
}

/*
 * What requires what (section 5.1.3.1), as far as packets are concerned. What requires the control
 * queue may come without: a vhost-user front-end that keeps that queue for itself says nothing of
 * it.
 */
static const struct {
	uint64_t any_of, requires_any_of;
} requirements[] = {
	{ PV_NET_GUEST_OFFLOADS & ~(VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_ECN),
	  VIRTIO_NET_F_GUEST_CSUM },
	{ VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 },
	{ PV_NET_HOST_SEGMENTING, VIRTIO_NET_F_CSUM },
	{ VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 },
};

static bool features_are_good(const struct pv_device *device, uint64_t features)
{
	(void)device;
	for (size_t i = 0; i < sizeof(requirements) / sizeof(requirements[0]); i++)
		if ((features & requirements[i].any_of) &&
		    !(features & requirements[i].requires_any_of))
			return false;
	return true;
}

uint32_t pv_net_hdr_bytes(const struct pv_device *device)
{
	if (device->features & VIRTIO_NET_F_HASH_REPORT)
		return sizeof(struct virtio_net_hdr_hash);
	if (device->features & (VIRTIO_F_VERSION_1 | VIRTIO_NET_F_MRG_RXBUF))
		return sizeof(struct virtio_net_hdr_mrg);
	return sizeof(struct virtio_net_hdr);
}

uint32_t pv_net_hash_types(const struct pv_net *net)
{
	return net->wire->can_spread ? net->wire->spread_types : PV_NET_HASH_TYPES;
}

bool pv_net_tell_spread(struct pv_net *net, const struct pv_net_rules *rules)
{
	const struct pv_net_hashing *hashing = &rules->hashing;
	const struct pv_net_steering *steering = &rules->steering;
	struct pv_net_spread spread = {
		.types = hashing->types,
		.key_bytes = hashing->key_bytes,
		.mask = steering->mask,
		.unclassified = steering->unclassified,
	};

	if (!net->wire->can_spread)
		return true;
	__builtin_memcpy(spread.key, hashing->key, sizeof(spread.key));
	__builtin_memcpy(spread.table, steering->table, sizeof(spread.table));
	return net->wire->ops->set_spread(net->wire, steering->is_on ? &spread : NULL);
}

uint64_t pv_net_offloads(const struct pv_net *net)
{
	return net->device.features & PV_NET_GUEST_OFFLOADS & ~net->rules.offloads_off;
}

void pv_net_tell_wire(struct pv_net *net)
{
	const struct pv_net_wire_ops *ops = net->wire->ops;

	if (ops->set_offloads)
		ops->set_offloads(net->wire, pv_net_offloads(net));
}

/* ---- configuration ---- */

static uint16_t status_of(const struct pv_net *net)
{
	bool is_announcing = __atomic_load_n(&net->is_announcing, __ATOMIC_RELAXED);

	return (net->has_link ? VIRTIO_NET_S_LINK_UP : 0) |
	       (is_announcing ? VIRTIO_NET_S_ANNOUNCE : 0);
}

static void config_read(const struct pv_device *device, uint16_t offset, void *to, uint16_t bytes)
{
	const struct pv_net *net = pv_net_of_const(device);
	uint32_t speed = net->wire->speed_mbit;
	struct virtio_net_config config = {
		.status = pv_le16_of(status_of(net)),
		.max_virtqueue_pairs = pv_le16_of(net->options.pairs),
		.mtu = pv_le16_of(net->options.mtu),
		.speed = pv_le32_of(speed ? speed : VIRTIO_NET_SPEED_UNKNOWN),
		.duplex = speed ? VIRTIO_NET_DUPLEX_FULL : VIRTIO_NET_DUPLEX_UNKNOWN,
		.rss_max_key_size = PV_NET_HASH_KEY_BYTES,
		.rss_max_indirection_table_length = pv_le16_of(PV_NET_RSS_TABLE_MAX),
		.supported_hash_types = pv_le32_of(pv_net_hash_types(net)),
	};

	__builtin_memcpy(config.mac, net->rules.mac, sizeof(config.mac));
	__builtin_memcpy(to, (const uint8_t *)&config + offset, bytes);
}

/* Section 5.1.4.3: a legacy driver sets its address here. */
static int config_write(struct pv_device *device, uint16_t offset, const void *from, uint16_t bytes)
{
	struct pv_net *net = pv_net_of(device);

	if ((device->features & VIRTIO_F_VERSION_1) || offset + bytes > VIRTIO_NET_MAC_BYTES)
		return -PV_ENOTSUP;
	__builtin_memcpy(net->rules.mac + offset, from, bytes);
	pv_net_rules_changed(net);
	return 0;
}

/* ---- roles ---- */

uint16_t pv_net_pairs_known(const struct pv_device *device)
{
	if (device->features & (VIRTIO_NET_F_MQ | VIRTIO_NET_F_RSS))
		return pv_net_of_const(device)->options.pairs;
	return 1;
}

enum pv_net_role pv_net_role(const struct pv_device *device, uint16_t index)
{
	uint32_t control = 2u * pv_net_pairs_known(device);

	if (index < control)
		return index % 2 ? PV_NET_SENDS : PV_NET_RECEIVES;
	if (index == control && (device->features & VIRTIO_NET_F_CTRL_VQ))
		return PV_NET_CONTROLS;
	return PV_NET_NOTHING;
}

/* What it is for may depend on features: they stay as they are while any queue runs. */
static enum pv_net_role role_of(const struct pv_queue *queue)
{
	return pv_net_role(queue->device, queue->index);
}

static int receiver_start(struct pv_queue *queue)
{
	struct pv_net *net = pv_net_of(queue->device);
	const struct pv_net_wire_ops *ops = net->wire->ops;

	net->coalescing[queue->index] = net->rx_coalescing;
	pv_net_tell_wire(net);
	if (ops->set_pairs && queue->index == 0)
		ops->set_pairs(net->wire, pv_net_has(queue->device, VIRTIO_NET_F_CTRL_VQ)
		                                  ? net->rules.pairs
		                                  : pv_net_pairs_known(queue->device));
	if (queue->index == 0 && !pv_net_tell_spread(net, &net->rules))
		return -PV_EIO;
	return pv_net_receiver_start(queue);
}

static int queue_start(struct pv_queue *queue)
{
	struct pv_net *net = pv_net_of(queue->device);

	queue->is_muted = false;
	switch (role_of(queue)) {
	case PV_NET_RECEIVES:
		return receiver_start(queue);
	case PV_NET_SENDS:
		net->coalescing[queue->index] = net->tx_coalescing;
		return pv_net_sender_start(queue);
	case PV_NET_CONTROLS:
		return pv_net_controller_start(queue);
	case PV_NET_NOTHING:
		break;
	}
	return -PV_EINVAL;
}

static bool queue_run(struct pv_queue *queue)
{
	switch (role_of(queue)) {
	case PV_NET_RECEIVES:
		return pv_net_receiver_run(queue);
	case PV_NET_SENDS:
		return pv_net_sender_run(queue);
	case PV_NET_CONTROLS:
		return pv_net_controller_run(queue);
	case PV_NET_NOTHING:
		break;
	}
	return false;
}

static void queue_drain(struct pv_queue *queue)
{
	if (role_of(queue) == PV_NET_RECEIVES)
		pv_net_receiver_drain(queue);
}

static void queue_stop(struct pv_queue *queue)
{
	switch (role_of(queue)) {
	case PV_NET_RECEIVES:
		pv_net_receiver_stop(queue);
		break;
	case PV_NET_SENDS:
		pv_net_sender_stop(queue);
		break;
	case PV_NET_CONTROLS:
		pv_net_controller_stop(queue);
		break;
	case PV_NET_NOTHING:
		break;
	}
}

static void save_coalescing(const struct pv_net_coalescing *set, struct pv_state_writer *to)
{
	pv_state_put_u32(to, set->max_packets);
	pv_state_put_u32(to, set->max_usecs);
}

static void load_coalescing(struct pv_net_coalescing *set, struct pv_state_reader *from)
{
	set->max_packets = pv_state_get_u32(from);
	set->max_usecs = pv_state_get_u32(from);
}

static void queue_save(const struct pv_queue *queue, struct pv_state_writer *to)
{
	save_coalescing(&pv_net_of(queue->device)->coalescing[queue->index], to);
	if (role_of(queue) == PV_NET_SENDS)
		pv_net_sender_save(queue, to);
}

static void queue_load(struct pv_queue *queue, struct pv_state_reader *from)
{
	load_coalescing(&pv_net_of(queue->device)->coalescing[queue->index], from);
	if (role_of(queue) == PV_NET_SENDS)
		pv_net_sender_load(queue, from);
}

/* The driver has changed its filter. */
static void queue_event(struct pv_queue *queue)
{
	struct pv_net *net = pv_net_of(queue->device);

	if (net->is_filter_told || !net->options.rx_filter_changed)
		return;
	net->is_filter_told = true;
	net->options.rx_filter_changed(net->options.arg);
}

/* ---- what the user does ---- */

void pv_net_set_link(struct pv_device *device, bool is_up)
{
	struct pv_net *net = pv_net_of(device);

	if (net->has_link == is_up)
		return;
	__atomic_store_n(&net->has_link, is_up, __ATOMIC_RELAXED);
	pv_device_config_changed(device);
}

bool pv_net_has_link(const struct pv_device *device)
{
	return pv_net_of_const(device)->has_link;
}

bool pv_net_announce(struct pv_device *device)
{
	struct pv_net *net = pv_net_of(device);

	if (!pv_net_has(device, VIRTIO_NET_F_GUEST_ANNOUNCE) || !net->has_link)
		return false;
	__atomic_store_n(&net->is_announcing, true, __ATOMIC_RELAXED);
	pv_device_config_changed(device);
	return true;
}

/* ---- the filter, for people ---- */

static enum pv_net_rx_mode mode(bool is_none, bool is_all)
{
	if (is_none)
		return PV_NET_RX_NONE;
	return is_all ? PV_NET_RX_ALL : PV_NET_RX_NORMAL;
}

static uint16_t copy_macs(uint8_t to[PV_NET_MACS_MAX][VIRTIO_NET_MAC_BYTES],
                          const struct pv_net_macs *from)
{
	__builtin_memcpy(to, from->mac, sizeof(from->mac));
	return from->count;
}

void pv_net_rx_filter(struct pv_device *device, struct pv_net_rx_filter *filter)
{
	struct pv_net *net = pv_net_of(device);
	const struct pv_net_rules *rules = &net->rules;

	net->is_filter_told = false;
	*filter = (struct pv_net_rx_filter){
		.is_promiscuous = rules->is_promiscuous,
		.is_broadcast_allowed = !rules->has_no_bcast,
		.unicast = mode(rules->has_no_uni, rules->has_all_uni),
		.multicast = mode(rules->has_no_multi, rules->has_all_multi),
		.vlan = mode(false, !pv_net_has(device, VIRTIO_NET_F_CTRL_VLAN)),
		.has_unicast_overflow = rules->unicast.has_overflow,
		.has_multicast_overflow = rules->multicast.has_overflow,
	};
	__builtin_memcpy(filter->mac, rules->mac, sizeof(filter->mac));
	__builtin_memcpy(filter->vlans, rules->vlans, sizeof(filter->vlans));
	filter->unicasts = copy_macs(filter->unicast_table, &rules->unicast);
	filter->multicasts = copy_macs(filter->multicast_table, &rules->multicast);
}

/* ---- reset and state ---- */

/* The link is the user's, and what was passed of a rate stays passed. */
static void reset(struct pv_device *device)
{
	struct pv_net *net = pv_net_of(device);

	pv_net_rules_reset(net);
	net->is_announcing = false;
	net->rx_coalescing = (struct pv_net_coalescing){ 0 };
	net->tx_coalescing = (struct pv_net_coalescing){ 0 };
	for (uint16_t i = 0; i < device->queues; i++)
		net->coalescing[i] = (struct pv_net_coalescing){ 0 };
	for (size_t i = 0; i < sizeof(net->flow) / sizeof(net->flow[0]); i++)
		net->flow[i] = 0;
}

static void save(const struct pv_device *device, struct pv_state_writer *to)
{
	const struct pv_net *net = pv_net_of_const(device);

	pv_net_rules_save(net, to);
	pv_state_put_u8(to, net->is_announcing);
	save_coalescing(&net->rx_coalescing, to);
	save_coalescing(&net->tx_coalescing, to);
}

static int load(struct pv_device *device, struct pv_state_reader *from, uint16_t version)
{
	struct pv_net *net = pv_net_of(device);

	(void)version;
	pv_net_rules_load(net, from);
	net->is_announcing = pv_state_get_u8(from);
	load_coalescing(&net->rx_coalescing, from);
	load_coalescing(&net->tx_coalescing, from);
	return from->is_bad ? -PV_ESTATE : 0;
}

static const void *queue_counters(const struct pv_device *device, uint16_t index)
{
	return &pv_net_of_const(device)->counters[index];
}

static const struct pv_virtio_ops virtio_ops = {
	.id = VIRTIO_ID_NET,
	.config_bytes = sizeof(struct virtio_net_config),
	.features = features,
	.features_are_good = features_are_good,
	.config_read = config_read,
	.config_write = config_write,
	.queue_start = queue_start,
	.queue_run = queue_run,
	.queue_drain = queue_drain,
	.queue_stop = queue_stop,
	.queue_save = queue_save,
	.queue_load = queue_load,
	.queue_event = queue_event,
};

static const struct pv_device_ops net_ops = {
	.name = "net",
	.virtio = &virtio_ops,
	.reset = reset,
	.state_version = 1,
	.save = save,
	.load = load,
	.counter_names = pv_net_counter_names,
	.queue_counters = queue_counters,
};

/* ---- birth ---- */

size_t pv_net_bytes(uint16_t pairs)
{
	uint16_t queues = pv_net_queues(pairs);

	return pv_storage_bytes(sizeof(struct pv_net)) +
	       pv_storage_bytes(sizeof(struct pv_queue) * queues) +
	       pv_storage_bytes(sizeof(struct pv_net_counters) * queues) +
	       pv_storage_bytes(sizeof(struct pv_net_coalescing) * queues) +
	       pv_storage_bytes(sizeof(struct pv_net_receiver *) * pairs);
}

struct pv_device *pv_net_init(void *storage, struct pv_port *port, struct pv_net_wire *wire,
                              const struct pv_net_options *options)
{
	uint16_t queues = pv_net_queues(options->pairs);
	uint8_t *rest = storage;
	struct pv_net *net = pv_storage_take(&rest, sizeof(*net));

	pv_bug_on(options->pairs == 0);
	net->queue = pv_storage_take(&rest, sizeof(struct pv_queue) * queues);
	net->counters = pv_storage_take(&rest, sizeof(struct pv_net_counters) * queues);
	net->coalescing = pv_storage_take(&rest, sizeof(struct pv_net_coalescing) * queues);
	net->receiver = pv_storage_take(&rest, sizeof(struct pv_net_receiver *) * options->pairs);
	pv_device_init(&net->device, &net_ops, port,
	               pv_device_ring_features(options->is_in_order, options->no_packed),
	               net->queue, queues, options->queue_size_max);
	net->wire = wire;
	net->options = *options;
	net->has_link = !options->is_link_down;
	net->does_steer = options->pairs > 1 && wire->sources == 1;
	net->in.rate = options->rate_in;
	net->out.rate = options->rate_out;
	reset(&net->device);
	return &net->device;
}
