/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: what an iteration does, and when it submits, polls on, yields or sleeps.
 *
 * #syscalls sched_yield clock_gettime
 */
#include "hosted/loop/loop_internal.h"

#include <sched.h>

#include "hosted/loop/clock.h"
#include "ring/barrier.h"
#include "ring/err.h"

/* A look at the clock costs about as much as an iteration in which nothing happens. */
#define ITERATIONS_PER_LOOK 8

/*
 * A busy disk has enough to go on with until a loop that sleeps is awake. So beside one the loop
 * looks but a little longer for the driver's next requests, those that can go out together.
 */
#define LOOKS_BESIDE_DISK 12

/* ---- pollers ---- */

void pv_loop_poller_add(struct pv_loop *loop, struct pv_poller *poller)
{
	poller->next = loop->pollers;
	loop->pollers = poller;
}

void pv_loop_poller_remove(struct pv_loop *loop, struct pv_poller *poller)
{
	struct pv_poller **link = &loop->pollers;

	while (*link != poller) {
		pv_bug_on(!*link);
		link = &(*link)->next;
	}
	*link = poller->next;
	if (loop->next_poller == poller)
		loop->next_poller = poller->next;
}

/* A step of a walk over the pollers, any of which may leave meanwhile. */
static struct pv_poller *step_to(struct pv_loop *loop, struct pv_poller *poller)
{
	loop->next_poller = poller ? poller->next : NULL;
	return poller;
}

static struct pv_poller *first_poller(struct pv_loop *loop)
{
	return step_to(loop, loop->pollers);
}

static struct pv_poller *next_poller(struct pv_loop *loop)
{
	return step_to(loop, loop->next_poller);
}

static bool run_pollers(struct pv_loop *loop)
{
	bool has_worked = false;

	for (struct pv_poller *p = first_poller(loop); p; p = next_poller(loop))
		has_worked |= p->poll(p);
	return has_worked;
}

/* Returns whether one of them has work after all; the rest is not asked then. */
static bool arm_pollers(struct pv_loop *loop)
{
	for (struct pv_poller *p = first_poller(loop); p; p = next_poller(loop))
		if (p->arm(p))
			return true;
	return false;
}

static void disarm_pollers(struct pv_loop *loop)
{
	for (struct pv_poller *p = first_poller(loop); p; p = next_poller(loop))
		p->disarm(p);
}

/* ---- one iteration, and what follows ---- */

static void submit(struct pv_loop *loop)
{
	pv_loop_queue_rest(loop);
	loop->is_submit_held = false;
	loop->engine.ops->submit(&loop->engine);
}

static bool must_submit(const struct pv_loop *loop)
{
	return loop->due || loop->waiting || pv_loop_engine_must_submit(loop);
}

static void submit_if_needed(struct pv_loop *loop)
{
	if (must_submit(loop))
		submit(loop);
}

/*
 * What the kernel finished comes first and the pollers last, so that a queue publishes, in one go,
 * what has just come to an end, and takes new requests that are submitted in one go.
 */
static bool iterate(struct pv_loop *loop)
{
	bool has_worked = pv_loop_engine_has_news(loop);

	if (has_worked)
		loop->engine.ops->reap(&loop->engine);
	has_worked |= pv_loop_run_messages(loop);
	has_worked |= run_pollers(loop);
	pv_count(&loop->counters.iterations);
	return has_worked;
}

/*
 * Where polling does not pay the next thing will probably be a sleep, and the system call for that
 * submits as well: it is given one iteration to come.
 */
static void after_work(struct pv_loop *loop)
{
	loop->idle_iterations = 0;
	pv_pace_worked(loop->gap);
	loop->gap = &loop->pace[loop->ios_out > 0];
	if (!must_submit(loop))
		return;
	if (loop->is_submit_held || (loop->pollers && pv_pace_will_poll(loop->gap)))
		submit(loop);
	else
		loop->is_submit_held = true;
}

static bool is_stopping(struct pv_loop *loop)
{
	return __atomic_load_n(&loop->is_stopping, __ATOMIC_RELAXED);
}

static void sleep_now(struct pv_loop *loop)
{
	struct pv_loop_lock *lock = loop->lock;

	pv_count(&loop->counters.sleeps);
	if (lock)
		lock->leave(lock);
	loop->engine.ops->wait(&loop->engine);
	if (lock)
		lock->take(lock);
}

/* Arm - recheck, for messages and for stopping; pairs with wake_if_asleep(). */
static void fall_asleep(struct pv_loop *loop)
{
	__atomic_store_n(&loop->is_asleep, true, __ATOMIC_SEQ_CST);
	if (pv_mailbox_is_empty(&loop->posted, __ATOMIC_SEQ_CST) &&
	    !__atomic_load_n(&loop->is_stopping, __ATOMIC_SEQ_CST))
		sleep_now(loop);
	__atomic_store_n(&loop->is_asleep, false, __ATOMIC_RELAXED);
}

static void sleep_if_possible(struct pv_loop *loop)
{
	if (!pv_loop_queue_rest(loop)) {
		submit(loop);
		return;
	}
	loop->is_submit_held = false;
	if (arm_pollers(loop)) {
		pv_pace_refused(loop->gap);
		submit_if_needed(loop);
	} else {
		fall_asleep(loop);
		if (loop->gap->is_gap)
			pv_pace_woke(loop->gap, pv_clock_ns(CLOCK_MONOTONIC));
	}
	disarm_pollers(loop);
}

static enum pv_pace_advice advice(struct pv_loop *loop)
{
	const struct pv_pace *pace = loop->gap;

	if (!loop->pollers)
		return PV_PACE_SLEEP;
	if (!pace->is_wakeful && pace->max_ns == 0)
		return PV_PACE_SLEEP;
	if (!pace->is_wakeful && loop->ios_out >= PV_LOOP_IOS_OF_BUSY_DISK &&
	    loop->idle_iterations > LOOKS_BESIDE_DISK)
		return PV_PACE_SLEEP;
	if (pv_pace_will_poll(pace) && loop->idle_iterations % ITERATIONS_PER_LOOK != 0)
		return PV_PACE_POLL;
	return pv_pace_idle(loop->gap, pv_clock_ns(CLOCK_MONOTONIC));
}

static void after_nothing(struct pv_loop *loop)
{
	loop->idle_iterations++;
	switch (advice(loop)) {
	case PV_PACE_POLL:
		submit_if_needed(loop);
		pv_cpu_relax();
		break;
	case PV_PACE_YIELD:
		submit_if_needed(loop);
		pv_count(&loop->counters.yields);
		sched_yield();
		pv_pace_yielded(loop->gap, pv_clock_ns(CLOCK_MONOTONIC));
		break;
	case PV_PACE_SLEEP:
		sleep_if_possible(loop);
		break;
	}
}

void pv_loop_iterate(struct pv_loop *loop)
{
	while (!is_stopping(loop)) {
		if (iterate(loop))
			after_work(loop);
		else
			after_nothing(loop);
	}
	/* What was queued last, such as the end of a watch, is not left undone. */
	submit(loop);
	__atomic_store_n(&loop->is_stopping, false, __ATOMIC_RELAXED);
}
