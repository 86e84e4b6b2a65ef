/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's end of a machine's serial line: the terminal of the program, one of its own, or a
 * file. */
#ifndef PV_HOSTED_VMM_CONSOLE_H
#define PV_HOSTED_VMM_CONSOLE_H

#include <stdbool.h>

#include "hosted/backends/pty.h"
#include "hosted/control/sentence.h"

struct pv_console {
	int in_fd, out_fd; /* non-blocking; -1: none */
	struct pv_pty pty; /* the terminal that others open, if it is one of our own */
	int pty_fd;        /* our own hold on that; or -1 */
	bool is_stdio;
};

/*
 * Opens what the option --console names: stdio, pty, file=PATH, off. False with a sentence; nothing
 * is left then. A terminal on stdio is raw from here on, but for the keys that send signals
 * (hosted/backends/terminal.h).
 */
bool pv_console_open(struct pv_console *console, const char *text,
                     char sentence[static PV_SENTENCE_BYTES]);
void pv_console_close(struct pv_console *console);

/*
 * What was sent has no place any more. On a terminal of our own, which perhaps nobody looks at, the
 * oldest that was not read is dropped and true returned; all others are waited for.
 */
bool pv_console_make_room(const struct pv_console *console);

#endif
