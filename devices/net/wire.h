/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a network device stands on: a wire, which carries Ethernet frames to and from somewhere.
 *
 * The device sends and receives; the wire never waits, and holds on to nothing that it was given. A
 * wire that is full, or has nothing, says so by what it returns, and from then on sees to it that
 * the lane runs the queue again when that has changed: at the latest then it is asked anew.  (Our
 * programs' wires watch their descriptors on the loop of that lane: whatever wakes a loop runs its
 * queues.)
 *
 * A wire has one source of received frames for each of its pairs, or one for all of them.  In the
 * second case it is the device that chooses a receiving queue for each frame, and all receiving
 * queues must be on the same lane as the source's, which is pair 0's.
 *
 * A wire that knows the header of a packet gets frames whose checksums are partial and that are to
 * be cut, as far as the driver and the device agreed on it, and may give such ones as far as the
 * driver takes them (`set_offloads`).  For any other the device finishes all frames by itself.
 */
#ifndef PV_DEVICES_NET_WIRE_H
#define PV_DEVICES_NET_WIRE_H

#include <stdbool.h>

#include "abi/virtio_net.h"
#include "ring/chain.h"

struct pv_net_wire;

/* The longest frame: one that is to be cut, IPv6 with its header, with two VLAN tags. */
#define PV_NET_FRAME_MAX (65535u + 40u + 14u + 8u)

/* The shortest, without its padding. */
#define PV_NET_FRAME_MIN 14u

/* A frame on its way out. */
struct pv_net_frame {
	/* What is left to do. Checked by the device; all zero for a wire that knows no headers. */
	struct virtio_net_hdr hdr;
	/* The frame, PV_NET_FRAME_MIN to PV_NET_FRAME_MAX bytes of memory that the driver may
	 * change. */
	const struct pv_iov *iov;
	uint16_t pieces;
	uint32_t bytes;
};

#define PV_NET_RSS_KEY_BYTES 40u
#define PV_NET_RSS_TABLE_MAX 128u

/* How received frames are spread over pairs by their hash (section 5.1.6.5.6). Checked by the
 * device. */
struct pv_net_spread {
	uint32_t types; /* VIRTIO_NET_HASH_TYPE_* */
	uint8_t key_bytes;
	uint8_t key[PV_NET_RSS_KEY_BYTES];
	uint16_t mask; /* of the table, whose length is a power of two */
	uint16_t unclassified;
	uint16_t table[PV_NET_RSS_TABLE_MAX]; /* pairs */
};

struct pv_net_wire_ops {
	/*
	 * Lane of a sending queue. Sends frames of a pair, in order; the more it is given at a time
	 * the better it can do it. Returns how many it is done with, from the first on, be it that
	 * they went, be it that nobody is there who would take them (a wire counts those for
	 * itself). Fewer than `frames`: it is full; the others come again.
	 */
	uint16_t (*send)(struct pv_net_wire *wire, uint16_t pair, const struct pv_net_frame *frame,
	                 uint16_t frames);

	/*
	 * Lane of a receiving queue. Writes the next frame of a pair to the pieces, which have room
	 * for PV_NET_FRAME_MAX bytes, and, where the wire knows headers, what it says about it to
	 * `hdr` (all zero before). Returns the bytes of the frame, PV_NET_FRAME_MIN at least; 0:
	 * there is none.
	 */
	uint32_t (*receive)(struct pv_net_wire *wire, uint16_t pair, const struct pv_iov *iov,
	                    uint16_t pieces, struct virtio_net_hdr *hdr);

	/*
	 * Any thread, one at a time. What the driver takes: bits of VIRTIO_NET_F_GUEST_CSUM, TSO4,
	 * TSO6, ECN, UFO, USO4 and USO6. Frames that are on their way already may need more. NULL:
	 * it gives finished frames only.
	 */
	void (*set_offloads)(struct pv_net_wire *wire, uint64_t guest_offloads);

	/*
	 * Any thread, one at a time. So many pairs, the first ones, are in use; the frames of the
	 * others are to come by these. Returns whether that could be done. NULL: nothing to do.
	 */
	bool (*set_pairs)(struct pv_net_wire *wire, uint16_t pairs);

	/*
	 * Any thread, one at a time; of a wire that can spread. Frames that come from now on are
	 * spread like this, or, NULL, as the wire likes. Returns whether that could be done.
	 */
	bool (*set_spread)(struct pv_net_wire *wire, const struct pv_net_spread *spread);
};

struct pv_net_wire {
	const struct pv_net_wire_ops *ops;
	uint16_t sources;      /* of received frames: as many as pairs, or 1 */
	bool knows_headers;    /* it takes frames with work left to do */
	bool can_spread;       /* its several sources get frames by a hash, of the kinds ... */
	uint32_t spread_types; /* ... VIRTIO_NET_HASH_TYPE_* */
	uint64_t can_segment; /* of frames to be cut: VIRTIO_NET_F_HOST_TSO4, TSO6, ECN, UFO, USO */
	uint32_t speed_mbit;  /* 0: not known */
};

#endif
