/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within hosted/backends: what is in use, but perhaps not for long.
 *
 * The kernel lets go of what a killed process had some milliseconds after it has ended, above all
 * of what an io_uring watched; whoever starts the same command again at once is to find it free.
 */
#ifndef PV_HOSTED_BUSY_H
#define PV_HOSTED_BUSY_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define PV_BUSY_TRIES   10u
#define PV_BUSY_WAIT_MS 20

/* After the error `err`: waits a moment, and says whether to try again; `*tries` began at 0. */
static inline bool pv_busy_try_again(int err, unsigned int *tries)
{
	if ((err != -EBUSY && err != -EADDRINUSE) || ++*tries > PV_BUSY_TRIES)
		return false;
	poll(NULL, 0, PV_BUSY_WAIT_MS);
	return true;
}

#endif
