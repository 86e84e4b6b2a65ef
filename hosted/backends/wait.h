/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What wires and lines wait with: for room, for time, and for other threads; and who else waits for
 * time on a loop.
 */
#ifndef PV_HOSTED_WAIT_H
#define PV_HOSTED_WAIT_H

#include "hosted/loop/loop.h"

/* Of a lane: shut while a descriptor takes no more. */
struct pv_gate {
	struct pv_loop *loop;
	struct pv_watch *watch; /* NULL: it is open */
	uint16_t number;        /* for its user, who may have several */
	/* The lane: it has opened. May be NULL. */
	void (*opened)(void *arg, uint16_t number);
	void *arg;
};

/* The lane. Shuts it until `fd` takes more. Returns false without memory. */
bool pv_gate_shut(struct pv_gate *gate, int fd);
void pv_gate_fini(struct pv_gate *gate);

/* Lets a loop run its queues once more. */
struct pv_bell {
	struct pv_loop *loop;
	struct pv_watch *watch;
	int fd;
	/* On the loop; may be NULL. */
	void (*rung)(void *arg);
	void *arg;
};

/* Returns 0 or -errno. */
int pv_bell_init(struct pv_bell *bell, struct pv_loop *loop, void (*rung)(void *arg), void *arg);
void pv_bell_fini(struct pv_bell *bell);

/*
 * The same in two steps: from the first on it may be rung, from the second on, and till the third,
 * the loop hears it, what was rung before too. A bell that is closed is heard by nobody.
 */
int pv_bell_open(struct pv_bell *bell);
int pv_bell_listen(struct pv_bell *bell, struct pv_loop *loop, void (*rung)(void *arg), void *arg);
void pv_bell_ignore(struct pv_bell *bell);
void pv_bell_close(struct pv_bell *bell);

/* Any thread, and signal handlers. */
void pv_bell_ring(const struct pv_bell *bell);

/* Calls back once after a while, on a loop. */
struct pv_timer {
	struct pv_loop *loop;
	struct pv_watch *watch;
	int fd;
	void (*due)(void *arg);
	void *arg;
};

/* Returns 0 or -errno. */
int pv_timer_init(struct pv_timer *timer, struct pv_loop *loop, void (*due)(void *arg), void *arg);
void pv_timer_fini(struct pv_timer *timer);

/* Any thread. In so long, which takes the place of what was set before; 0: never. */
void pv_timer_set(struct pv_timer *timer, uint64_t ns);

#endif
