/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/qmp_arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/linkhash.h>

#include "hosted/control/options.h"
#include "hosted/control/qmp_message.h"

/* ---- values ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* As JSON writes them: what begins with another zero is somebody's name for something. */
static bool may_be_number(const char *text)
{
	text += *text == '-';
	return is_digit(text[0]) && (text[0] != '0' || !is_digit(text[1]));
}

static bool parse_json(const char *text, struct json_object **value, const char **fault)
{
	struct json_tokener *tokener = pv_qmp_tokener_create();
	bool is_good;

	*fault = strerror(ENOMEM);
	if (!tokener)
		return false;
	is_good = pv_qmp_parse(tokener, text, strlen(text), value, fault);
	json_tokener_free(tokener);
	return is_good;
}

/* json-c makes of an integer that does not fit 64 bits the next one that does. */
static bool is_json_number(const char *text, struct json_object **value)
{
	const char *fault;

	if (!may_be_number(text) || !parse_json(text, value, &fault))
		return false;
	if (strcmp(json_object_get_string(*value), text) == 0)
		return true;
	json_object_put(*value);
	return false;
}

static bool is_word(const char *text, struct json_object **value)
{
	bool is_true = strcmp(text, "true") == 0;

	*value = NULL;
	if (strcmp(text, "null") == 0)
		return true;
	if (!is_true && strcmp(text, "false") != 0)
		return false;
	*value = json_object_new_boolean(is_true);
	return true;
}

static bool is_structure(const char *text)
{
	return *text == '{' || *text == '[' || *text == '"';
}

static bool parse_value(const char *key, const char *text, struct json_object **value,
                        char sentence[static PV_SENTENCE_BYTES])
{
	const char *fault;
	uint64_t number;

	if (is_structure(text))
		return parse_json(text, value, &fault) ||
		       pv_sentence_wrong(sentence,
		                         "argument '%.64s' is no JSON: %s; a text that begins like "
		                         "JSON is written %.64s=@TEXT",
		                         key, fault, key);
	if (is_word(text, value) || is_json_number(text, value))
		return true;
	if (may_be_number(text) && pv_size_parse(text, &number))
		*value = json_object_new_uint64(number);
	else
		*value = json_object_new_string(text + (*text == '@'));
	return true;
}

/* ---- keys ---- */

/* Takes over `value`, whether it finds its place or not. */
static bool put(struct json_object *into, const char *key, struct json_object *value,
                char sentence[static PV_SENTENCE_BYTES])
{
	if (*key && !json_object_object_get_ex(into, key, NULL))
		return json_object_object_add(into, key, value) == 0;
	json_object_put(value);
	return *key ? pv_sentence_wrong(sentence, "argument '%.64s' is given twice", key)
	            : pv_sentence_wrong(sentence,
	                                "an argument has no name; write it as KEY=VALUE, and with "
	                                "dots only between keys");
}

/* The object of that name, which is made if it is not there. */
static struct json_object *enter(struct json_object *into, const char *key,
                                 char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *inner;

	if (!json_object_object_get_ex(into, key, &inner)) {
		inner = json_object_new_object();
		return put(into, key, inner, sentence) ? inner : NULL;
	}
	if (json_object_is_type(inner, json_type_object))
		return inner;
	pv_sentence_wrong(sentence, "argument '%.64s' is given a value, and keys within it", key);
	return NULL;
}

/* `path` is changed. Takes over `value`. */
static bool put_along(struct json_object *into, char *path, struct json_object *value,
                      char sentence[static PV_SENTENCE_BYTES])
{
	char *key = strsep(&path, ".");

	for (; path; key = strsep(&path, ".")) {
		into = enter(into, key, sentence);
		if (!into) {
			json_object_put(value);
			return false;
		}
	}
	return put(into, key, value, sentence);
}

static bool add_pair(struct json_object *into, const char *word,
                     char sentence[static PV_SENTENCE_BYTES])
{
	char *path = strdup(word), *equals = path ? strchr(path, '=') : NULL;
	struct json_object *value;
	bool is_good;

	if (!equals) {
		free(path);
		return pv_sentence_wrong(sentence, "argument '%.64s' has no value: write KEY=VALUE",
		                         word);
	}
	*equals = '\0';
	is_good = parse_value(path, equals + 1, &value, sentence) &&
	          put_along(into, path, value, sentence);
	free(path);
	return is_good;
}

static bool add_object(struct json_object *into, const char *word,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *object;
	const char *fault;
	bool is_good = true;

	if (!parse_json(word, &object, &fault))
		return pv_sentence_wrong(sentence, "argument '%.64s' is no JSON: %s", word, fault);
	json_object_object_foreach(object, key, value)
	{
		is_good = is_good && put(into, key, json_object_get(value), sentence);
	}
	json_object_put(object);
	return is_good;
}

struct json_object *pv_qmp_arguments(const char *const *words, unsigned int count,
                                     char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *arguments = json_object_new_object();
	bool is_good = true;

	for (unsigned int i = 0; is_good && i < count; i++)
		is_good = *words[i] == '{' ? add_object(arguments, words[i], sentence)
		                           : add_pair(arguments, words[i], sentence);
	if (is_good)
		return arguments;
	json_object_put(arguments);
	return NULL;
}
