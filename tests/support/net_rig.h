/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network device and its driver, both real, on a wire in memory.  Each frame says who it is in
 * its payload, so that it is known what went where, in which order, and how often.  Include after
 * cmocka.
 */
#ifndef PV_TESTS_NET_RIG_H
#define PV_TESTS_NET_RIG_H

#include "devices/net/net.h"
#include "drivers/net/net.h"
#include "tests/support/couple.h"
#include "tests/support/memory_wire.h"
#include "tests/support/ring_kinds.h"

#define NET_RIG_PAIRS_MAX   4u
#define NET_RIG_PACKETS     12u
#define NET_RIG_BUFFERS     24u /* for each pair */
#define NET_RIG_FRAMES      8192u
#define NET_RIG_FRAME_BYTES 1514u

/* What a frame of ours begins with. */
#define NET_RIG_HEAD_BYTES 22u

struct net_rig_options {
	uint64_t ring_features;
	uint64_t without; /* bits of VIRTIO_NET_F_* that the driver does not take */
	uint64_t number;  /* of the sequence of random numbers */
	uint16_t pairs;   /* 0: 1 */
	bool has_source_for_each_pair;
	bool knows_headers; /* the wire; both ends leave work to do then */
	bool has_own_buffers;
	uint32_t buffer_bytes; /* 0: as few as may be */
	bool is_link_down;
};

struct net_rig_slot {
	struct pv_netdrv_packet packet;
	struct pv_buffer part[3];
	struct pv_gpa scattered;
	uint8_t *plain; /* with headroom before it */
	uint32_t id;
	uint16_t pair;
	bool is_out;
};

struct net_rig {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_memory_wire wire;
	struct pv_net_options options;
	void *storage[2];
	unsigned int current; /* of the two devices */
	struct pv_netdrv *driver;
	uint16_t pairs; /* in use */
	struct net_rig_slot slot[NET_RIG_PACKETS];
	struct pv_netdrv_buffer buffer[NET_RIG_PAIRS_MAX][NET_RIG_BUFFERS];
	uint32_t out;
	bool is_over;  /* what is in flight fails now */
	bool is_mixed; /* it may go out in another order */
	bool may_lose; /* and not at all */
	bool is_lossy; /* of what comes in not all has to */
	uint32_t moves;
	uint32_t filter_changes;

	/* By number: how often it was sent and seen, put on the wire and received; and of what
	 * came in on each pair the last one. */
	uint32_t next_out, next_in;
	uint8_t sent[NET_RIG_FRAMES], received[NET_RIG_FRAMES];
	uint16_t in_bytes[NET_RIG_FRAMES];
	uint32_t last_in[NET_RIG_PAIRS_MAX];
	uint32_t last_out[NET_RIG_PAIRS_MAX];
	uint64_t frames_in, frames_out;
	uint32_t hashes;              /* that came with packets */
	uint32_t checksums[3];        /* of those that came in: enum pv_netdrv_checksum */
	uint32_t uncut_in, uncut_out; /* of them, to be cut */
};

void net_rig_open(struct net_rig *rig, const struct net_rig_options *options);
void net_rig_close(struct net_rig *rig);

/* Submits and publishes one frame of some size on a pair, if there is room. Returns whether. */
bool net_rig_send(struct net_rig *rig, uint16_t pair);
/* Puts one on the wire for a pair, if there is room. */
void net_rig_put(struct net_rig *rig, uint16_t pair);

/* Looks at what the wire was sent, and lets the driver take what is there. */
void net_rig_look(struct net_rig *rig);

/* Until nothing is on its way, by kicks and time alone; everything has gone where it had to. */
void net_rig_settle(struct net_rig *rig);

/* The device, saved and loaded into a fresh one whose memory is mapped elsewhere. */
void net_rig_move(struct net_rig *rig);

#endif
