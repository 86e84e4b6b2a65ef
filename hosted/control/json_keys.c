/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tokener says nothing about.  It keeps the last of the keys that an object has twice,
 * where an option may be given once; and it takes keys in single quotes.  Otherwise what is walked
 * through here is JSON, as it has found.
 */
#include <string.h>

#include "hosted/control/options_internal.h"

/* The keys of one object. One that has more has some that are no options, and is refused. */
struct keys {
	const char *start[PV_OPTIONS_MAX + 1];
	size_t bytes[PV_OPTIONS_MAX + 1];
	size_t count;
};

static bool has(const struct keys *keys, const char *start, size_t bytes)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->bytes[i] == bytes && memcmp(keys->start[i], start, bytes) == 0)
			return true;
	return false;
}

static void add(struct keys *keys, const char *start, size_t bytes)
{
	if (keys->count > PV_OPTIONS_MAX)
		return;
	keys->start[keys->count] = start;
	keys->bytes[keys->count++] = bytes;
}

static const char *past_spaces(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *past_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		at += *at == '\\' && at[1];
	return at + (*at == '"');
}

static const char *past_value(const char *at, const char **twice);

/* A value and the comma behind it, with all spaces. */
static const char *past_member(const char *at, const char **twice)
{
	at = past_spaces(past_value(past_spaces(at), twice));
	return past_spaces(at + (*at == ','));
}

static const char *past_object(const char *at, const char **twice)
{
	struct keys keys = { .count = 0 };

	at = past_spaces(at + 1);
	while (*at == '"') {
		const char *end = past_string(at);
		size_t bytes = (size_t)(end - at);

		if (!*twice && has(&keys, at, bytes))
			*twice = at;
		add(&keys, at, bytes);
		at = past_spaces(end);
		at = past_member(at + (*at == ':'), twice);
	}
	return at + (*at == '}');
}

static const char *past_array(const char *at, const char **twice)
{
	at = past_spaces(at + 1);
	/* At a brace, which is none of its values, it would stand for ever. */
	while (*at && *at != ']' && *at != '}')
		at = past_member(at, twice);
	return at + (*at == ']');
}

static const char *past_value(const char *at, const char **twice)
{
	switch (*at) {
	case '{':
		return past_object(at, twice);
	case '[':
		return past_array(at, twice);
	case '"':
		return past_string(at);
	default:
		return at + strcspn(at, ",]} \t\r\n");
	}
}

const char *pv_json_key_twice(const char *text)
{
	const char *twice = NULL;

	past_value(past_spaces(text), &twice);
	return twice;
}

const char *pv_json_single_quote(const char *text)
{
	while (*text && *text != '\'')
		text = *text == '"' ? past_string(text) : text + 1;
	return *text ? text : NULL;
}
