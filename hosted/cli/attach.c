/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane attach: a terminal for a serial port. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "hosted/cli/attach.h"
#include "hosted/cli/cli.h"
#include "hosted/cli/command.h"
#include "hosted/control/options.h"

#define LINGER_S_MAX 1000000u

struct attach_options {
	struct pv_option_texts words; /* socket, port */
	const char *escape;
	uint64_t linger_s;
	bool is_not_raw;
};

#define ATTACH struct attach_options
static const struct pv_option attach_options[] = {
	{ "escape", "KEY",
	  "the key that ends it: ^X for Ctrl-X, a character, or none (default ^], Ctrl-])",
	  PV_OPTION_TEXT_AT(ATTACH, escape) },
	{ "linger", "SECONDS",
	  "once the input has ended, end when nothing has come for so long "
	  "(default: when the other end hangs up)",
	  PV_OPTION_NUMBER_AT(ATTACH, linger_s, 0, LINGER_S_MAX) },
	{ "no-raw", NULL, "leave the terminal as it is: lines are sent when they are complete",
	  PV_OPTION_FLAG_AT(ATTACH, is_not_raw) },
	{ 0 },
};

static const struct pv_option attach_words = { "words", NULL, NULL,
	                                       PV_OPTION_TEXTS_AT(ATTACH, words) };

static const struct pv_option_group attach_option_group = { "Terminal", attach_options };

static const struct pv_option_group *const groups[] = {
	&attach_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane attach",
	.usage = "SOCKET [PORT] [OPTION]...",
	.summary = "Connects this terminal to a serial port. With a PORT, SOCKET is the control "
		   "socket of a running program, Paravane's or QEMU's, which knows where the port "
		   "is and is told the size of the terminal; without, it is the port's own socket "
		   "or pseudo terminal. Input and output may be pipes as well.",
	.groups = groups,
	.words = &attach_words,
};

/* As terminals show such keys. */
static bool parse_escape(const char *text, int *key, char sentence[static PV_SENTENCE_BYTES])
{
	if (strcmp(text, "none") == 0) {
		*key = PV_ATTACH_NO_ESCAPE;
		return true;
	}
	if (text[0] && !text[1]) {
		*key = (unsigned char)text[0];
		return true;
	}
	if (text[0] == '^' && text[1] && !text[2] && toupper(text[1]) >= '@' &&
	    toupper(text[1]) <= '_') {
		*key = toupper(text[1]) & 0x1f;
		return true;
	}
	return pv_sentence_wrong(sentence,
	                         "option '--escape' takes ^X for Ctrl-X, a character, or none, "
	                         "not '%.32s'",
	                         text);
}

static void greet(const struct attach_options *options, const struct pv_attach_session *session)
{
	if (!session->is_raw || !isatty(STDIN_FILENO))
		return;
	if (session->escape == PV_ATTACH_NO_ESCAPE)
		fprintf(stderr, "%s: this is %s\n", command.name, session->place->path);
	else
		fprintf(stderr, "%s: this is %s; %s ends it\n", command.name, session->place->path,
		        options->escape);
}

static bool attach(const struct attach_options *options, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_attach_place place;
	struct pv_attach_session session = {
		.place = &place,
		.is_raw = !options->is_not_raw,
		.linger_s = options->linger_s == PV_OPTION_UNSET ? PV_ATTACH_FOREVER
		                                                 : (int)options->linger_s,
	};
	const struct pv_option_texts *words = &options->words;
	bool is_good;

	if (words->count == 0 || words->count > 2)
		return pv_sentence_wrong(sentence, "%s: paravane attach SOCKET [PORT]",
		                         words->count ? "too many words" : "no socket given");
	if (!parse_escape(options->escape, &session.escape, sentence))
		return false;
	session.fd = pv_attach_connect(&place, words->text[0],
	                               words->count == 2 ? words->text[1] : NULL, sentence);
	if (session.fd < 0)
		return false;
	greet(options, &session);
	is_good = pv_attach_run(&session, sentence);
	close(session.fd);
	return is_good;
}

int pv_cli_attach(int argc, char **argv)
{
	struct attach_options options = { .escape = "^]", .linger_s = PV_OPTION_UNSET };
	void *const values[] = { &options };
	char sentence[PV_SENTENCE_BYTES];
	int status;

	if (!pv_cli_take(&command, values, argc, argv, &status))
		return status;
	return attach(&options, sentence) ? EXIT_SUCCESS : pv_cli_fail(&command, sentence);
}
