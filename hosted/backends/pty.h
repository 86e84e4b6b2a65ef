/* SPDX-License-Identifier: BSD-2-Clause */
/* Pseudo terminals of our own, for lines and for consoles. */
#ifndef PV_HOSTED_PTY_H
#define PV_HOSTED_PTY_H

#include <stdbool.h>

#include "hosted/backends/refuse.h"

struct pv_pty {
	int fd;        /* ours, which never waits; -1: none */
	char path[64]; /* of the terminal that others open */
};

/*
 * Makes one; its terminal is raw, and hung up until somebody opens it. Returns 0, or -errno with a
 * sentence.
 */
int pv_pty_open(struct pv_pty *pty, const struct pv_refusal *refusal);
void pv_pty_close(struct pv_pty *pty);

/*
 * A symbolic link to the terminal. Another one to a pseudo terminal, or to nothing, is replaced in
 * one step; whatever else is at `path` stays. Returns 0, or -errno with a sentence.
 */
int pv_pty_link(const struct pv_pty *pty, const char *path, const struct pv_refusal *refusal);

/* Is what is at `path` that very link, by whatever name, and not one that took its place? */
bool pv_pty_has_link(const struct pv_pty *pty, const char *link, const char *path);

/* Removes it, unless it is another's by now. */
void pv_pty_unlink(const struct pv_pty *pty, const char *path);

#endif
