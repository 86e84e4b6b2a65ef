/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects of JSON as options. */
#include <string.h>

#include <json-c/json_object_iterator.h>

#include "hosted/control/options_internal.h"
#include "hosted/control/options_json.h"

static bool unknown(const struct pv_json_form *form, const char *key,
                    char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_nearest nearest = { .word = key };

	pv_option_offer_all(form->groups, &nearest);
	if (form->other)
		pv_nearest_offer(&nearest, form->other);
	if (nearest.best)
		return pv_sentence_wrong(sentence, "unknown key '%.64s'; did you mean '%s'?", key,
		                         nearest.best);
	return pv_sentence_wrong(
		sentence, "unknown key '%.64s'; keys are the options of --help without dashes",
		key);
}

/* Writes an array as the command line has it. What is no number in it the option will refuse. */
static void join(struct json_object *array, char *to, size_t bytes)
{
	size_t used = 0;

	to[0] = '\0';
	for (size_t i = 0; i < json_object_array_length(array) && used < bytes; i++) {
		struct json_object *entry = json_object_array_get_idx(array, i);
		int chars = snprintf(to + used, bytes - used, "%s%s", i > 0 ? "," : "",
		                     json_object_to_json_string(entry));

		used += (size_t)chars;
	}
}

/* Room for a full list of numbers, and a little more, so that one too many is seen. */
#define LIST_BYTES (6 * (PV_OPTION_LIST_MAX + 1))

static bool set_from_array(const struct pv_option_found *found, const char *label,
                           struct json_object *array, char sentence[static PV_SENTENCE_BYTES])
{
	char text[LIST_BYTES];

	join(array, text, sizeof(text));
	return pv_option_set(found, label, text, sentence);
}

static bool set_flag(const struct pv_option_found *found, const char *label,
                     struct json_object *value, char sentence[static PV_SENTENCE_BYTES])
{
	if (!json_object_is_type(value, json_type_boolean))
		return pv_sentence_wrong(sentence, "%s takes true or false, not %.64s", label,
		                         json_object_to_json_string(value));
	*(bool *)found->to = json_object_get_boolean(value);
	return true;
}

static bool set_text(const struct pv_option_found *found, const char *label,
                     struct json_object *value, char sentence[static PV_SENTENCE_BYTES])
{
	const char *text = json_object_get_string(value);

	if (!*text)
		return pv_sentence_wrong(sentence, "%s needs a value; leave the key out for none",
		                         label);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return pv_sentence_wrong(sentence, "%s has a NUL in its text; take it out", label);
	return pv_option_set(found, label, text, sentence);
}

static bool set(const struct pv_option_found *found, struct json_object *value,
                char sentence[static PV_SENTENCE_BYTES])
{
	enum pv_option_type type = found->option->type;
	char label[64];

	snprintf(label, sizeof(label), "key '%s'", found->option->name);
	if (type == PV_OPTION_FLAG)
		return set_flag(found, label, value, sentence);
	if (json_object_is_type(value, json_type_string))
		return set_text(found, label, value, sentence);
	if (type == PV_OPTION_TEXT)
		return pv_sentence_wrong(sentence, "%s takes a text in quotes, not %.64s", label,
		                         json_object_to_json_string(value));
	if (type == PV_OPTION_LIST && json_object_is_type(value, json_type_array))
		return set_from_array(found, label, value, sentence);
	return pv_option_set(found, label, json_object_to_json_string(value), sentence);
}

bool pv_options_parse_json(const struct pv_json_form *form, struct json_object *object,
                           char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object_iterator at = json_object_iter_begin(object);
	struct json_object_iterator end = json_object_iter_end(object);

	for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
		const char *key = json_object_iter_peek_name(&at);
		struct pv_option_found found;

		if (form->other && strcmp(key, form->other) == 0)
			continue;
		if (!pv_option_find(form->groups, form->values, key, strlen(key), &found))
			return unknown(form, key, sentence);
		if (!set(&found, json_object_iter_peek_value(&at), sentence))
			return false;
	}
	return true;
}
