/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A QMP server on a loop's own thread, and clients of it on the test's.
 *
 * Beside the commands that every server has, it knows
 *   echo        {"text": string, "number": integer, "flag": bool, "list": array, "object": object}:
 *               answers with its arguments; "text" is required
 *   later       answers when pv_qmp_peer_answer_late() is called
 *   big         {"bytes": integer}: answers with a string of that length
 */
#ifndef PV_TESTS_QMP_PEER_H
#define PV_TESTS_QMP_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "hosted/control/qmp.h"

struct pv_qmp_peer;

struct pv_qmp_peer *pv_qmp_peer_create(void);
void pv_qmp_peer_destroy(struct pv_qmp_peer *peer);

/* Runs something on the server's thread, and waits for it. */
void pv_qmp_peer_do(struct pv_qmp_peer *peer, void (*work)(struct pv_qmp *qmp, void *arg),
                    void *arg);

/* Answers the oldest `later` with the empty object. Waits until there is one. */
void pv_qmp_peer_answer_late(struct pv_qmp_peer *peer);

/* How often a client has said `quit`. */
unsigned int pv_qmp_peer_quits(struct pv_qmp_peer *peer);

struct pv_qmp_caller {
	int fd;
	size_t bytes; /* received and not handed out */
	char received[1 << 21];
};

/* Connects; the greeting is not read yet. */
struct pv_qmp_caller *pv_qmp_caller_connect(struct pv_qmp_peer *peer);
/* Connects, reads the greeting, and negotiates. */
struct pv_qmp_caller *pv_qmp_caller_open(struct pv_qmp_peer *peer);
void pv_qmp_caller_close(struct pv_qmp_caller *client);

void pv_qmp_caller_send(struct pv_qmp_caller *client, const char *text);
void pv_qmp_caller_send_bytes(struct pv_qmp_caller *client, const void *data, size_t bytes);

/* The next line without its end, valid until the next call; NULL at the end of the connection. */
const char *pv_qmp_caller_line(struct pv_qmp_caller *client);

/* Sends, and returns the line that comes back. */
const char *pv_qmp_caller_ask(struct pv_qmp_caller *client, const char *text);

#endif
