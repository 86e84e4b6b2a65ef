/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls write close
 */
#include "hosted/vmm/events.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int pv_event_create(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void pv_event_signal(int fd)
{
	static const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

void pv_event_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

int pv_kick_events_open(struct pv_kick_events *kicks, struct pv_host *host, uint16_t queues)
{
	bool is_good = true;

	*kicks = (struct pv_kick_events){ .fd = calloc(queues, sizeof(*kicks->fd)) };
	if (!kicks->fd)
		return -ENOMEM;
	kicks->queues = queues;
	for (uint16_t i = 0; i < queues; i++) {
		kicks->fd[i] = pv_event_create();
		is_good = is_good && kicks->fd[i] >= 0 &&
		          pv_host_set_kick(host, i, kicks->fd[i], false) == 0;
	}
	return is_good ? 0 : -EMFILE;
}

void pv_kick_events_close(struct pv_kick_events *kicks)
{
	for (uint16_t i = 0; i < kicks->queues; i++)
		pv_event_close(kicks->fd[i]);
	free(kicks->fd);
	*kicks = (struct pv_kick_events){ 0 };
}
