/* SPDX-License-Identifier: BSD-2-Clause */
/* Parsing of command lines. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hosted/control/options.h"
#include "ring/err.h"

struct parser {
	const struct pv_command_line *command;
	void *const *values;
	int argc;
	char *const *argv;
	int at;
	uint64_t given; /* a bit for each option */
	char *sentence;
};

/* An option that was found: where it stands, and the structure it goes to. */
struct found {
	const struct pv_option *option;
	unsigned int number; /* counted through all groups */
	void *to;            /* its field */
};

static bool is_named(const char *name, const char *word, size_t chars)
{
	return strlen(name) == chars && memcmp(name, word, chars) == 0;
}

static bool find(const struct parser *parser, const char *word, size_t chars, struct found *found)
{
	const struct pv_option_group *const *group = parser->command->groups;

	*found = (struct found){ 0 };
	for (size_t i = 0; group[i]; i++) {
		for (const struct pv_option *o = group[i]->options; o->name; o++) {
			if (is_named(o->name, word, chars)) {
				found->option = o;
				found->to = (char *)parser->values[i] + o->offset;
				return true;
			}
			found->number++;
		}
	}
	return false;
}

static bool unknown(struct parser *parser, const char *dashed, const char *word, size_t chars)
{
	char copy[64];
	struct pv_nearest nearest = { .word = copy };
	int dashed_chars = (int)(word + chars - dashed);

	snprintf(copy, sizeof(copy), "%.*s", (int)chars, word);
	for (const struct pv_option_group *const *g = parser->command->groups; *g; g++)
		for (const struct pv_option *o = (*g)->options; o->name; o++)
			pv_nearest_offer(&nearest, o->name);
	pv_nearest_offer(&nearest, "help");
	if (nearest.best)
		return pv_sentence_wrong(parser->sentence,
		                         "unknown option '%.*s'; did you mean '--%s'?",
		                         dashed_chars, dashed, nearest.best);
	return pv_sentence_wrong(parser->sentence, "unknown option '%.*s'; --help lists them all",
	                         dashed_chars, dashed);
}

static bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

bool pv_size_parse(const char *text, uint64_t *bytes)
{
	static const char suffix[] = "kmgt";
	char *end;
	unsigned int shift = 0;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (unsigned int i = 0; *end && suffix[i]; i++)
		if ((*end | 0x20) == suffix[i])
			shift = 10 * (i + 1);
	if (shift) {
		end++;
		if (strcasecmp(end, "ib") == 0)
			end += 2;
	}
	if (*end || *bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

const char *pv_size_text(uint64_t bytes, char text[static PV_SIZE_TEXT_BYTES])
{
	static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int i = 0;

	if (bytes < 1024 || bytes % 512) {
		snprintf(text, PV_SIZE_TEXT_BYTES, "%llu bytes", (unsigned long long)bytes);
		return text;
	}
	while (i < 5 && bytes >> (10 * (i + 2)))
		i++;
	snprintf(text, PV_SIZE_TEXT_BYTES, "%.4g %s",
	         (double)bytes / (double)(1ull << (10 * (i + 1))), unit[i]);
	return text;
}

static bool set_number(struct parser *parser, const struct found *found, const char *text)
{
	const struct pv_option *o = found->option;
	uint64_t number;

	if (!parse_number(text, &number) || number < o->min || number > o->max)
		return pv_sentence_wrong(parser->sentence,
		                         "option '--%s' takes a number from %llu to %llu, not '%s'",
		                         o->name, (unsigned long long)o->min,
		                         (unsigned long long)o->max, text);
	*(uint64_t *)found->to = number;
	return true;
}

static bool set_size(struct parser *parser, const struct found *found, const char *text)
{
	const struct pv_option *o = found->option;
	char min[PV_SIZE_TEXT_BYTES], max[PV_SIZE_TEXT_BYTES];
	uint64_t bytes;

	if (!pv_size_parse(text, &bytes))
		return pv_sentence_wrong(
			parser->sentence,
			"option '--%s' takes a size such as 4096, 4k, 512M or 1GiB, not '%s'",
			o->name, text);
	if (bytes < o->min || bytes > o->max)
		return pv_sentence_wrong(parser->sentence,
		                         "option '--%s' takes a size from %s to %s, not '%s'",
		                         o->name, pv_size_text(o->min, min),
		                         pv_size_text(o->max, max), text);
	*(uint64_t *)found->to = bytes;
	return true;
}

static bool set_choice(struct parser *parser, const struct found *found, const char *text)
{
	const struct pv_option *o = found->option;
	char list[128] = "";

	for (unsigned int i = 0; o->choices[i]; i++) {
		size_t used = strlen(list);

		if (strcmp(o->choices[i], text) == 0) {
			*(unsigned int *)found->to = i;
			return true;
		}
		snprintf(list + used, sizeof(list) - used, "%s%s",
		         i == 0              ? ""
		         : o->choices[i + 1] ? ", "
		                             : " or ",
		         o->choices[i]);
	}
	return pv_sentence_wrong(parser->sentence, "option '--%s' takes %s, not '%s'", o->name,
	                         list, text);
}

static bool set_fd(struct parser *parser, const struct found *found, const char *text)
{
	uint64_t number;

	if (!parse_number(text, &number) || number > INT32_MAX)
		return pv_sentence_wrong(
			parser->sentence,
			"option '--%s' takes the number of an open descriptor, not '%s'",
			found->option->name, text);
	if (fcntl((int)number, F_GETFD) < 0)
		return pv_sentence_wrong(
			parser->sentence,
			"option '--%s': descriptor %s is not open; whoever starts this program "
			"must pass it",
			found->option->name, text);
	*(int *)found->to = (int)number;
	return true;
}

static bool set(struct parser *parser, const struct found *found, const char *text)
{
	switch (found->option->type) {
	case PV_OPTION_FLAG:
		*(bool *)found->to = true;
		return true;
	case PV_OPTION_TEXT:
		*(const char **)found->to = text;
		return true;
	case PV_OPTION_NUMBER:
		return set_number(parser, found, text);
	case PV_OPTION_SIZE:
		return set_size(parser, found, text);
	case PV_OPTION_CHOICE:
		return set_choice(parser, found, text);
	case PV_OPTION_FD:
		return set_fd(parser, found, text);
	}
	return false;
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

static bool take(struct parser *parser)
{
	const char *dashed = parser->argv[parser->at];
	const char *word = dashed + (dashed[0] == '-') + (dashed[0] == '-' && dashed[1] == '-');
	const char *equals = strchr(word, '=');
	size_t chars = equals ? (size_t)(equals - word) : strlen(word);
	struct found found;
	const char *text;

	if (word == dashed)
		return pv_sentence_wrong(parser->sentence,
		                         "unexpected argument '%s'; options begin with '--'",
		                         dashed);
	if (word - dashed != 2 || !find(parser, word, chars, &found))
		return unknown(parser, dashed, word, chars);
	pv_bug_on(found.number >= PV_OPTIONS_MAX);
	if (parser->given & UINT64_C(1) << found.number)
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
