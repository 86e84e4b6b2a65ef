/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio network device (virtio 1.3, section 5.1) on a wire.
 *
 * Queues, as the specification numbers them: 2i receives and 2i + 1 sends for pair i; the control
 * queue is the last, or, for a driver that knows of one pair only, the third.
 *
 * Sending: a burst of chains is taken, checked, finished where the wire cannot (segment.h), and
 * given to the wire in one call.  Receiving: frames go from the wire right to the driver's buffers.
 * What the wire does not take, and buffers that no frame came for, is put back on the ring: a queue
 * at rest holds nothing, and a device is saved without any frame.
 */
#ifndef PV_DEVICES_NET_H
#define PV_DEVICES_NET_H

#include "abi/linkage.h"
#include "devices/core/device.h"
#include "devices/net/wire.h"

PV_PUBLIC_BEGIN

/* At most so much in each second, with as much again at once after a pause; 0: no limit. */
struct pv_net_rate {
	uint64_t packets;
	uint64_t bytes;
};

struct pv_net_options {
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
	uint16_t pairs;              /* 1 or more */
	uint16_t mtu;                /* VIRTIO_NET_MTU_MIN and more; 0: not offered */
	uint16_t queue_size_max;     /* of receiving and sending queues */
	uint64_t without;            /* bits of VIRTIO_NET_F_* that are not to be offered */
	struct pv_net_rate rate_in;  /* to the driver; frames wait on the wire */
	struct pv_net_rate rate_out; /* from the driver; they wait on the ring */
	bool is_link_down;           /* at the beginning */
	bool is_in_order;            /* offer IN_ORDER */
	bool no_packed;              /* do not offer RING_PACKED */

	/* Control side. The driver changed what it wants to receive; once until asked. May be NULL.
	 */
	void (*rx_filter_changed)(void *arg);
	void *arg;
};

/* Of the receive filter: how much of a kind comes in. */
enum pv_net_rx_mode { PV_NET_RX_NONE, PV_NET_RX_NORMAL, PV_NET_RX_ALL };

#define PV_NET_MACS_MAX 64u

/* What the driver wants to receive, for people. */
struct pv_net_rx_filter {
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
	bool is_promiscuous;
	bool is_broadcast_allowed;
	enum pv_net_rx_mode unicast, multicast, vlan;
	bool has_unicast_overflow, has_multicast_overflow; /* more than fit: all come in */
	uint16_t unicasts, multicasts;
	uint8_t unicast_table[PV_NET_MACS_MAX][VIRTIO_NET_MAC_BYTES];
	uint8_t multicast_table[PV_NET_MACS_MAX][VIRTIO_NET_MAC_BYTES];
	uint8_t vlans[VIRTIO_NET_VLANS /
	              8]; /* a bit each, the first the least significant of its byte */
};

/* Bytes of storage that pv_net_init() needs for so many pairs, cache-line aligned. */
size_t pv_net_bytes(uint16_t pairs);

/* Queues of a device with so many pairs. */
static inline uint16_t pv_net_queues(uint16_t pairs)
{
	return (uint16_t)(2u * pairs + 1u);
}

/*
 * A network device on the caller's zeroed storage. `port`, which must have a timer, and `wire` must
 * outlive it. Where the wire has one source all receiving queues belong to one lane. Returns the
 * device's common part, which everything else goes through.
 */
struct pv_device *pv_net_init(void *storage, struct pv_port *port, struct pv_net_wire *wire,
                              const struct pv_net_options *options);

/* Control side. The link goes down or up; while it is down nothing passes. */
void pv_net_set_link(struct pv_device *device, bool is_up);
bool pv_net_has_link(const struct pv_device *device);

/* Control side. Asks a driver that can to tell the network where it is now. Returns whether it can.
 */
bool pv_net_announce(struct pv_device *device);

/* Control side. Copies the filter in force; a change from here on is told again. */
void pv_net_rx_filter(struct pv_device *device, struct pv_net_rx_filter *filter);

PV_PUBLIC_END

#endif
