/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What wires wait with: for room, for time, and for one another's loops.
 *
 * #syscalls write timerfd_settime
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hosted/backends/net_wire_internal.h"

/* ---- gates ---- */

static void open_gate(void *arg, int events)
{
	struct pv_wire_gate *gate = arg;

	(void)events;
	pv_wire_gate_fini(gate);
	if (gate->opened)
		gate->opened(gate->arg, gate->pair);
}

bool pv_wire_gate_shut(struct pv_wire_gate *gate, int fd)
{
	gate->watch = pv_loop_watch(gate->loop, fd, POLLOUT, open_gate, gate);
	return gate->watch;
}

void pv_wire_gate_fini(struct pv_wire_gate *gate)
{
	if (gate->watch)
		pv_loop_unwatch(gate->loop, gate->watch);
	gate->watch = NULL;
}

struct pv_wire_gate *pv_wire_gates_create(const struct pv_net_wire_options *options,
                                          void (*opened)(void *arg, uint16_t pair), void *arg)
{
	struct pv_wire_gate *gate = calloc(options->pairs, sizeof(*gate));

	for (uint16_t i = 0; gate && i < options->pairs; i++)
		gate[i] = (struct pv_wire_gate){
			.loop = pv_wire_loop(options, i), .pair = i, .opened = opened, .arg = arg
		};
	return gate;
}

void pv_wire_gates_destroy(struct pv_wire_gate *gate, uint16_t pairs)
{
	for (uint16_t i = 0; gate && i < pairs; i++)
		pv_wire_gate_fini(&gate[i]);
	free(gate);
}

/* ---- bells ---- */

static void hear(void *arg, int events)
{
	struct pv_wire_bell *bell = arg;

	(void)events;
	if (bell->rung)
		bell->rung(bell->arg);
}

int pv_wire_bell_init(struct pv_wire_bell *bell, struct pv_loop *loop, void (*rung)(void *arg),
                      void *arg)
{
	*bell = (struct pv_wire_bell){ .loop = loop, .rung = rung, .arg = arg };
	bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell->fd < 0)
		return -errno;
	bell->watch = pv_loop_watch(loop, bell->fd, POLLIN, hear, bell);
	if (bell->watch)
		return 0;
	close(bell->fd);
	return -ENOMEM;
}

void pv_wire_bell_fini(struct pv_wire_bell *bell)
{
	if (!bell->watch)
		return;
	pv_loop_unwatch(bell->loop, bell->watch);
	close(bell->fd);
}

void pv_wire_bell_ring(struct pv_wire_bell *bell)
{
	static const uint64_t one = 1;

	/* Fails only when the counter is full, which it is not within a lifetime. */
	(void)!write(bell->fd, &one, sizeof(one));
}

/* ---- timers ---- */

static void tell(void *arg, int events)
{
	struct pv_wire_timer *timer = arg;

	if (events > 0)
		timer->due(timer->arg);
}

int pv_wire_timer_init(struct pv_wire_timer *timer, struct pv_loop *loop, void (*due)(void *arg),
                       void *arg)
{
	*timer = (struct pv_wire_timer){ .loop = loop, .due = due, .arg = arg };
	timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->fd < 0)
		return -errno;
	timer->watch = pv_loop_watch(loop, timer->fd, POLLIN, tell, timer);
	if (timer->watch)
		return 0;
	close(timer->fd);
	return -ENOMEM;
}

void pv_wire_timer_fini(struct pv_wire_timer *timer)
{
	if (!timer->watch)
		return;
	pv_loop_unwatch(timer->loop, timer->watch);
	close(timer->fd);
}

void pv_wire_timer_set(struct pv_wire_timer *timer, uint64_t ns)
{
	const struct itimerspec when = { .it_value = { (time_t)(ns / 1000000000u),
		                                       (long)(ns % 1000000000u) } };

	/* Setting it again forgets that it was due, so that each time is a change. */
	timerfd_settime(timer->fd, 0, &when, NULL);
}
