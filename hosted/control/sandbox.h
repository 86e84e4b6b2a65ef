/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the program gives up.
 *
 * From its first line on it can gain no privileges by execve and cannot be dumped or traced by its
 * own user.  Once it has opened all that it was told to open it enters a seccomp filter that knows
 * only the system calls which the code says it needs: comments of the form `#syscalls name name`
 * beside the code are collected when the program is built.  Everything else (new files, sockets,
 * programs, executable memory) fails with EPERM and is logged by the kernel.
 *
 * A sanitizer's run time needs more than that, to report what it found; a build with sanitizers
 * does not enter the filter and stays dumpable.
 */
#ifndef PV_HOSTED_SANDBOX_H
#define PV_HOSTED_SANDBOX_H

#include <stdbool.h>

/* Is there a filter to enter? False in a build with sanitizers. */
bool pv_sandbox_is_built_in(void);

/* At the beginning, before there are threads. Returns 0 or -errno. */
int pv_sandbox_prepare(void);

/*
 * What only some devices need. Their calls are marked with the part's name: `#syscalls [dial] ...`.
 */
enum pv_sandbox_part {
	PV_SANDBOX_DIAL = 1,     /* connect to Unix sockets */
	PV_SANDBOX_INTERNET = 2, /* sockets of the Internet, and files to read */
	PV_SANDBOX_PLUG = 4,     /* open files, terminals and sockets */
	PV_SANDBOX_BALLOON = 8,  /* make holes in files of memory */
};

/* Before the filter is entered, for each device that needs it: these parts will be in it. */
void pv_sandbox_allow(enum pv_sandbox_part part);

/* Enters the filter, for all threads there are and all that they create. Returns 0 or -errno. */
int pv_sandbox_enter(void);

#endif
