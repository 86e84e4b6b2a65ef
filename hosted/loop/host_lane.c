/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lane: one queue on one loop.
 *
 * #syscalls write sendto poll close timerfd_settime
 */
#include "hosted/loop/host_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hosted/loop/log.h"
#include "ring/err.h"

/* ---- messages ---- */

static void post(struct pv_loop *loop, struct pv_lane_message *message)
{
	if (!__atomic_exchange_n(&message->is_posted, true, __ATOMIC_ACQ_REL))
		pv_loop_post(loop, &message->message);
}

void pv_lane_post(struct pv_lane *lane, struct pv_lane_message *message)
{
	post(lane->loop, message);
}

void pv_lane_answer(struct pv_lane *lane, struct pv_lane_message *message)
{
	post(lane->host->control, message);
}

struct pv_lane *pv_lane_received(struct pv_loop_message *received)
{
	struct pv_lane_message *message = (struct pv_lane_message *)received;

	/* An exchange, to see all that was written by those who found it posted already. */
	(void)__atomic_exchange_n(&message->is_posted, false, __ATOMIC_ACQ_REL);
	return message->lane;
}

/* ---- descriptors on their way ---- */

static uint32_t pack(const struct pv_notifier *notifier)
{
	return (uint32_t)(notifier->fd + 1) << 3 | (uint32_t)notifier->is_socket << 2 |
	       (uint32_t)notifier->can_block << 1 | (uint32_t)notifier->is_polled;
}

static struct pv_notifier unpack(uint32_t word)
{
	return (struct pv_notifier){
		.fd = (int)(word >> 3) - 1,
		.is_socket = word >> 2 & 1,
		.can_block = word >> 1 & 1,
		.is_polled = word & 1,
	};
}

static void close_notifier(const struct pv_notifier *notifier)
{
	if (notifier->fd >= 0)
		close(notifier->fd);
}

/* What lies there and was not picked up is replaced; the message about it is under way then. */
void pv_lane_hand_over(struct pv_lane *lane, struct pv_handover *handover,
                       const struct pv_notifier *notifier)
{
	uint32_t replaced = __atomic_exchange_n(&handover->word, pack(notifier), __ATOMIC_ACQ_REL);

	if (replaced != PV_HANDOVER_EMPTY) {
		struct pv_notifier old = unpack(replaced);

		close_notifier(&old);
	}
	pv_lane_post(lane, &handover->message);
}

/* Returns whether there was a new one; `*notifier` was closed then and is that one. */
static bool pick_up(struct pv_handover *handover, struct pv_notifier *notifier)
{
	uint32_t word = __atomic_exchange_n(&handover->word, PV_HANDOVER_EMPTY, __ATOMIC_ACQ_REL);

	if (word == PV_HANDOVER_EMPTY)
		return false;
	close_notifier(notifier);
	*notifier = unpack(word);
	return true;
}

/* ---- resting ---- */

/*
 * Where a device has many queues most are silent, and to look at all of them whenever one has
 * something to do is what costs.  A lane rests when its driver has been asked for a kick, or its
 * device waits for something, and there was none for a few sleeps, or, where others keep the loop
 * awake, for many looks; it has to be woken by whatever would have had it run.
 */
#define SLEEPS_BEFORE_REST 3u
#define LOOKS_BEFORE_REST  1024u

static void begin_to_look(struct pv_lane *lane)
{
	lane->is_resting = false;
	lane->idle_sleeps = 0;
	lane->idle_looks = 0;
	if (lane->host->may_rest)
		lane->host->lanes_looked_at++;
	pv_loop_poller_add(lane->loop, &lane->poller);
}

static void end_to_look(struct pv_lane *lane)
{
	pv_loop_poller_remove(lane->loop, &lane->poller);
	if (lane->host->may_rest)
		lane->host->lanes_looked_at--;
}

/* One of them goes on being looked at: it does what is the device's. */
static bool may_rest(const struct pv_lane *lane)
{
	const struct pv_queue *queue = lane->queue;

	return lane->host->may_rest && lane->host->lanes_looked_at > 1 && !lane->is_waiting &&
	       !queue->is_draining && queue->ring.fault == PV_RING_SOUND &&
	       queue->ring.in_flight == 0 && (!queue->is_stalled || queue->is_woken);
}

static void rest(struct pv_lane *lane)
{
	end_to_look(lane);
	lane->is_resting = true;
}

static void end_rest(struct pv_lane *lane)
{
	if (!lane->is_resting)
		return;
	begin_to_look(lane);
	pv_dev_ring_kicks_off(&lane->queue->ring);
}

/* ---- kicks ---- */

static void unwatch_kicks(struct pv_lane *lane)
{
	if (lane->watch)
		pv_loop_unwatch(lane->loop, lane->watch);
	lane->watch = NULL;
}

/* A watch has ended; without it the lane does not sleep. */
static void say_unwatched(const struct pv_lane *lane, const char *what, int error)
{
	char line[128];

	snprintf(line, sizeof(line), "no %s of queue %u: %s", what, lane->index, strerror(error));
	pv_log(lane->host->name, PV_LOG_WARNING, line);
}

/*
 * The eventfd is never read.  Each write to it is a change of which the watch is told, whatever the
 * counter says, so reading it would be a system call for nothing, and would make it matter
 * whether it blocks.  The counter has room for 2^64 kicks; a driver that fills it on purpose holds
 * up nobody's kicks but its own.
 */
static void kicked(void *arg, int events)
{
	struct pv_lane *lane = arg;

	if (events < 0) {
		say_unwatched(lane, "kicks from the descriptor", -events);
		unwatch_kicks(lane);
		end_rest(lane);
	} else if (events & POLLIN) {
		end_rest(lane);
		pv_queue_kicked(lane->queue);
	}
}

static void watch_kicks(struct pv_lane *lane)
{
	if (lane->kicks.fd >= 0)
		lane->watch = pv_loop_watch(lane->loop, lane->kicks.fd, POLLIN, kicked, lane);
}

static void on_new_kick(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);

	unwatch_kicks(lane);
	pick_up(&lane->new_kick, &lane->kicks);
	if (lane->queue)
		watch_kicks(lane);
	end_rest(lane);
}

/* The iteration that receives this runs the queue too. */
static void on_kick(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);

	if (lane->queue)
		pv_queue_kicked(lane->queue);
	end_rest(lane);
}

/* The loop is awake, and that was all. */
static void on_wake(struct pv_loop_message *message)
{
	end_rest(pv_lane_received(message));
}

/* ---- the timer ---- */

int pv_lane_make_timer(struct pv_lane *lane)
{
	lane->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return lane->timer_fd < 0 ? -errno : 0;
}

static void unwatch_timer(struct pv_lane *lane)
{
	if (lane->timer_watch)
		pv_loop_unwatch(lane->loop, lane->timer_watch);
	lane->timer_watch = NULL;
}

/* The iteration that hears of it runs the queue too. To set it anew is as good as to read it. */
static void timer_went_off(void *arg, int events)
{
	struct pv_lane *lane = arg;

	end_rest(lane);
	if (events >= 0)
		return;
	say_unwatched(lane, "timer", -events);
	unwatch_timer(lane);
}

/* One that went off while nobody watched is told of at once. */
static void watch_timer(struct pv_lane *lane)
{
	if (lane->timer_fd >= 0)
		lane->timer_watch =
			pv_loop_watch(lane->loop, lane->timer_fd, POLLIN, timer_went_off, lane);
}

#define NS_PER_S 1000000000u

/* Zero would be never. */
void pv_lane_set_timer(struct pv_lane *lane, uint64_t ns)
{
	const struct itimerspec once = { .it_value = { .tv_sec = (time_t)(ns / NS_PER_S),
		                                       .tv_nsec = (long)(ns % NS_PER_S) +
		                                                  (ns == 0) } };

	pv_bug_on(lane->timer_fd < 0);
	pv_bug_on(timerfd_settime(lane->timer_fd, 0, &once, NULL));
}

/* ---- calls ---- */

/*
 * Never waits: a counter or a buffer that is full means that the driver was called and has not come
 * yet.  (A driver's process that lets an eventfd block, and fills it between the two calls, can
 * hold up its own lane.)
 */
static void call(const struct pv_notifier *calls)
{
	static const uint64_t one = 1;
	struct pollfd writable = { .fd = calls->fd, .events = POLLOUT };

	if (calls->is_socket) {
		(void)!send(calls->fd, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	if (calls->can_block && poll(&writable, 1, 0) <= 0)
		return;
	(void)!write(calls->fd, &one, sizeof(one));
}

void pv_lane_interrupt(struct pv_lane *lane)
{
	const struct pv_host *host = lane->host;

	if (lane->calls.fd >= 0)
		call(&lane->calls);
	else if (host->ops && host->ops->call)
		host->ops->call(host->ops_arg, lane->index);
}

/* For a queue that has stopped; and with it the transport may have gone, as the control side knows.
 */
static void on_interrupt(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);

	if (lane->calls.fd >= 0)
		call(&lane->calls);
	else
		pv_lane_answer(lane, &lane->call);
}

static void on_new_call(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);

	/*
	 * An interrupt may have gone to the old descriptor when nobody listened to it any more. One
	 * too many does no harm.
	 */
	if (pick_up(&lane->new_call, &lane->calls) && lane->queue && lane->calls.fd >= 0)
		call(&lane->calls);
}

/* ---- running ---- */

static struct pv_lane *lane_of(struct pv_poller *poller)
{
	return (struct pv_lane *)((char *)poller - offsetof(struct pv_lane, poller));
}

static void end_change(struct pv_lane *lane)
{
	lane->is_changing = false;
	pv_lane_answer(lane, &lane->changed);
}

/* After the first answer the queue is the control side's. */
static void let_go(struct pv_lane *lane)
{
	end_to_look(lane);
	unwatch_kicks(lane);
	unwatch_timer(lane);
	lane->queue = NULL;
	pv_lane_answer(lane, &lane->stopped);
	/* Whoever stops it has it let go of what it holds before it hears of this. */
	if (lane->is_changing)
		end_change(lane);
}

static void check_waiting(struct pv_lane *lane)
{
	const struct pv_queue *queue = lane->queue;
	bool is_draining = queue->is_draining;

	if (lane->is_changing && queue->ring.in_flight_before == 0)
		end_change(lane);
	if (is_draining && pv_queue_is_quiet(queue)) {
		let_go(lane);
		is_draining = false;
	}
	lane->is_waiting = lane->is_changing || is_draining;
}

/* Nothing is to be done: will the lane be woken when there is? Asks the driver for a kick. */
static bool may_sleep(struct pv_lane *lane)
{
	struct pv_queue *queue = lane->queue;

	/* Nothing more is taken: what it waits for wakes the loop by itself. */
	if (queue->is_draining || queue->ring.fault != PV_RING_SOUND)
		return true;
	/* With no way to be woken it must not sleep. */
	if (queue->is_stalled)
		return lane->timer_fd < 0 || lane->timer_watch;
	if (lane->kicks.is_polled || (lane->kicks.fd >= 0 && !lane->watch))
		return false;
	return !pv_dev_ring_kicks_on(&queue->ring);
}

static void rest_while_others_work(struct pv_lane *lane)
{
	lane->idle_looks = 0;
	if (!may_rest(lane))
		return;
	if (may_sleep(lane))
		rest(lane);
	else
		pv_dev_ring_kicks_off(&lane->queue->ring);
}

static bool lane_poll(struct pv_poller *poller)
{
	struct pv_lane *lane = lane_of(poller);
	bool has_worked = pv_queue_run(lane->queue);

	if (has_worked)
		lane->idle_looks = lane->idle_sleeps = 0;
	if (lane->is_waiting)
		check_waiting(lane);
	else if (!has_worked && ++lane->idle_looks == LOOKS_BEFORE_REST)
		rest_while_others_work(lane);
	return has_worked;
}

static bool lane_arm(struct pv_poller *poller)
{
	struct pv_lane *lane = lane_of(poller);

	if (!may_sleep(lane))
		return true;
	if (may_rest(lane) && ++lane->idle_sleeps >= SLEEPS_BEFORE_REST)
		rest(lane);
	return false;
}

static void lane_disarm(struct pv_poller *poller)
{
	pv_dev_ring_kicks_off(&lane_of(poller)->queue->ring);
}

static void on_attach(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);

	lane->queue = lane->running;
	lane->is_waiting = false;
	begin_to_look(lane);
	watch_kicks(lane);
	watch_timer(lane);
	/* It is awake: a loop that never sleeps would be kicked for each request otherwise. */
	pv_dev_ring_kicks_off(&lane->queue->ring);
}

/* The queue's next run publishes what has ended, and the look after it finds it quiet or not. */
static void on_detach(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);

	end_rest(lane);
	pv_queue_drain(lane->queue);
	lane->is_waiting = true;
}

static void on_change(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);
	const struct pv_host *host = lane->host;

	lane->is_changing = true;
	if (!lane->queue) {
		/* It stopped before this arrived; the control side sees to the rest. */
		end_change(lane);
		return;
	}
	end_rest(lane);
	host->changing.change->queue(lane->queue, host->changing.what);
	lane->is_waiting = true;
}

/* ---- birth and death ---- */

static void init_message(struct pv_lane *lane, struct pv_lane_message *message,
                         void (*run)(struct pv_loop_message *message))
{
	*message = (struct pv_lane_message){ .message.run = run, .lane = lane };
}

void pv_lane_init(struct pv_lane *lane, struct pv_host *host, struct pv_loop *loop, uint16_t index)
{
	lane->host = host;
	lane->loop = loop;
	lane->index = index;
	lane->poller = (struct pv_poller){ lane_poll, lane_arm, lane_disarm, NULL };
	lane->kicks.fd = -1;
	lane->calls.fd = -1;
	lane->timer_fd = -1;
	lane->new_kick.word = PV_HANDOVER_EMPTY;
	lane->new_call.word = PV_HANDOVER_EMPTY;
	init_message(lane, &lane->attach, on_attach);
	init_message(lane, &lane->detach, on_detach);
	init_message(lane, &lane->kick, on_kick);
	init_message(lane, &lane->wake, on_wake);
	init_message(lane, &lane->interrupt, on_interrupt);
	init_message(lane, &lane->change, on_change);
	init_message(lane, &lane->new_kick.message, on_new_kick);
	init_message(lane, &lane->new_call.message, on_new_call);
}

void pv_lane_fini(struct pv_lane *lane)
{
	pick_up(&lane->new_kick, &lane->kicks);
	pick_up(&lane->new_call, &lane->calls);
	close_notifier(&lane->kicks);
	close_notifier(&lane->calls);
	if (lane->timer_fd >= 0)
		close(lane->timer_fd);
}
