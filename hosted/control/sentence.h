/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong, said to a user: one sentence that names the option at fault and the remedy,
 * without a full stop.  Whoever finds it writes it, and only the command prints it.
 */
#ifndef PV_HOSTED_SENTENCE_H
#define PV_HOSTED_SENTENCE_H

#include <stdbool.h>

#define PV_SENTENCE_BYTES 512

/* Writes the sentence. Returns false, for the caller to return in turn. */
__attribute__((format(printf, 2, 3))) bool
pv_sentence_wrong(char sentence[static PV_SENTENCE_BYTES], const char *format, ...);

/* Adds what else there is to say, behind a semicolon. Returns false. */
bool pv_sentence_more(char sentence[static PV_SENTENCE_BYTES], const char *more);

/* Puts in front what the sentence is about, and a colon. Returns false. */
bool pv_sentence_about(char sentence[static PV_SENTENCE_BYTES], const char *what);

#endif
