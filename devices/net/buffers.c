/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffers of a receiving queue (virtio 1.3, sections 5.1.6.3 and 5.1.6.4): a stock of chains
 * without a frame yet, the oldest first, and how a frame is laid out over them.  Without MRG_RXBUF
 * a frame has one chain, whatever its length.
 */
#include "devices/net/internal.h"

#include "ring/prefetch.h"

static struct pv_chain *chain_at(struct pv_net_receiver *receiver, uint16_t i)
{
	return &receiver->chain[i].chain;
}

static bool is_buffer(const struct pv_net_receiver *receiver, const struct pv_chain *chain)
{
	return !chain->is_incomplete && chain->readable_bytes == 0 &&
	       chain->writable_bytes > receiver->lane.hdr_bytes;
}

/* A chain that is no buffer goes back to the driver, when those before it have. */
static void refuse(struct pv_queue *queue, const struct pv_chain *chain)
{
	if (!chain->is_incomplete)
		pv_queue_bad_chain(queue, "a receive buffer that is to be read, or has no room");
	pv_queue_return(queue, chain, 0);
}

/* Takes one more chain. Returns false where there is none that is a buffer. */
static bool take(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	struct pv_net_taken *taken = &receiver->chain[receiver->taken];

	taken->chain.iov = taken->iov;
	taken->chain.capacity = PV_NET_PIECES;
	if (!pv_queue_take(queue, &taken->chain))
		return false;
	if (is_buffer(receiver, &taken->chain)) {
		pv_prefetch_to_write(taken->iov[0].base);
		receiver->taken++;
		return true;
	}
	if (receiver->first == receiver->taken)
		refuse(queue, &taken->chain);
	else
		pv_queue_put_back(queue, &taken->chain);
	return false;
}

/* The places at the beginning of the stock that are free again. */
static void close_ranks(struct pv_net_receiver *receiver)
{
	if (receiver->first < receiver->taken)
		return;
	receiver->first = 0;
	receiver->taken = 0;
}

/* So many of the next buffers are fetched, if they are there, while frames come one after another.
 */
#define AHEAD_MAX 16u

static void take_ahead(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	uint32_t ahead = receiver->came_in < AHEAD_MAX ? receiver->came_in : AHEAD_MAX;

	if (receiver->first < receiver->taken)
		return;
	close_ranks(receiver);
	while (receiver->taken < 1 + ahead && take(queue, receiver))
		;
}

uint64_t pv_net_buffers_want(struct pv_queue *queue, struct pv_net_receiver *receiver,
                             uint64_t bytes)
{
	uint64_t room = 0;

	take_ahead(queue, receiver);
	for (uint16_t i = receiver->first; room < bytes; i++) {
		if (i == receiver->taken && (i == PV_NET_BURST || !take(queue, receiver)))
			break;
		room += chain_at(receiver, i)->writable_bytes;
		if (!receiver->is_mergeable)
			break;
	}
	return room;
}

bool pv_net_buffers_are_all(const struct pv_queue *queue, const struct pv_net_receiver *receiver)
{
	return !receiver->is_mergeable || receiver->taken == PV_NET_BURST ||
	       queue->ring.in_flight_descs == queue->ring.size;
}

/* The next run will need as many as this one: they come while the processor does something else. */
void pv_net_buffers_fetch(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	uint32_t wanted = receiver->came_in < AHEAD_MAX ? receiver->came_in : AHEAD_MAX;

	close_ranks(receiver);
	while ((uint32_t)(receiver->taken - receiver->first) < wanted &&
	       receiver->taken < PV_NET_BURST && take(queue, receiver))
		;
}

void pv_net_buffers_put_back(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	while (receiver->taken > receiver->first)
		pv_queue_put_back(queue, chain_at(receiver, --receiver->taken));
	close_ranks(receiver);
}

uint16_t pv_net_buffers_list(struct pv_net_receiver *receiver, uint64_t room, struct pv_iov *list,
                             uint16_t capacity)
{
	size_t skip = receiver->lane.hdr_bytes;
	uint16_t count = 0;

	for (uint16_t i = receiver->first; i < receiver->taken; i++) {
		const struct pv_chain *chain = chain_at(receiver, i);

		for (uint16_t j = 0; j < chain->writable && count < capacity; j++) {
			struct pv_iov piece = chain->iov[j];

			if (piece.bytes > skip)
				list[count++] = (struct pv_iov){ (uint8_t *)piece.base + skip,
					                         piece.bytes - skip };
			skip -= piece.bytes < skip ? piece.bytes : skip;
		}
		if (chain->writable_bytes >= room)
			break;
		room -= chain->writable_bytes;
	}
	return count;
}

/* ---- filling ---- */

/* How many chains so many bytes take. */
static uint16_t chains_of(struct pv_net_receiver *receiver, uint64_t bytes)
{
	uint16_t chains = 0;

	for (uint16_t i = receiver->first; bytes > 0; i++, chains++) {
		uint64_t room = chain_at(receiver, i)->writable_bytes;

		bytes -= room < bytes ? room : bytes;
	}
	return chains;
}

static void write_any_header(struct pv_net_receiver *receiver, const struct pv_net_arrival *arrival,
                             struct pv_le16 num_buffers)
{
	const struct virtio_net_hdr_hash hdr = {
		.mrg = { .hdr = arrival->hdr, .num_buffers = num_buffers },
		.hash_value = pv_le32_of(arrival->hash_value),
		.hash_report = pv_le16_of(arrival->hash_report),
	};
	struct pv_cursor writer = pv_chain_writer(chain_at(receiver, receiver->first));

	pv_cursor_write(&writer, &hdr, receiver->lane.hdr_bytes);
}

static void write_header(struct pv_net_receiver *receiver, const struct pv_net_arrival *arrival,
                         uint16_t chains)
{
	const struct pv_chain *chain = chain_at(receiver, receiver->first);
	const struct pv_le16 num_buffers = pv_le16_of(chains);
	uint8_t *to = chain->iov[0].base;

	if (receiver->lane.hdr_bytes != sizeof(struct virtio_net_hdr_mrg) ||
	    chain->iov[0].bytes < sizeof(struct virtio_net_hdr_mrg)) {
		write_any_header(receiver, arrival, num_buffers);
		return;
	}
	/* Most often, and without putting it together first. */
	__builtin_memcpy(to, &arrival->hdr, sizeof(arrival->hdr));
	__builtin_memcpy(to + offsetof(struct virtio_net_hdr_mrg, num_buffers), &num_buffers,
	                 sizeof(num_buffers));
}

void pv_net_buffers_pass_on(struct pv_queue *queue, struct pv_net_receiver *receiver,
                            const struct pv_net_arrival *arrival)
{
	uint64_t bytes = (uint64_t)receiver->lane.hdr_bytes + arrival->bytes;

	write_header(receiver, arrival, chains_of(receiver, bytes));
	while (bytes > 0) {
		const struct pv_chain *chain = chain_at(receiver, receiver->first++);
		uint64_t here = chain->writable_bytes < bytes ? chain->writable_bytes : bytes;

		pv_queue_return(queue, chain, (uint32_t)here);
		bytes -= here;
	}
}

void pv_net_buffers_fill(struct pv_net_receiver *receiver, const uint8_t *data, uint32_t bytes)
{
	uint64_t skip = receiver->lane.hdr_bytes;

	for (uint16_t i = receiver->first; bytes > 0; i++, skip = 0) {
		struct pv_cursor writer = pv_chain_writer(chain_at(receiver, i));
		size_t done;

		pv_cursor_skip(&writer, (size_t)skip);
		done = pv_cursor_write(&writer, data, bytes);
		data += done;
		bytes -= (uint32_t)done;
	}
}
