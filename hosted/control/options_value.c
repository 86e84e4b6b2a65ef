/* SPDX-License-Identifier: BSD-2-Clause */
/* Options by name, and what a text means as the value of one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hosted/control/options_internal.h"
#include "ring/err.h"

/* ---- names ---- */

static bool is_named(const char *name, const char *word, size_t chars)
{
	return strlen(name) == chars && memcmp(name, word, chars) == 0;
}

bool pv_option_find(const struct pv_option_group *const *groups, void *const *values,
                    const char *name, size_t chars, struct pv_option_found *found)
{
	*found = (struct pv_option_found){ 0 };
	for (size_t i = 0; groups[i]; i++) {
		for (const struct pv_option *o = groups[i]->options; o->name; o++) {
			if (is_named(o->name, name, chars)) {
				found->option = o;
				found->to = values ? (char *)values[i] + o->offset : NULL;
				pv_bug_on(found->number >= PV_OPTIONS_MAX);
				return true;
			}
			found->number++;
		}
	}
	return false;
}

void pv_option_offer_all(const struct pv_option_group *const *groups, struct pv_nearest *nearest)
{
	for (; *groups; groups++)
		for (const struct pv_option *o = (*groups)->options; o->name; o++)
			pv_nearest_offer(nearest, o->name);
}

/* ---- numbers and sizes ---- */

static bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

bool pv_size_parse(const char *text, uint64_t *bytes)
{
	static const char suffix[] = "kmgtp";
	char *end;
	unsigned int shift = 0;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (unsigned int i = 0; *end && suffix[i]; i++)
		if ((*end | 0x20) == suffix[i])
			shift = 10 * (i + 1);
	if (shift) {
		end++;
		if (strcasecmp(end, "ib") == 0)
			end += 2;
	}
	if (*end || *bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

const char *pv_size_text(uint64_t bytes, char text[static PV_SIZE_TEXT_BYTES])
{
	static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int i = 0;

	if (bytes < 1024 || bytes % 512) {
		snprintf(text, PV_SIZE_TEXT_BYTES, "%llu bytes", (unsigned long long)bytes);
		return text;
	}
	while (i < 5 && bytes >> (10 * (i + 2)))
		i++;
	snprintf(text, PV_SIZE_TEXT_BYTES, "%.4g %s",
	         (double)bytes / (double)(1ull << (10 * (i + 1))), unit[i]);
	return text;
}

/* ---- values ---- */

static bool set_number(const struct pv_option_found *found, const char *label, const char *text,
                       char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_option *o = found->option;
	uint64_t number;

	if (!parse_number(text, &number) || number < o->min || number > o->max)
		return pv_sentence_wrong(sentence, "%s takes a number from %llu to %llu, not '%s'",
		                         label, (unsigned long long)o->min,
		                         (unsigned long long)o->max, text);
	*(uint64_t *)found->to = number;
	return true;
}

#define MS_PER_S 1000u

/* Digits, and perhaps a point and up to three more. */
static bool parse_seconds(const char *text, uint64_t *ms)
{
	const char *point = strchr(text, '.');
	uint64_t worth = MS_PER_S;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ms = strtoull(text, &end, 10);
	if (errno || *ms > UINT64_MAX / MS_PER_S - 1 || (*end && (end != point || !end[1])))
		return false;
	*ms *= MS_PER_S;
	for (const char *at = point ? point + 1 : end; *at; at++) {
		worth /= 10;
		if (*at < '0' || *at > '9' || worth == 0)
			return false;
		*ms += worth * (uint64_t)(*at - '0');
	}
	return true;
}

static bool set_seconds(const struct pv_option_found *found, const char *label, const char *text,
                        char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_option *o = found->option;
	uint64_t ms;

	if (!parse_seconds(text, &ms) || ms < o->min || ms > o->max)
		return pv_sentence_wrong(sentence,
		                         "%s takes seconds from %g to %g, such as 5 or 0.25, not "
		                         "'%s'",
		                         label, (double)o->min / MS_PER_S,
		                         (double)o->max / MS_PER_S, text);
	*(uint64_t *)found->to = ms;
	return true;
}

static bool set_size(const struct pv_option_found *found, const char *label, const char *text,
                     char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_option *o = found->option;
	char min[PV_SIZE_TEXT_BYTES], max[PV_SIZE_TEXT_BYTES];
	uint64_t bytes;

	if (!pv_size_parse(text, &bytes))
		return pv_sentence_wrong(sentence,
		                         "%s takes a size such as 4096, 4k, 512M or 1GiB, not '%s'",
		                         label, text);
	if (bytes < o->min || bytes > o->max)
		return pv_sentence_wrong(sentence, "%s takes a size from %s to %s, not '%s'", label,
		                         pv_size_text(o->min, min), pv_size_text(o->max, max),
		                         text);
	*(uint64_t *)found->to = bytes;
	return true;
}

static bool set_choice(const struct pv_option_found *found, const char *label, const char *text,
                       char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_option *o = found->option;
	char list[128] = "";

	for (unsigned int i = 0; o->choices[i]; i++) {
		size_t used = strlen(list);

		if (strcmp(o->choices[i], text) == 0) {
			*(unsigned int *)found->to = i;
			return true;
		}
		snprintf(list + used, sizeof(list) - used, "%s%s",
		         i == 0              ? ""
		         : o->choices[i + 1] ? ", "
		                             : " or ",
		         o->choices[i]);
	}
	return pv_sentence_wrong(sentence, "%s takes %s, not '%s'", label, list, text);
}

static bool set_fd(const struct pv_option_found *found, const char *label, const char *text,
                   char sentence[static PV_SENTENCE_BYTES])
{
	uint64_t number;

	if (!parse_number(text, &number) || number > INT32_MAX)
		return pv_sentence_wrong(sentence,
		                         "%s takes the number of an open descriptor, not '%s'",
		                         label, text);
	if (fcntl((int)number, F_GETFD) < 0)
		return pv_sentence_wrong(sentence,
		                         "%s: descriptor %s is not open; whoever starts this "
		                         "program must pass it",
		                         label, text);
	*(int *)found->to = (int)number;
	return true;
}

/* The next number of a list, with the comma behind it if there is one; NULL if it is none. */
static const char *next_number(const char *text, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (errno || (*end && (*end != ',' || !end[1])))
		return NULL;
	return end + (*end == ',');
}

static bool set_list(const struct pv_option_found *found, const char *label, const char *text,
                     char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_option *o = found->option;
	struct pv_option_list list = { 0 };
	const char *at = text;
	uint64_t number;

	do {
		at = next_number(at, &number);
		if (!at || number < o->min || number > o->max || list.count == PV_OPTION_LIST_MAX)
			return pv_sentence_wrong(
				sentence,
				"%s takes up to %u numbers from %llu to %llu, with commas between "
				"them, not '%s'",
				label, PV_OPTION_LIST_MAX, (unsigned long long)o->min,
				(unsigned long long)o->max, text);
		list.number[list.count++] = (uint16_t)number;
	} while (*at);
	*(struct pv_option_list *)found->to = list;
	return true;
}

static bool add_text(const struct pv_option_found *found, const char *label, const char *text,
                     char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_option_texts *texts = found->to;

	if (texts->count == PV_OPTION_TEXTS_MAX)
		return pv_sentence_wrong(sentence, "%s may be given %u times at most", label,
		                         PV_OPTION_TEXTS_MAX);
	texts->text[texts->count++] = text;
	return true;
}

bool pv_option_set(const struct pv_option_found *found, const char *label, const char *text,
                   char sentence[static PV_SENTENCE_BYTES])
{
	switch (found->option->type) {
	case PV_OPTION_FLAG:
		break;
	case PV_OPTION_TEXT:
		*(const char **)found->to = text;
		return true;
	case PV_OPTION_NUMBER:
		return set_number(found, label, text, sentence);
	case PV_OPTION_SECONDS:
		return set_seconds(found, label, text, sentence);
	case PV_OPTION_SIZE:
		return set_size(found, label, text, sentence);
	case PV_OPTION_CHOICE:
		return set_choice(found, label, text, sentence);
	case PV_OPTION_FD:
		return set_fd(found, label, text, sentence);
	case PV_OPTION_LIST:
		return set_list(found, label, text, sentence);
	case PV_OPTION_TEXTS:
		return add_text(found, label, text, sentence);
	}
	pv_bug_on(true);
}
