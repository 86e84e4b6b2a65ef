/* SPDX-License-Identifier: BSD-2-Clause */
/* A turn, and what the log says of it. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "hosted/cli/balance.h"
#include "hosted/control/host_memory.h"

#define MIB         (1ull << 20)
#define RESERVE_MIN (256 * MIB)

uint64_t pv_balance_stats_interval_s(const struct pv_balance_run *run)
{
	return (run->options.interval_ms + 999) / 1000;
}

/* ---- the log ---- */

__attribute__((format(printf, 3, 4))) static void note(const struct pv_balance_run *run,
                                                       const char *name, const char *format, ...)
{
	time_t now = time(NULL);
	struct tm local;
	char when[32];
	va_list arguments;

	localtime_r(&now, &local);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &local);
	fprintf(run->log, "%s %s: ", when, name);
	va_start(arguments, format);
	vfprintf(run->log, format, arguments);
	va_end(arguments);
	fputc('\n', run->log);
	fflush(run->log);
}

static void note_presence(const struct pv_balance_run *run, struct pv_balance_member *member)
{
	if (member->is_there && !member->was_there && member->view.memory == 0)
		note(run, member->name, "found; no guest has its balloon yet");
	else if (member->is_there && !member->was_there)
		note(run, member->name, "%s: memory %llu MiB, has %llu MiB, is to have %llu MiB",
		     member->was_lost ? "found again" : "found",
		     (unsigned long long)(member->view.memory / MIB),
		     (unsigned long long)(member->view.actual / MIB),
		     (unsigned long long)(member->view.target / MIB));
	else if (!member->is_there && !member->was_lost)
		note(run, member->name, "%s, and looked for again: %s",
		     member->was_there ? "lost" : "not there", member->sentence);
	if (!member->is_there)
		member->past = (struct pv_balance_past){ 0 };
	member->was_there = member->is_there;
	member->was_lost = !member->is_there;
}

static void note_change(const struct pv_balance_run *run, const struct pv_balance_member *member,
                        const char *reason)
{
	unsigned long long from = member->view.target / MIB, to = member->wanted / MIB;

	if (member->wanted == member->view.target) {
		if (run->is_verbose)
			note(run, member->name, "%llu MiB: %s", from, reason);
	} else if (run->is_dry) {
		note(run, member->name, "%llu MiB -> %llu MiB: %s (dry run)", from, to, reason);
	} else if (member->is_told) {
		note(run, member->name, "%llu MiB -> %llu MiB: %s", from, to, reason);
	} else {
		note(run, member->name, "%llu MiB -> %llu MiB: %s; it failed: %s", from, to, reason,
		     member->sentence);
	}
}

static void note_host(const struct pv_balance_run *run, const struct pv_balance_host *host)
{
	if (run->is_verbose)
		note(run, "host",
		     "%llu MiB available, reserve %llu MiB, tasks wait %u.%02u %% of the time",
		     (unsigned long long)(host->available / MIB),
		     (unsigned long long)(host->reserve / MIB), host->some / 100, host->some % 100);
}

/* ---- what the policy is told ---- */

/* Statistics may be late by a turn or two, and their age is in whole seconds. */
static bool is_fresh(const struct pv_balance_run *run, const struct pv_ballast_view *view)
{
	return view->updates > 0 && view->age_s <= 3 * pv_balance_stats_interval_s(run) + 1;
}

static struct pv_balance_machine machine_of(const struct pv_balance_run *run,
                                            const struct pv_balance_member *member)
{
	const struct pv_ballast_view *view = &member->view;

	return (struct pv_balance_machine){
		.memory = view->memory,
		.actual = view->actual,
		.target = view->target,
		.floor = member->floor,
		.ceiling = member->ceiling,
		.weight = (uint32_t)member->weight,
		.stats = {
			.is_fresh = is_fresh(run, view),
			.has_available = view->known >> VIRTIO_BALLOON_S_AVAIL & 1,
			.updates = view->updates,
			.available = view->value[VIRTIO_BALLOON_S_AVAIL],
			.swap_in = view->value[VIRTIO_BALLOON_S_SWAP_IN],
			.major_faults = view->value[VIRTIO_BALLOON_S_MAJFLT],
		},
		.past = member->past,
	};
}

static bool look_at_host(const struct pv_balance_run *run, struct pv_balance_host *host,
                         char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_host_memory memory;
	uint64_t reserve = run->options.reserve;

	if (!pv_host_memory_read(&memory, "/proc", sentence))
		return false;
	if (reserve == PV_OPTION_UNSET)
		reserve = memory.total / 16 > RESERVE_MIN ? memory.total / 16 : RESERVE_MIN;
	*host = (struct pv_balance_host){
		.available = memory.available,
		.reserve = reserve,
		.some = memory.some,
		.full = memory.full,
		.pressure = run->options.pressure < 100 ? (uint32_t)run->options.pressure * 100
		                                        : PV_BALANCE_PRESSURE_NONE,
		.calm_turns = run->is_once ? 0 : PV_BALANCE_CALM_TURNS,
	};
	return true;
}

/* ---- the turn ---- */

bool pv_balance_turn(struct pv_balance_run *run, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_balance_machine machines[PV_BALANCE_MACHINES_MAX];
	struct pv_balance_member *members[PV_BALANCE_MACHINES_MAX];
	struct pv_balance_host host;
	unsigned int count = 0;

	pv_balance_ask(run);
	for (unsigned int i = 0; i < run->members->count; i++) {
		struct pv_balance_member *member = &run->members->member[i];

		note_presence(run, member);
		if (!member->is_there)
			continue;
		machines[count] = machine_of(run, member);
		members[count++] = member;
	}
	if (!look_at_host(run, &host, sentence))
		return false;
	note_host(run, &host);
	pv_balance(&host, machines, count);
	for (unsigned int i = 0; i < count; i++) {
		members[i]->past = machines[i].past;
		members[i]->wanted = machines[i].wanted;
	}
	if (!run->is_dry)
		pv_balance_tell(run);
	for (unsigned int i = 0; i < count; i++)
		note_change(run, members[i], machines[i].reason);
	return true;
}
