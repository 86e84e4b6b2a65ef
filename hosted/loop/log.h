/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines, on standard error: `paravane: NAME: line`, with `error: ` or `warning: ` before the
 * line where it is one.  Debug lines are not written.
 */
#ifndef PV_HOSTED_LOG_H
#define PV_HOSTED_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/port/port.h"

/*
 * Any thread. One write for the whole line, so that lines of several threads and processes stay
 * apart; what does not fit into 1 KiB is cut off. Bytes that would move a terminal's cursor are
 * shown as `?`: part of a line may come from a peer.
 */
void pv_log(const char *name, enum pv_log_level level, const char *line);

/* Lines of one source in a while, at most. */
#define PV_LOG_PACE_LINES 30u
#define PV_LOG_PACE_NS    60000000000ull

/*
 * For lines that a peer can cause as often as it likes, by resets and new mistakes: so many in a
 * while, then how many were left out. All zero at first.
 */
struct pv_log_pace {
	uint64_t begin_ns; /* of the while */
	uint64_t lines;    /* in it, those that were left out too */
};

/*
 * Any thread. May another line be written at this time (ns of a clock that never goes back)?
 * `*left_out` becomes how many were not, in the while that has ended with this line, or 0.
 */
bool pv_log_pace_admits(struct pv_log_pace *pace, uint64_t now_ns, uint64_t *left_out);

/* Any thread. pv_log(), as the pace admits it. */
void pv_log_paced(struct pv_log_pace *pace, const char *name, enum pv_log_level level,
                  const char *line);

#endif
