/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within the host: a lane, and what its two ends say to each other.
 *
 * Every message has its place in the lane, so there is one of each kind under way at most.  One
 * that is posted again before it was received is not posted twice; for kicks and interrupts that is
 * what they mean, for descriptors the newest is what counts, and the others cannot happen twice
 * before they are answered.
 */
#ifndef PV_HOSTED_HOST_INTERNAL_H
#define PV_HOSTED_HOST_INTERNAL_H

#include "hosted/loop/host.h"
#include "hosted/loop/log.h"

struct pv_lane_message {
	struct pv_loop_message message;
	struct pv_lane *lane;
	bool is_posted;
};

/* What is to be known of a descriptor on its way to the lane that will own it. */
struct pv_notifier {
	int fd; /* -1: none */
	bool is_socket;
	bool can_block;
	bool is_polled; /* kick: look all the time instead */
};

/* Leaves one notifier for the lane: all of it in one word, which is exchanged. */
struct pv_handover {
	struct pv_lane_message message;
	uint32_t word;
};

#define PV_HANDOVER_EMPTY UINT32_MAX

/*
 * What all running queues change over to, each on its lane. It has happened when no chain is out
 * any more from an earlier memory table, and with that, what the queues had before may go.
 */
struct pv_change {
	/* Lane; the control side for a queue that is paused, perhaps once more. */
	void (*queue)(struct pv_queue *queue, const void *what);
	/* Control side, when all queues have changed; may be NULL. */
	void (*device)(struct pv_device *device, const void *what);
};

struct pv_lane {
	struct pv_host *host;
	struct pv_loop *loop;
	uint16_t index;

	/* Control side: from attaching it to the answer that it stopped. */
	struct pv_queue *running;

	/* To the lane. */
	struct pv_lane_message attach;
	struct pv_lane_message detach;
	struct pv_lane_message kick;
	struct pv_lane_message wake;
	struct pv_lane_message interrupt;
	struct pv_lane_message change;
	struct pv_handover new_kick;
	struct pv_handover new_call;

	/* To the control side. */
	struct pv_lane_message stopped;
	struct pv_lane_message broke;
	struct pv_lane_message event;
	struct pv_lane_message call;
	struct pv_lane_message changed;

	/* The lane's own. */
	struct pv_poller poller __attribute__((aligned(64)));
	struct pv_queue *queue; /* NULL while none runs */
	struct pv_watch *watch; /* of the kick */
	struct pv_notifier kicks;
	struct pv_notifier calls;
	int timer_fd; /* -1: this device's queues have none */
	struct pv_watch *timer_watch;
	bool is_changing;    /* something of the time before the change is in use */
	bool is_waiting;     /* for that, or for the queue to become quiet */
	bool is_resting;     /* the loop does not look at it: its driver has to kick */
	uint8_t idle_sleeps; /* times that it had nothing to do when the loop fell asleep */
	uint16_t idle_looks; /* ... and that it had nothing to do */
};

struct pv_host {
	struct pv_port port;
	char *name;
	struct pv_log_pace log_pace; /* of what the driver is to blame for */
	struct pv_loop *control;
	const struct pv_host_ops *ops;
	void *ops_arg;
	const struct pv_host_elsewhere *elsewhere; /* of the first of the queues */
	void *elsewhere_arg;
	uint16_t queues_elsewhere;

	/* The change under way. */
	struct {
		const struct pv_change *change;
		struct pv_device *device;
		const void *what;
		void (*done)(void *arg);
		void *arg;
		uint16_t lanes; /* that have not answered */
		bool is_under_way;
	} changing;

	/* Where lanes may rest, their loop's own: those that do not. */
	bool may_rest;
	uint16_t lanes_looked_at;

	uint16_t lanes;
	struct pv_lane lane[];
};

/* Empty handovers, no timer, and the functions that messages to the lane run there. */
void pv_lane_init(struct pv_lane *lane, struct pv_host *host, struct pv_loop *loop, uint16_t index);

/* Before the lane runs. Returns 0 or -errno. */
int pv_lane_make_timer(struct pv_lane *lane);

/* Closes what it holds. Nobody runs it any more. */
void pv_lane_fini(struct pv_lane *lane);

/* Control side: to the lane. */
void pv_lane_post(struct pv_lane *lane, struct pv_lane_message *message);

/* Lane: to the control side. */
void pv_lane_answer(struct pv_lane *lane, struct pv_lane_message *message);

/* At the beginning of a message's function: from here on it can be posted again. */
struct pv_lane *pv_lane_received(struct pv_loop_message *message);

/* Control side. The lane owns the descriptor from here on. */
void pv_lane_hand_over(struct pv_lane *lane, struct pv_handover *handover,
                       const struct pv_notifier *notifier);

/* Lane. It is run once more in so many nanoseconds. */
void pv_lane_set_timer(struct pv_lane *lane, uint64_t ns);

/* Lane. Tells the driver. */
void pv_lane_interrupt(struct pv_lane *lane);

#endif
