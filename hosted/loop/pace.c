/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/loop/pace.h"

/* The time from "wake up" to awake on another processor, at its worst and not counting the rest. */
#define WAKE_NS 40000u

/* The shortest poll worth starting. */
#define BUDGET_MIN_NS 4000u

#define YIELD_EVERY_NS 5000u

/* Looks at the clock are a microsecond apart, and a yield to nobody takes one. */
#define STOLEN_NS 100000u

/* Of a contended processor's time at most one part in so many is lost by trying to poll. */
#define BAR_FACTOR 16u
#define BAR_MAX_NS 1000000000u

/* One short gap is chance. */
#define GAPS_WANTED_MIN 2u
#define GAPS_WANTED_MAX 1024u

void pv_pace_init(struct pv_pace *pace, uint32_t max_us)
{
	*pace = (struct pv_pace){
		.max_ns = (uint64_t)max_us * 1000,
		.gaps_wanted = GAPS_WANTED_MIN,
	};
}

static uint64_t budget_for(const struct pv_pace *pace, uint64_t gap_ns)
{
	uint64_t budget_ns = 2 * gap_ns + BUDGET_MIN_NS;

	return budget_ns < pace->max_ns ? budget_ns : pace->max_ns;
}

/* Up at once, down slowly: the longest of the recent short gaps counts. */
static void follow(struct pv_pace *pace, uint64_t gap_ns)
{
	uint64_t wanted_ns = budget_for(pace, gap_ns);

	if (wanted_ns >= pace->budget_ns)
		pace->budget_ns = wanted_ns;
	else
		pace->budget_ns -= (pace->budget_ns - wanted_ns) / 16;
}

static void cut(struct pv_pace *pace)
{
	pace->short_gaps = 0;
	pace->budget_ns /= 4;
	if (pace->budget_ns < BUDGET_MIN_NS)
		pace->budget_ns = 0;
}

static void bar(struct pv_pace *pace, uint64_t now_ns, uint64_t stolen_ns)
{
	uint64_t bar_ns = BAR_FACTOR * stolen_ns;

	pace->budget_ns = 0;
	pace->short_gaps = 0;
	pace->barred_until_ns = now_ns + (bar_ns < BAR_MAX_NS ? bar_ns : BAR_MAX_NS);
}

/*
 * The longest poll allowed was in vain, though the gap was no longer than that and a wake-up: such
 * gaps are tried again, but seldom.
 */
static void give_up(struct pv_pace *pace)
{
	pace->budget_ns = 0;
	pace->short_gaps = 0;
	pace->gaps_wanted = pace->gaps_wanted < GAPS_WANTED_MAX / 4
	                            ? (uint16_t)(4u * pace->gaps_wanted)
	                            : GAPS_WANTED_MAX;
}

static void begin_gap(struct pv_pace *pace, uint64_t now_ns)
{
	pace->is_gap = true;
	pace->gap_start_ns = now_ns;
	pace->looked_ns = now_ns;
	pace->yielded_ns = now_ns;
}

/* Was the processor taken away since the last look? */
static void look(struct pv_pace *pace, uint64_t now_ns)
{
	uint64_t passed_ns = now_ns - pace->looked_ns;

	if (passed_ns > STOLEN_NS && pace->budget_ns > 0)
		bar(pace, now_ns, passed_ns);
	pace->looked_ns = now_ns;
}

enum pv_pace_advice pv_pace_idle(struct pv_pace *pace, uint64_t now_ns)
{
	if (!pace->is_gap)
		begin_gap(pace, now_ns);
	look(pace, now_ns);
	if (now_ns - pace->gap_start_ns >= pace->budget_ns && !pace->is_wakeful)
		return PV_PACE_SLEEP;
	if (now_ns - pace->yielded_ns < YIELD_EVERY_NS)
		return PV_PACE_POLL;
	pace->is_wakeful = false;
	return PV_PACE_YIELD;
}

void pv_pace_yielded(struct pv_pace *pace, uint64_t now_ns)
{
	look(pace, now_ns);
	pace->yielded_ns = now_ns;
}

void pv_pace_refused(struct pv_pace *pace)
{
	pace->is_wakeful = true;
}

void pv_pace_woke(struct pv_pace *pace, uint64_t now_ns)
{
	uint64_t gap_ns = now_ns - pace->gap_start_ns;

	pace->is_gap = false;
	if (gap_ns > pace->max_ns + WAKE_NS) {
		cut(pace);
		return;
	}
	if (now_ns < pace->barred_until_ns)
		return;
	if (pace->budget_ns > 0 && pace->budget_ns == pace->max_ns) {
		give_up(pace);
		return;
	}
	if (pace->short_gaps < pace->gaps_wanted)
		pace->short_gaps++;
	if (pace->short_gaps == pace->gaps_wanted)
		follow(pace, gap_ns);
}

void pv_pace_worked_slow(struct pv_pace *pace)
{
	pace->is_gap = false;
	if (pace->budget_ns == 0)
		return;
	if (pace->gaps_wanted > GAPS_WANTED_MIN)
		pace->gaps_wanted--;
	follow(pace, pace->looked_ns - pace->gap_start_ns);
}
