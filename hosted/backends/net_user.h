/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: the user-mode network; net_user.c runs it, net_user_open.c makes it. */
#ifndef PV_HOSTED_NET_USER_H
#define PV_HOSTED_NET_USER_H

#include <poll.h>
#include <pthread.h>

#include "hosted/backends/net_fifo.h"
#include "hosted/backends/net_slirp.h"

/* A timer of libslirp's. */
struct pv_user_timer {
	struct pv_user_timer *next;
	SlirpTimerCb due;
	void *arg;
	int64_t due_ms; /* of the monotonic clock; INT64_MAX: not set */
};

/* What watches a descriptor of libslirp's; by the descriptor's number. */
struct pv_user_watch {
	struct pv_watch *watch;
	bool is_stale; /* the descriptor is another file now, or none */
};

struct pv_user {
	struct pv_wire wire;
	struct pv_loop **loop_of; /* of each pair */
	struct pv_loop *loop;     /* pair 0's, on which the network lives */
	const struct pv_slirp *api;

	/* Held by who calls libslirp or looks at what it gave. */
	pthread_mutex_t lock;
	Slirp *slirp;
	struct pv_wire_fifo fifo; /* to the driver */
	bool is_throttled;        /* nothing is read for the driver before it has taken some */
	struct pv_user_timer *timers;
	struct pv_user_watch *watch;
	int watches; /* length of the table */
	uint8_t frame[PV_NET_FRAME_MAX];

	/* Pair 0's loop. */
	struct pv_bell bell;
	struct pv_timer timer;
	uint64_t timer_ns; /* when it is due; 0: it is not set */
	struct pollfd *poll;
	int polls, polls_max;
};

extern const struct pv_net_wire_ops pv_user_ops;
extern const SlirpCb pv_user_callbacks;

/* Pair 0's loop, or, while it does not run, its owner. Does what there is to do. */
void pv_user_run(void *user);

/* The end of all watches and timers that libslirp asked for. */
void pv_user_forget(struct pv_user *user);

#endif
