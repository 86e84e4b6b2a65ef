/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wire in memory: what was sent lies there to be looked at, what is to be received is put there
 * before.
 */
#ifndef PV_TESTS_MEMORY_WIRE_H
#define PV_TESTS_MEMORY_WIRE_H

#include "devices/net/wire.h"

#define PV_MEMORY_FRAMES 512u

struct pv_memory_frame {
	struct virtio_net_hdr hdr;
	uint16_t pair;
	uint32_t bytes;
	uint8_t *data; /* of malloc */
};

/* First in, first out. */
struct pv_memory_frames {
	uint32_t head, count;
	struct pv_memory_frame frame[PV_MEMORY_FRAMES];
};

struct pv_memory_wire {
	struct pv_net_wire wire;
	struct pv_memory_frames sent;
	struct pv_memory_frames coming; /* for any pair where there is one source */
	uint32_t room;                  /* frames that it takes before it is full */
	uint64_t offloads;              /* as it was told last */
	uint16_t pairs;
	uint32_t sends; /* calls */
};

/* One source, no headers, without end. */
void pv_memory_wire_open(struct pv_memory_wire *wire);
void pv_memory_wire_close(struct pv_memory_wire *wire);

/* A frame that is to be received on a pair. */
void pv_memory_wire_put(struct pv_memory_wire *wire, uint16_t pair,
                        const struct virtio_net_hdr *hdr, const void *data, uint32_t bytes);

/* The oldest frame that was sent; the caller frees its data. False: there is none. */
bool pv_memory_wire_get(struct pv_memory_wire *wire, struct pv_memory_frame *frame);

#endif
