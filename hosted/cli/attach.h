/* SPDX-License-Identifier: BSD-2-Clause */
/* Within `paravane attach`: where a port is, and what goes on once we are there. */
#ifndef PV_HOSTED_ATTACH_H
#define PV_HOSTED_ATTACH_H

#include <stdbool.h>

#include "hosted/control/sentence.h"

#define PV_ATTACH_NO_ESCAPE (-1)
#define PV_ATTACH_FOREVER   (-1)

struct pv_attach_place {
	const char *control; /* the socket of QMP, or NULL: without its help */
	const char *port;    /* its name there */
	char path[256];      /* of what it was found to be, as people know it */
	bool is_terminal;    /* a pseudo terminal */
};

/*
 * Connects to the port of this name, or, where that is NULL, to what the socket itself is: a path,
 * or as query-chardev writes it. Returns the descriptor, which does not wait, or -1 with a
 * sentence.
 */
int pv_attach_connect(struct pv_attach_place *place, const char *socket, const char *port,
                      char sentence[static PV_SENTENCE_BYTES]);

struct pv_attach_session {
	const struct pv_attach_place *place;
	int fd;
	int escape;   /* the key that ends it, or PV_ATTACH_NO_ESCAPE */
	int linger_s; /* how long to wait for more once the input has ended, or PV_ATTACH_FOREVER */
	bool is_raw;
};

/*
 * Standard input goes there, and what comes from there to standard output, until the other end
 * hangs up, the escape key is typed, or the input has ended and nothing more comes. Returns false
 * with a sentence.
 */
bool pv_attach_run(struct pv_attach_session *session, char sentence[static PV_SENTENCE_BYTES]);

#endif
