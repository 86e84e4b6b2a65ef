/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes to a service from outside, as readable descriptors on the control loop, so that its
 * handling is plain code: signals, and the news that some front-end's memory became shorter.
 *
 * #syscalls read close
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "hosted/control/guard.h"
#include "hosted/control/service_internal.h"

static void end_or_ask(struct pv_service *service)
{
	if (!service->guest || service->has_asked_guest || service->is_ending) {
		pv_service_end(service, "host-signal");
		return;
	}
	service->has_asked_guest = true;
	service->guest->asked_to_end(service->guest_arg);
}

static void signalled(void *arg, int events)
{
	struct pv_service *service = arg;
	struct signalfd_siginfo info;

	if (events < 0)
		return;
	while (read(service->signal_fd, &info, sizeof(info)) == sizeof(info))
		end_or_ask(service);
}

/* Threads inherit what is blocked. */
int pv_service_catch_signals(struct pv_service *service)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	service->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (service->signal_fd < 0)
		return -errno;
	service->signal_watch =
		pv_loop_watch(service->control, service->signal_fd, POLLIN, signalled, service);
	return service->signal_watch ? 0 : -ENOMEM;
}

/* The counter is left alone: each write to it wakes, whatever it holds. */
static void tripped(void *arg, int events)
{
	struct pv_service *service = arg;

	for (unsigned int i = 0; events >= 0 && i < service->exports; i++) {
		struct pv_export *export = &service->export[i];

		if (export->backend && pv_guard_is_any_tripped(export))
			pv_vhu_backend_drop(export->backend,
			                    "its memory became shorter than what it had shared");
	}
}

int pv_service_guard_memory(struct pv_service *service)
{
	/* Its memory is this process's own. The disks look for themselves. */
	if (service->extent.is_for_guest)
		return pv_guard_install(-1, service->extent.devices);
	service->guard_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (service->guard_fd < 0)
		return -errno;
	service->guard_watch =
		pv_loop_watch(service->control, service->guard_fd, POLLIN, tripped, service);
	if (!service->guard_watch)
		return -ENOMEM;
	return pv_guard_install(service->guard_fd, service->extent.devices);
}

void pv_service_wake_fini(struct pv_service *service)
{
	if (service->signal_fd >= 0)
		close(service->signal_fd);
	if (service->guard_fd >= 0)
		close(service->guard_fd);
}
