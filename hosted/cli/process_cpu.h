/* SPDX-License-Identifier: BSD-2-Clause */
/* How much processor time another process has used. */
#ifndef PV_CLI_PROCESS_CPU_H
#define PV_CLI_PROCESS_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The sum over its threads that live now, in nanoseconds; exact to a tick of the scheduler. False
 * where that cannot be seen: no such process, or not ours to look at.
 */
bool pv_process_cpu_ns(pid_t pid, uint64_t *ns);

#endif
