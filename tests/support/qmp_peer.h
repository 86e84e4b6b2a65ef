/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A QMP server on a loop's own thread, and clients of it on the test's.
 *
 * Beside the commands that every server has, it knows
 *   echo        {"text": string, "number": integer, "flag": bool, "list": array, "object": object}:
 *               answers with its arguments; "text" is required
 *   later       answers when peer_answer_late() is called
 *   big         {"bytes": integer}: answers with a string of that length
 */
#ifndef PV_TESTS_QMP_PEER_H
#define PV_TESTS_QMP_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "hosted/control/qmp.h"

struct peer;

struct peer *peer_create(void);
void peer_destroy(struct peer *peer);

/* Runs something on the server's thread, and waits for it. */
void peer_do(struct peer *peer, void (*work)(struct pv_qmp *qmp, void *arg), void *arg);

/* Answers the oldest `later` with the empty object. Waits until there is one. */
void peer_answer_late(struct peer *peer);

/* How often a client has said `quit`. */
unsigned int peer_quits(struct peer *peer);

struct client {
	int fd;
	size_t bytes; /* received and not handed out */
	char received[1 << 21];
};

/* Connects; the greeting is not read yet. */
struct client *client_connect(struct peer *peer);
/* Connects, reads the greeting, and negotiates. */
struct client *client_open(struct peer *peer);
void client_close(struct client *client);

void client_send(struct client *client, const char *text);
void client_send_bytes(struct client *client, const void *data, size_t bytes);

/* The next line without its end, valid until the next call; NULL at the end of the connection. */
const char *client_line(struct client *client);

/* Sends, and returns the line that comes back. */
const char *client_ask(struct client *client, const char *text);

#endif
