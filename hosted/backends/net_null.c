/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire that ends in nothing: it takes everything, and gives nothing. For measuring. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hosted/backends/net_wire_internal.h"

static uint16_t send_nowhere(struct pv_net_wire *net, uint16_t pair,
                             const struct pv_net_frame *frame, uint16_t frames)
{
	(void)net;
	(void)pair;
	(void)frame;
	return frames;
}

static uint32_t receive_nothing(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                                uint16_t pieces, struct virtio_net_hdr *hdr)
{
	(void)net;
	(void)pair;
	(void)iov;
	(void)pieces;
	(void)hdr;
	return 0;
}

static void free_wire(struct pv_wire *wire)
{
	free(wire);
}

static const struct pv_net_wire_ops ops = {
	.send = send_nowhere,
	.receive = receive_nothing,
};

int pv_wire_null_open(struct pv_wire_opening *opening)
{
	struct pv_wire *wire = calloc(1, sizeof(*wire));

	if (!wire)
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	/* Whatever is left to do to a frame need not be done. */
	wire->net = (struct pv_net_wire){
		.ops = &ops,
		.sources = opening->options->has_one_source ? 1 : opening->options->pairs,
		.knows_headers = true,
		.can_segment = VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |
		               VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_HOST_UFO |
		               VIRTIO_NET_F_HOST_USO,
	};
	wire->close = free_wire;
	snprintf(wire->text, sizeof(wire->text), "null network");
	opening->wire = wire;
	return 0;
}
