/* SPDX-License-Identifier: BSD-2-Clause */
/* Members of objects that are answers. */
#ifndef PV_HOSTED_JSON_ADD_H
#define PV_HOSTED_JSON_ADD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <json-c/json_object.h>

/*
 * Bytes as a text, the caller's: those that are no UTF-8, which JSON does not carry, become U+FFFD.
 * NULL: there is no memory.
 */
struct json_object *pv_json_text(const void *from, size_t bytes);

static inline void pv_json_add_text(struct json_object *to, const char *name, const char *text)
{
	json_object_object_add(to, name, pv_json_text(text, strlen(text)));
}

static inline void pv_json_add_bool(struct json_object *to, const char *name, bool value)
{
	json_object_object_add(to, name, json_object_new_boolean(value));
}

static inline void pv_json_add_number(struct json_object *to, const char *name, uint64_t number)
{
	json_object_object_add(to, name, json_object_new_uint64(number));
}

/* A text among arguments; NULL: it is not there. It lives as long as they do. */
static inline const char *pv_json_text_of(struct json_object *arguments, const char *name)
{
	struct json_object *text;

	return json_object_object_get_ex(arguments, name, &text) ? json_object_get_string(text)
	                                                         : NULL;
}

/* A number from 0 on, of an answer; false: it is not there, or is none. Of NULL and of what is no
 * object too. */
static inline bool pv_json_number_of(struct json_object *object, const char *name, uint64_t *number)
{
	struct json_object *value;

	/* json-c keeps what is above INT64_MAX. */
	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, name, &value) ||
	    !json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
		return false;
	*number = json_object_get_uint64(value);
	return true;
}

#endif
