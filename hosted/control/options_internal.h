/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the options: options.c reads command lines, json_file.c a file and options_json.c
 * its objects, options_value.c turns a text into an option's value, for both of them.
 */
#ifndef PV_HOSTED_OPTIONS_INTERNAL_H
#define PV_HOSTED_OPTIONS_INTERNAL_H

#include "hosted/control/options.h"

/* An option that was found: where it stands, and where its value goes. */
struct pv_option_found {
	const struct pv_option *option;
	unsigned int number; /* counted through all groups */
	void *to;            /* its field */
};

/* Looks for a name of so many characters in all groups. NULL `values`: nothing will be written. */
bool pv_option_find(const struct pv_option_group *const *groups, void *const *values,
                    const char *name, size_t chars, struct pv_option_found *found);

/* Offers all names. */
void pv_option_offer_all(const struct pv_option_group *const *groups, struct pv_nearest *nearest);

/*
 * Writes the value that a text stands for; `label` is how a sentence calls the option, such as
 * "option '--depth'". An option of texts keeps the pointer. Not for flags.
 */
bool pv_option_set(const struct pv_option_found *found, const char *label, const char *text,
                   char sentence[static PV_SENTENCE_BYTES]);

/*
 * Where an object in a text of JSON has a key that it has had already; NULL: nowhere. The text ends
 * with a NUL.
 */
const char *pv_json_key_twice(const char *text);

/* Where the first single quote outside of its texts is; NULL: nowhere. The same. */
const char *pv_json_single_quote(const char *text);

#endif
