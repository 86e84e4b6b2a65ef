/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the QMP server: qmp.c has the server and its events, qmp_client.c the connections,
 * qmp_dispatch.c turns a message into a call, qmp_commands.c has the commands that every server
 * knows.
 */
#ifndef PV_HOSTED_QMP_INTERNAL_H
#define PV_HOSTED_QMP_INTERNAL_H

#include "hosted/control/qmp.h"
#include "hosted/control/qmp_input.h"
#include "hosted/control/qmp_message.h"

/* What a client may have unread before its commands wait. */
#define QMP_OUTPUT_PAUSE_BYTES 65536u

#define QMP_TABLES     8u
#define QMP_READ_BYTES 4096u

struct pv_qmp_client {
	struct pv_qmp *qmp;
	int fd;
	struct pv_watch *watch;
	bool has_negotiated;
	bool is_dead;     /* closed; freed when nothing of it is on the stack */
	bool is_busy;     /* on the stack */
	bool may_read;    /* no read has come back empty since the socket became ready */
	bool has_ended;   /* it will send nothing more */
	bool is_quitting; /* its last command was quit: nothing after it counts */
	struct pv_qmp_request *request; /* not answered yet */

	/* Read, and not looked at yet. */
	char unread[QMP_READ_BYTES];
	size_t unread_at, unread_bytes;
	struct pv_qmp_input input;
	char message[PV_QMP_MESSAGE_BYTES + 1];

	/* To be sent: from out_at to out_bytes. */
	char *out;
	size_t out_at, out_bytes, out_capacity;
	size_t out_longest; /* of the messages since all had been sent */
};

struct pv_qmp_request {
	struct pv_qmp_client *client; /* NULL: it has left */
	bool has_id;
	struct json_object *id; /* NULL is JSON's null */
};

struct pv_qmp_table {
	const struct pv_qmp_command *commands;
	void *arg;
};

struct pv_qmp {
	struct pv_qmp_options options;
	struct json_tokener *tokener;
	int listen_fd;
	struct pv_watch *listen_watch;
	struct pv_qmp_client *client[PV_QMP_CLIENTS];
	struct pv_qmp_table table[QMP_TABLES];
	unsigned int tables;
	/* Runs while a client has sent more than one turn takes in, so that others get theirs. */
	struct pv_poller rest;
	bool is_rest_added;
};

/* qmp_client.c */
void pv_qmp_client_create(struct pv_qmp *qmp, int fd);
void pv_qmp_client_turn(struct pv_qmp_client *client);
bool pv_qmp_client_has_more(const struct pv_qmp_client *client);
void pv_qmp_client_send(struct pv_qmp_client *client, struct json_object *message);
void pv_qmp_client_close(struct pv_qmp_client *client);
void pv_qmp_client_free(struct pv_qmp_client *client);

/* qmp_dispatch.c */
void pv_qmp_dispatch(struct pv_qmp_client *client);
void pv_qmp_dispatch_nonsense(struct pv_qmp_client *client, const char *what);

/* qmp.c: has a turn of its own soon if it needs one, and is freed if it is dead. */
void pv_qmp_client_settle(struct pv_qmp_client *client);

#define QMP_NAME_BYTES 64u
/* As much of a client's text as fits an error's description, ending with a whole character. */
const char *pv_qmp_shortened(const char *name, char to[static QMP_NAME_BYTES]);

/* qmp_commands.c */
extern const struct pv_qmp_command pv_qmp_basic_commands[];
struct json_object *pv_qmp_version(void);
/* Is handled by the dispatcher: the state of the connection decides. */
#define QMP_NEGOTIATE "qmp_capabilities"

#endif
