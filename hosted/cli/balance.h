/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of `paravane balance`: its members, which are machines, or places where one may be;
 * talking to all of them at once; and a turn, which is to ask them, decide, and tell them.
 */
#ifndef PV_HOSTED_CLI_BALANCE_H
#define PV_HOSTED_CLI_BALANCE_H

#include "hosted/control/balance_policy.h"
#include "hosted/control/ballast_view.h"
#include "hosted/control/config.h"

struct pv_balance_member {
	/* What its options write. */
	const char *socket, *name;
	uint64_t floor, ceiling, weight;

	/* What is known of it in this turn, and from turn to turn. */
	bool is_there, was_there, was_lost;
	uint32_t deaf_turns, turns_to_skip; /* where nothing had answered in time */
	struct pv_ballast_view view;
	struct pv_balance_past past;
	uint64_t wanted;
	bool is_told;
	char sentence[PV_SENTENCE_BYTES]; /* what went wrong */
};

struct pv_balance_members {
	unsigned int count;
	struct pv_balance_member member[PV_BALANCE_MACHINES_MAX];
};

/* From words of a command line, a socket each. False with a sentence. */
bool pv_balance_members_of_words(struct pv_balance_members *members,
                                 const struct pv_option_texts *words,
                                 char sentence[static PV_SENTENCE_BYTES]);

/* From a file, which is to outlive them. False with a sentence. */
bool pv_balance_members_of_config(struct pv_balance_members *members,
                                  const struct pv_config *config,
                                  char sentence[static PV_SENTENCE_BYTES]);

struct pv_balance_options {
	uint64_t interval_ms;
	uint64_t reserve; /* bytes; PV_OPTION_UNSET: by what the host has */
	uint64_t pressure;
};

struct pv_balance_run {
	struct pv_balance_options options;
	struct pv_balance_members *members;
	bool is_dry, is_once, is_verbose;
	FILE *log;
};

/* How often a guest is asked, where nobody has said. */
uint64_t pv_balance_stats_interval_s(const struct pv_balance_run *run);

/*
 * Asks all members: `is_there`, `view` or `sentence`. One that does not answer takes a second or
 * two, and is left out for some turns then.
 */
void pv_balance_ask(struct pv_balance_run *run);

/* Tells `wanted` to each that is there and is to have something else: `is_told`, or `sentence`. */
void pv_balance_tell(struct pv_balance_run *run);

/* One turn. False with a sentence where the host cannot be looked at. */
bool pv_balance_turn(struct pv_balance_run *run, char sentence[static PV_SENTENCE_BYTES]);

#endif
