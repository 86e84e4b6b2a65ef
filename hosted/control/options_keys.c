/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of options that are lists of keys and values, as QEMU's users know them. */
#include <string.h>

#include "hosted/control/options_internal.h"
#include "ring/err.h"

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

/* What has been read so far. */
struct reading {
	const char *option;
	const struct pv_option *table;
	void *values;
	bool is_given[PV_OPTION_KEYS_MAX];
};

/* A path alone, where the first key takes one. */
static bool is_path(const struct reading *reading, const char *item, const char *near)
{
	const struct pv_option *first = reading->table;

	return first->argument && strcmp(first->argument, "PATH") == 0 && !reading->is_given[0] &&
	       *item && (!near || strpbrk(item, "/."));
}

static bool unknown(const struct reading *reading, const char *key, bool has_value,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_nearest nearest = { .word = key };

	for (const struct pv_option *o = reading->table; o->name; o++)
		pv_nearest_offer(&nearest, o->name);
	if (!has_value && is_path(reading, key, nearest.best))
		return pv_sentence_wrong(sentence,
		                         "option '--%s': unknown key '%.64s'; write %s=%.64s",
		                         reading->option, key, reading->table->name, key);
	if (nearest.best)
		return pv_sentence_wrong(sentence,
		                         "option '--%s': unknown key '%.64s'; did you mean '%s'?",
		                         reading->option, key, nearest.best);
	return pv_sentence_wrong(sentence,
	                         "option '--%s': unknown key '%.64s'; --help lists them all",
	                         reading->option, key);
}

static bool set_flag(const char *label, void *to, const char *value,
                     char sentence[static PV_SENTENCE_BYTES])
{
	*(bool *)to = !value || strcmp(value, "on") == 0;
	return !value || *(bool *)to || strcmp(value, "off") == 0 ||
	       pv_sentence_wrong(sentence, "%s is on or off, not '%.64s'", label, value);
}

/* Its argument is written [=NAME]: it may be left out, and is empty then. */
static bool may_stand_alone(const struct pv_option *o)
{
	return o->type == PV_OPTION_TEXT && strncmp(o->argument, "[=", 2) == 0;
}

static bool set_key(struct reading *reading, const struct pv_option *o, const char *value,
                    char sentence[static PV_SENTENCE_BYTES])
{
	bool *is_given = &reading->is_given[o - reading->table];
	struct pv_option_found found;
	char label[96];

	snprintf(label, sizeof(label), "option '--%s': '%s'", reading->option, o->name);
	if (*is_given && o->type != PV_OPTION_TEXTS)
		return pv_sentence_wrong(sentence, "%s is given twice", label);
	*is_given = true;
	found = (struct pv_option_found){ .option = o, .to = (char *)reading->values + o->offset };
	if (o->type == PV_OPTION_FLAG)
		return set_flag(label, found.to, value, sentence);
	if (!value && may_stand_alone(o))
		value = "";
	else if (!value || !*value)
		return pv_sentence_wrong(sentence, "%s needs a value: %s=%s", label, o->name,
		                         o->argument);
	return pv_option_set(&found, label, value, sentence);
}

static bool set_item(struct reading *reading, char *item, char sentence[static PV_SENTENCE_BYTES])
{
	char *equals = strchr(item, '=');
	const struct pv_option *o = reading->table;

	if (equals)
		*equals = '\0';
	while (o->name && strcmp(o->name, item) != 0)
		o++;
	if (!o->name)
		return unknown(reading, item, equals, sentence);
	pv_bug_on(o - reading->table >= PV_OPTION_KEYS_MAX);
	return set_key(reading, o, equals ? equals + 1 : NULL, sentence);
}

static bool set_items(struct reading *reading, char *text, char sentence[static PV_SENTENCE_BYTES])
{
	char *item;

	while ((item = next_item(&text)))
		if (!set_item(reading, item, sentence))
			return false;
	return true;
}

bool pv_options_parse_keys(const char *option, const struct pv_option *table, void *values,
                           char *text, char sentence[static PV_SENTENCE_BYTES])
{
	struct reading reading = { .option = option, .table = table, .values = values };

	return set_items(&reading, text, sentence);
}

void pv_options_add_keys(struct pv_option table[static PV_OPTION_KEYS_MAX], unsigned int *count,
                         const struct pv_option *keys)
{
	for (; keys && keys->name && *count < PV_OPTION_KEYS_MAX - 1; keys++)
		table[(*count)++] = *keys;
	table[*count] = (struct pv_option){ 0 };
}

bool pv_options_parse_switch_and_keys(const char *option, const struct pv_option *table,
                                      void *values, bool *is_on, char *text,
                                      char sentence[static PV_SENTENCE_BYTES])
{
	char *keys = strchr(text, ',');

	if (keys)
		*keys++ = '\0';
	*is_on = strcmp(text, "on") == 0;
	if (!*is_on && strcmp(text, "off") != 0)
		return pv_sentence_wrong(
			sentence, "option '--%s' begins with on or off, not '%.64s'", option, text);
	if (!*is_on && keys)
		return pv_sentence_wrong(sentence,
		                         "option '--%s': nothing goes with off; say on,%.64s",
		                         option, keys);
	return !keys || pv_options_parse_keys(option, table, values, keys, sentence);
}

bool pv_options_parse_value_and_keys(const char *option, const struct pv_option *table,
                                     void *values, char *text,
                                     char sentence[static PV_SENTENCE_BYTES])
{
	struct reading reading = { .option = option, .table = table, .values = values };
	size_t first = strcspn(text, ",");
	char *item;

	if (memchr(text, '=', first))
		return set_items(&reading, text, sentence);
	item = next_item(&text);
	return set_key(&reading, table, item, sentence) && set_items(&reading, text, sentence);
}
