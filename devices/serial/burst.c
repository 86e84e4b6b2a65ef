/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chains of a run: several are taken, their pieces go to the line in one call, and what it did
 * not get to is put back on the ring.
 *
 * Chains are returned in the order they were taken, so that the rest can be put back on any ring.
 * One that is nothing to work on waits for those before it like any other.
 */
#include "devices/serial/internal.h"

#define PIECES_MAX (sizeof(((struct pv_serial_burst *)0)->iov) / sizeof(struct pv_iov))

static uint64_t bytes_of(const struct pv_chain *chain, bool is_writable)
{
	return is_writable ? chain->writable_bytes : chain->readable_bytes;
}

/* Nothing of the other kind, and no more bytes than a used length can say (section 2.7.5). */
static bool is_good(const struct pv_chain *chain, bool is_writable)
{
	uint64_t bytes = bytes_of(chain, is_writable);

	return !chain->is_incomplete && bytes_of(chain, !is_writable) == 0 && bytes > 0 &&
	       bytes <= UINT32_MAX;
}

static bool is_enough(const struct pv_serial_burst *burst)
{
	return burst->bytes >= PV_SERIAL_BURST_BYTES ||
	       (burst->bytes >= PV_SERIAL_ENOUGH_BYTES && burst->taken >= PV_SERIAL_ENOUGH);
}

static bool has_room(const struct pv_serial_burst *burst, uint16_t chains)
{
	return burst->taken < chains && !is_enough(burst) &&
	       PIECES_MAX - burst->pieces >= PV_SERIAL_CHAIN_PIECES && !burst->ends_bad;
}

void pv_serial_burst_take(struct pv_queue *queue, uint16_t chains, bool is_writable)
{
	struct pv_serial_burst *burst = &pv_serial_of(queue->device)->burst;

	burst->taken = 0;
	burst->ends_bad = false;
	burst->pieces = 0;
	burst->bytes = 0;
	while (has_room(burst, chains)) {
		struct pv_chain *chain = &burst->chain[burst->taken];

		chain->iov = burst->iov + burst->pieces;
		chain->capacity = PV_SERIAL_CHAIN_PIECES;
		if (!pv_queue_take(queue, chain))
			return;
		burst->taken++;
		burst->ends_bad = !is_good(chain, is_writable);
		if (burst->ends_bad)
			return;
		burst->pieces = (uint16_t)(burst->pieces + chain->readable + chain->writable);
		burst->bytes += bytes_of(chain, is_writable);
	}
}

static void return_bad(struct pv_queue *queue, const struct pv_chain *chain, bool is_writable)
{
	/* One that is incomplete was counted when it was taken. */
	if (!chain->is_incomplete)
		pv_queue_bad_chain(queue, is_writable
		                                  ? "a receive buffer that is to be read, or empty"
		                                  : "output that is to be written to, or empty");
	pv_queue_return(queue, chain, 0);
}

static void put_back_from(struct pv_queue *queue, struct pv_serial_burst *burst, uint16_t first)
{
	while (burst->taken > first)
		pv_queue_put_back(queue, &burst->chain[--burst->taken]);
}

uint64_t pv_serial_burst_end(struct pv_queue *queue, uint64_t bytes, bool is_writable)
{
	struct pv_serial_burst *burst = &pv_serial_of(queue->device)->burst;
	uint16_t good = (uint16_t)(burst->taken - burst->ends_bad);
	uint16_t i;

	for (i = 0; i < good; i++) {
		const struct pv_chain *chain = &burst->chain[i];
		uint64_t whole = bytes_of(chain, is_writable);
		uint64_t here = bytes < whole ? bytes : whole;

		/* A buffer goes to the driver with anything in it, output is done when all of it
		 * is. */
		if (is_writable ? here == 0 : here < whole)
			break;
		pv_queue_return(queue, chain, is_writable ? (uint32_t)here : 0);
		bytes -= here;
	}
	if (i == good && burst->ends_bad)
		return_bad(queue, &burst->chain[i++], is_writable);
	put_back_from(queue, burst, i);
	return bytes;
}
