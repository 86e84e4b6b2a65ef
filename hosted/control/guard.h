/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guard against memory that shrinks under us.
 *
 * A front-end's memory is a file that it can cut short after we mapped it, and so is a disk's image
 * that is mapped; what touches a page that is gone then gets SIGBUS.  The program, not a library,
 * owns the handler: it knows the ranges that others can shorten, marks the one that was hit as
 * tripped, puts zero pages over the rest of it from the fault on, and lets the access go on.
 * Whoever talks to the peer hears of it and ends the connection; who copies from an image looks at
 * the mark.  A fault anywhere else is our own and has the effect it always had.
 *
 * The table never moves and is read without locks, as a signal handler must.
 */
#ifndef PV_HOSTED_GUARD_H
#define PV_HOSTED_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Ranges that one device may have: a full memory table of vhost-user twice over (the old one stays
 * until nothing uses it), a disk's image, and a little more.
 */
#define PV_GUARD_RANGES 1024

/*
 * Installs the handler, once for the process, before threads that it is to guard touch such
 * memory; with room for so many devices, which costs nothing until it is used. `wake_fd` is an
 * eventfd that is written when a range trips, or -1. Returns 0 or -errno.
 */
int pv_guard_install(int wake_fd, size_t devices);

/*
 * One thread at a time. A range that is mapped from now on; and one that is about to be unmapped,
 * by its base. `owner` says whose it is and is not looked into. When there is no room a range is
 * not guarded; there is, as long as none of the devices has more than PV_GUARD_RANGES.
 */
void pv_guard_mapped(void *owner, void *base, size_t bytes);
void pv_guard_unmapped(void *base);

/*
 * The same thread. Where it is told that this range has lost pages, before there are others in
 * their place; any thread may look at it until the range is unmapped. NULL: it is not guarded.
 */
const atomic_bool *pv_guard_trip_of(const void *base);

/* The same thread. Has this range, or any of this owner's that is still mapped, lost pages? */
bool pv_guard_is_tripped(const void *base);
bool pv_guard_is_any_tripped(const void *owner);

#endif
