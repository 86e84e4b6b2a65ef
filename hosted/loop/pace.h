/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a loop goes on polling when there is nothing to do.
 *
 * Between one piece of work and the next lies a gap.  A gap that is polled through costs CPU for
 * its length; one that is slept through costs a wake-up, which is a delay of up to some 40 us. So
 * polling pays while gaps are short, and the past is asked whether they are: each gap that would
 * have fitted into the longest poll allowed counts in favour, and the budget for the next poll
 * follows what gaps lasted; a poll that ends in a sleep longer than that cuts the budget to a
 * quarter, so that a loop that falls idle has stopped polling after two or three sleeps.
 *
 * Whoever polls yields every few microseconds: a processor shared with whom we wait for must
 * not be kept from them.  When time was taken from us meanwhile the processor is in demand and
 * polling does harm (a poller that yields may be back only after milliseconds, one that sleeps
 * is put first when it wakes): it is given up for a multiple of what was lost.
 *
 * Nothing here looks at a clock: the loop does, seldom, and says what it saw.
 */
#ifndef PV_HOSTED_PACE_H
#define PV_HOSTED_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pv_pace {
	uint64_t max_ns;    /* the longest poll allowed; 0: none at all */
	uint64_t budget_ns; /* the longest poll that seems to pay */

	/* This gap, once it has lasted long enough for a look at the clock. */
	bool is_gap;
	bool is_wakeful; /* going to sleep was refused just now */
	uint64_t gap_start_ns;
	uint64_t looked_ns;
	uint64_t yielded_ns; /* or the start, before the first yield */

	/* Polling does not resume before, because others need the processor. */
	uint64_t barred_until_ns;

	uint16_t short_gaps;  /* in a row, and ... */
	uint16_t gaps_wanted; /* ... how many it takes for polling to begin */
};

enum pv_pace_advice {
	PV_PACE_POLL,  /* go on */
	PV_PACE_YIELD, /* yield, then go on */
	PV_PACE_SLEEP,
};

void pv_pace_init(struct pv_pace *pace, uint32_t max_us);

/* There was nothing to do, again. What now? */
enum pv_pace_advice pv_pace_idle(struct pv_pace *pace, uint64_t now_ns);

/* The yield that pv_pace_idle() advised is over. */
void pv_pace_yielded(struct pv_pace *pace, uint64_t now_ns);

/* Going to sleep was refused by a poller that says it has work. */
void pv_pace_refused(struct pv_pace *pace);

/* The sleep that pv_pace_idle() advised is over. */
void pv_pace_woke(struct pv_pace *pace, uint64_t now_ns);

/* There was something to do, and the loop did not sleep: the gap was polled through. */
void pv_pace_worked_slow(struct pv_pace *pace);

static inline void pv_pace_worked(struct pv_pace *pace)
{
	if (pace->is_gap)
		pv_pace_worked_slow(pace);
}

/* Is the next gap polled, at first? */
static inline bool pv_pace_will_poll(const struct pv_pace *pace)
{
	return pace->budget_ns > 0;
}

#endif
