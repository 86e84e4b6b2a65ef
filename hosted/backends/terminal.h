/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal of this process, standard input and output, in raw mode for a while.
 *
 * However the process ends, the terminal is as it was before: by pv_terminal_give_back(), by
 * exit(), or by a signal that nobody else has a handler for. It is so while the process is stopped
 * (SIGTSTP), too, and raw again when that goes on in the foreground. SIGKILL and SIGSTOP leave no
 * time for that.
 *
 * What stands in its place, a pipe or a file, is only made not to wait. Where that can be, it is an
 * open file of our own that does not wait, so that those who share standard input and output with
 * us neither notice nor can disturb that.
 */
#ifndef PV_HOSTED_TERMINAL_H
#define PV_HOSTED_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

struct pv_terminal_wish {
	/* Keys that send signals, such as Ctrl-C, go on doing so, and output is still processed. */
	bool keeps_signal_keys;
	bool is_not_raw; /* only made not to wait */
	/* Within a signal handler: the size has changed. May be NULL. */
	void (*resized)(void *arg);
	void *arg;
};

/*
 * The main thread, as all here, before it is in a sandbox. False when somebody has it already.
 * Standard input need not be a terminal.
 */
bool pv_terminal_take(const struct pv_terminal_wish *wish);
/* Nothing when nobody has it. Nobody may use its descriptors any more. */
void pv_terminal_give_back(void);

/*
 * Who has it: the descriptors to read from and to write to, which do not wait. They are good until
 * it is given back, and are closed by that.
 */
int pv_terminal_input(void);
int pv_terminal_output(void);

/* Signal handlers that will end the process: it is as it was, if we have it. */
void pv_terminal_put_back(void);

/* Is standard input a terminal, which is raw now? */
bool pv_terminal_is_raw(void);

/* Any thread. Of standard output, or else input; false: neither knows. */
bool pv_terminal_size(uint16_t *columns, uint16_t *rows);

#endif
