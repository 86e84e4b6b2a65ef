/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's transmitq (virtio 1.3, section 5.3.6): from the driver to the line.
 *
 * What the line has no room for stays on the ring, with a note of how much of the first chain has
 * gone.  The note outlives the queue: one that is stopped and goes on where it stopped, here or
 * elsewhere, sends no byte twice.
 */
#include "devices/serial/internal.h"

#include "ring/err.h"

/* ---- the first chain, part of which has gone ---- */

static bool is_at(const struct pv_serial_progress *progress,
                  const struct pv_ring_position *position)
{
	return progress->avail == position->avail && progress->avail_wrap == position->avail_wrap;
}

/* A ring that begins elsewhere has other chains. */
void pv_serial_transmit_start(struct pv_queue *queue)
{
	struct pv_serial_progress *progress = &pv_serial_slot_of(queue)->progress;

	if (!is_at(progress, &queue->position))
		*progress = (struct pv_serial_progress){ 0 };
}

void pv_serial_transmit_stop(struct pv_queue *queue)
{
	struct pv_serial_progress *progress = &pv_serial_slot_of(queue)->progress;

	progress->avail = queue->ring.at.avail;
	progress->avail_wrap = queue->ring.at.avail_wrap;
}

/* Of the burst, what went before; a first chain of another length is another chain. */
static uint64_t gone_before(const struct pv_serial_slot *slot, const struct pv_serial_burst *burst)
{
	const struct pv_serial_progress *progress = &slot->progress;

	if (burst->pieces == 0 || burst->chain[0].readable_bytes != progress->chain_bytes)
		return 0;
	return progress->gone_bytes;
}

static void note(struct pv_serial_slot *slot, const struct pv_serial_burst *burst,
                 uint64_t gone_bytes, uint16_t first)
{
	slot->progress.gone_bytes = gone_bytes;
	slot->progress.chain_bytes = gone_bytes > 0 ? burst->chain[first].readable_bytes : 0;
}

/* ---- a run ---- */

/* Returns how many bytes have gone, those of before included. */
static uint64_t write_line(struct pv_queue *queue, struct pv_serial_slot *slot,
                           struct pv_serial_burst *burst)
{
	uint64_t gone = gone_before(slot, burst);
	uint64_t given = pv_serial_turn_of(burst->bytes - gone);
	struct pv_iov *iov = burst->iov;
	uint16_t pieces = burst->pieces;
	size_t written = 0;

	if (pieces > 0 && slot->line->has_room && pv_iov_cut(&iov, &pieces, gone, given))
		written = slot->line->ops->write(slot->line, iov, pieces);
	pv_bug_on(written > given);
	pv_count_add(&pv_serial_counters_of(queue)->bytes, written);
	return gone + written;
}

static void transmit(struct pv_queue *queue, struct pv_serial_slot *slot,
                     struct pv_serial_burst *burst)
{
	uint64_t before = queue->counters.completions;
	uint64_t gone = write_line(queue, slot, burst);

	gone = pv_serial_burst_end(queue, gone, false);
	note(slot, burst, gone, (uint16_t)(queue->counters.completions - before));
	if (!slot->line->has_room)
		pv_serial_stall(queue);
}

/*
 * Nobody is there, or somebody else than the driver thinks: the bytes of a driver that waits for
 * them to go are no reason for it to wait forever.
 */
static void drop(struct pv_queue *queue, const struct pv_serial_burst *burst)
{
	pv_count_add(&pv_serial_counters_of(queue)->dropped, burst->bytes);
	pv_serial_burst_end(queue, burst->bytes, false);
}

/*
 * Is what was taken for a port that has gone? If the driver has said before that it has set up the
 * new one, that was said by now, though perhaps nobody listened yet.
 */
static bool is_for_nobody(const struct pv_serial_slot *slot)
{
	struct pv_queue *hearing = slot->serial->hearing;

	if (slot->is_stale && hearing)
		pv_serial_hear(hearing);
	return !slot->is_there || slot->is_stale;
}

bool pv_serial_transmit(struct pv_queue *queue)
{
	struct pv_serial_slot *slot = pv_serial_slot_of(queue);
	struct pv_serial_burst *burst = &slot->serial->burst;

	if (slot->is_there && !slot->line->has_room && !slot->is_stale) {
		pv_serial_stall(queue);
		return false;
	}
	queue->is_stalled = false;
	pv_serial_burst_take(queue, PV_SERIAL_BURST, false);
	if (burst->taken == 0)
		return false;
	if (is_for_nobody(slot))
		drop(queue, burst);
	else
		transmit(queue, slot, burst);
	return true;
}
