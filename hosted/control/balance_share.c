/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy's second part: who gets, and who gives. */
#include <stddef.h>

#include "hosted/control/balance_internal.h"

/* ---- giving ---- */

static void say_given(struct pv_balance_case *one)
{
	struct pv_balance_machine *machine = one->machine;
	const char *also = one->swaps ? ", and it swaps" : "";
	unsigned long long available = pv_balance_mib(machine->stats.available);
	unsigned long long headroom = pv_balance_mib(one->headroom);

	if (machine->wanted > machine->target)
		pv_balance_because(machine, "short: %llu MiB available, head-room %llu MiB%s",
		                   available, headroom, also);
	else if (one->more > 0)
		pv_balance_because(machine,
		                   "short: %llu MiB available, head-room %llu MiB%s; the host has "
		                   "nothing to spare",
		                   available, headroom, also);
	else
		pv_balance_because(machine,
		                   "short: %llu MiB available, head-room %llu MiB%s; it has all "
		                   "that it may have",
		                   available, headroom, also);
}

struct share {
	uint64_t given;
	bool is_full;
};

static uint64_t weights(const struct pv_balance_case *cases, const struct share *shares,
                        unsigned int count)
{
	uint64_t weight = 0;

	for (unsigned int i = 0; i < count; i++)
		if (!shares[i].is_full)
			weight += cases[i].machine->weight;
	return weight;
}

/* Each its part by weight, and what is too much for one is shared among the others. */
static void share_out(const struct pv_balance_case *cases, struct share *shares, unsigned int count,
                      uint64_t bytes)
{
	bool is_over = false;
	uint64_t weight;

	while (!is_over && bytes > 0 && (weight = weights(cases, shares, count)) > 0) {
		uint64_t left = bytes;

		is_over = true;
		for (unsigned int i = 0; i < count; i++) {
			uint64_t part = bytes / weight * cases[i].machine->weight;
			uint64_t wanted = cases[i].more - shares[i].given;

			if (shares[i].is_full)
				continue;
			if (part >= wanted) {
				part = wanted;
				shares[i].is_full = true;
				is_over = false;
			}
			shares[i].given += part;
			left -= part;
		}
		bytes = left;
	}
}

uint64_t pv_balance_give(struct pv_balance_case *cases, unsigned int count, uint64_t bytes)
{
	struct share shares[PV_BALANCE_MACHINES_MAX] = { 0 };
	uint64_t given = 0;

	for (unsigned int i = 0; i < count; i++)
		shares[i].is_full = cases[i].verdict != PV_BALANCE_SHORT || cases[i].more == 0;
	share_out(cases, shares, count, bytes);
	for (unsigned int i = 0; i < count; i++) {
		struct pv_balance_case *one = &cases[i];
		uint64_t least = pv_balance_least(one->machine, PV_BALANCE_SHORT);

		if (one->verdict != PV_BALANCE_SHORT)
			continue;
		/* What is left of the way to a ceiling may be less. */
		if (shares[i].given >= pv_balance_at_most(least, one->more) &&
		    shares[i].given > 0) {
			one->machine->wanted = one->base + shares[i].given;
			given += shares[i].given;
		}
		say_given(one);
	}
	return given;
}

/* ---- taking ---- */

static uint64_t unused(const struct pv_balance_case *one)
{
	return pv_balance_less(one->machine->stats.available, 2 * one->headroom);
}

static bool has_more_unused(const struct pv_balance_case *one, const struct pv_balance_case *other)
{
	return unused(one) * other->machine->weight > unused(other) * one->machine->weight;
}

/* Of those that can still give, the one with most unused for its weight. */
static struct pv_balance_case *richest(struct pv_balance_case *cases, unsigned int count)
{
	struct pv_balance_case *best = NULL;

	for (unsigned int i = 0; i < count; i++)
		if (cases[i].verdict == PV_BALANCE_STEADY && cases[i].more > 0 &&
		    (!best || has_more_unused(&cases[i], best)))
			best = &cases[i];
	return best;
}

void pv_balance_take(struct pv_balance_case *cases, unsigned int count, uint64_t bytes,
                     const char *why)
{
	struct pv_balance_case *one;

	while (bytes > 0 && (one = richest(cases, count))) {
		uint64_t least = pv_balance_least(one->machine, PV_BALANCE_STEADY);
		uint64_t part = pv_balance_at_most(pv_balance_at_least(bytes, least), one->more);

		one->machine->wanted = one->base - part;
		one->more = 0;
		bytes = pv_balance_less(bytes, part);
		pv_balance_because(one->machine, "%llu MiB unused, and %s",
		                   pv_balance_mib(unused(one)), why);
	}
}
