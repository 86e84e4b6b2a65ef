/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state: what the driver knows of each port, what it is still to be told, and how much of the
 * chain under way has gone.
 *
 * Ports are the user's: the device that a state is loaded into may have others.  The driver is told
 * of what is missing and of what is new, as if it had changed under it.
 */
#include "devices/serial/internal.h"

#include "ring/err.h"

#define KNOWN      0x01u
#define READY      0x02u
#define STALE      0x04u
#define GUEST_OPEN 0x08u
#define TOLD_OPEN  0x10u
#define FLAGS      0x1fu

#define DRIVER_READY 0x01u
#define READY_SAID   0x02u
#define DRIVER_FLAGS 0x03u

/* ---- saving ---- */

static uint8_t flags_of(const struct pv_serial_slot *slot)
{
	return (uint8_t)((slot->is_known ? KNOWN : 0) | (slot->is_ready ? READY : 0) |
	                 (slot->is_stale ? STALE : 0) | (slot->is_guest_open ? GUEST_OPEN : 0) |
	                 (slot->told_open ? TOLD_OPEN : 0));
}

/* The place is noted when a queue stops; one that is paused says itself where it stands. */
static void save_progress(const struct pv_device *device, uint16_t port, struct pv_state_writer *to)
{
	const struct pv_serial_progress *progress =
		&pv_serial_of_const(device)->slot[port].progress;
	const struct pv_queue *queue = &device->queue[virtio_console_transmitq(port)];
	bool is_idle = queue->state == PV_QUEUE_IDLE;

	pv_state_put_u64(to, progress->gone_bytes);
	pv_state_put_u64(to, progress->chain_bytes);
	pv_state_put_u16(to, is_idle ? progress->avail : queue->position.avail);
	pv_state_put_u8(to, is_idle ? progress->avail_wrap : queue->position.avail_wrap);
}

void pv_serial_save(const struct pv_device *device, struct pv_state_writer *to)
{
	const struct pv_serial *serial = pv_serial_of_const(device);

	pv_state_put_u8(to, (uint8_t)((serial->is_driver_ready ? DRIVER_READY : 0) |
	                              (serial->was_ready_said ? READY_SAID : 0)));
	pv_state_put_u16(to, serial->options.ports_max);
	for (uint16_t i = 0; i < serial->options.ports_max; i++) {
		const struct pv_serial_slot *slot = &serial->slot[i];

		pv_state_put_u8(to, flags_of(slot));
		pv_state_put_u8(to, slot->marks);
		pv_state_put_u32(to, slot->told_size);
		save_progress(device, i, to);
	}
}

/* ---- loading ---- */

static bool requires(uint8_t flags, uint8_t these, uint8_t those)
{
	return !(flags & these) || (flags & those) == those;
}

/* What of it can be together. */
static bool is_possible(const struct pv_serial *serial, uint8_t flags, uint8_t marks)
{
	const uint8_t about_ready = (uint8_t)(PV_MARKS & ~(PV_MARK_REMOVE | PV_MARK_ADD));

	return !(flags & (uint8_t)~FLAGS) && !(marks & (uint8_t)~PV_MARKS) &&
	       requires(flags, READY, KNOWN) && requires(flags, GUEST_OPEN, READY) &&
	       (!(marks & PV_MARK_REMOVE) || (flags & (KNOWN | READY)) == KNOWN) &&
	       (!(marks & about_ready) || (flags & READY)) &&
	       (serial->is_driver_ready || !(flags & KNOWN || marks));
}

static void load_progress(struct pv_serial_progress *progress, struct pv_state_reader *from)
{
	progress->gone_bytes = pv_state_get_u64(from);
	progress->chain_bytes = pv_state_get_u64(from);
	progress->avail = pv_state_get_u16(from);
	progress->avail_wrap = pv_state_get_u8(from);
	pv_state_check(from, progress->gone_bytes == 0
	                             ? progress->chain_bytes == 0
	                             : progress->gone_bytes < progress->chain_bytes &&
	                                       progress->chain_bytes <= UINT32_MAX);
}

/* The driver has this port, or is being told to let go of one of its number. */
static void reconcile(struct pv_serial_slot *slot, uint8_t marks)
{
	bool must_go = slot->is_known && (!slot->is_there || (marks & PV_MARK_REMOVE));

	pv_serial_unmark(slot, PV_MARKS);
	if (must_go) {
		slot->is_ready = false;
		slot->is_stale = true;
		pv_serial_set_guest_open(slot, false);
		pv_serial_mark(slot, PV_MARK_REMOVE);
	}
	if (!slot->is_there) {
		slot->progress = (struct pv_serial_progress){ 0 };
		return;
	}
	if (slot->serial->is_driver_ready && (must_go || !slot->is_known))
		pv_serial_mark(slot, PV_MARK_ADD);
	if (slot->is_ready)
		pv_serial_mark(slot, marks & (PV_MARK_CONSOLE | PV_MARK_NAME));
	pv_serial_look_at_line(slot);
}

static void load_slot(struct pv_serial_slot *slot, struct pv_state_reader *from)
{
	uint8_t flags = pv_state_get_u8(from), marks = pv_state_get_u8(from);

	slot->told_size = pv_state_get_u32(from);
	load_progress(&slot->progress, from);
	if (!pv_state_check(from, is_possible(slot->serial, flags, marks)))
		return;
	slot->is_known = flags & KNOWN;
	slot->is_ready = flags & READY;
	slot->is_stale = flags & STALE;
	slot->told_open = flags & TOLD_OPEN;
	pv_serial_set_guest_open(slot, flags & GUEST_OPEN);
	reconcile(slot, marks);
}

int pv_serial_load(struct pv_device *device, struct pv_state_reader *from, uint16_t version)
{
	struct pv_serial *serial = pv_serial_of(device);
	uint8_t flags = pv_state_get_u8(from);

	(void)version;
	pv_state_check(from, !(flags & (uint8_t)~DRIVER_FLAGS) &&
	                             requires(flags, READY_SAID, DRIVER_READY));
	pv_state_check(from, pv_state_get_u16(from) == serial->options.ports_max);
	if (from->is_bad)
		return -PV_ESTATE;
	serial->is_driver_ready = flags & DRIVER_READY;
	serial->was_ready_said = flags & READY_SAID;
	for (uint16_t i = 0; i < serial->options.ports_max && !from->is_bad; i++)
		load_slot(&serial->slot[i], from);
	if (from->is_bad)
		return -PV_ESTATE;
	pv_serial_rested(serial);
	return 0;
}
