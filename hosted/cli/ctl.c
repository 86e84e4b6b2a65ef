/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane ctl: a client of the control socket, this program's or QEMU's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/linkhash.h>

#include "hosted/cli/cli.h"
#include "hosted/cli/command.h"
#include "hosted/control/options.h"
#include "hosted/control/printable.h"
#include "hosted/control/qmp_arguments.h"
#include "hosted/control/qmp_remote.h"

#define TIMEOUT_S_MAX 1000000u

struct ctl_options {
	struct pv_option_texts words; /* socket, command, arguments */
	const char *awaited;          /* an event */
	uint64_t timeout_s;
	bool must_print_events, is_one_line;
};

static const struct pv_option ctl_options[] = {
	{ "events", NULL,
	  "print events as they come, until the server ends or --wait has its event",
	  PV_OPTION_FLAG_AT(struct ctl_options, must_print_events) },
	{ "json", NULL, "print one line of JSON for each answer and event",
	  PV_OPTION_FLAG_AT(struct ctl_options, is_one_line) },
	{ "timeout", "SECONDS",
	  "how long all may take; events without --wait have no limit "
	  "(default 10)",
	  PV_OPTION_NUMBER_AT(struct ctl_options, timeout_s, 1, TIMEOUT_S_MAX) },
	{ "wait", "EVENT", "wait for this event, and print it; it counts from the command on",
	  PV_OPTION_TEXT_AT(struct ctl_options, awaited) },
	{ 0 },
};

static const struct pv_option ctl_words = { "arguments", NULL, NULL,
	                                    PV_OPTION_TEXTS_AT(struct ctl_options, words) };

static const struct pv_option_group ctl_option_group = { "Control", ctl_options };

static const struct pv_option_group *const groups[] = {
	&ctl_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane ctl",
	.usage = "SOCKET COMMAND [KEY=VALUE]... [OPTION]...",
	.summary = "Sends a command to the control socket of a running program, Paravane's or "
		   "QEMU's, and prints what it returns. A VALUE that looks like true, false, null "
		   "or a number is one, with a suffix k, M, G, T or P too; one that begins like "
		   "JSON is JSON; with @ in front it is a text. A.B=VALUE puts B into an object A.",
	.groups = groups,
	.words = &ctl_words,
};

struct conversation {
	const struct ctl_options *options;
	struct pv_qmp_remote *remote;
	struct json_object *event; /* that was waited for */
};

/* ---- printing ---- */

/* A text for people, without what would steer a terminal. */
static void print_text(const char *text)
{
	size_t chars = strlen(text);

	for (size_t i = 0; i < chars; i++)
		if (text[i] != '\r')
			putchar(pv_is_control(text[i]) && text[i] != '\n' && text[i] != '\t'
			                ? '?'
			                : text[i]);
	if (chars == 0 || text[chars - 1] != '\n')
		putchar('\n');
}

static void print(const struct ctl_options *options, struct json_object *value)
{
	const int pretty = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	int how = options->is_one_line ? JSON_C_TO_STRING_PLAIN : pretty;

	if (!options->is_one_line && json_object_is_type(value, json_type_string))
		print_text(json_object_get_string(value));
	else
		puts(json_object_to_json_string_ext(value, how | JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
}

/* Most commands that do something return an empty object, which says no more than the status. */
static void print_return(const struct ctl_options *options, struct json_object *value)
{
	bool is_empty = json_object_is_type(value, json_type_object) &&
	                json_object_object_length(value) == 0;

	if (options->is_one_line || !is_empty)
		print(options, value);
}

/* ---- events ---- */

static void take_event(void *arg, struct json_object *event)
{
	struct conversation *talk = arg;
	const char *name = json_object_get_string(json_object_object_get(event, "event"));
	const char *awaited = talk->options->awaited;

	if (awaited && !talk->event && strcmp(name, awaited) == 0)
		talk->event = json_object_get(event);
	if (talk->options->must_print_events || talk->event == event)
		print(talk->options, event);
}

static bool wait_for_event(struct conversation *talk, char sentence[static PV_SENTENCE_BYTES])
{
	char awaited[96];

	snprintf(awaited, sizeof(awaited), "event %.64s", talk->options->awaited);
	while (!talk->event)
		if (!pv_qmp_remote_listen(talk->remote, awaited, sentence))
			return false;
	return true;
}

/* A server that ends has no more to tell, and neither does one whose reader has gone. */
static bool follow_events(struct conversation *talk, char sentence[static PV_SENTENCE_BYTES])
{
	pv_qmp_remote_be_patient(talk->remote);
	while (!ferror(stdout))
		if (!pv_qmp_remote_listen(talk->remote, "event", sentence))
			return pv_qmp_remote_has_ended(talk->remote);
	return true;
}

/* ---- refusals ---- */

static const char *text_of(struct json_object *object, const char *key, const char *otherwise)
{
	struct json_object *value = json_object_object_get(object, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value)
	                                                    : otherwise;
}

static void offer_all(struct pv_nearest *nearest, struct json_object *list)
{
	if (!json_object_is_type(list, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		pv_nearest_offer(nearest, text_of(json_object_array_get_idx(list, i), "name", ""));
}

/* What the server would have known instead: a second question, which may fail. */
static bool unknown(const struct conversation *talk, const char *name, const char *words,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_nearest nearest = { .word = name };
	char why_not[PV_SENTENCE_BYTES];
	struct json_object *answer =
		pv_qmp_remote_ask(talk->remote, "query-commands", NULL, why_not);

	if (answer)
		offer_all(&nearest, json_object_object_get(answer, "return"));
	if (nearest.best && strcmp(nearest.best, name) != 0)
		pv_sentence_wrong(sentence, "%.64s: %s; did you mean '%s'?", name, words,
		                  nearest.best);
	else
		pv_sentence_wrong(sentence, "%.64s: %s; query-commands lists what there is", name,
		                  words);
	json_object_put(answer);
	return false;
}

/*
 * The argument that the server wants to be a text, and that did not look like one; NULL: there is
 * none.
 */
static const char *text_wanted(const char *words, struct json_object *arguments)
{
	char quoted[PV_QMP_REMOTE_WORDS];

	if (!strstr(words, "string"))
		return NULL;
	json_object_object_foreach(arguments, key, value)
	{
		snprintf(quoted, sizeof(quoted), "'%s'", key);
		if (!json_object_is_type(value, json_type_string) && strstr(words, quoted))
			return key;
	}
	return NULL;
}

static bool refused(const struct conversation *talk, const char *name,
                    struct json_object *arguments, struct json_object *answer,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *error = json_object_object_get(answer, "error");
	char words[PV_QMP_REMOTE_WORDS];
	const char *key;

	pv_qmp_remote_words(words, answer);
	if (strcmp(text_of(error, "class", ""), "CommandNotFound") == 0)
		return unknown(talk, name, words, sentence);
	key = text_wanted(words, arguments);
	return key ? pv_sentence_wrong(sentence, "%.64s: %s; write %.64s=@TEXT", name, words, key)
	           : pv_sentence_wrong(sentence, "%.64s: %s", name, words);
}

/* ---- the conversation ---- */

static bool ask(const struct conversation *talk, struct json_object *arguments,
                char sentence[static PV_SENTENCE_BYTES])
{
	const char *name = talk->options->words.text[1];
	struct json_object *answer, *value;
	bool is_good;

	answer = pv_qmp_remote_ask(talk->remote, name, arguments, sentence);
	if (!answer)
		return false;
	is_good = json_object_object_get_ex(answer, "return", &value);
	if (is_good)
		print_return(talk->options, value);
	else
		refused(talk, name, arguments, answer, sentence);
	json_object_put(answer);
	return is_good;
}

static bool talk_to(const struct ctl_options *options, struct json_object *arguments,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct conversation talk = { .options = options };
	const struct pv_qmp_remote_options wanted = {
		.path = options->words.text[0],
		.timeout_s = (unsigned int)options->timeout_s,
		.event = take_event,
		.arg = &talk,
	};
	bool is_good;

	if (!pv_qmp_remote_open(&talk.remote, &wanted, sentence))
		return false;
	is_good = options->words.count < 2 || ask(&talk, arguments, sentence);
	if (is_good && options->awaited)
		is_good = wait_for_event(&talk, sentence);
	else if (is_good && options->must_print_events)
		is_good = follow_events(&talk, sentence);
	json_object_put(talk.event);
	pv_qmp_remote_close(talk.remote);
	return is_good;
}

static bool is_complete(const struct ctl_options *options, char sentence[static PV_SENTENCE_BYTES])
{
	unsigned int needed = options->awaited || options->must_print_events ? 1 : 2;

	if (options->words.count >= needed)
		return true;
	if (options->words.count == 0)
		return pv_sentence_wrong(sentence, "no socket given: paravane ctl SOCKET COMMAND");
	return pv_sentence_wrong(sentence, "no command given; query-commands lists those that the "
	                                   "server knows");
}

static bool control(struct ctl_options *options, char sentence[static PV_SENTENCE_BYTES])
{
	const char **words = options->words.text;
	unsigned int count = options->words.count;
	struct json_object *arguments;
	bool is_good;

	if (!is_complete(options, sentence))
		return false;
	arguments = pv_qmp_arguments(words + 2, count > 2 ? count - 2 : 0, sentence);
	if (!arguments)
		return false;
	is_good = talk_to(options, arguments, sentence);
	json_object_put(arguments);
	return is_good;
}

int pv_cli_ctl(int argc, char **argv)
{
	struct ctl_options options = { .timeout_s = 10 };
	void *const values[] = { &options };
	char sentence[PV_SENTENCE_BYTES];
	int status;

	if (!pv_cli_take(&command, values, argc, argv, &status))
		return status;
	return control(&options, sentence) ? EXIT_SUCCESS : pv_cli_fail(&command, sentence);
}
