/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hash of a received frame (virtio 1.3, section 5.1.6.4.3): which fields of it count, and
 * Toeplitz over them.  A table for each byte of input is made when the key is set, so that a frame
 * costs a look-up for each byte.
 */
#ifndef PV_DEVICES_NET_HASH_H
#define PV_DEVICES_NET_HASH_H

#include <stddef.h>

#include "abi/virtio_net.h"

#define PV_NET_HASH_KEY_BYTES 40u

/* Two IPv6 addresses and two ports: all that a key of that length is good for. */
#define PV_NET_HASH_INPUT_MAX 36u

/* Of a frame, what is enough to find them in. */
#define PV_NET_HASH_LOOKS_AT 256u

#define PV_NET_HASH_TYPES                                                                          \
	(VIRTIO_NET_HASH_TYPE_IPv4 | VIRTIO_NET_HASH_TYPE_TCPv4 | VIRTIO_NET_HASH_TYPE_UDPv4 |     \
	 VIRTIO_NET_HASH_TYPE_IPv6 | VIRTIO_NET_HASH_TYPE_TCPv6 | VIRTIO_NET_HASH_TYPE_UDPv6 |     \
	 VIRTIO_NET_HASH_TYPE_IP_EX | VIRTIO_NET_HASH_TYPE_TCP_EX | VIRTIO_NET_HASH_TYPE_UDP_EX)

struct pv_net_hasher {
	uint32_t types; /* enabled: VIRTIO_NET_HASH_TYPE_* */
	uint32_t table[PV_NET_HASH_INPUT_MAX][256];
};

/* A key of up to PV_NET_HASH_KEY_BYTES, the rest of which is taken to be zero. */
void pv_net_hasher_set(struct pv_net_hasher *hasher, uint32_t types, const uint8_t *key,
                       size_t key_bytes);

/* Toeplitz over up to PV_NET_HASH_INPUT_MAX bytes. */
uint32_t pv_net_toeplitz(const struct pv_net_hasher *hasher, const uint8_t *input, size_t bytes);

/*
 * The hash of a frame, of which the first `bytes` are at hand (PV_NET_HASH_LOOKS_AT of a longer one
 * are enough), in memory that nobody else writes to. `*report` says of what kind it is:
 * VIRTIO_NET_HASH_REPORT_*; NONE, and 0, where none of the enabled kinds applies. VLAN tags are
 * passed over.
 */
uint32_t pv_net_hash(const struct pv_net_hasher *hasher, const uint8_t *frame, size_t bytes,
                     uint8_t *report);

#endif
