/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing of command lines. */
#include <string.h>

#include "hosted/control/options_internal.h"

struct parser {
	const struct pv_command_line *command;
	void *const *values;
	int argc;
	char *const *argv;
	int at;
	uint64_t given; /* a bit for each option */
	char *sentence;
};

static bool unknown(struct parser *parser, const char *dashed, const char *word, size_t chars)
{
	char copy[64];
	struct pv_nearest nearest = { .word = copy };
	int dashed_chars = (int)(word + chars - dashed);

	snprintf(copy, sizeof(copy), "%.*s", (int)chars, word);
	pv_option_offer_all(parser->command->groups, &nearest);
	pv_nearest_offer(&nearest, "help");
	if (nearest.best)
		return pv_sentence_wrong(parser->sentence,
		                         "unknown option '%.*s'; did you mean '--%s'?",
		                         dashed_chars, dashed, nearest.best);
	return pv_sentence_wrong(parser->sentence, "unknown option '%.*s'; --help lists them all",
	                         dashed_chars, dashed);
}

static bool set(struct parser *parser, const struct pv_option_found *found, const char *text)
{
	char label[64];

	if (found->option->type == PV_OPTION_FLAG) {
		*(bool *)found->to = true;
		return true;
	}
	snprintf(label, sizeof(label), "option '--%s'", found->option->name);
	return pv_option_set(found, label, text, parser->sentence);
}

static bool take_value(struct parser *parser, const struct pv_option *o, const char *equals,
                       const char **text)
{
	*text = equals ? equals + 1 : NULL;
	if (o->type == PV_OPTION_FLAG)
		return !equals ||
		       pv_sentence_wrong(parser->sentence, "option '--%s' takes no value", o->name);
	if (!equals && parser->at + 1 < parser->argc)
		*text = parser->argv[++parser->at];
	/*
	 * An empty text is a variable that a script did not set, never a path or a name; and what
	 * follows a forgotten value is the next option.
	 */
	if (!*text || !**text || (!equals && strncmp(*text, "--", 2) == 0))
		return pv_sentence_wrong(parser->sentence, "option '--%s' needs a value: --%s %s",
		                         o->name, o->name, o->argument);
	return true;
}

static bool take_word(struct parser *parser, const char *word)
{
	const struct pv_option *words = parser->command->words;

	if (!words)
		return pv_sentence_wrong(parser->sentence,
		                         "unexpected argument '%s'; options begin with '--'", word);
	return pv_option_set(
		&(struct pv_option_found){ .option = words,
	                                   .to = (char *)parser->values[0] + words->offset },
		words->name, word, parser->sentence);
}

static bool take(struct parser *parser)
{
	const char *dashed = parser->argv[parser->at];
	const char *word = dashed + (dashed[0] == '-') + (dashed[0] == '-' && dashed[1] == '-');
	const char *equals = strchr(word, '=');
	size_t chars = equals ? (size_t)(equals - word) : strlen(word);
	struct pv_option_found found;
	const char *text;

	if (word == dashed)
		return take_word(parser, word);
	if (word - dashed != 2 ||
	    !pv_option_find(parser->command->groups, parser->values, word, chars, &found))
		return unknown(parser, dashed, word, chars);
	if (parser->given & UINT64_C(1) << found.number && found.option->type != PV_OPTION_TEXTS)
		return pv_sentence_wrong(parser->sentence, "option '--%s' is given twice",
		                         found.option->name);
	parser->given |= UINT64_C(1) << found.number;
	return take_value(parser, found.option, equals, &text) && set(parser, &found, text);
}

enum pv_options_outcome pv_options_parse(const struct pv_command_line *command, void *const *values,
                                         int argc, char *const *argv,
                                         char sentence[static PV_SENTENCE_BYTES])
{
	struct parser parser = { command, values, argc, argv, 1, 0, sentence };

	for (; parser.at < argc; parser.at++) {
		const char *word = argv[parser.at];

		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
			return PV_OPTIONS_HELP;
		if (!take(&parser))
			return PV_OPTIONS_WRONG;
	}
	return PV_OPTIONS_GOOD;
}

const char *pv_options_first_of(const struct pv_command_line *command,
                                const struct pv_option_group *group, int argc, char *const *argv)
{
	const struct pv_option_group *const alone[] = { group, NULL };

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i] + 2;
		size_t chars = strcspn(word, "=");
		struct pv_option_found found;

		if (pv_option_find(alone, NULL, word, chars, &found))
			return found.option->name;
		if (pv_option_find(command->groups, NULL, word, chars, &found) &&
		    found.option->type != PV_OPTION_FLAG && word[chars] != '=')
			i++;
	}
	return NULL;
}
