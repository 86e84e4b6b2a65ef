/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that are signalled: what the kernel, a lane or a register tell each other with.  A
 * device has one for each queue's kicks, which its host's loops watch and doorbells signal.
 */
#ifndef PV_HOSTED_VMM_EVENTS_H
#define PV_HOSTED_VMM_EVENTS_H

#include "hosted/loop/host.h"

/* -1: there are no more. */
int pv_event_create(void);
/* Any thread. */
void pv_event_signal(int fd);
/* Of -1: nothing. */
void pv_event_close(int fd);

struct pv_kick_events {
	uint16_t queues;
	int *fd;
};

/* Returns 0 or -errno; to be closed either way, which may be when the host has gone. */
int pv_kick_events_open(struct pv_kick_events *kicks, struct pv_host *host, uint16_t queues);
void pv_kick_events_close(struct pv_kick_events *kicks);

#endif
