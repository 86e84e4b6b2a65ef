/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port's receiveq (virtio 1.3, section 5.3.6): from the line to the driver.
 *
 * A line is read only while the driver has the port open: until then, and while it gives no
 * buffers, what comes waits at the line's other end.
 */
#include "devices/serial/internal.h"

#include "ring/err.h"

static bool is_wanted(const struct pv_serial_slot *slot)
{
	return slot->is_there && (slot->is_guest_open || !pv_serial_is_multiport(slot->serial)) &&
	       slot->line->has_input;
}

/*
 * So many buffers are offered the next time: what was filled, and if that was all of them, twice as
 * many. Most input is short, and a buffer that nothing came for was taken in vain.
 */
static void learn(struct pv_serial_slot *slot, uint16_t filled)
{
	if (filled >= slot->burst)
		slot->burst = (uint16_t)(2 * slot->burst);
	else
		slot->burst = (uint16_t)(filled + 1);
	if (slot->burst > PV_SERIAL_BURST)
		slot->burst = PV_SERIAL_BURST;
}

/* Returns how many bytes have come. */
static size_t read_line(struct pv_serial_slot *slot, struct pv_serial_burst *burst)
{
	uint64_t offered = pv_serial_turn_of(burst->bytes);
	struct pv_iov *iov = burst->iov;
	uint16_t pieces = burst->pieces;
	size_t bytes = 0;

	if (pieces > 0 && pv_iov_cut(&iov, &pieces, 0, offered))
		bytes = slot->line->ops->read(slot->line, iov, pieces);
	pv_bug_on(bytes > offered);
	return bytes;
}

/*
 * The driver need not say that it has more buffers while it is the line that has nothing; and a
 * line wakes the queue, once there is one.
 */
static void wait_for_line(struct pv_queue *queue, const struct pv_serial_slot *slot)
{
	pv_serial_stall(queue);
	queue->is_woken = !queue->is_draining && (!slot->is_there || !slot->line->has_input);
}

bool pv_serial_receive(struct pv_queue *queue)
{
	struct pv_serial_slot *slot = pv_serial_slot_of(queue);
	struct pv_serial_burst *burst = &slot->serial->burst;
	uint64_t before = queue->counters.completions;
	uint64_t bytes;

	if (!is_wanted(slot)) {
		wait_for_line(queue, slot);
		return false;
	}
	queue->is_stalled = queue->is_woken = false;
	pv_serial_burst_take(queue, slot->burst, true);
	if (burst->taken == 0)
		return false;
	bytes = read_line(slot, burst);
	pv_count_add(&pv_serial_counters_of(queue)->bytes, bytes);
	pv_serial_burst_end(queue, bytes, true);
	learn(slot, (uint16_t)(queue->counters.completions - before));
	if (!slot->line->has_input)
		wait_for_line(queue, slot);
	return queue->counters.completions != before;
}
