/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network device (virtio 1.3, section 5.1): features, configuration, the header of a packet,
 * and the commands of the control queue.
 */
#ifndef PV_ABI_VIRTIO_NET_H
#define PV_ABI_VIRTIO_NET_H

#include "abi/types.h"
#include "abi/virtio_features.h"

#define VIRTIO_NET_F_CSUM                VIRTIO_F_BIT(0)
#define VIRTIO_NET_F_GUEST_CSUM          VIRTIO_F_BIT(1)
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS VIRTIO_F_BIT(2)
#define VIRTIO_NET_F_MTU                 VIRTIO_F_BIT(3)
#define VIRTIO_NET_F_MAC                 VIRTIO_F_BIT(5)
#define VIRTIO_NET_F_GSO                 VIRTIO_F_BIT(6) /* legacy: all of HOST_TSO4, TSO6, ECN and UFO */
#define VIRTIO_NET_F_GUEST_TSO4          VIRTIO_F_BIT(7)
#define VIRTIO_NET_F_GUEST_TSO6          VIRTIO_F_BIT(8)
#define VIRTIO_NET_F_GUEST_ECN           VIRTIO_F_BIT(9)
#define VIRTIO_NET_F_GUEST_UFO           VIRTIO_F_BIT(10)
#define VIRTIO_NET_F_HOST_TSO4           VIRTIO_F_BIT(11)
#define VIRTIO_NET_F_HOST_TSO6           VIRTIO_F_BIT(12)
#define VIRTIO_NET_F_HOST_ECN            VIRTIO_F_BIT(13)
#define VIRTIO_NET_F_HOST_UFO            VIRTIO_F_BIT(14)
#define VIRTIO_NET_F_MRG_RXBUF           VIRTIO_F_BIT(15)
#define VIRTIO_NET_F_STATUS              VIRTIO_F_BIT(16)
#define VIRTIO_NET_F_CTRL_VQ             VIRTIO_F_BIT(17)
#define VIRTIO_NET_F_CTRL_RX             VIRTIO_F_BIT(18)
#define VIRTIO_NET_F_CTRL_VLAN           VIRTIO_F_BIT(19)
#define VIRTIO_NET_F_CTRL_RX_EXTRA       VIRTIO_F_BIT(20)
#define VIRTIO_NET_F_GUEST_ANNOUNCE      VIRTIO_F_BIT(21)
#define VIRTIO_NET_F_MQ                  VIRTIO_F_BIT(22)
#define VIRTIO_NET_F_CTRL_MAC_ADDR       VIRTIO_F_BIT(23)
#define VIRTIO_NET_F_DEVICE_STATS        VIRTIO_F_BIT(50)
#define VIRTIO_NET_F_VQ_NOTF_COAL        VIRTIO_F_BIT(52)
#define VIRTIO_NET_F_NOTF_COAL           VIRTIO_F_BIT(53)
#define VIRTIO_NET_F_GUEST_USO4          VIRTIO_F_BIT(54)
#define VIRTIO_NET_F_GUEST_USO6          VIRTIO_F_BIT(55)
#define VIRTIO_NET_F_HOST_USO            VIRTIO_F_BIT(56)
#define VIRTIO_NET_F_HASH_REPORT         VIRTIO_F_BIT(57)
#define VIRTIO_NET_F_GUEST_HDRLEN        VIRTIO_F_BIT(59)
#define VIRTIO_NET_F_RSS                 VIRTIO_F_BIT(60)
#define VIRTIO_NET_F_SPEED_DUPLEX        VIRTIO_F_BIT(63)

/*
 * Queues: receiving and sending of each pair, then the control queue. Without MQ and RSS there is
 * one pair, and the control queue comes right behind it, however many pairs the device has.
 */
#define VIRTIO_NET_PAIRS_MAX 0x8000u

#define VIRTIO_NET_MAC_BYTES 6u

struct virtio_net_config {
	uint8_t mac[6];
	struct pv_le16 status; /* VIRTIO_NET_S_* */
	struct pv_le16 max_virtqueue_pairs;
	struct pv_le16 mtu;
	struct pv_le32 speed; /* Mbit/s */
	uint8_t duplex;
	uint8_t rss_max_key_size;
	struct pv_le16 rss_max_indirection_table_length;
	struct pv_le32 supported_hash_types; /* VIRTIO_NET_HASH_TYPE_* */
	struct pv_le32 supported_tunnel_types;
};
PV_SIZE(struct virtio_net_config, 28);
PV_AT(struct virtio_net_config, mac, 0);
PV_AT(struct virtio_net_config, status, 6);
PV_AT(struct virtio_net_config, max_virtqueue_pairs, 8);
PV_AT(struct virtio_net_config, mtu, 10);
PV_AT(struct virtio_net_config, speed, 12);
PV_AT(struct virtio_net_config, duplex, 16);
PV_AT(struct virtio_net_config, rss_max_key_size, 17);
PV_AT(struct virtio_net_config, rss_max_indirection_table_length, 18);
PV_AT(struct virtio_net_config, supported_hash_types, 20);
PV_AT(struct virtio_net_config, supported_tunnel_types, 24);

#define VIRTIO_NET_S_LINK_UP  1u
#define VIRTIO_NET_S_ANNOUNCE 2u

#define VIRTIO_NET_SPEED_UNKNOWN  0xffffffffu
#define VIRTIO_NET_DUPLEX_FULL    0x01u
#define VIRTIO_NET_DUPLEX_UNKNOWN 0xffu

/* Between the bounds of the MTU. */
#define VIRTIO_NET_MTU_MIN 68u
#define VIRTIO_NET_MTU_MAX 65535u

/* What stands before each packet, in all versions of it. */
struct virtio_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	struct pv_le16 hdr_len;
	struct pv_le16 gso_size;
	struct pv_le16 csum_start;
	struct pv_le16 csum_offset; /* from csum_start */
};
PV_SIZE(struct virtio_net_hdr, 10);
PV_AT(struct virtio_net_hdr, flags, 0);
PV_AT(struct virtio_net_hdr, gso_type, 1);
PV_AT(struct virtio_net_hdr, hdr_len, 2);
PV_AT(struct virtio_net_hdr, gso_size, 4);
PV_AT(struct virtio_net_hdr, csum_start, 6);
PV_AT(struct virtio_net_hdr, csum_offset, 8);

/* With VERSION_1 or MRG_RXBUF. */
struct virtio_net_hdr_mrg {
	struct virtio_net_hdr hdr;
	struct pv_le16 num_buffers;
};
PV_SIZE(struct virtio_net_hdr_mrg, 12);
PV_AT(struct virtio_net_hdr_mrg, hdr, 0);
PV_AT(struct virtio_net_hdr_mrg, num_buffers, 10);

/* With HASH_REPORT. */
struct virtio_net_hdr_hash {
	struct virtio_net_hdr_mrg mrg;
	struct pv_le32 hash_value;
	struct pv_le16 hash_report; /* VIRTIO_NET_HASH_REPORT_* */
	struct pv_le16 padding_reserved;
};
PV_SIZE(struct virtio_net_hdr_hash, 20);
PV_AT(struct virtio_net_hdr_hash, mrg, 0);
PV_AT(struct virtio_net_hdr_hash, hash_value, 12);
PV_AT(struct virtio_net_hdr_hash, hash_report, 16);
PV_AT(struct virtio_net_hdr_hash, padding_reserved, 18);

#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1u
#define VIRTIO_NET_HDR_F_DATA_VALID 2u

#define VIRTIO_NET_HDR_GSO_NONE   0u
#define VIRTIO_NET_HDR_GSO_TCPV4  1u
#define VIRTIO_NET_HDR_GSO_UDP    3u /* UFO: fragments of one datagram */
#define VIRTIO_NET_HDR_GSO_TCPV6  4u
#define VIRTIO_NET_HDR_GSO_UDP_L4 5u /* USO: datagrams of their own */
#define VIRTIO_NET_HDR_GSO_ECN    0x80u

/* ---- hashes of received packets ---- */

#define VIRTIO_NET_HASH_REPORT_NONE     0u
#define VIRTIO_NET_HASH_REPORT_IPv4     1u
#define VIRTIO_NET_HASH_REPORT_TCPv4    2u
#define VIRTIO_NET_HASH_REPORT_UDPv4    3u
#define VIRTIO_NET_HASH_REPORT_IPv6     4u
#define VIRTIO_NET_HASH_REPORT_TCPv6    5u
#define VIRTIO_NET_HASH_REPORT_UDPv6    6u
#define VIRTIO_NET_HASH_REPORT_IPv6_EX  7u
#define VIRTIO_NET_HASH_REPORT_TCPv6_EX 8u
#define VIRTIO_NET_HASH_REPORT_UDPv6_EX 9u

/* 1 << (report - 1) */
#define VIRTIO_NET_HASH_TYPE_IPv4   (1u << 0)
#define VIRTIO_NET_HASH_TYPE_TCPv4  (1u << 1)
#define VIRTIO_NET_HASH_TYPE_UDPv4  (1u << 2)
#define VIRTIO_NET_HASH_TYPE_IPv6   (1u << 3)
#define VIRTIO_NET_HASH_TYPE_TCPv6  (1u << 4)
#define VIRTIO_NET_HASH_TYPE_UDPv6  (1u << 5)
#define VIRTIO_NET_HASH_TYPE_IP_EX  (1u << 6)
#define VIRTIO_NET_HASH_TYPE_TCP_EX (1u << 7)
#define VIRTIO_NET_HASH_TYPE_UDP_EX (1u << 8)

#define VIRTIO_NET_RSS_KEY_MIN   40u  /* that a device has room for */
#define VIRTIO_NET_RSS_TABLE_MIN 128u /* the same */

/* ---- the control queue ---- */

/* A command is this, its data, and what the device writes: an acknowledgement, and for some a
 * result. */
struct virtio_net_ctrl {
	uint8_t command_class;
	uint8_t command;
};
PV_SIZE(struct virtio_net_ctrl, 2);
PV_AT(struct virtio_net_ctrl, command_class, 0);
PV_AT(struct virtio_net_ctrl, command, 1);

#define VIRTIO_NET_OK  0u
#define VIRTIO_NET_ERR 1u

/* One byte of data each: off or on. */
#define VIRTIO_NET_CTRL_RX          0u
#define VIRTIO_NET_CTRL_RX_PROMISC  0u
#define VIRTIO_NET_CTRL_RX_ALLMULTI 1u
#define VIRTIO_NET_CTRL_RX_ALLUNI   2u
#define VIRTIO_NET_CTRL_RX_NOMULTI  3u
#define VIRTIO_NET_CTRL_RX_NOUNI    4u
#define VIRTIO_NET_CTRL_RX_NOBCAST  5u

/* TABLE_SET: a 32-bit count of unicast addresses, these, and the same of multicast addresses. */
#define VIRTIO_NET_CTRL_MAC           1u
#define VIRTIO_NET_CTRL_MAC_TABLE_SET 0u
#define VIRTIO_NET_CTRL_MAC_ADDR_SET  1u

/* A 16-bit VLAN id. */
#define VIRTIO_NET_CTRL_VLAN     2u
#define VIRTIO_NET_CTRL_VLAN_ADD 0u
#define VIRTIO_NET_CTRL_VLAN_DEL 1u
#define VIRTIO_NET_VLANS         4096u

#define VIRTIO_NET_CTRL_ANNOUNCE     3u
#define VIRTIO_NET_CTRL_ANNOUNCE_ACK 0u

/* VQ_PAIRS_SET: a 16-bit count of pairs. */
#define VIRTIO_NET_CTRL_MQ              4u
#define VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET 0u
#define VIRTIO_NET_CTRL_MQ_RSS_CONFIG   1u
#define VIRTIO_NET_CTRL_MQ_HASH_CONFIG  2u

/* The data of RSS_CONFIG: this, the table of 16-bit numbers of pairs, the tail, the key. */
struct virtio_net_rss_head {
	struct pv_le32 hash_types;
	struct pv_le16 indirection_table_mask; /* its length less 1 */
	struct pv_le16 unclassified_queue;     /* pair of what has no hash */
};
PV_SIZE(struct virtio_net_rss_head, 8);
PV_AT(struct virtio_net_rss_head, hash_types, 0);
PV_AT(struct virtio_net_rss_head, indirection_table_mask, 4);
PV_AT(struct virtio_net_rss_head, unclassified_queue, 6);

struct virtio_net_rss_tail {
	struct pv_le16 max_tx_vq; /* pairs in use */
	uint8_t hash_key_length;
} __attribute__((packed));
PV_SIZE(struct virtio_net_rss_tail, 3);
PV_AT(struct virtio_net_rss_tail, max_tx_vq, 0);
PV_AT(struct virtio_net_rss_tail, hash_key_length, 2);

/* The data of HASH_CONFIG: this and the key. */
struct virtio_net_hash_head {
	struct pv_le32 hash_types;
	struct pv_le16 reserved[4];
	uint8_t hash_key_length;
} __attribute__((packed));
PV_SIZE(struct virtio_net_hash_head, 13);
PV_AT(struct virtio_net_hash_head, hash_types, 0);
PV_AT(struct virtio_net_hash_head, reserved, 4);
PV_AT(struct virtio_net_hash_head, hash_key_length, 12);

/* A 64-bit mask of the GUEST_* feature bits. */
#define VIRTIO_NET_CTRL_GUEST_OFFLOADS     5u
#define VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET 0u

#define VIRTIO_NET_CTRL_NOTF_COAL        6u
#define VIRTIO_NET_CTRL_NOTF_COAL_TX_SET 0u
#define VIRTIO_NET_CTRL_NOTF_COAL_RX_SET 1u
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET 2u
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET 3u

/* The data of TX_SET and RX_SET, and what VQ_GET answers. */
struct virtio_net_ctrl_coal {
	struct pv_le32 max_packets;
	struct pv_le32 max_usecs;
};
PV_SIZE(struct virtio_net_ctrl_coal, 8);
PV_AT(struct virtio_net_ctrl_coal, max_packets, 0);
PV_AT(struct virtio_net_ctrl_coal, max_usecs, 4);

/* The data of VQ_SET, and but for the last member of VQ_GET. */
struct virtio_net_ctrl_coal_vq {
	struct pv_le16 vq_index;
	struct pv_le16 reserved;
	struct virtio_net_ctrl_coal coal; /* of VQ_SET only */
};
PV_SIZE(struct virtio_net_ctrl_coal_vq, 12);
PV_AT(struct virtio_net_ctrl_coal_vq, vq_index, 0);
PV_AT(struct virtio_net_ctrl_coal_vq, reserved, 2);
PV_AT(struct virtio_net_ctrl_coal_vq, coal, 4);

/* ---- statistics ---- */

#define VIRTIO_NET_CTRL_STATS       8u
#define VIRTIO_NET_CTRL_STATS_QUERY 0u
#define VIRTIO_NET_CTRL_STATS_GET   1u

/* Kinds, as their replies number them; a mask has the bit of that number. */
#define VIRTIO_NET_STATS_TYPE_REPLY_RX_BASIC 0u
#define VIRTIO_NET_STATS_TYPE_REPLY_RX_CSUM  1u
#define VIRTIO_NET_STATS_TYPE_REPLY_RX_GSO   2u
#define VIRTIO_NET_STATS_TYPE_REPLY_RX_SPEED 3u
#define VIRTIO_NET_STATS_TYPE_REPLY_TX_BASIC 16u
#define VIRTIO_NET_STATS_TYPE_REPLY_TX_CSUM  17u
#define VIRTIO_NET_STATS_TYPE_REPLY_TX_GSO   18u
#define VIRTIO_NET_STATS_TYPE_REPLY_TX_SPEED 19u
#define VIRTIO_NET_STATS_TYPE_REPLY_CVQ      32u
#define VIRTIO_NET_STATS_TYPE(reply)         (1ull << (reply))

/* What QUERY answers. */
struct virtio_net_stats_capabilities {
	struct pv_le64 supported_stats_types[1];
};
PV_SIZE(struct virtio_net_stats_capabilities, 8);
PV_AT(struct virtio_net_stats_capabilities, supported_stats_types, 0);

/* The data of GET: one for each queue; the answer has each kind of each. */
struct virtio_net_ctrl_queue_stats {
	struct pv_le16 vq_index;
	struct pv_le16 reserved[3];
	struct pv_le64 types_bitmap[1];
};
PV_SIZE(struct virtio_net_ctrl_queue_stats, 16);
PV_AT(struct virtio_net_ctrl_queue_stats, vq_index, 0);
PV_AT(struct virtio_net_ctrl_queue_stats, reserved, 2);
PV_AT(struct virtio_net_ctrl_queue_stats, types_bitmap, 8);

struct virtio_net_stats_reply_hdr {
	uint8_t type;
	uint8_t reserved;
	struct pv_le16 vq_index;
	struct pv_le16 reserved1;
	struct pv_le16 size; /* of the reply, this included */
};
PV_SIZE(struct virtio_net_stats_reply_hdr, 8);
PV_AT(struct virtio_net_stats_reply_hdr, type, 0);
PV_AT(struct virtio_net_stats_reply_hdr, reserved, 1);
PV_AT(struct virtio_net_stats_reply_hdr, vq_index, 2);
PV_AT(struct virtio_net_stats_reply_hdr, reserved1, 4);
PV_AT(struct virtio_net_stats_reply_hdr, size, 6);

struct virtio_net_stats_cvq {
	struct virtio_net_stats_reply_hdr hdr;
	struct pv_le64 command_num;
	struct pv_le64 ok_num;
};
PV_SIZE(struct virtio_net_stats_cvq, 24);
PV_AT(struct virtio_net_stats_cvq, hdr, 0);
PV_AT(struct virtio_net_stats_cvq, command_num, 8);
PV_AT(struct virtio_net_stats_cvq, ok_num, 16);

struct virtio_net_stats_rx_basic {
	struct virtio_net_stats_reply_hdr hdr;
	struct pv_le64 rx_notifications;
	struct pv_le64 rx_packets;
	struct pv_le64 rx_bytes;
	struct pv_le64 rx_interrupts;
	struct pv_le64 rx_drops;
	struct pv_le64 rx_drop_overruns;
};
PV_SIZE(struct virtio_net_stats_rx_basic, 56);
PV_AT(struct virtio_net_stats_rx_basic, hdr, 0);
PV_AT(struct virtio_net_stats_rx_basic, rx_notifications, 8);
PV_AT(struct virtio_net_stats_rx_basic, rx_packets, 16);
PV_AT(struct virtio_net_stats_rx_basic, rx_bytes, 24);
PV_AT(struct virtio_net_stats_rx_basic, rx_interrupts, 32);
PV_AT(struct virtio_net_stats_rx_basic, rx_drops, 40);
PV_AT(struct virtio_net_stats_rx_basic, rx_drop_overruns, 48);

struct virtio_net_stats_tx_basic {
	struct virtio_net_stats_reply_hdr hdr;
	struct pv_le64 tx_notifications;
	struct pv_le64 tx_packets;
	struct pv_le64 tx_bytes;
	struct pv_le64 tx_interrupts;
	struct pv_le64 tx_drops;
	struct pv_le64 tx_drop_malformed;
};
PV_SIZE(struct virtio_net_stats_tx_basic, 56);
PV_AT(struct virtio_net_stats_tx_basic, hdr, 0);
PV_AT(struct virtio_net_stats_tx_basic, tx_notifications, 8);
PV_AT(struct virtio_net_stats_tx_basic, tx_packets, 16);
PV_AT(struct virtio_net_stats_tx_basic, tx_bytes, 24);
PV_AT(struct virtio_net_stats_tx_basic, tx_interrupts, 32);
PV_AT(struct virtio_net_stats_tx_basic, tx_drops, 40);
PV_AT(struct virtio_net_stats_tx_basic, tx_drop_malformed, 48);

struct virtio_net_stats_rx_csum {
	struct virtio_net_stats_reply_hdr hdr;
	struct pv_le64 rx_csum_valid;
	struct pv_le64 rx_needs_csum;
	struct pv_le64 rx_csum_none;
	struct pv_le64 rx_csum_bad;
};
PV_SIZE(struct virtio_net_stats_rx_csum, 40);
PV_AT(struct virtio_net_stats_rx_csum, hdr, 0);
PV_AT(struct virtio_net_stats_rx_csum, rx_csum_valid, 8);
PV_AT(struct virtio_net_stats_rx_csum, rx_needs_csum, 16);
PV_AT(struct virtio_net_stats_rx_csum, rx_csum_none, 24);
PV_AT(struct virtio_net_stats_rx_csum, rx_csum_bad, 32);

struct virtio_net_stats_tx_csum {
	struct virtio_net_stats_reply_hdr hdr;
	struct pv_le64 tx_csum_none;
	struct pv_le64 tx_needs_csum;
};
PV_SIZE(struct virtio_net_stats_tx_csum, 24);
PV_AT(struct virtio_net_stats_tx_csum, hdr, 0);
PV_AT(struct virtio_net_stats_tx_csum, tx_csum_none, 8);
PV_AT(struct virtio_net_stats_tx_csum, tx_needs_csum, 16);

struct virtio_net_stats_rx_gso {
	struct virtio_net_stats_reply_hdr hdr;
	struct pv_le64 rx_gso_packets;
	struct pv_le64 rx_gso_bytes;
	struct pv_le64 rx_gso_packets_coalesced;
	struct pv_le64 rx_gso_bytes_coalesced;
};
PV_SIZE(struct virtio_net_stats_rx_gso, 40);
PV_AT(struct virtio_net_stats_rx_gso, hdr, 0);
PV_AT(struct virtio_net_stats_rx_gso, rx_gso_packets, 8);
PV_AT(struct virtio_net_stats_rx_gso, rx_gso_bytes, 16);
PV_AT(struct virtio_net_stats_rx_gso, rx_gso_packets_coalesced, 24);
PV_AT(struct virtio_net_stats_rx_gso, rx_gso_bytes_coalesced, 32);

struct virtio_net_stats_tx_gso {
	struct virtio_net_stats_reply_hdr hdr;
	struct pv_le64 tx_gso_packets;
	struct pv_le64 tx_gso_bytes;
	struct pv_le64 tx_gso_segments;
	struct pv_le64 tx_gso_segments_bytes;
	struct pv_le64 tx_gso_packets_noseg;
	struct pv_le64 tx_gso_bytes_noseg;
};
PV_SIZE(struct virtio_net_stats_tx_gso, 56);
PV_AT(struct virtio_net_stats_tx_gso, hdr, 0);
PV_AT(struct virtio_net_stats_tx_gso, tx_gso_packets, 8);
PV_AT(struct virtio_net_stats_tx_gso, tx_gso_bytes, 16);
PV_AT(struct virtio_net_stats_tx_gso, tx_gso_segments, 24);
PV_AT(struct virtio_net_stats_tx_gso, tx_gso_segments_bytes, 32);
PV_AT(struct virtio_net_stats_tx_gso, tx_gso_packets_noseg, 40);
PV_AT(struct virtio_net_stats_tx_gso, tx_gso_bytes_noseg, 48);

struct virtio_net_stats_rx_speed {
	struct virtio_net_stats_reply_hdr hdr;
	struct pv_le64 rx_packets_allowance_exceeded;
	struct pv_le64 rx_bytes_allowance_exceeded;
};
PV_SIZE(struct virtio_net_stats_rx_speed, 24);
PV_AT(struct virtio_net_stats_rx_speed, hdr, 0);
PV_AT(struct virtio_net_stats_rx_speed, rx_packets_allowance_exceeded, 8);
PV_AT(struct virtio_net_stats_rx_speed, rx_bytes_allowance_exceeded, 16);

struct virtio_net_stats_tx_speed {
	struct virtio_net_stats_reply_hdr hdr;
	struct pv_le64 tx_packets_allowance_exceeded;
	struct pv_le64 tx_bytes_allowance_exceeded;
};
PV_SIZE(struct virtio_net_stats_tx_speed, 24);
PV_AT(struct virtio_net_stats_tx_speed, hdr, 0);
PV_AT(struct virtio_net_stats_tx_speed, tx_packets_allowance_exceeded, 8);
PV_AT(struct virtio_net_stats_tx_speed, tx_bytes_allowance_exceeded, 16);

#endif
