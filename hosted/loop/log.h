/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines, on standard error: `paravane: NAME: line`, with `error: ` or `warning: ` before the
 * line where it is one.  Debug lines are not written.
 */
#ifndef PV_HOSTED_LOG_H
#define PV_HOSTED_LOG_H

#include "devices/port/port.h"

/*
 * Any thread. One write for the whole line, so that lines of several threads and processes stay
 * apart; what does not fit into 1 KiB is cut off. Bytes that would move a terminal's cursor are
 * shown as `?`: part of a line may come from a peer.
 */
void pv_log(const char *name, enum pv_log_level level, const char *line);

#endif
