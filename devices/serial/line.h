/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a port of a serial device stands on: a line, which carries bytes both ways to and from
 * somebody at its other end.
 *
 * The device reads and writes; the line never waits, and holds on to nothing that it was given. A
 * line that takes or has no more says so by clearing a flag, and from then on sees to it that the
 * lane runs its queues again when it has set the flag. (Our programs' lines watch their descriptors
 * on the loop of that lane: whatever wakes a loop runs its queues.) Queues that wait for input may
 * not be looked at even then: has_input is set by pv_line_set_input() once the device uses the
 * line.
 *
 * Whether somebody is there is the line's to say (is_open); what becomes of bytes while nobody is,
 * is its policy: it takes none, drops them, or keeps them.
 *
 * What the line says about itself may be read and changed only on the lane's thread; once the lane
 * works, the line changes it there.
 */
#ifndef PV_DEVICES_SERIAL_LINE_H
#define PV_DEVICES_SERIAL_LINE_H

#include <stdbool.h>

#include "ring/chain.h"

struct pv_line;

struct pv_line_ops {
	/*
	 * Lane. Takes bytes from the pieces, in order, as many as it can at once. Returns how many;
	 * fewer than there are: it has cleared has_room.
	 */
	size_t (*write)(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces);

	/*
	 * Lane. Puts bytes into the pieces, in order, as many as it has. Returns how many. When it
	 * has no more for now, and always when it returns 0, it has cleared has_input.
	 */
	size_t (*read)(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces);

	/*
	 * Any thread. A byte that the guest wrote without a queue (emergency write): goes out past
	 * all that waits, or is lost where that cannot be.
	 */
	void (*write_emergency)(struct pv_line *line, uint8_t byte);
};

/* Who uses a line; called on the thread of the lane. */
struct pv_line_user {
	void (*changed)(void *arg);    /* what the guest is told has */
	void (*input_came)(void *arg); /* has_input was set */
};

struct pv_line {
	const struct pv_line_ops *ops;

	bool has_input; /* read() may give something */
	bool has_room;  /* write() may take something */

	/* What the guest is told. */
	bool is_open;           /* somebody is at the other end */
	uint16_t columns, rows; /* of a terminal there; 0: not known */

	/*
	 * The device's, while it uses the line; else NULL. Whoever gives the line to another device
	 * makes it that.
	 */
	const struct pv_line_user *user;
	void *arg;
};

/*
 * For the line, on the thread of the lane: read() may give something, or may not. The first wakes
 * who reads. The control side may say at the same time that nobody uses the line any more.
 */
static inline void pv_line_set_input(struct pv_line *line, bool has_input)
{
	const struct pv_line_user *user = __atomic_load_n(&line->user, __ATOMIC_ACQUIRE);

	line->has_input = has_input;
	if (has_input && user)
		user->input_came(line->arg);
}

/* The same, after it has changed what the guest is told: the lane runs its queues then. */
static inline void pv_line_tell_changed(struct pv_line *line)
{
	const struct pv_line_user *user = __atomic_load_n(&line->user, __ATOMIC_ACQUIRE);

	if (user)
		user->changed(line->arg);
}

#endif
