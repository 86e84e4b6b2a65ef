/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within hosted/backends: frames spread over the queues of a tap interface by their hash, as a
 * driver wants them to be (RSS).
 *
 * The kernel asks a program of ours (eBPF) for each frame.  It is made and handed to the kernel
 * once, at the opening, when calls for that are still allowed; what it goes by lies in memory that
 * it shares with us, so that a driver's new wish is a few stores.
 */
#ifndef PV_HOSTED_NET_TAP_SPREAD_H
#define PV_HOSTED_NET_TAP_SPREAD_H

#include "devices/net/wire.h"

struct pv_tap_spread {
	int program, map; /* descriptors; -1: it is not to be had */
	struct pv_spread_map *shared;
};

/* The kinds of hashes that the program knows. */
#define PV_TAP_SPREAD_TYPES                                                                        \
	(VIRTIO_NET_HASH_TYPE_IPv4 | VIRTIO_NET_HASH_TYPE_TCPv4 | VIRTIO_NET_HASH_TYPE_UDPv4 |     \
	 VIRTIO_NET_HASH_TYPE_IPv6 | VIRTIO_NET_HASH_TYPE_TCPv6 | VIRTIO_NET_HASH_TYPE_UDPv6)

/* Returns 0, or -errno: many users may not do that, and some kernels cannot. */
int pv_tap_spread_init(struct pv_tap_spread *spread);
void pv_tap_spread_fini(struct pv_tap_spread *spread);

/* Has the kernel go by this for the interface of `fd`, or, NULL, by flows. Returns whether it does.
 */
bool pv_tap_spread_set(struct pv_tap_spread *spread, int fd, const struct pv_net_spread *wanted);

#endif
