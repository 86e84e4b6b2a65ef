/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Talking to all machines at once, a thread and a connection for each: none waits for another, and
 * none keeps a place at a control socket between the turns.
 */
#include "hosted/cli/balance.h"
#include "hosted/loop/clock.h"
#include "hosted/loop/thread.h"

#define TIMEOUT_S       2u
#define TIMEOUT_NS      (TIMEOUT_S * UINT64_C(1000000000))
#define SKIPPED_AT_MOST 16u

typedef bool say(struct pv_balance_run *run, struct pv_balance_member *member,
                 struct pv_qmp_remote *remote);

struct talk {
	struct pv_balance_run *run;
	struct pv_balance_member *member;
	say *say;
	bool is_good;
	pthread_t thread;
};

static bool converse(const struct talk *talk)
{
	const struct pv_qmp_remote_options options = {
		.path = talk->member->socket,
		.timeout_s = TIMEOUT_S,
	};
	struct pv_qmp_remote *remote;
	bool is_good;

	if (!pv_qmp_remote_open(&remote, &options, talk->member->sentence))
		return false;
	is_good = talk->say(talk->run, talk->member, remote);
	pv_qmp_remote_close(remote);
	return is_good;
}

/* Who is deaf is tried more and more rarely: each try holds up the others by the time it takes. */
static void note_deafness(struct pv_balance_member *member, bool is_good, uint64_t took_ns)
{
	if (is_good || took_ns < TIMEOUT_NS) {
		member->deaf_turns = 0;
		return;
	}
	member->deaf_turns = member->deaf_turns == 0 ? 2 : 2 * member->deaf_turns;
	if (member->deaf_turns > SKIPPED_AT_MOST)
		member->deaf_turns = SKIPPED_AT_MOST;
	member->turns_to_skip = member->deaf_turns;
}

static void *run_talk(void *arg)
{
	struct talk *talk = arg;
	uint64_t begin = pv_clock_ns(CLOCK_MONOTONIC);

	talk->is_good = converse(talk);
	note_deafness(talk->member, talk->is_good, pv_clock_ns(CLOCK_MONOTONIC) - begin);
	return NULL;
}

/* Talks with each of `talks`, and returns when all have ended. */
static void talk_all(struct talk *talks, unsigned int count)
{
	bool is_thread[PV_BALANCE_MACHINES_MAX];

	for (unsigned int i = 0; i < count; i++) {
		is_thread[i] = pv_thread_start(&talks[i].thread, run_talk, &talks[i]) == 0;
		if (!is_thread[i])
			run_talk(&talks[i]);
	}
	for (unsigned int i = 0; i < count; i++)
		if (is_thread[i])
			pthread_join(talks[i].thread, NULL);
}

/* ---- asking ---- */

static bool ask(struct pv_balance_run *run, struct pv_balance_member *member,
                struct pv_qmp_remote *remote)
{
	if (!pv_ballast_view_read(&member->view, remote, member->sentence))
		return false;
	return member->view.interval_s > 0 || run->is_dry ||
	       pv_ballast_view_set_interval(remote, pv_balance_stats_interval_s(run),
	                                    member->sentence);
}

void pv_balance_ask(struct pv_balance_run *run)
{
	struct talk talks[PV_BALANCE_MACHINES_MAX];
	unsigned int count = 0;

	for (unsigned int i = 0; i < run->members->count; i++) {
		struct pv_balance_member *member = &run->members->member[i];

		member->is_there = false;
		if (member->turns_to_skip > 0)
			member->turns_to_skip--;
		else
			talks[count++] = (struct talk){ .run = run, .member = member, .say = ask };
	}
	talk_all(talks, count);
	for (unsigned int i = 0; i < count; i++)
		talks[i].member->is_there = talks[i].is_good;
}

/* ---- telling ---- */

static bool tell(struct pv_balance_run *run, struct pv_balance_member *member,
                 struct pv_qmp_remote *remote)
{
	(void)run;
	return pv_ballast_view_set_target(remote, member->wanted, member->sentence);
}

void pv_balance_tell(struct pv_balance_run *run)
{
	struct talk talks[PV_BALANCE_MACHINES_MAX];
	unsigned int count = 0;

	for (unsigned int i = 0; i < run->members->count; i++) {
		struct pv_balance_member *member = &run->members->member[i];

		member->is_told = false;
		if (member->is_there && member->wanted != member->view.target)
			talks[count++] = (struct talk){ .run = run, .member = member, .say = tell };
	}
	talk_all(talks, count);
	for (unsigned int i = 0; i < count; i++)
		talks[i].member->is_told = talks[i].is_good;
}
