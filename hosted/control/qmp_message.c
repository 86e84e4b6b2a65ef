/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/qmp_message.h"

#include <string.h>

#include <json-c/linkhash.h>

#include "hosted/control/qmp.h"

struct json_tokener *pv_qmp_tokener_create(void)
{
	struct json_tokener *tokener = json_tokener_new_ex((int)PV_QMP_DEPTH);

	if (tokener)
		json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	return tokener;
}

/*
 * json-c lets through numbers that are none (NaN, Infinity, 1.), and writes them out again as they
 * came in.
 */
static bool is_number(const char *text)
{
	const char *point = strchr(text, '.');

	return !strpbrk(text, "NnIi") && (!point || (point[1] >= '0' && point[1] <= '9'));
}

static bool is_proper(struct json_object *value)
{
	if (json_object_is_type(value, json_type_double))
		return is_number(json_object_get_string(value));
	if (json_object_is_type(value, json_type_array))
		for (size_t i = 0; i < json_object_array_length(value); i++)
			if (!is_proper(json_object_array_get_idx(value, i)))
				return false;
	if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, name, member)
		{
			(void)name;
			if (!is_proper(member))
				return false;
		}
	}
	return true;
}

/* By the NUL behind the text the tokener knows where a number ends, and that no more will come. */
bool pv_qmp_parse(struct json_tokener *tokener, const char *text, size_t bytes,
                  struct json_object **value, const char **fault)
{
	enum json_tokener_error error;

	json_tokener_reset(tokener);
	*value = json_tokener_parse_ex(tokener, text, (int)bytes + 1);
	error = json_tokener_get_error(tokener);
	if (error != json_tokener_success)
		*fault = json_tokener_error_desc(error);
	else if (!is_proper(*value))
		*fault = "a number is none";
	else
		return true;
	json_object_put(*value);
	return false;
}
