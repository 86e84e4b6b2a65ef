/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guard against memory that shrinks under us.
 *
 * A front-end's memory is a file that it can cut short after we mapped it; what touches a page that
 * is gone then gets SIGBUS.  The program, not a library, owns the handler: it knows the ranges that
 * are a peer's, puts zero pages over the rest of the range from the fault on, marks the range as
 * tripped, and lets the access go on.  Whoever talks to the peer hears of it and ends the
 * connection.  A fault anywhere else is our own and has the effect it always had.
 *
 * The table never moves and is read without locks, as a signal handler must.
 */
#ifndef PV_HOSTED_GUARD_H
#define PV_HOSTED_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Ranges that one front-end may have: a full memory table of vhost-user twice over (the old one
 * stays until nothing uses it), and a little more.
 */
#define PV_GUARD_RANGES 1024

/*
 * Installs the handler, once for the process, before threads that it is to guard touch such
 * memory; with room for so many front-ends, which costs nothing until it is used. `wake_fd` is an
 * eventfd that is written when a range trips, or -1. Returns 0 or -errno.
 */
int pv_guard_install(int wake_fd, size_t front_ends);

/*
 * One thread at a time. A range that is mapped from now on; and one that is about to be unmapped,
 * by its base. `owner` says whose it is and is not looked into. When there is no room a range is
 * not guarded; there is, as long as none of the front-ends has more than PV_GUARD_RANGES.
 */
void pv_guard_mapped(void *owner, void *base, size_t bytes);
void pv_guard_unmapped(void *base);

/* The same thread. Has this range, or any of this owner's that is still mapped, lost pages? */
bool pv_guard_is_tripped(const void *base);
bool pv_guard_is_any_tripped(const void *owner);

#endif
