/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls write timerfd_settime
 */
#include "hosted/backends/wait.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- gates ---- */

static void open_gate(void *arg, int events)
{
	struct pv_gate *gate = arg;

	(void)events;
	pv_gate_fini(gate);
	if (gate->opened)
		gate->opened(gate->arg, gate->number);
}

bool pv_gate_shut(struct pv_gate *gate, int fd)
{
	gate->watch = pv_loop_watch(gate->loop, fd, POLLOUT, open_gate, gate);
	return gate->watch;
}

void pv_gate_fini(struct pv_gate *gate)
{
	if (gate->watch)
		pv_loop_unwatch(gate->loop, gate->watch);
	gate->watch = NULL;
}

/* ---- bells ---- */

static void hear(void *arg, int events)
{
	struct pv_bell *bell = arg;

	(void)events;
	if (bell->rung)
		bell->rung(bell->arg);
}

int pv_bell_open(struct pv_bell *bell)
{
	*bell = (struct pv_bell){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	return bell->fd < 0 ? -errno : 0;
}

int pv_bell_listen(struct pv_bell *bell, struct pv_loop *loop, void (*rung)(void *arg), void *arg)
{
	bell->loop = loop;
	bell->rung = rung;
	bell->arg = arg;
	bell->watch = pv_loop_watch(loop, bell->fd, POLLIN, hear, bell);
	return bell->watch ? 0 : -ENOMEM;
}

void pv_bell_ignore(struct pv_bell *bell)
{
	if (bell->watch)
		pv_loop_unwatch(bell->loop, bell->watch);
	bell->watch = NULL;
}

void pv_bell_close(struct pv_bell *bell)
{
	close(bell->fd);
}

int pv_bell_init(struct pv_bell *bell, struct pv_loop *loop, void (*rung)(void *arg), void *arg)
{
	int err = pv_bell_open(bell);

	if (err)
		return err;
	err = pv_bell_listen(bell, loop, rung, arg);
	if (err)
		pv_bell_close(bell);
	return err;
}

void pv_bell_fini(struct pv_bell *bell)
{
	if (!bell->watch)
		return;
	pv_bell_ignore(bell);
	pv_bell_close(bell);
}

void pv_bell_ring(const struct pv_bell *bell)
{
	static const uint64_t one = 1;

	/* Fails only when the counter is full, which it is not within a lifetime. */
	(void)!write(bell->fd, &one, sizeof(one));
}

/* ---- timers ---- */

static void tell(void *arg, int events)
{
	struct pv_timer *timer = arg;

	if (events > 0)
		timer->due(timer->arg);
}

int pv_timer_init(struct pv_timer *timer, struct pv_loop *loop, void (*due)(void *arg), void *arg)
{
	*timer = (struct pv_timer){ .loop = loop, .due = due, .arg = arg };
	timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->fd < 0)
		return -errno;
	timer->watch = pv_loop_watch(loop, timer->fd, POLLIN, tell, timer);
	if (timer->watch)
		return 0;
	close(timer->fd);
	return -ENOMEM;
}

void pv_timer_fini(struct pv_timer *timer)
{
	if (!timer->watch)
		return;
	pv_loop_unwatch(timer->loop, timer->watch);
	close(timer->fd);
}

void pv_timer_set(struct pv_timer *timer, uint64_t ns)
{
	const struct itimerspec when = { .it_value = { (time_t)(ns / 1000000000u),
		                                       (long)(ns % 1000000000u) } };

	/* Setting it again forgets that it was due, so that each time is a change. */
	timerfd_settime(timer->fd, 0, &when, NULL);
}
