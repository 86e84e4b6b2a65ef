/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether an index that moved passed the one its reader asked to be woken at (virtio 1.3,
 * section 2.7.7.1).  Indexes run freely and wrap; distances are differences of 16 bits.
 */
#ifndef PV_RING_NOTIFY_H
#define PV_RING_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Split: has the index, on its way from `before` to `now`, moved past `event`? */
static inline bool pv_notify_passed(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

/*
 * Packed: the same for ring positions. `now` and `before` are the writer's position after and
 * before the batch, `now_wrap` its wrap counter after; `event` is what the reader asked for, the
 * wrap bit on top.
 */
static inline bool pv_notify_passed_packed(uint16_t event, uint16_t now, uint16_t before,
                                           bool now_wrap, uint16_t size)
{
	uint16_t position = event & 0x7fffu;

	if ((event >> 15) != now_wrap)
		position = (uint16_t)(position - size);
	if (now <= before)
		before = (uint16_t)(before - size);
	return pv_notify_passed(position, now, before);
}

#endif
