/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: Unix sockets of wires and lines. */
#ifndef PV_HOSTED_SOCKET_H
#define PV_HOSTED_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "hosted/backends/refuse.h"

/* Which socket was bound: there may be another's at its path by now. */
struct pv_socket_place {
	dev_t device;
	ino_t inode;
};

/*
 * Opens a Unix socket of this type that never waits, bound to `path`, which only our user may
 * reach, or to none where that is NULL. A socket at `path` that nobody listens on is replaced.
 * Returns it, or -errno with a sentence that begins with `key`.
 */
int pv_socket_bind(const struct pv_refusal *refusal, int type, const char *key, const char *path,
                   struct pv_socket_place *made);

/* Removes it from its path, if it is still the one that is there. */
void pv_socket_unlink(const struct pv_socket_place *made, const char *path);

/* Has somebody bound the socket of this type at `path`? Waits a moment for who is about to end. */
bool pv_socket_is_in_use(int type, const char *path);

/* Returns 0 or -errno. */
int pv_socket_connect(int fd, const char *path);

/* A passed descriptor: is it a socket of this type? Returns 0, or -errno with a sentence. */
int pv_socket_check(const struct pv_refusal *refusal, int fd, int type);

#endif
