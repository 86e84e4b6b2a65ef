/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening unix sockets with a path, for the command line.
 *
 * The path is born with mode 0600, not made so afterwards.  A path that is there already is looked
 * at: a socket on which nobody listens is what a killed process left, and is replaced; one that
 * answers is in use, and anything else is not ours to touch.
 */
#ifndef PV_HOSTED_LISTENER_H
#define PV_HOSTED_LISTENER_H

#include <sys/types.h>
#include <sys/un.h>

#include "hosted/control/options.h"

#define PV_LISTENER_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

struct pv_listener {
	int fd; /* -1: nothing was opened, or it has been taken over */
	char path[PV_LISTENER_PATH_BYTES];
	/* Which file the path led to when it was made. */
	dev_t device;
	ino_t inode;
};

/*
 * Creates, binds and listens. `option` is named in the sentence when it fails, with nothing
 * created; `listener` then stays as it was. The descriptor does not block.
 */
bool pv_listener_open(struct pv_listener *listener, const char *option, const char *path,
                      char sentence[static PV_SENTENCE_BYTES]);

/* Is the socket at this path the one that was opened here? */
bool pv_listener_is_at(const struct pv_listener *listener, const char *path);

/* Closes the socket if it is still ours, and removes its path if that still leads to it. */
void pv_listener_close(struct pv_listener *listener);

/*
 * Takes QEMU's way of writing such an address apart: unix:PATH[,server=on][,wait=off], a comma in
 * the path doubled. Returns false, with a sentence, for what is not this.
 */
bool pv_listener_parse(const char *option, const char *text,
                       char path[static PV_LISTENER_PATH_BYTES],
                       char sentence[static PV_SENTENCE_BYTES]);

#endif
