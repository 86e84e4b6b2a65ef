/* SPDX-License-Identifier: BSD-2-Clause */
/* Within drivers/net/: the driver, its queues, and the commands that it remembers. */
#ifndef PV_DRIVERS_NET_INTERNAL_H
#define PV_DRIVERS_NET_INTERNAL_H

#include "drivers/net/net.h"

/* A packet or a buffer that needs none: it is in one piece, which it has in itself. */
#define PV_NETDRV_NO_SLOT 0xffffu

/* Bytes of the longest key: its length is a byte. */
#define PV_NETDRV_KEY_MAX 255u

/*
 * What those need that are in several pieces: of a packet a header in shared memory, and where what
 * is mapped is unmapped again a list of the pieces; otherwise (0 places apart) all use the same
 * list.
 */
struct pv_netdrv_slots {
	uint8_t *header; /* PV_NETDRV_HEADROOM bytes for each slot; sending only */
	struct pv_gpa header_gpa;
	size_t header_bytes;
	struct pv_sg *sg;
	uint16_t sg_apart;
	/* Last in first out: the warmest next. */
	uint16_t *free_slot;
	uint16_t free_slots;
	size_t private_bytes; /* of both lists */
};

/* Receive buffers of the driver's own. */
struct pv_netdrv_own {
	struct pv_netdrv_buffer *buffer;
	uint8_t *memory;
	struct pv_gpa gpa;
	size_t bytes;
};

struct pv_netdrv_queue {
	struct pv_driver_queue base;
	struct pv_netdrv *net;
	bool is_rx;
	bool has_added;        /* by itself, and not yet published */
	bool splits_header;    /* a header lies in a descriptor of its own */
	uint16_t header_bytes; /* as in info */
	struct pv_netdrv_slots slots;
	struct pv_netdrv_own own;
	struct pv_netdrv_counters counters;

	/* What was asked for, to be asked for again after a reset. */
	bool has_coalescing;
	struct pv_netdrv_coalescing coalescing;

	/* Neighbours, each on a thread of its own, stay off each other's cache lines. */
	uint8_t gap[64];
};

/* Commands that are repeated after a reset as they were, in this order. */
enum pv_netdrv_memo_kind {
	PV_NETDRV_MEMO_MACS,
	PV_NETDRV_MEMO_STEERING, /* VQ_PAIRS_SET or RSS_CONFIG, whichever was last */
	PV_NETDRV_MEMO_HASH,
	PV_NETDRV_MEMO_OFFLOADS,
	PV_NETDRV_MEMO_COALESCING_RX,
	PV_NETDRV_MEMO_COALESCING_TX,
	PV_NETDRV_MEMOS
};

/* The control queue, and the one command that may be on it. */
struct pv_netdrv_control {
	struct pv_driver_queue queue;
	struct pv_driver_request request;
	bool is_out;   /* the device has it, or had */
	bool is_ended; /* it came back, or came to nothing: */
	int error;
	uint32_t written_bytes;
	uint64_t timeout_ns;

	/* Shared: head, acknowledgement, data, answer. */
	uint8_t *shared;
	struct pv_gpa gpa;
	uint32_t bytes_max; /* of data, and of an answer */

	/* Private: the data of the next command, and of those to be repeated. */
	uint8_t *scratch;
	uint8_t *memo_data[PV_NETDRV_MEMOS];
	size_t private_bytes;
	struct pv_netdrv_command memo[PV_NETDRV_MEMOS]; /* of no bytes: none */
	uint8_t rx_modes_told;                          /* a bit for each that was set ... */
	uint8_t rx_modes;                               /* ... and whether it is on */
	uint8_t vlans[VIRTIO_NET_VLANS / 8];
	bool has_mac;
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
};

struct pv_netdrv {
	struct pv_driver driver;
	struct pv_netdrv_info info;
	struct pv_netdrv_options options;
	size_t bytes;
	uint16_t segments_max; /* of all queues */
	uint16_t started;      /* queues of pairs that were set up */
	bool has_control;      /* its queue was set up */
	uint32_t link_flags;   /* VIRTIO_NET_S_*, and the one below; read by all threads */
	uint32_t link_speed_mbit;
	struct pv_netdrv_control control;
	struct pv_netdrv_queue queue[]; /* as the specification numbers them */
};

#define PV_NETDRV_LINK_FULL_DUPLEX 0x10000u

/* ---- config.c ---- */

/* Of the features that both sides can, those that have what they require (section 5.1.3.1). */
uint64_t pv_netdrv_choose(uint64_t features);

/* Reads and checks the configuration. Returns 0, -PV_EBROKEN or an error of the bus. */
int pv_netdrv_config_load(struct pv_netdrv *net);

/* ---- queue.c ---- */

/* Sets up one queue of a pair; teardown is for one that was set up in part, too. */
int pv_netdrv_queue_setup(struct pv_netdrv *net, uint16_t index);
void pv_netdrv_queue_teardown(struct pv_netdrv_queue *queue);

/* ---- place.c ---- */

/* The pieces of one that has a slot. The first is a header's: what is mapped follows. */
static inline struct pv_sg *pv_netdrv_slot_sg(struct pv_netdrv_queue *queue, uint16_t slot)
{
	return queue->slots.sg + (size_t)queue->slots.sg_apart * slot;
}

/* Maps memory if it is in one piece. Returns 0; -PV_EINVAL if it is not; or -PV_ENOMEM. */
int pv_netdrv_map_whole(struct pv_netdrv_queue *queue, struct pv_netdrv_place *place, void *memory,
                        uint32_t bytes);

/* The same of any memory, by a slot. Returns 0; -PV_ENOSPC, -PV_EINVAL or -PV_ENOMEM. */
int pv_netdrv_map_pieces(struct pv_netdrv_queue *queue, struct pv_netdrv_place *place,
                         const struct pv_buffer *buffer, uint16_t buffers);

/* Takes it back, its slot too. Once: what was taken back has no pieces any more. */
void pv_netdrv_unmap(struct pv_netdrv_queue *queue, struct pv_netdrv_place *place);

/* ---- send.c, receive.c ---- */

extern const struct pv_driver_request_ops pv_netdrv_send_ops;
extern const struct pv_driver_request_ops pv_netdrv_receive_ops;
uint32_t pv_netdrv_poll_tx(struct pv_netdrv_queue *queue, uint32_t packets_max);
uint32_t pv_netdrv_poll_rx(struct pv_netdrv_queue *queue, uint32_t packets_max);

/* Posts all of the driver's own buffers. Returns 0 or an error of the ring. */
int pv_netdrv_post_own(struct pv_netdrv_queue *queue);

/* ---- command.c ---- */

void pv_netdrv_control_init(struct pv_netdrv_control *control,
                            const struct pv_netdrv_options *options);
int pv_netdrv_control_setup(struct pv_netdrv *net);
void pv_netdrv_control_teardown(struct pv_netdrv *net);
uint32_t pv_netdrv_control_poll(struct pv_netdrv *net);

#endif
