/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of options that are lists of keys and values, as QEMU's users know them. */
#include <string.h>

#include "hosted/control/options_internal.h"

/* Cuts the next item off; two commas are one that belongs to it. NULL at the end. */
static char *next_item(char **rest)
{
	char *item = *rest, *from = *rest, *to = *rest;

	if (!item)
		return NULL;
	while (*from && (*from != ',' || from[1] == ',')) {
		from += from[0] == ',' && from[1] == ',';
		*to++ = *from++;
	}
	*rest = *from ? from + 1 : NULL;
	*to = '\0';
	return item;
}

static bool unknown(const char *option, const struct pv_option *table, const char *key,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_nearest nearest = { .word = key };

	for (const struct pv_option *o = table; o->name; o++)
		pv_nearest_offer(&nearest, o->name);
	if (nearest.best)
		return pv_sentence_wrong(sentence,
		                         "option '--%s': unknown key '%.64s'; did you mean '%s'?",
		                         option, key, nearest.best);
	return pv_sentence_wrong(
		sentence, "option '--%s': unknown key '%.64s'; --help lists them all", option, key);
}

static bool set_flag(const char *label, void *to, const char *value,
                     char sentence[static PV_SENTENCE_BYTES])
{
	*(bool *)to = !value || strcmp(value, "on") == 0;
	return !value || *(bool *)to || strcmp(value, "off") == 0 ||
	       pv_sentence_wrong(sentence, "%s is on or off, not '%.64s'", label, value);
}

static bool set_key(const char *option, const struct pv_option *table, void *values,
                    const struct pv_option *o, const char *value, uint64_t *given,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_option_found found;
	char label[96];

	snprintf(label, sizeof(label), "option '--%s': '%s'", option, o->name);
	if (*given & UINT64_C(1) << (o - table))
		return pv_sentence_wrong(sentence, "%s is given twice", label);
	*given |= UINT64_C(1) << (o - table);
	found = (struct pv_option_found){ .option = o, .to = (char *)values + o->offset };
	if (o->type == PV_OPTION_FLAG)
		return set_flag(label, found.to, value, sentence);
	if (!value || !*value)
		return pv_sentence_wrong(sentence, "%s needs a value: %s=%s", label, o->name,
		                         o->argument);
	return pv_option_set(&found, label, value, sentence);
}

static bool set_item(const char *option, const struct pv_option *table, void *values, char *item,
                     uint64_t *given, char sentence[static PV_SENTENCE_BYTES])
{
	char *equals = strchr(item, '=');
	const struct pv_option *o = table;

	if (equals)
		*equals = '\0';
	while (o->name && strcmp(o->name, item) != 0)
		o++;
	if (!o->name)
		return unknown(option, table, item, sentence);
	return set_key(option, table, values, o, equals ? equals + 1 : NULL, given, sentence);
}

static bool set_items(const char *option, const struct pv_option *table, void *values, char *text,
                      uint64_t *given, char sentence[static PV_SENTENCE_BYTES])
{
	char *item;

	while ((item = next_item(&text)))
		if (!set_item(option, table, values, item, given, sentence))
			return false;
	return true;
}

bool pv_options_parse_keys(const char *option, const struct pv_option *table, void *values,
                           char *text, char sentence[static PV_SENTENCE_BYTES])
{
	uint64_t given = 0;

	return set_items(option, table, values, text, &given, sentence);
}

bool pv_options_parse_value_and_keys(const char *option, const struct pv_option *table,
                                     void *values, char *text,
                                     char sentence[static PV_SENTENCE_BYTES])
{
	size_t first = strcspn(text, ",");
	uint64_t given = 0;
	char *item;

	if (memchr(text, '=', first))
		return set_items(option, table, values, text, &given, sentence);
	item = next_item(&text);
	return set_key(option, table, values, table, item, &given, sentence) &&
	       set_items(option, table, values, text, &given, sentence);
}
