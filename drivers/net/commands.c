/* SPDX-License-Identifier: BSD-2-Clause */
/* What a device is told by commands, and told again after a reset. */
#include "drivers/net/internal.h"
#include "ring/err.h"

#define GUEST_OFFLOADS                                                                             \
	(VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 |             \
	 VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_GUEST_UFO | VIRTIO_NET_F_GUEST_USO4 |               \
	 VIRTIO_NET_F_GUEST_USO6)

static bool has(const struct pv_netdrv *net, uint64_t feature)
{
	return net->info.features & feature;
}

/* ---- telling, and remembering ---- */

#define WHAT(class, command) ((uint16_t)((class) << 8 | (command)))
#define NO_MEMO              PV_NETDRV_MEMOS

/* To be repeated after a reset, in place of what was told before. */
static void remember(struct pv_netdrv *net, enum pv_netdrv_memo_kind kind,
                     const struct pv_netdrv_command *command)
{
	struct pv_netdrv_command *memo = &net->control.memo[kind];

	*memo = *command;
	memo->data = net->control.memo_data[kind];
	__builtin_memcpy(net->control.memo_data[kind], command->data, command->bytes);
}

/* A command, of what WHAT() says. */
static int tell(struct pv_netdrv *net, enum pv_netdrv_memo_kind kind, uint16_t what,
                const void *data, uint32_t bytes)
{
	struct pv_netdrv_command command = {
		.command_class = (uint8_t)(what >> 8),
		.command = (uint8_t)what,
		.data = data,
		.bytes = bytes,
	};
	int error = pv_netdrv_command(net, &command);

	if (!error && kind != NO_MEMO)
		remember(net, kind, &command);
	return error;
}

/* Puts more data into the scratch area; there is room, which the caller has seen to. */
static void append(struct pv_netdrv *net, uint32_t *at, const void *data, size_t bytes)
{
	if (bytes > 0)
		__builtin_memcpy(net->control.scratch + *at, data, bytes);
	*at += (uint32_t)bytes;
}

/* ---- what is received ---- */

int pv_netdrv_set_rx_mode(struct pv_netdrv *net, uint8_t mode, bool is_on)
{
	const bool is_extra = mode >= VIRTIO_NET_CTRL_RX_ALLUNI;
	struct pv_netdrv_control *control = &net->control;
	const uint8_t bit = (uint8_t)(1u << (mode & 7u)), data = is_on;
	int error;

	if (mode > VIRTIO_NET_CTRL_RX_NOBCAST)
		return -PV_EINVAL;
	if (!has(net, is_extra ? VIRTIO_NET_F_CTRL_RX_EXTRA : VIRTIO_NET_F_CTRL_RX))
		return -PV_ENOTSUP;
	error = tell(net, NO_MEMO, WHAT(VIRTIO_NET_CTRL_RX, mode), &data, sizeof(data));
	if (error)
		return error;
	control->rx_modes_told |= bit;
	control->rx_modes = (uint8_t)(is_on ? control->rx_modes | bit : control->rx_modes & ~bit);
	return 0;
}

static void append_macs(struct pv_netdrv *net, uint32_t *at, const uint8_t *macs, uint32_t count)
{
	const struct pv_le32 field = pv_le32_of(count);

	append(net, at, &field, sizeof(field));
	append(net, at, macs, (size_t)count * VIRTIO_NET_MAC_BYTES);
}

/* Each table is a buffer of its own: legacy devices find them so. */
int pv_netdrv_set_macs(struct pv_netdrv *net, const uint8_t *unicast, uint32_t unicasts,
                       const uint8_t *multicast, uint32_t multicasts)
{
	const uint64_t bytes =
		((uint64_t)unicasts + multicasts) * VIRTIO_NET_MAC_BYTES + 2 * sizeof(uint32_t);
	struct pv_netdrv_command command = { .command_class = VIRTIO_NET_CTRL_MAC,
		                             .command = VIRTIO_NET_CTRL_MAC_TABLE_SET,
		                             .data = net->control.scratch };
	int error;

	if (!has(net, VIRTIO_NET_F_CTRL_RX))
		return -PV_ENOTSUP;
	if (bytes > net->control.bytes_max)
		return -PV_EINVAL;
	append_macs(net, &command.bytes, unicast, unicasts);
	command.first_bytes = command.bytes;
	append_macs(net, &command.bytes, multicast, multicasts);
	error = pv_netdrv_command(net, &command);
	if (!error)
		remember(net, PV_NETDRV_MEMO_MACS, &command);
	return error;
}

/* Without a command only a legacy device takes another address: byte for byte, the last one counts.
 */
static int write_mac(struct pv_netdrv *net, const uint8_t mac[VIRTIO_NET_MAC_BYTES])
{
	int error = net->driver.bus->is_legacy ? 0 : -PV_ENOTSUP;

	for (uint32_t i = 0; !error && i < VIRTIO_NET_MAC_BYTES; i++)
		error = pv_driver_config_write(&net->driver, i, &mac[i], 1);
	return error;
}

int pv_netdrv_set_mac(struct pv_netdrv *net, const uint8_t mac[VIRTIO_NET_MAC_BYTES])
{
	int error = has(net, VIRTIO_NET_F_CTRL_MAC_ADDR)
	                    ? tell(net, NO_MEMO,
	                           WHAT(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET), mac,
	                           VIRTIO_NET_MAC_BYTES)
	                    : write_mac(net, mac);

	if (error)
		return error;
	__builtin_memmove(net->control.mac, mac, VIRTIO_NET_MAC_BYTES);
	__builtin_memcpy(net->info.mac, net->control.mac, VIRTIO_NET_MAC_BYTES);
	net->control.has_mac = true;
	net->info.has_mac = true;
	return 0;
}

int pv_netdrv_set_vlan(struct pv_netdrv *net, uint16_t vlan, bool is_in)
{
	const uint16_t what = is_in ? WHAT(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD)
	                            : WHAT(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL);
	const struct pv_le16 data = pv_le16_of(vlan);
	uint8_t *byte, bit = (uint8_t)(1u << vlan % 8);
	int error;

	if (!has(net, VIRTIO_NET_F_CTRL_VLAN))
		return -PV_ENOTSUP;
	if (vlan >= VIRTIO_NET_VLANS)
		return -PV_EINVAL;
	error = tell(net, NO_MEMO, what, &data, sizeof(data));
	if (error)
		return error;
	byte = &net->control.vlans[vlan / 8];
	*byte = (uint8_t)(is_in ? *byte | bit : *byte & ~bit);
	return 0;
}

int pv_netdrv_announced(struct pv_netdrv *net)
{
	int error;

	if (!has(net, VIRTIO_NET_F_GUEST_ANNOUNCE))
		return -PV_ENOTSUP;
	error = tell(net, NO_MEMO, WHAT(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK),
	             NULL, 0);
	if (!error)
		__atomic_and_fetch(&net->link_flags, ~VIRTIO_NET_S_ANNOUNCE, __ATOMIC_RELAXED);
	return error;
}

/* ---- where it is received ---- */

int pv_netdrv_set_pairs(struct pv_netdrv *net, uint16_t pairs)
{
	const struct pv_le16 data = pv_le16_of(pairs);

	if (!has(net, VIRTIO_NET_F_MQ))
		return -PV_ENOTSUP;
	if (pairs == 0 || pairs > net->info.pairs)
		return -PV_EINVAL;
	return tell(net, PV_NETDRV_MEMO_STEERING,
	            WHAT(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET), &data, sizeof(data));
}

static bool is_rss_sane(const struct pv_netdrv_info *info, const struct pv_netdrv_rss *rss)
{
	if (rss->pairs == 0 || rss->pairs > info->pairs || rss->unclassified >= rss->pairs ||
	    rss->key_bytes > info->rss_key_bytes_max || rss->hash_types & ~info->hash_types)
		return false;
	if (rss->table_length == 0 || rss->table_length > info->rss_table_max ||
	    rss->table_length & (rss->table_length - 1))
		return false;
	for (uint16_t i = 0; i < rss->table_length; i++)
		if (rss->table[i] >= rss->pairs)
			return false;
	return true;
}

/* Returns how many bytes it has put into the scratch area. */
static uint32_t write_rss(struct pv_netdrv *net, const struct pv_netdrv_rss *rss)
{
	const struct virtio_net_rss_head head = {
		.hash_types = pv_le32_of(rss->hash_types),
		.indirection_table_mask = pv_le16_of((uint16_t)(rss->table_length - 1)),
		.unclassified_queue = pv_le16_of(rss->unclassified),
	};
	const struct virtio_net_rss_tail tail = {
		.max_tx_vq = pv_le16_of(rss->pairs),
		.hash_key_length = (uint8_t)rss->key_bytes,
	};
	uint32_t at = 0;

	append(net, &at, &head, sizeof(head));
	for (uint16_t i = 0; i < rss->table_length; i++) {
		const struct pv_le16 pair = pv_le16_of(rss->table[i]);

		append(net, &at, &pair, sizeof(pair));
	}
	append(net, &at, &tail, sizeof(tail));
	append(net, &at, rss->key, rss->key_bytes);
	return at;
}

int pv_netdrv_set_rss(struct pv_netdrv *net, const struct pv_netdrv_rss *rss)
{
	int error;

	if (!has(net, VIRTIO_NET_F_RSS))
		return -PV_ENOTSUP;
	if (!is_rss_sane(&net->info, rss))
		return -PV_EINVAL;
	error = tell(net, PV_NETDRV_MEMO_STEERING,
	             WHAT(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG), net->control.scratch,
	             write_rss(net, rss));
	if (!error) /* it has kinds and a key of its own */
		net->control.memo[PV_NETDRV_MEMO_HASH].bytes = 0;
	return error;
}

int pv_netdrv_set_hash(struct pv_netdrv *net, uint32_t hash_types, const uint8_t *key,
                       uint16_t key_bytes)
{
	const struct virtio_net_hash_head head = { .hash_types = pv_le32_of(hash_types),
		                                   .hash_key_length = (uint8_t)key_bytes };
	uint32_t bytes = 0;

	if (!has(net, VIRTIO_NET_F_HASH_REPORT))
		return -PV_ENOTSUP;
	if (hash_types & ~net->info.hash_types || key_bytes > net->info.rss_key_bytes_max ||
	    sizeof(head) + key_bytes > net->control.bytes_max)
		return -PV_EINVAL;
	append(net, &bytes, &head, sizeof(head));
	append(net, &bytes, key, key_bytes);
	return tell(net, PV_NETDRV_MEMO_HASH,
	            WHAT(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_HASH_CONFIG), net->control.scratch,
	            bytes);
}

/* ---- how it is received ---- */

int pv_netdrv_set_guest_offloads(struct pv_netdrv *net, uint64_t offloads)
{
	const struct pv_le64 data = pv_le64_of(offloads);

	if (!has(net, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))
		return -PV_ENOTSUP;
	if (offloads & ~(net->info.features & GUEST_OFFLOADS))
		return -PV_EINVAL;
	return tell(net, PV_NETDRV_MEMO_OFFLOADS,
	            WHAT(VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET), &data,
	            sizeof(data));
}

static struct virtio_net_ctrl_coal coal_of(struct pv_netdrv_coalescing coalescing)
{
	return (struct virtio_net_ctrl_coal){ .max_packets = pv_le32_of(coalescing.max_packets),
		                              .max_usecs = pv_le32_of(coalescing.max_usecs) };
}

/* What single queues of the kind had before is over. */
static int set_coalescing(struct pv_netdrv *net, bool is_rx, struct pv_netdrv_coalescing coalescing)
{
	const enum pv_netdrv_memo_kind kind = is_rx ? PV_NETDRV_MEMO_COALESCING_RX
	                                            : PV_NETDRV_MEMO_COALESCING_TX;
	const uint16_t what =
		is_rx ? WHAT(VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_RX_SET)
		      : WHAT(VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_TX_SET);
	const struct virtio_net_ctrl_coal data = coal_of(coalescing);
	int error;

	if (!has(net, VIRTIO_NET_F_NOTF_COAL))
		return -PV_ENOTSUP;
	error = tell(net, kind, what, &data, sizeof(data));
	for (uint16_t i = 0; !error && i < net->started; i++)
		if (net->queue[i].is_rx == is_rx)
			net->queue[i].has_coalescing = false;
	return error;
}

int pv_netdrv_set_rx_coalescing(struct pv_netdrv *net, struct pv_netdrv_coalescing coalescing)
{
	return set_coalescing(net, true, coalescing);
}

int pv_netdrv_set_tx_coalescing(struct pv_netdrv *net, struct pv_netdrv_coalescing coalescing)
{
	return set_coalescing(net, false, coalescing);
}

int pv_netdrv_set_queue_coalescing(struct pv_netdrv_queue *queue,
                                   struct pv_netdrv_coalescing coalescing)
{
	const struct virtio_net_ctrl_coal_vq data = { .vq_index = pv_le16_of(queue->base.index),
		                                      .coal = coal_of(coalescing) };
	int error;

	if (!has(queue->net, VIRTIO_NET_F_VQ_NOTF_COAL))
		return -PV_ENOTSUP;
	error = tell(queue->net, NO_MEMO,
	             WHAT(VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET), &data,
	             sizeof(data));
	if (error)
		return error;
	queue->coalescing = coalescing;
	queue->has_coalescing = true;
	return 0;
}

int pv_netdrv_queue_coalescing(struct pv_netdrv_queue *queue,
                               struct pv_netdrv_coalescing *coalescing)
{
	const struct virtio_net_ctrl_coal_vq data = { .vq_index = pv_le16_of(queue->base.index) };
	struct virtio_net_ctrl_coal answer;
	struct pv_netdrv_command command = { .command_class = VIRTIO_NET_CTRL_NOTF_COAL,
		                             .command = VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET,
		                             .data = &data,
		                             .bytes =
		                                     offsetof(struct virtio_net_ctrl_coal_vq, coal),
		                             .answer = &answer,
		                             .answer_bytes = sizeof(answer) };
	int error;

	if (!has(queue->net, VIRTIO_NET_F_VQ_NOTF_COAL))
		return -PV_ENOTSUP;
	error = pv_netdrv_command(queue->net, &command);
	if (error)
		return error;
	if (command.answered_bytes < sizeof(answer))
		return -PV_EIO;
	*coalescing = (struct pv_netdrv_coalescing){ pv_le32_get(answer.max_packets),
		                                     pv_le32_get(answer.max_usecs) };
	return 0;
}
