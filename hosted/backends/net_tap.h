/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: the wire to a tap interface; net_tap.c has its frames, net_tap_open.c the
 * rest. */
#ifndef PV_HOSTED_NET_TAP_H
#define PV_HOSTED_NET_TAP_H

#include <net/if.h>

#include "hosted/backends/net_tap_spread.h"
#include "hosted/backends/net_wire_internal.h"

struct pv_tap_queue {
	struct pv_tap *tap;
	int fd;
	struct pv_loop *loop;
	struct pv_watch *watch;
	bool is_readable;
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
	struct pv_wire_gate *gate;
	struct pv_tap_queue queue[];
};

extern const struct pv_net_wire_ops pv_tap_ops;

/* net_tap.c: there is something to read, or it is found out that there is not. */
void pv_tap_see(void *queue, int events);

/* net_tap_open.c: as in devices/net/wire.h. */
void pv_tap_set_offloads(struct pv_net_wire *net, uint64_t guest_offloads);
bool pv_tap_set_pairs(struct pv_net_wire *net, uint16_t pairs);
bool pv_tap_set_spread(struct pv_net_wire *net, const struct pv_net_spread *spread);

#endif
