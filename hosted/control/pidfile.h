/* SPDX-License-Identifier: BSD-2-Clause */
/* A file that says which process runs, for as long as it does. */
#ifndef PV_HOSTED_PIDFILE_H
#define PV_HOSTED_PIDFILE_H

#include <stdbool.h>

#include "hosted/control/sentence.h"

struct pv_pidfile {
	const char *path;
	int fd;
};

/*
 * Writes it, and locks it while the process lives: what one that crashed has left is overwritten,
 * that of one that runs is not. `path` must last. False with a sentence; nothing is left then.
 */
bool pv_pidfile_open(struct pv_pidfile *file, const char *path,
                     char sentence[static PV_SENTENCE_BYTES]);

/* Removes it, if it was opened: one that is zero but for a negative `fd` was not. */
void pv_pidfile_close(struct pv_pidfile *file);

#endif
