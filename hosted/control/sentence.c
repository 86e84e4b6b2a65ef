/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/sentence.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool pv_sentence_wrong(char sentence[static PV_SENTENCE_BYTES], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, PV_SENTENCE_BYTES, format, arguments);
	va_end(arguments);
	return false;
}

bool pv_sentence_more(char sentence[static PV_SENTENCE_BYTES], const char *more)
{
	size_t bytes = strlen(sentence);

	snprintf(sentence + bytes, PV_SENTENCE_BYTES - bytes, "; %s", more);
	return false;
}

bool pv_sentence_about(char sentence[static PV_SENTENCE_BYTES], const char *what)
{
	char rest[PV_SENTENCE_BYTES];

	strcpy(rest, sentence);
	return pv_sentence_wrong(sentence, "%s: %s", what, rest);
}
