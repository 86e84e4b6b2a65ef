/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: sentences that say why something is refused. */
#ifndef PV_HOSTED_REFUSE_H
#define PV_HOSTED_REFUSE_H

#include <stddef.h>

/* Where the sentence goes: it names the key at fault as the command line has it, and the remedy. */
struct pv_refusal {
	char *sentence;
	size_t bytes;
};

/* Writes the sentence. Returns `err`. */
int pv_refuse(const struct pv_refusal *refusal, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Why a file could not be made, or one that should be there could not be opened: what -errno `err`
 * means, and what can be done about it.
 */
const char *pv_why_not_made(int err);
const char *pv_why_not_opened(int err);

#endif
