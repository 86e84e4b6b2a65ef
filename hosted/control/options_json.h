/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options out of a file of JSON: an object's keys are the names in the tables of options.h, without
 * dashes, and its values what a command line would have: true or false for a flag, a text for
 * a text or one of several words, a number or a text for the rest (512M needs quotes), and for a
 * list of numbers an array too.  Whatever a table gets is known here as well.
 */
#ifndef PV_HOSTED_OPTIONS_JSON_H
#define PV_HOSTED_OPTIONS_JSON_H

#include <json-c/json_object.h>

#include "hosted/control/options.h"

#define PV_JSON_FILE_BYTES (1u << 20)
#define PV_JSON_FILE_DEPTH 16

/*
 * Reads a file that holds one object, of at most PV_JSON_FILE_BYTES. Returns it, to be released
 * with json_object_put(); or NULL and a sentence that names `option`, the file and the place.
 */
struct json_object *pv_json_file_read(const char *option, const char *path,
                                      char sentence[static PV_SENTENCE_BYTES]);

struct pv_json_form {
	const struct pv_option_group *const *groups; /* ended by NULL */
	void *const *values;                         /* the structure that each goes to */
	const char *other; /* a key that is no option and is left to the caller; or NULL */
};

/*
 * Takes in an object; what it does not have keeps its value. Texts point into it. Returns false
 * with a sentence, which names the key.
 */
bool pv_options_parse_json(const struct pv_json_form *form, struct json_object *object,
                           char sentence[static PV_SENTENCE_BYTES]);

#endif
