/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A command's arguments as words of a command line: KEY=VALUE each.
 *
 * A key with dots in it is the way into nested objects: a.b=1 is {"a": {"b": 1}}.  A value is taken
 * for what it looks like:
 *
 *     true, false, null    what JSON calls so
 *     42, -1, 20G, 4kiB    an integer that fits 64 bits, with a suffix as pv_size_parse() knows
 * them 1.5, 2e3             a number
 *     {...}, [...], "..."  the JSON that it is
 *     @42                  the text behind the @
 *     else                 a text
 *
 * A word that is a JSON object holds arguments too: for keys that have a dot in their name.
 */
#ifndef PV_HOSTED_QMP_ARGUMENTS_H
#define PV_HOSTED_QMP_ARGUMENTS_H

#include <json-c/json_object.h>

#include "hosted/control/sentence.h"

/*
 * Returns an object, the caller's to put, which is empty if there are no words; NULL with a
 * sentence.
 */
struct json_object *pv_qmp_arguments(const char *const *words, unsigned int count,
                                     char sentence[static PV_SENTENCE_BYTES]);

#endif
