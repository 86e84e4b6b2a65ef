/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two parts of the policy share: judging the machines, and giving and taking. */
#ifndef PV_HOSTED_BALANCE_INTERNAL_H
#define PV_HOSTED_BALANCE_INTERNAL_H

#include "hosted/control/balance_policy.h"

#define PV_MIB (1ull << 20)

enum pv_balance_verdict {
	PV_BALANCE_ALONE,  /* nothing is done, the reason is written */
	PV_BALANCE_STEADY, /* has enough, and could do without `more` */
	PV_BALANCE_SHORT,  /* wants `more` */
};

/* A machine in this turn. */
struct pv_balance_case {
	struct pv_balance_machine *machine;
	uint64_t floor, ceiling, headroom;
	enum pv_balance_verdict verdict;
	bool is_stuck; /* what it has been asked for does not come */
	bool swaps;
	uint64_t base; /* bytes that `more` comes on top of, or goes from */
	uint64_t more;
};

/* Less is not worth a change. */
uint64_t pv_balance_least(const struct pv_balance_machine *machine,
                          enum pv_balance_verdict verdict);

/* Gives up to `bytes` to those that are short, by their weights. Returns what was given. */
uint64_t pv_balance_give(struct pv_balance_case *cases, unsigned int count, uint64_t bytes);

/* Takes `bytes` or a little more, or what there is, from who has most unused for its weight. */
void pv_balance_take(struct pv_balance_case *cases, unsigned int count, uint64_t bytes,
                     const char *why);

/* Writes the reason. */
__attribute__((format(printf, 2, 3))) void pv_balance_because(struct pv_balance_machine *machine,
                                                              const char *format, ...);

static inline unsigned long long pv_balance_mib(uint64_t bytes)
{
	return bytes / PV_MIB;
}

static inline uint64_t pv_balance_at_least(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t pv_balance_at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Never below nothing. */
static inline uint64_t pv_balance_less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

#endif
