/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane balance: distributes memory among running machines by their balloons. */
#include "hosted/cli/balance.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hosted/cli/cli.h"
#include "hosted/cli/command.h"

#define INTERVAL_MS_MAX 3600000u

struct start {
	struct pv_option_texts words;
	const char *log;
	bool is_dry, is_once, is_verbose;
};

/* All that a command line, or a file, says. */
struct wishes {
	struct start start;
	struct pv_balance_options options;
};

#define WISHES_DEFAULTS                                                                            \
	{                                                                                          \
		.options = {.interval_ms = 5000, .reserve = PV_OPTION_UNSET, .pressure = 10 }      \
	}

static const struct pv_option start_options[] = {
	{ "dry-run", NULL, "say what would be changed, and change nothing",
	  PV_OPTION_FLAG_AT(struct start, is_dry) },
	{ "log", "FILE", "write the log there, behind what it has (default: standard error)",
	  PV_OPTION_TEXT_AT(struct start, log) },
	{ "once", NULL, "end after one turn, which does not wait for a guest to be calm",
	  PV_OPTION_FLAG_AT(struct start, is_once) },
	{ "verbose", NULL, "log what is not changed too, and why",
	  PV_OPTION_FLAG_AT(struct start, is_verbose) },
	{ 0 },
};

static const struct pv_option host_options[] = {
	{ "interval", "SECONDS", "from turn to turn (default 5)",
	  PV_OPTION_SECONDS_AT(struct pv_balance_options, interval_ms, 100, INTERVAL_MS_MAX) },
	{ "pressure", "PERCENT",
	  "take memory back when the host's tasks wait for it for so much of the time; 100: never "
	  "(default 10)",
	  PV_OPTION_NUMBER_AT(struct pv_balance_options, pressure, 1, 100) },
	{ "reserve", "SIZE",
	  "memory that the host is to have available "
	  "(default: a sixteenth, 256 MiB at least)",
	  PV_OPTION_SIZE_AT(struct pv_balance_options, reserve, 0, PV_BALANCE_BYTES_MAX) },
	{ 0 },
};

static const struct pv_option words_option = { "words", NULL, NULL,
	                                       PV_OPTION_TEXTS_AT(struct start, words) };

static const struct pv_option_group start_group = { "Run", start_options };
static const struct pv_option_group host_group = { "Host", host_options };

static const struct pv_option_group *const groups[] = { &start_group, &host_group, NULL };
static const struct pv_option_group *const file_groups[] = { &host_group, NULL };

static const struct pv_command_line command = {
	.name = "paravane balance",
	.usage = "CONFIG|SOCKET... [OPTION]...",
	.summary = "Distributes the host's memory among running virtual machines by their "
		   "balloons, by what their guests say they use and how short the host is. A "
		   "SOCKET is the control socket of a machine; CONFIG is a file of JSON with a "
		   "list of \"machines\". SIGTERM ends it; what machines are to have stays.",
	.groups = groups,
	.words = &words_option,
};

/* ---- running ---- */

static bool all_were_there(const struct pv_balance_members *members)
{
	for (unsigned int i = 0; i < members->count; i++)
		if (!members->member[i].was_there)
			return false;
	return true;
}

/* Returns whether one of the signals that end the program came before the interval was over. */
static bool is_ended_within(const sigset_t *signals, uint64_t ms)
{
	const struct timespec time = { .tv_sec = (time_t)(ms / 1000),
		                       .tv_nsec = (long)(ms % 1000) * 1000000 };

	return sigtimedwait(signals, NULL, &time) > 0;
}

static bool run_turns(struct pv_balance_run *run, char sentence[static PV_SENTENCE_BYTES])
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	do {
		if (!pv_balance_turn(run, sentence))
			return false;
		if (run->is_once)
			return all_were_there(run->members) ||
			       pv_sentence_wrong(sentence,
			                         "not every machine was there; the log says why");
	} while (!is_ended_within(&signals, run->options.interval_ms));
	return true;
}

static bool run_with(const struct wishes *wishes, struct pv_balance_members *members,
                     char sentence[static PV_SENTENCE_BYTES])
{
	const struct start *start = &wishes->start;
	struct pv_balance_run run = {
		.options = wishes->options,
		.members = members,
		.is_dry = start->is_dry,
		.is_once = start->is_once,
		.is_verbose = start->is_verbose,
		.log = stderr,
	};
	bool is_good;

	if (start->log)
		run.log = fopen(start->log, "ae");
	if (!run.log)
		return pv_sentence_wrong(sentence, "option '--log': cannot write to %s: %s",
		                         start->log, strerror(errno));
	is_good = run_turns(&run, sentence);
	if (start->log)
		fclose(run.log);
	return is_good;
}

/* ---- wishes ---- */

static bool is_file(const char *word)
{
	struct stat status;

	return stat(word, &status) == 0 && S_ISREG(status.st_mode);
}

static bool has_file(const struct pv_option_texts *words)
{
	for (unsigned int i = 0; i < words->count; i++)
		if (is_file(words->text[i]))
			return true;
	return false;
}

/* The options of the file first, then those of the command line over them. */
static bool balance_config(int argc, char **argv, const char *path,
                           struct pv_balance_members *members,
                           char sentence[static PV_SENTENCE_BYTES])
{
	struct wishes wishes = WISHES_DEFAULTS;
	void *const values[] = { &wishes.start, &wishes.options };
	void *const file_values[] = { &wishes.options };
	const struct pv_json_form form = { file_groups, file_values, "machines" };
	struct pv_config config;
	bool is_good;

	if (!pv_config_read(&config, "CONFIG", path, &form, sentence))
		return false;
	is_good = pv_options_parse(&command, values, argc, argv, sentence) == PV_OPTIONS_GOOD &&
	          pv_balance_members_of_config(members, &config, sentence) &&
	          run_with(&wishes, members, sentence);
	pv_config_close(&config);
	return is_good;
}

static bool balance(const struct wishes *wishes, int argc, char **argv,
                    char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_option_texts *words = &wishes->start.words;
	struct pv_balance_members *members;
	bool is_good;

	if (words->count == 0)
		return pv_sentence_wrong(sentence, "no machine given: paravane balance SOCKET...");
	if (words->count > 1 && has_file(words))
		return pv_sentence_wrong(sentence, "a file of machines stands alone; write the "
		                                   "other sockets into it");
	members = calloc(1, sizeof(*members));
	if (!members)
		return pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	if (has_file(words))
		is_good = balance_config(argc, argv, words->text[0], members, sentence);
	else
		is_good = pv_balance_members_of_words(members, words, sentence) &&
		          run_with(wishes, members, sentence);
	free(members);
	return is_good;
}

int pv_cli_balance(int argc, char **argv)
{
	struct wishes wishes = WISHES_DEFAULTS;
	void *const values[] = { &wishes.start, &wishes.options };
	char sentence[PV_SENTENCE_BYTES];
	int status;

	if (!pv_cli_take(&command, values, argc, argv, &status))
		return status;
	return balance(&wishes, argc, argv, sentence) ? EXIT_SUCCESS
	                                              : pv_cli_fail(&command, sentence);
}
