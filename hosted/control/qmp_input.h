/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the messages in what a QMP client, or a server, sends.
 *
 * Messages follow each other with or without white space; where one ends is known by counting
 * brackets outside strings.  A control character or a byte 0xff where JSON has none throws away
 * what is unfinished: with it a client gets back to a known state.  Strings in single quotes,
 * which QEMU accepts too, become proper ones.
 *
 * Pure: no system call, no allocation.
 */
#ifndef PV_HOSTED_QMP_INPUT_H
#define PV_HOSTED_QMP_INPUT_H

#include <stdbool.h>
#include <stddef.h>

enum pv_qmp_found {
	PV_QMP_MORE,     /* all was taken in, no message is complete */
	PV_QMP_MESSAGE,  /* `text` holds one, of `bytes` */
	PV_QMP_GARBAGE,  /* something that belongs to no message was thrown away */
	PV_QMP_TOO_LONG, /* a message has grown too long; its rest will be thrown away */
};

/* Begins with room for text, which is the owner's, and all else zero. */
struct pv_qmp_input {
	char *text;      /* of text_max + 1 bytes */
	size_t text_max; /* bytes of the longest message */
	size_t bytes;
	size_t depth;     /* open brackets */
	char quote;       /* the one that ends the string we are in, or 0 */
	bool is_escaped;  /* after a backslash */
	bool is_garbage;  /* inside a word that was reported */
	bool is_too_long; /* inside a message that was reported */
	bool is_done;     /* `text` is a message that was handed out */
};

/*
 * Takes in bytes up to the first thing to report, which goes to `*found`. Returns how many were
 * taken; call again with the rest.
 */
size_t pv_qmp_input_feed(struct pv_qmp_input *input, const char *data, size_t bytes,
                         enum pv_qmp_found *found);

#endif
