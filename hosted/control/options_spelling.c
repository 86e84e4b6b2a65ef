/* SPDX-License-Identifier: BSD-2-Clause */
/* Sentences about options, for a command where these options are keys of another one's value. */
#include <ctype.h>
#include <string.h>

#include "hosted/control/options.h"

#define QUOTED "option '--"

struct writing {
	const struct pv_option_spelling *spelling;
	char to[PV_SENTENCE_BYTES];
	size_t bytes;
};

static void add(struct writing *writing, const char *text, size_t chars)
{
	size_t room = sizeof(writing->to) - 1 - writing->bytes;

	chars = chars < room ? chars : room;
	memcpy(writing->to + writing->bytes, text, chars);
	writing->bytes += chars;
	writing->to[writing->bytes] = '\0';
}

static void add_text(struct writing *writing, const char *text)
{
	add(writing, text, strlen(text));
}

static bool is_name(const char *name, const char *text, size_t chars)
{
	return strlen(name) == chars && strncmp(name, text, chars) == 0;
}

/* NULL: this is no option that is a key, and stays as it is. */
static const char *key_of(const struct pv_option_spelling *spelling, const char *name, size_t chars)
{
	for (const struct pv_option_alias *a = spelling->aliases; a->key; a++)
		if (is_name(a->option, name, chars))
			return a->key;
	for (const struct pv_option *o = spelling->table; o->name; o++)
		if (is_name(o->name, name, chars))
			return o->name;
	return NULL;
}

static bool is_flag(const struct pv_option_spelling *spelling, const char *key)
{
	for (const struct pv_option *o = spelling->table; o->name; o++)
		if (strcmp(o->name, key) == 0)
			return o->type == PV_OPTION_FLAG;
	return false;
}

/* "option '--werror stop'": the word option is said once, in front of all. */
static size_t take_quoted(struct writing *writing, const char *from)
{
	const char *name = from + strlen(QUOTED);
	size_t chars = strcspn(name, " '");
	const char *key = key_of(writing->spelling, name, chars);

	if (!key)
		return 0;
	add_text(writing, "'");
	add_text(writing, key);
	if (name[chars] != ' ')
		return strlen(QUOTED) + chars;
	add_text(writing, "=");
	return strlen(QUOTED) + chars + 1;
}

/* "--blk-file /srv/disk" at the beginning, "--blk-file PATH" and "--blk-file" anywhere. */
static size_t take_bare(struct writing *writing, const char *from, bool is_first)
{
	const char *name = from + 2;
	size_t chars = strcspn(name, " ,;:");
	const char *key = key_of(writing->spelling, name, chars);
	const char *value = name[chars] == ' ' ? name + chars + 1 : NULL;

	if (!key)
		return 0;
	add_text(writing, key);
	if (is_flag(writing->spelling, key)) {
		add_text(writing, "=on");
		return 2 + chars;
	}
	if (!value ||
	    !(is_first || (isupper((unsigned char)value[0]) && isupper((unsigned char)value[1]))))
		return 2 + chars;
	add_text(writing, "=");
	return 2 + chars + 1;
}

bool pv_options_spell(const struct pv_option_spelling *spelling,
                      char sentence[static PV_SENTENCE_BYTES])
{
	struct writing writing = { .spelling = spelling };
	const char *from = sentence;

	while (*from) {
		bool is_first = from == sentence;
		bool begins = is_first || from[-1] == ' ';
		size_t taken = 0;

		if (begins && strncmp(from, QUOTED, strlen(QUOTED)) == 0)
			taken = take_quoted(&writing, from);
		else if (begins && strncmp(from, "--", 2) == 0)
			taken = take_bare(&writing, from, is_first);
		if (taken == 0)
			add(&writing, from, taken = 1);
		from += taken;
	}
	return pv_sentence_wrong(sentence, "option '--%s': %s", spelling->option, writing.to);
}
