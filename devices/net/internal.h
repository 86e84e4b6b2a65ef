/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within devices/net.
 *
 * What the driver sets by commands (struct pv_net_rules) belongs to the control queue's lane, or,
 * while that does not run, to the control side.  Every other lane goes by a copy, which it makes
 * anew when it finds that the version has moved on.  A copy that was made while a command was being
 * carried out may be half old and half new: the version moves on at the end of the command, and the
 * copy is made again.
 */
#ifndef PV_DEVICES_NET_INTERNAL_H
#define PV_DEVICES_NET_INTERNAL_H

#include "devices/net/hash.h"
#include "devices/net/net.h"
#include "devices/net/segment.h"

/* What a receiving driver can be spared: the bits that set_offloads knows. */
#define PV_NET_GUEST_OFFLOADS                                                                      \
	(VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 |             \
	 VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_GUEST_UFO | VIRTIO_NET_F_GUEST_USO4 |               \
	 VIRTIO_NET_F_GUEST_USO6)
#define PV_NET_HOST_SEGMENTING                                                                     \
	(VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_UFO |                 \
	 VIRTIO_NET_F_HOST_USO)

/* What a frame is longer than its MTU, with two tags. */
#define PV_NET_ETHERNET_BYTES (14u + 8u)

/* ---- counters of a queue ---- */

struct pv_net_counters {
	pv_counter packets; /* passed on, to the driver or to the wire */
	pv_counter bytes;
	pv_counter drops; /* of any kind; the next four are among them */
	pv_counter
		malformed;   /* sending: what the header says cannot be, or the frame is too long */
	pv_counter overruns; /* receiving: the driver had no buffers */
	pv_counter filtered; /* receiving: not for this driver */
	pv_counter link_down;
	pv_counter needs_csum; /* with a checksum that was left to do */
	pv_counter csum_none;  /* without */
	pv_counter csum_valid; /* receiving: found good by the wire */
	pv_counter gso_packets;
	pv_counter gso_bytes;
	pv_counter gso_whole; /* sending: which the wire takes as they are; ... */
	pv_counter gso_whole_bytes;
	pv_counter segments; /* ... and what we made of the others */
	pv_counter segments_bytes;
	pv_counter throttled; /* times that it waited for its rate */
	pv_counter commands;  /* control */
	pv_counter commands_ok;
};

extern const struct pv_counter_name pv_net_counter_names[];

/* ---- what the driver sets ---- */

struct pv_net_macs {
	uint16_t count;
	bool has_overflow;
	uint8_t mac[PV_NET_MACS_MAX][VIRTIO_NET_MAC_BYTES];
};

struct pv_net_hashing {
	uint32_t types;
	uint8_t key_bytes;
	uint8_t key[PV_NET_HASH_KEY_BYTES];
};

/* Where a frame goes by its hash. */
struct pv_net_steering {
	bool is_on;
	uint16_t mask;
	uint16_t unclassified;
	uint16_t table[PV_NET_RSS_TABLE_MAX];
};

struct pv_net_rules {
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
	bool is_promiscuous, has_all_multi, has_all_uni, has_no_multi, has_no_uni, has_no_bcast;
	struct pv_net_macs unicast, multicast;
	uint8_t vlans[VIRTIO_NET_VLANS / 8];
	uint64_t offloads_off; /* of PV_NET_GUEST_OFFLOADS, of those that were negotiated */
	uint16_t pairs;        /* in use */
	struct pv_net_hashing hashing;
	struct pv_net_steering steering;
};

/* How long an interrupt may be put off; both 0: not at all. */
struct pv_net_coalescing {
	uint32_t max_packets;
	uint32_t max_usecs;
};

/* ---- rates ---- */

/* What may pass, in both units; they go below zero by the last frame. */
struct pv_net_bucket {
	struct pv_net_rate rate;
	int64_t packets;
	int64_t bytes;
	uint64_t filled_ns; /* up to when */
	bool is_busy;       /* some lane is at it */
};

/* ---- lanes ---- */

#define PV_NET_BURST 64u

/* In a chain: the largest number of buffers that any driver uses, cut by regions of memory. */
#define PV_NET_PIECES 64u

PV_STATIC_ASSERT(PV_NET_HASH_KEY_BYTES == PV_NET_RSS_KEY_BYTES, "wires take other keys");

/* What every lane has. */
struct pv_net_lane {
	struct pv_net_counters *counters;
	uint32_t hdr_bytes;       /* of the header before each packet */
	uint32_t whole_bytes_max; /* of a frame that is not to be cut */
	uint32_t version;         /* of the rules that it goes by */

	/* Deadlines, in the port's time; 0: none. The port's timer is set to the first. */
	uint64_t rate_ns;
	uint64_t interrupt_ns;
	uint64_t frame_ns;
	uint64_t neighbour_ns;
	uint64_t timer_ns;

	uint32_t unannounced; /* packets since the last interrupt was put off */
};

/* Where finished frames are made, several in one piece. */
#define PV_NET_STAGE_BYTES (256u << 10)

struct pv_net_sender {
	struct pv_net_lane lane;
	uint16_t progress; /* frames of the first chain on the ring that went already */
	uint16_t taken;
	uint16_t done; /* of them, from the first on: they can be returned */
	struct pv_chain chain[PV_NET_BURST];
	struct pv_iov iov[PV_NET_BURST * PV_NET_PIECES];

	/* Frames for the wire, of the chains in their order. */
	uint16_t frames;
	struct pv_net_frame frame[PV_NET_BURST];
	struct pv_iov staged[PV_NET_BURST];
	bool is_last_of_chain[PV_NET_BURST];
	bool is_segment[PV_NET_BURST];

	struct pv_net_cutter cutter;
	uint16_t to_cut; /* frames that are still to come out of it */
	uint32_t stage_bytes;
	uint8_t stage[PV_NET_STAGE_BYTES];
};

/* Frames that another receiving queue took from the wire for this one, in place of it. */
#define PV_NET_INBOX_BYTES (256u << 10)

struct pv_net_inbox {
	uint32_t head, tail; /* free-running */
	uint8_t data[PV_NET_INBOX_BYTES];
};

/* What is known of a frame that came. */
struct pv_net_arrival {
	struct virtio_net_hdr hdr; /* first: no load of it lies across two stores */
	uint8_t hash_report;
	uint32_t bytes; /* 0: none */
	uint32_t hash_value;
};

/* One that is not in the driver's memory yet. */
struct pv_net_pending {
	struct pv_net_arrival arrival;
	uint8_t data[PV_NET_FRAME_MAX];
};

struct pv_net_receiver {
	struct pv_net_lane lane;
	uint32_t came_in; /* in this run, ... */
	uint64_t came_in_bytes;
	uint32_t likely; /* ... and, by those before it, are likely to */
	bool is_mergeable;
	bool has_to_look; /* at the first bytes of a frame, to know whether it comes in */
	struct pv_net_rules rules;
	uint64_t offloads; /* in force */
	struct pv_net_hasher hasher;

	/* Chains, the oldest first: those up to `returned` have returned, those up to `first` have
	 * a frame. */
	uint16_t returned, first, taken;
	struct pv_chain chain[PV_NET_BURST];
	uint32_t written_bytes[PV_NET_BURST];
	struct pv_iov iov[PV_NET_BURST * PV_NET_PIECES];
	uint32_t wanted_bytes; /* what the next frame is likely to need */

	struct pv_net_pending pending;
	struct pv_net_cutter cutter;
	uint8_t segment[PV_NET_FRAME_MAX + PV_NET_FRAGMENT_HEADER_BYTES];
	struct pv_net_inbox inbox;
};

/* Flows that are told apart, as a power of 2. */
#define PV_NET_FLOWS_SHIFT 10u

struct pv_net {
	struct pv_device device;
	struct pv_net_wire *wire;
	struct pv_net_options options;

	struct pv_net_rules rules;
	uint32_t version;

	/* Control side, but for reading. */
	bool has_link;
	bool is_announcing;
	bool is_filter_told;

	struct pv_net_bucket in, out;

	/* Is it the device that finds the queue for each frame? Then all receiving queues share a
	 * lane. */
	bool does_steer;
	/* For each pair, where that is so: those that are there. The lane's own. */
	struct pv_net_receiver **receiver;
	/* One whose inbox has no room for any frame, and how long the wire waits for it; NULL:
	 * none. */
	struct pv_net_receiver *crowded;
	uint64_t crowded_until_ns;
	/* The pair that each flow was last sent on, and 1; 0: none. */
	uint16_t flow[1u << PV_NET_FLOWS_SHIFT];

	struct pv_net_coalescing rx_coalescing,
		tx_coalescing;                /* of queues that have none of their own */
	struct pv_net_coalescing *coalescing; /* for each queue */
	struct pv_net_counters *counters;     /* the same */
	struct pv_queue *queue;
};

static inline struct pv_net *pv_net_of(struct pv_device *device)
{
	return (struct pv_net *)device;
}

static inline const struct pv_net *pv_net_of_const(const struct pv_device *device)
{
	return (const struct pv_net *)device;
}

static inline bool pv_net_has(const struct pv_device *device, uint64_t features)
{
	return device->features & features;
}

/* ---- roles (net.c) ---- */

enum pv_net_role { PV_NET_RECEIVES, PV_NET_SENDS, PV_NET_CONTROLS, PV_NET_NOTHING };

/* Section 5.1.2: what a queue is for depends on the features. */
enum pv_net_role pv_net_role(const struct pv_device *device, uint16_t index);

static inline uint16_t pv_net_pair(const struct pv_queue *queue)
{
	return queue->index / 2;
}

/* Pairs that the driver knows of. */
uint16_t pv_net_pairs_known(const struct pv_device *device);

/* The kinds of hashes that a driver may ask for. */
uint32_t pv_net_hash_types(const struct pv_net *net);

/* Tells a wire that spreads frames how. Returns false where it cannot do it. */
bool pv_net_tell_spread(struct pv_net *net, const struct pv_net_rules *rules);

/* Offloads of the receiving driver that are in force; and tells the wire of them. */
uint64_t pv_net_offloads(const struct pv_net *net);
void pv_net_tell_wire(struct pv_net *net);

/* Bytes of the header before each packet. */
uint32_t pv_net_hdr_bytes(const struct pv_device *device);

static inline bool pv_net_link_is_up(const struct pv_net *net)
{
	return __atomic_load_n(&net->has_link, __ATOMIC_RELAXED);
}

/* ---- rules (rules.c) ---- */

void pv_net_rules_reset(struct pv_net *net);

/* Whoever owns the rules has changed them. */
static inline void pv_net_rules_changed(struct pv_net *net)
{
	__atomic_add_fetch(&net->version, 1, __ATOMIC_RELEASE);
}

/* Does a received frame, whose first bytes these are, come in? */
bool pv_net_rules_let_in(const struct pv_net_rules *rules, uint64_t features, const uint8_t *frame,
                         size_t bytes);

void pv_net_rules_save(const struct pv_net *net, struct pv_state_writer *to);
void pv_net_rules_load(struct pv_net *net, struct pv_state_reader *from);

/* ---- time (pace.c) ---- */

uint64_t pv_net_now_ns(const struct pv_queue *queue);

/* Sets the port's timer to the first of the lane's deadlines. */
void pv_net_set_timer(struct pv_queue *queue, struct pv_net_lane *lane);

/* May a frame pass now? If not the queue is stalled, with a deadline. */
bool pv_net_rate_allows(struct pv_queue *queue, struct pv_net_lane *lane,
                        struct pv_net_bucket *bucket);
/* How many frames a run passes at most: where there is a rate to keep to, it is no long way beyond
 * it. */
uint16_t pv_net_rate_burst(const struct pv_net_bucket *bucket);
void pv_net_rate_spend(struct pv_net_bucket *bucket, uint32_t packets, uint64_t bytes);

/* After a run that passed so many packets: are their interrupts put off? */
void pv_net_coalesce(struct pv_queue *queue, struct pv_net_lane *lane, uint32_t packets);

/* ---- queues ---- */

/* send.c */
int pv_net_sender_start(struct pv_queue *queue);
void pv_net_sender_stop(struct pv_queue *queue);
bool pv_net_sender_run(struct pv_queue *queue);
void pv_net_sender_save(const struct pv_queue *queue, struct pv_state_writer *to);
void pv_net_sender_load(struct pv_queue *queue, struct pv_state_reader *from);

/* check.c */

/* The feature that a kind of cutting needs; 0: there is none. */
uint64_t pv_net_host_feature(uint8_t gso_type);

/* The longest frame that is sent or received whole. */
uint32_t pv_net_whole_bytes_max(const struct pv_device *device);

/* May the driver send this? */
bool pv_net_header_is_good(const struct pv_device *device, const struct virtio_net_hdr *hdr,
                           uint32_t bytes);

/* receiver.c */
int pv_net_receiver_start(struct pv_queue *queue);
void pv_net_receiver_stop(struct pv_queue *queue);
void pv_net_receiver_drain(struct pv_queue *queue);

/* Lane. The rules have moved on to this version: copies them. */
void pv_net_receiver_copy_rules(struct pv_queue *queue, uint32_t version);

/* receive.c */
bool pv_net_receiver_run(struct pv_queue *queue);

/* inbox.c: each returns whether there was room, and a frame. */
bool pv_net_inbox_put(struct pv_net_inbox *inbox, const struct pv_net_pending *frame);
bool pv_net_inbox_get(struct pv_net_inbox *inbox, struct pv_net_pending *frame);

/* Is there room for any frame? */
bool pv_net_inbox_has_room(const struct pv_net_inbox *inbox);

/* steer.c */

/* Of a frame, what tells its flow. */
#define PV_NET_FLOW_LOOKS_AT 78u

/* The driver sent a frame on this pair. */
void pv_net_steer_sent(struct pv_net *net, const struct pv_net_frame *frame, uint16_t pair);

/* The pair for a frame that begins with these bytes. */
uint16_t pv_net_steer(struct pv_net *net, const struct pv_net_receiver *receiver,
                      const struct pv_net_arrival *arrival, const uint8_t *head, size_t bytes);

/* control.c */
int pv_net_controller_start(struct pv_queue *queue);
void pv_net_controller_stop(struct pv_queue *queue);
bool pv_net_controller_run(struct pv_queue *queue);

/* stats.c: what can be asked for. Returns the bytes written. */
uint32_t pv_net_stats_query(const struct pv_net *net, struct pv_cursor *result);

/* What was asked for. Returns whether all of it is there, and adds the bytes written. */
bool pv_net_stats_get(struct pv_queue *queue, struct pv_cursor *data, uint64_t data_bytes,
                      struct pv_cursor *result, uint32_t *result_bytes);

#endif
