/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within devices/net: the buffers of a receiving queue (virtio 1.3, sections 5.1.6.3 and 5.1.6.4).
 *
 * A stock of chains, the oldest first, which are taken as many at a time as frames are likely to
 * come, and fetched from the driver's processor meanwhile; how a frame is laid out over them; and
 * those that have one, which return together.  Without MRG_RXBUF a frame has one chain, whatever
 * its length.
 *
 * Most frames fit the oldest chain, and that lies in one piece: this much is done here, in one
 * piece with what receives; the functions ..._any() do the rest.
 */
#ifndef PV_DEVICES_NET_BUFFERS_H
#define PV_DEVICES_NET_BUFFERS_H

#include "devices/net/internal.h"

#include "ring/prefetch.h"

static inline struct pv_chain *pv_net_buffers_oldest(struct pv_net_receiver *receiver)
{
	return &receiver->chain[receiver->first];
}

uint64_t pv_net_buffers_want_any(struct pv_queue *queue, struct pv_net_receiver *receiver,
                                 uint64_t bytes);
uint16_t pv_net_buffers_list_any(struct pv_net_receiver *receiver, uint64_t room,
                                 struct pv_iov *list, uint16_t capacity);
void pv_net_buffers_pass_on_any(struct pv_net_receiver *receiver,
                                const struct pv_net_arrival *arrival);

/*
 * Has chains in stock for so many bytes with the header, if the driver has so many. Returns the
 * bytes that those have from the oldest on: fewer, or more.
 */
static inline uint64_t pv_net_buffers_want(struct pv_queue *queue, struct pv_net_receiver *receiver,
                                           uint64_t bytes)
{
	const struct pv_chain *oldest = pv_net_buffers_oldest(receiver);

	if (receiver->first == receiver->taken || oldest->writable_bytes < bytes)
		return pv_net_buffers_want_any(queue, receiver, bytes);
	return oldest->writable_bytes;
}

/* Are those all that there can ever be for one frame? */
bool pv_net_buffers_are_all(const struct pv_queue *queue, const struct pv_net_receiver *receiver);

/*
 * Lists the pieces of chains in stock, up to `*room` bytes of chains and `capacity` pieces, without
 * the room for the header. Returns how many pieces, and in `*room` their bytes.
 */
static inline uint16_t pv_net_buffers_list(struct pv_net_receiver *receiver, uint64_t *room,
                                           struct pv_iov *list, uint16_t capacity)
{
	const struct pv_chain *oldest = pv_net_buffers_oldest(receiver);
	uint32_t skip = receiver->lane.hdr_bytes;
	uint16_t count = 1;

	if (oldest->writable > 1 || oldest->writable_bytes < *room) {
		count = pv_net_buffers_list_any(receiver, *room, list, capacity);
		*room = pv_iov_bytes(list, count);
		return count;
	}
	list[0] = (struct pv_iov){ (uint8_t *)oldest->iov[0].base + skip,
		                   oldest->iov[0].bytes - skip };
	*room = list[0].bytes;
	return count;
}

/* Writes a frame to the oldest chains, which have room for it, behind the room for the header. */
void pv_net_buffers_fill(struct pv_net_receiver *receiver, const uint8_t *data, uint32_t bytes);

/* Is there a header on it from the beginning on, the one that most frames have? */
static inline bool pv_net_buffers_are_ready(const struct pv_net_receiver *receiver,
                                            const struct pv_chain *chain)
{
	return receiver->lane.hdr_bytes == sizeof(struct virtio_net_hdr_mrg) &&
	       chain->writable == 1 && chain->writable_bytes > PV_CACHE_LINE;
}

/* The oldest chains have a frame in them: they get its header, and are to be returned. */
static inline void pv_net_buffers_pass_on(struct pv_net_receiver *receiver,
                                          const struct pv_net_arrival *arrival)
{
	const struct pv_chain *oldest = pv_net_buffers_oldest(receiver);
	uint32_t bytes = (uint32_t)sizeof(struct virtio_net_hdr_mrg) + arrival->bytes;

	if (!pv_net_buffers_are_ready(receiver, oldest) || oldest->writable_bytes < bytes) {
		pv_net_buffers_pass_on_any(receiver, arrival);
		return;
	}
	if (arrival->hdr.flags || arrival->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		__builtin_memcpy(oldest->iov[0].base, &arrival->hdr, sizeof(arrival->hdr));
	receiver->written_bytes[receiver->first++] = bytes;
}

/*
 * A frame of so many bytes that the oldest chains have does not come in, or not as it is: those
 * behind the first are without their headers.
 */
void pv_net_buffers_spoilt(struct pv_net_receiver *receiver, uint32_t bytes);

/* Returns the chains with a frame that have not yet been. */
void pv_net_buffers_return(struct pv_queue *queue, struct pv_net_receiver *receiver);

/* The end of a run: the buffers that the next one will need are fetched from the driver's
 * processor. */
void pv_net_buffers_fetch(struct pv_queue *queue, struct pv_net_receiver *receiver);

/* And after that: what has no frame goes back on the ring, and what has one to the driver. */
void pv_net_buffers_put_back(struct pv_queue *queue, struct pv_net_receiver *receiver);

#endif
