/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: the wire to a tap interface; net_tap.c has its frames, net_tap_open.c the
 * rest. */
#ifndef PV_HOSTED_NET_TAP_H
#define PV_HOSTED_NET_TAP_H

#include <net/if.h>

#include "hosted/backends/net_tap_spread.h"
#include "hosted/backends/net_tap_ring.h"
#include "hosted/backends/net_wire_internal.h"

/* Frames that were read before they were asked for. */
struct pv_tap_ahead {
	uint8_t (*memory)[PV_NET_FRAME_MAX]; /* NULL: none are */
	struct virtio_net_hdr hdr[PV_TAP_BATCH];
	struct iovec iov[PV_TAP_BATCH][2];
	struct pv_tap_transfer transfer[PV_TAP_BATCH];
	uint16_t next, count;
	uint16_t want; /* so many next time */
};

struct pv_tap_queue {
	struct pv_tap *tap;
	int fd;
	struct pv_loop *loop;
	struct pv_watch *watch;
	bool is_readable;
	struct pv_tap_ahead ahead;
	bool is_attached; /* control side: frames come by it */
};

struct pv_tap {
	struct pv_wire wire;
	uint16_t pairs;
	uint16_t queues;      /* pairs share the only one, or have one each */
	bool has_header;      /* one stands before each frame */
	bool is_gone;         /* the interface; relaxed atomic */
	uint64_t can_offload; /* VIRTIO_NET_F_GUEST_* that the kernel knows */
	char name[IFNAMSIZ];
	struct pv_tap_spread spread;
	/* Of each pair. */
	struct pv_gate *gate;
	struct pv_tap_ring *ring;
	struct pv_tap_queue queue[];
};

extern const struct pv_net_wire_ops pv_tap_ops;

/* net_tap.c. The header's piece, if there is one, and those of the frame. Returns how many. */
int pv_tap_put_pieces(const struct pv_tap *tap, struct iovec *to, const struct virtio_net_hdr *hdr,
                      const struct pv_iov *iov, uint16_t pieces);

/* net_tap.c. The interface is not there any more, if it is this error that says so. */
void pv_tap_mind_gone(struct pv_tap *tap, int err);

/* net_tap_in.c. Reads ahead where a queue's lane has a ring; without memory it does not. */
void pv_tap_read_ahead(struct pv_tap *tap, struct pv_tap_queue *queue);

/* net_tap_in.c. There is something to read, or it is found out that there is not. */
void pv_tap_see(void *queue, int events);

/* net_tap_in.c: as in devices/net/wire.h. */
uint32_t pv_tap_receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                        uint16_t pieces, struct virtio_net_hdr *hdr);

/* net_tap_open.c: as in devices/net/wire.h. */
void pv_tap_set_offloads(struct pv_net_wire *net, uint64_t guest_offloads);
bool pv_tap_set_pairs(struct pv_net_wire *net, uint16_t pairs);
bool pv_tap_set_spread(struct pv_net_wire *net, const struct pv_net_spread *spread);

#endif
