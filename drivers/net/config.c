/* SPDX-License-Identifier: BSD-2-Clause */
/* What a network device says about itself, believed only as far as it makes sense. */
#include "drivers/net/internal.h"
#include "ring/err.h"

#define MTU_DEFAULT 1500u

/* An Ethernet header, and room for one VLAN tag, which no MTU counts. */
#define FRAME_HEAD_BYTES (PV_NETDRV_FRAME_MIN + 4u)

#define SEVERAL_PAIRS (VIRTIO_NET_F_MQ | VIRTIO_NET_F_RSS)
#define HASHES        (VIRTIO_NET_F_RSS | VIRTIO_NET_F_HASH_REPORT)

#define GUEST_GSO                                                                                  \
	(VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_UFO |              \
	 VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6)

#define NEED_CTRL_VQ                                                                               \
	(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_VLAN |        \
	 VIRTIO_NET_F_CTRL_RX_EXTRA | VIRTIO_NET_F_GUEST_ANNOUNCE | VIRTIO_NET_F_MQ |              \
	 VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_NOTF_COAL | VIRTIO_NET_F_VQ_NOTF_COAL |         \
	 VIRTIO_NET_F_RSS | VIRTIO_NET_F_HASH_REPORT | VIRTIO_NET_F_DEVICE_STATS)

/* What needs one of some others; these come first. */
static const struct {
	uint64_t features;
	uint64_t need;
} needs[] = {
	{ GUEST_GSO, VIRTIO_NET_F_GUEST_CSUM },
	{ VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 },
	{ VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_UFO |
	          VIRTIO_NET_F_HOST_USO,
	  VIRTIO_NET_F_CSUM },
	{ VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 },
	{ NEED_CTRL_VQ, VIRTIO_NET_F_CTRL_VQ },
};

uint64_t pv_netdrv_choose(uint64_t features)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (!(features & needs[i].need))
			features &= ~needs[i].features;
	return features;
}

/* Bytes of the configuration that exist with these features: older devices have less of it. */
static uint32_t config_bytes(uint64_t features)
{
	if (features & HASHES)
		return offsetof(struct virtio_net_config, supported_tunnel_types);
	if (features & VIRTIO_NET_F_SPEED_DUPLEX)
		return offsetof(struct virtio_net_config, rss_max_key_size);
	if (features & VIRTIO_NET_F_MTU)
		return offsetof(struct virtio_net_config, speed);
	if (features & SEVERAL_PAIRS)
		return offsetof(struct virtio_net_config, mtu);
	if (features & VIRTIO_NET_F_STATUS)
		return offsetof(struct virtio_net_config, max_virtqueue_pairs);
	return features & VIRTIO_NET_F_MAC ? VIRTIO_NET_MAC_BYTES : 0;
}

static int read_config(struct pv_netdrv *net, struct virtio_net_config *config)
{
	const uint32_t bytes = config_bytes(net->driver.features);

	*config = (struct virtio_net_config){ 0 };
	return bytes ? pv_driver_config_read(&net->driver, 0, config, bytes) : 0;
}

/* An address of one station, which is not nobody's. */
static bool is_station(const uint8_t mac[VIRTIO_NET_MAC_BYTES])
{
	uint8_t all = 0;

	for (uint32_t i = 0; i < VIRTIO_NET_MAC_BYTES; i++)
		all |= mac[i];
	return all && !(mac[0] & 1);
}

static bool take_mac(struct pv_netdrv_info *info, const struct virtio_net_config *config)
{
	info->has_mac = info->features & VIRTIO_NET_F_MAC;
	if (!info->has_mac)
		return true;
	__builtin_memcpy(info->mac, config->mac, sizeof(info->mac));
	return is_station(info->mac);
}

static bool take_pairs(struct pv_netdrv_info *info, const struct virtio_net_config *config,
                       uint16_t wanted)
{
	info->pairs_max = 1;
	if (info->features & SEVERAL_PAIRS)
		info->pairs_max = pv_le16_get(config->max_virtqueue_pairs);
	if (wanted == 0)
		wanted = 1;
	info->pairs = info->pairs_max < wanted ? info->pairs_max : wanted;
	return info->pairs_max > 0 && info->pairs_max <= VIRTIO_NET_PAIRS_MAX;
}

static bool take_mtu(struct pv_netdrv_info *info, const struct virtio_net_config *config)
{
	if (!(info->features & VIRTIO_NET_F_MTU))
		return true;
	info->mtu = pv_le16_get(config->mtu);
	return info->mtu >= VIRTIO_NET_MTU_MIN;
}

/* A table must fit into a command, beside the longest key. */
static void take_hashes(struct pv_netdrv_info *info, const struct virtio_net_config *config,
                        uint32_t command_bytes)
{
	const uint32_t other_bytes = sizeof(struct virtio_net_rss_head) +
	                             sizeof(struct virtio_net_rss_tail) + PV_NETDRV_KEY_MAX;
	uint32_t room = command_bytes > other_bytes ? (command_bytes - other_bytes) / 2 : 0;

	if (!(info->features & HASHES))
		return;
	info->rss_key_bytes_max = config->rss_max_key_size;
	info->hash_types = pv_le32_get(config->supported_hash_types);
	if (!(info->features & VIRTIO_NET_F_RSS))
		return;
	info->rss_table_max = pv_le16_get(config->rss_max_indirection_table_length);
	if (info->rss_table_max > room)
		info->rss_table_max = (uint16_t)room;
}

/* Section 5.1.6.3.1; legacy, section 5.1.6.1. */
static void size_buffers(struct pv_netdrv_info *info)
{
	const uint32_t mtu = info->mtu > MTU_DEFAULT ? info->mtu : MTU_DEFAULT;

	info->header_bytes = sizeof(struct virtio_net_hdr);
	if (info->features & (VIRTIO_F_VERSION_1 | VIRTIO_NET_F_MRG_RXBUF))
		info->header_bytes = sizeof(struct virtio_net_hdr_mrg);
	if (info->features & VIRTIO_NET_F_HASH_REPORT)
		info->header_bytes = sizeof(struct virtio_net_hdr_hash);
	info->buffer_bytes_min = info->header_bytes;
	if (info->features & VIRTIO_NET_F_MRG_RXBUF)
		info->buffer_bytes_min += PV_NETDRV_FRAME_MIN;
	else if (info->features & GUEST_GSO)
		info->buffer_bytes_min += PV_NETDRV_FRAME_MAX;
	else
		info->buffer_bytes_min += mtu + FRAME_HEAD_BYTES;
}

static void take_link(struct pv_netdrv *net, const struct virtio_net_config *config)
{
	uint32_t flags = VIRTIO_NET_S_LINK_UP, speed_mbit = 0;

	if (net->driver.features & VIRTIO_NET_F_STATUS)
		flags = pv_le16_get(config->status);
	if (net->driver.features & VIRTIO_NET_F_SPEED_DUPLEX) {
		speed_mbit = pv_le32_get(config->speed);
		if (config->duplex == VIRTIO_NET_DUPLEX_FULL)
			flags |= PV_NETDRV_LINK_FULL_DUPLEX;
	}
	if (speed_mbit > INT32_MAX)
		speed_mbit = 0;
	__atomic_store_n(&net->link_speed_mbit, speed_mbit, __ATOMIC_RELAXED);
	__atomic_store_n(&net->link_flags, flags, __ATOMIC_RELAXED);
}

int pv_netdrv_config_load(struct pv_netdrv *net)
{
	struct pv_netdrv_info *info = &net->info;
	struct virtio_net_config config;
	int error = read_config(net, &config);

	if (error)
		return error;
	*info = (struct pv_netdrv_info){ .features = net->driver.features };
	info->has_control = info->features & VIRTIO_NET_F_CTRL_VQ;
	if (!take_mac(info, &config) || !take_pairs(info, &config, net->options.pairs) ||
	    !take_mtu(info, &config))
		return -PV_EBROKEN;
	take_hashes(info, &config, net->control.bytes_max);
	size_buffers(info);
	take_link(net, &config);
	return 0;
}

int pv_netdrv_config_changed(struct pv_netdrv *net)
{
	struct virtio_net_config config;
	int error;

	if (pv_driver_needs_reset(&net->driver))
		return -PV_EBROKEN;
	error = read_config(net, &config);
	if (!error)
		take_link(net, &config);
	return error;
}

struct pv_netdrv_link pv_netdrv_link(const struct pv_netdrv *net)
{
	uint32_t flags = __atomic_load_n(&net->link_flags, __ATOMIC_RELAXED);

	return (struct pv_netdrv_link){
		.is_up = flags & VIRTIO_NET_S_LINK_UP,
		.must_announce = flags & VIRTIO_NET_S_ANNOUNCE &&
		                 net->info.features & VIRTIO_NET_F_GUEST_ANNOUNCE,
		.is_full_duplex = flags & PV_NETDRV_LINK_FULL_DUPLEX,
		.speed_mbit = __atomic_load_n(&net->link_speed_mbit, __ATOMIC_RELAXED),
	};
}
