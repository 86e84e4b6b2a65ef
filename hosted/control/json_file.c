/* SPDX-License-Identifier: BSD-2-Clause */
/* A file of JSON, read whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_tokener.h>

#include "hosted/control/options_internal.h"
#include "hosted/control/options_json.h"

struct text {
	const char *option;
	const char *path;
	char *start;
	size_t bytes;
};

/* What else is as large has been taken for the file by mistake: an image, say. */
static bool begins_an_object(const struct text *text)
{
	return text->start[strspn(text->start, " \t\r\n")] == '{';
}

static bool read_all(struct text *text, char sentence[static PV_SENTENCE_BYTES])
{
	FILE *file = fopen(text->path, "re");
	int error = errno;

	if (file) {
		text->bytes = fread(text->start, 1, PV_JSON_FILE_BYTES + 1, file);
		error = ferror(file) ? errno : 0;
		fclose(file);
	}
	if (!file || error)
		return pv_sentence_wrong(sentence, "option '%s': cannot read %s: %s", text->option,
		                         text->path, strerror(error));
	if (text->bytes > PV_JSON_FILE_BYTES)
		return pv_sentence_wrong(sentence, "option '%s': %s is larger than %u bytes; %s",
		                         text->option, text->path, PV_JSON_FILE_BYTES,
		                         begins_an_object(text) ? "split it"
		                                                : "give a file of JSON");
	return true;
}

/* Something about a place in the text. */
struct fault {
	size_t offset;
	const char *what;
	const char *why;
};

static bool wrong_at(const struct text *text, const struct fault *fault,
                     char sentence[static PV_SENTENCE_BYTES])
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < fault->offset && i < text->bytes; i++) {
		column++;
		if (text->start[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return pv_sentence_wrong(sentence, "option '%s': %s %s at line %zu, column %zu: %s",
	                         text->option, text->path, fault->what, line, column, fault->why);
}

/*
 * The NUL behind the text ends a number, and shows the tokener that no more will come; one within
 * the text does so too early.
 */
static bool parse(const struct text *text, struct json_tokener *tokener,
                  struct json_object **object, char sentence[static PV_SENTENCE_BYTES])
{
	struct fault fault = { .what = "is no JSON", .why = "it ends too early" };
	enum json_tokener_error error;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*object = json_tokener_parse_ex(tokener, text->start, (int)text->bytes + 1);
	error = json_tokener_get_error(tokener);
	fault.offset = json_tokener_get_parse_end(tokener);
	if (error == json_tokener_success && fault.offset >= text->bytes)
		return true;
	if (error == json_tokener_success)
		fault.why = "nothing may come behind the object";
	else if (fault.offset < text->bytes)
		fault.why = json_tokener_error_desc(error);
	return wrong_at(text, &fault, sentence);
}

static bool is_fit(const struct text *text, struct json_object *object,
                   char sentence[static PV_SENTENCE_BYTES])
{
	const char *quote = pv_json_single_quote(text->start);
	const char *twice = quote ? NULL : pv_json_key_twice(text->start);
	struct fault fault = { .what = "is no JSON", .why = "a key stands in double quotes" };

	if (!json_object_is_type(object, json_type_object))
		return pv_sentence_wrong(
			sentence,
			"option '%s': %s holds no object; put { before it and } behind it",
			text->option, text->path);
	if (!quote && !twice)
		return true;
	if (twice)
		fault = (struct fault){ .what = "has a key again", .why = "leave one of them out" };
	fault.offset = (size_t)((quote ? quote : twice) - text->start);
	return wrong_at(text, &fault, sentence);
}

struct json_object *pv_json_file_read(const char *option, const char *path,
                                      char sentence[static PV_SENTENCE_BYTES])
{
	struct text text = { option, path, calloc(1, PV_JSON_FILE_BYTES + 2), 0 };
	struct json_tokener *tokener = json_tokener_new_ex(PV_JSON_FILE_DEPTH);
	struct json_object *object = NULL;
	bool is_good;

	if (!text.start || !tokener)
		is_good = pv_sentence_wrong(sentence, "option '%s': %s", option, strerror(ENOMEM));
	else
		is_good = read_all(&text, sentence) && parse(&text, tokener, &object, sentence) &&
		          is_fit(&text, object, sentence);
	if (tokener)
		json_tokener_free(tokener);
	free(text.start);
	if (is_good)
		return object;
	json_object_put(object);
	return NULL;
}
