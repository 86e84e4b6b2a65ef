/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/net/buffers.h"

static struct pv_chain *chain_at(struct pv_net_receiver *receiver, uint16_t i)
{
	return &receiver->chain[i];
}

static bool is_buffer(const struct pv_net_receiver *receiver, const struct pv_chain *chain)
{
	return !chain->is_incomplete && chain->readable_bytes == 0 &&
	       chain->writable_bytes > receiver->lane.hdr_bytes;
}

void pv_net_buffers_return(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	uint16_t at = receiver->returned;

	pv_queue_return_run(queue, &receiver->chain[at], &receiver->written_bytes[at],
	                    (uint16_t)(receiver->first - at));
	receiver->returned = receiver->first;
}

/* A chain that is no buffer goes back to the driver, when those before it have. */
static void refuse(struct pv_queue *queue, struct pv_net_receiver *receiver,
                   const struct pv_chain *chain)
{
	if (receiver->first < receiver->taken) {
		pv_queue_put_back(queue, chain);
		return;
	}
	if (!chain->is_incomplete)
		pv_queue_bad_chain(queue, "a receive buffer that is to be read, or has no room");
	pv_net_buffers_return(queue, receiver);
	pv_queue_return(queue, chain, 0);
}

/* The pieces behind those of the stock. */
static struct pv_iov *free_iov(struct pv_net_receiver *receiver)
{
	const struct pv_chain *last;

	if (receiver->taken == 0)
		return receiver->iov;
	last = &receiver->chain[receiver->taken - 1];
	return last->iov + last->readable + last->writable;
}

/*
 * Their first two lines, which are a header and a small frame, are written: the one with the header
 * that most frames have, the other with nothing. A processor that read a line before, as this one
 * did when the same memory had a frame that was sent, lets nothing but a store make it its own, and
 * stores leave it one by one; side by side they are asked for as good as at once, which those of a
 * frame, with all that is stored between two, are not. What is no header yet is nobody's: a device
 * may write to what it did not use.
 */
static void make_ready(const struct pv_net_receiver *receiver, const struct pv_chain *chain,
                       uint16_t count)
{
	const struct virtio_net_hdr_mrg plain = { .num_buffers = pv_le16_of(1) };

	for (uint16_t i = 0; i < count; i++) {
		uint8_t *to = chain[i].iov[0].base;

		if (!pv_net_buffers_are_ready(receiver, &chain[i]))
			continue;
		__builtin_memcpy(to, &plain, sizeof(plain));
		to[PV_CACHE_LINE] = 0;
	}
}

void pv_net_buffers_spoilt(struct pv_net_receiver *receiver, uint32_t bytes)
{
	if (pv_net_buffers_oldest(receiver)->writable_bytes <
	    (uint64_t)receiver->lane.hdr_bytes + bytes)
		make_ready(receiver, pv_net_buffers_oldest(receiver),
		           (uint16_t)(receiver->taken - receiver->first));
}

/* Takes so many more chains at most. Returns false where there is none that is a buffer. */
static bool take(struct pv_queue *queue, struct pv_net_receiver *receiver, uint16_t count)
{
	const struct pv_chain_room room = { chain_at(receiver, receiver->taken), count,
		                            free_iov(receiver), PV_NET_PIECES };
	uint16_t taken = pv_queue_take_run(queue, &room), good = 0;

	while (good < taken && is_buffer(receiver, &room.chain[good]))
		good++;
	make_ready(receiver, room.chain, good);
	receiver->taken = (uint16_t)(receiver->taken + good);
	if (good == taken)
		return good > 0;
	while (--taken > good)
		pv_queue_put_back(queue, &room.chain[taken]);
	refuse(queue, receiver, &room.chain[good]);
	return good > 0;
}

/* The places at the beginning of the stock that are free again. */
static void close_ranks(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	if (receiver->first < receiver->taken)
		return;
	pv_net_buffers_return(queue, receiver);
	receiver->returned = 0;
	receiver->first = 0;
	receiver->taken = 0;
}

/*
 * So many buffers are taken at once, and fetched, if they are there: as many as frames are likely
 * to come one after another.
 */
#define AHEAD_MAX 32u

static uint16_t ahead(const struct pv_net_receiver *receiver)
{
	uint32_t likely = receiver->came_in > receiver->likely ? receiver->came_in
	                                                       : receiver->likely;

	return (uint16_t)(likely < AHEAD_MAX ? likely : AHEAD_MAX);
}

static void take_ahead(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	if (receiver->first < receiver->taken)
		return;
	close_ranks(queue, receiver);
	take(queue, receiver, (uint16_t)(1 + ahead(receiver)));
}

uint64_t pv_net_buffers_want_any(struct pv_queue *queue, struct pv_net_receiver *receiver,
                                 uint64_t bytes)
{
	uint64_t room = 0;

	take_ahead(queue, receiver);
	for (uint16_t i = receiver->first; room < bytes; i++) {
		if (i == receiver->taken && (i == PV_NET_BURST || !take(queue, receiver, 1)))
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
	close_ranks(queue, receiver);
	if (receiver->taken == 0 && receiver->came_in > 0)
		take(queue, receiver, ahead(receiver));
}

void pv_net_buffers_put_back(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	while (receiver->taken > receiver->first)
		pv_queue_put_back(queue, chain_at(receiver, --receiver->taken));
	close_ranks(queue, receiver);
}

uint16_t pv_net_buffers_list_any(struct pv_net_receiver *receiver, uint64_t room,
                                 struct pv_iov *list, uint16_t capacity)
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

static void write_header(struct pv_net_receiver *receiver, const struct pv_net_arrival *arrival,
                         uint16_t chains)
{
	const struct virtio_net_hdr_hash hdr = {
		.mrg = { .hdr = arrival->hdr, .num_buffers = pv_le16_of(chains) },
		.hash_value = pv_le32_of(arrival->hash_value),
		.hash_report = pv_le16_of(arrival->hash_report),
	};
	struct pv_cursor writer = pv_chain_writer(pv_net_buffers_oldest(receiver));

	pv_cursor_write(&writer, &hdr, receiver->lane.hdr_bytes);
}

void pv_net_buffers_pass_on_any(struct pv_net_receiver *receiver,
                                const struct pv_net_arrival *arrival)
{
	uint64_t bytes = (uint64_t)receiver->lane.hdr_bytes + arrival->bytes;

	write_header(receiver, arrival, chains_of(receiver, bytes));
	while (bytes > 0) {
		uint64_t room = pv_net_buffers_oldest(receiver)->writable_bytes;
		uint64_t here = room < bytes ? room : bytes;

		receiver->written_bytes[receiver->first++] = (uint32_t)here;
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
