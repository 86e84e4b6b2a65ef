/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A mailbox: any thread puts messages in, and nobody ever waits for another to do so.  They lie
 * there newest first, and whoever owns the box takes all of them at once.
 */
#ifndef PV_HOSTED_MAILBOX_H
#define PV_HOSTED_MAILBOX_H

#include "hosted/loop/loop.h"

struct pv_mailbox {
	struct pv_loop_message *newest;
};

/* Any thread. What was written before is seen by whoever takes the message. */
static inline void pv_mailbox_put(struct pv_mailbox *box, struct pv_loop_message *message)
{
	message->next = __atomic_load_n(&box->newest, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&box->newest, &message->next, message, true,
	                                    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

static inline bool pv_mailbox_is_empty(struct pv_mailbox *box, int memory_order)
{
	return !__atomic_load_n(&box->newest, memory_order);
}

/* The owner. Returns them chained by `next`, the oldest first; NULL: none. */
static inline struct pv_loop_message *pv_mailbox_take(struct pv_mailbox *box)
{
	struct pv_loop_message *newest = __atomic_exchange_n(&box->newest, NULL, __ATOMIC_ACQUIRE);
	struct pv_loop_message *oldest = NULL;

	while (newest) {
		struct pv_loop_message *older = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = older;
	}
	return oldest;
}

#endif
