/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the program gives up.
 *
 * From its first line on it can gain no privileges by execve and cannot be dumped or traced by its
 * own user.  Once it has opened all that it was told to open it enters a seccomp filter that knows
 * only the system calls which the code says it needs: comments of the form `#syscalls name name`
 * beside the code are collected when the program is built.  Everything else (new files, programs,
 * executable memory, and without networks sockets) fails with EPERM and is logged by the kernel.
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
 * Enters the filter, for all threads there are and all that they create. With `has_network` wires
 * of networks may go on connecting, as far as their comments say, and with `has_remote` remote
 * devices may find their back-ends again. Returns 0 or -errno.
 */
int pv_sandbox_enter(bool has_network, bool has_remote);

#endif
