/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether there is a far side: what it says by itself, that it is lost, and how another takes its
 * place.
 *
 * Functions of the device may find out that it is lost, on whatever thread has the control side;
 * what the loop watches changes on the loop alone, so they set the timer, and the timer does the
 * rest.
 *
 * #syscalls timerfd_settime read close
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hosted/remote/remote_internal.h"
#include "ring/err.h"

#define INTERVAL_MS_MIN 100u
#define INTERVAL_MS_MAX 10000u
#define NS_PER_MS       1000000l

static void set_timer(struct pv_remote *remote, uint32_t ms)
{
	const struct itimerspec once = { .it_value = { .tv_sec = ms / 1000,
		                                       .tv_nsec = ms % 1000 * NS_PER_MS + 1 } };

	pv_bug_on(timerfd_settime(remote->timer_fd, 0, &once, NULL));
}

/* ---- what it says ---- */

static void take_config(struct pv_remote *remote)
{
	uint32_t changes = remote->far->ops->config_changes(remote->far);

	if (changes == remote->config_changes)
		return;
	remote->config_changes = changes;
	if (pv_remote_config_fetch(remote))
		pv_remote_complain(remote, "its configuration cannot be read");
	else
		pv_device_config_changed(&remote->device);
}

/* ---- losing it ---- */

static bool is_any_queue_told(const struct pv_remote *remote)
{
	for (uint16_t i = 0; i < remote->queues; i++)
		if (remote->queue[i].is_told)
			return true;
	return false;
}

/* The cable of a network device is out as long as nobody is at its other end. */
static void link_changed(struct pv_remote *remote)
{
	if (remote->options.type == PV_REMOTE_NET)
		pv_device_config_changed(&remote->device);
}

static void lost(struct pv_remote *remote)
{
	bool goes_on = remote->options.reconnects && pv_remote_can_go_on(remote);

	remote->is_lost = true;
	pv_remote_complain(remote, "lost");
	if (is_any_queue_told(remote)) {
		remote->is_going_on = goes_on;
		if (!goes_on)
			pv_device_needs_reset(&remote->device);
	}
	link_changed(remote);
	if (remote->options.reconnects)
		set_timer(remote, 0);
}

void pv_remote_look(struct pv_remote *remote)
{
	if (!remote->is_lost && remote->far->ops->is_gone(remote->far))
		lost(remote);
}

static void has_spoken(void *arg, int events)
{
	struct pv_remote *remote = arg;

	(void)events;
	if (remote->is_lost)
		return;
	pv_remote_look(remote);
	if (!remote->is_lost)
		take_config(remote);
	pv_remote_look(remote);
}

/* The eventfd is not read: each write to it is a change. */
static void has_failed(void *arg, int events)
{
	struct pv_remote *remote = arg;

	if (events < 0)
		return;
	pv_host_log(remote->host, PV_LOG_WARNING, "the back-end says that a queue has failed");
	pv_device_needs_reset(&remote->device);
}

/* ---- another one ---- */

static void unwatch(struct pv_remote *remote)
{
	for (int i = 0; i < 2; i++) {
		if (remote->watch[i])
			pv_loop_unwatch(remote->control, remote->watch[i]);
		remote->watch[i] = NULL;
	}
}

static int watch(struct pv_remote *remote)
{
	int fd[2];

	remote->far->ops->descriptors(remote->far, fd);
	for (int i = 0; i < 2; i++) {
		if (fd[i] < 0)
			continue;
		remote->watch[i] =
			pv_loop_watch(remote->control, fd[i], POLLIN, has_spoken, remote);
		if (!remote->watch[i])
			return -ENOMEM;
	}
	return 0;
}

/* A device that waits for its reset is not gone on with. */
static bool needs_reset(const struct pv_remote *remote)
{
	return remote->device.status & VIRTIO_STATUS_NEEDS_RESET;
}

static void found(struct pv_remote *remote)
{
	remote->is_lost = false;
	remote->is_begun = false;
	remote->interval_ms = remote->options.reconnect_ms_min;
	pv_host_log(remote->host, PV_LOG_INFO, "connected again");
	if (!needs_reset(remote) && pv_remote_queues_tell_again(remote)) {
		pv_remote_complain(remote, "the back-end does not go on");
		pv_device_needs_reset(&remote->device);
	}
	take_config(remote);
	link_changed(remote);
	pv_remote_look(remote);
}

static uint32_t next_interval(struct pv_remote *remote)
{
	uint32_t ms = remote->interval_ms;

	remote->interval_ms = ms < INTERVAL_MS_MAX / 2 ? 2 * ms : INTERVAL_MS_MAX;
	return ms;
}

/* On the control loop. */
static void try_again(void *arg, int events)
{
	struct pv_remote *remote = arg;

	if (events < 0 || !remote->is_lost)
		return;
	unwatch(remote);
	if (remote->far->ops->reconnect(remote->far) || watch(remote))
		set_timer(remote, next_interval(remote));
	else
		found(remote);
}

/* ---- birth and death ---- */

int pv_remote_link_open(struct pv_remote *remote)
{
	if (remote->options.reconnect_ms_min == 0)
		remote->options.reconnect_ms_min = INTERVAL_MS_MIN;
	remote->interval_ms = remote->options.reconnect_ms_min;
	remote->config_changes = remote->far->ops->config_changes(remote->far);
	remote->error_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	remote->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (remote->error_fd < 0 || remote->timer_fd < 0)
		return -errno;
	remote->error_watch =
		pv_loop_watch(remote->control, remote->error_fd, POLLIN, has_failed, remote);
	remote->timer_watch =
		pv_loop_watch(remote->control, remote->timer_fd, POLLIN, try_again, remote);
	return remote->error_watch && remote->timer_watch ? watch(remote) : -ENOMEM;
}

/* Watches end with the loop. */
void pv_remote_link_close(struct pv_remote *remote)
{
	if (remote->error_fd >= 0)
		close(remote->error_fd);
	if (remote->timer_fd >= 0)
		close(remote->timer_fd);
}
