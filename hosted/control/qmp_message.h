/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a text to its JSON, for both sides of a QMP connection, and for values that a user writes.
 */
#ifndef PV_HOSTED_QMP_MESSAGE_H
#define PV_HOSTED_QMP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>

/* Of at most PV_QMP_DEPTH levels. The caller's, to be freed; NULL: there is no memory. */
struct json_tokener *pv_qmp_tokener_create(void);

/*
 * Parses a text of `bytes` bytes, none of them a NUL, and a NUL behind them; all must be one value.
 * Returns true with `*value`, which is the caller's (NULL is JSON's null); or false with `*fault`,
 * the end of a sentence, valid until the tokener is used again.
 */
bool pv_qmp_parse(struct json_tokener *tokener, const char *text, size_t bytes,
                  struct json_object **value, const char **fault);

#endif
