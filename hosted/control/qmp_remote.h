/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A QMP server elsewhere, ours or QEMU's, and the conversation with it.
 *
 * Opening connects, waits for the greeting and negotiates.  Then commands are asked one at a time:
 * each carries an `id`, and what comes before its answer are events, which go to a handler.  The
 * server may be slow, broken or hostile: everything together has a deadline, a message has a
 * bounded length, depth and number of values, and what is wrong is one sentence.
 *
 * All functions wait, and are for one thread.
 */
#ifndef PV_HOSTED_QMP_REMOTE_H
#define PV_HOSTED_QMP_REMOTE_H

#include <json-c/json_object.h>

#include "hosted/control/sentence.h"

/* Of the longest message: all counters of several hundred disks fit. */
#define PV_QMP_REMOTE_BYTES (8u << 20)
/* Values in one: an object of json-c's takes 800 bytes, and two in the text. */
#define PV_QMP_REMOTE_VALUES (1u << 20)

struct pv_qmp_remote;

struct pv_qmp_remote_options {
	/* Of its unix socket, perhaps with unix: before it; must outlive the conversation. */
	const char *path;
	unsigned int timeout_s; /* for all of it, from the opening on */
	/*
	 * An event has come, an object with a text as its `event`. It is the caller's. May be NULL.
	 */
	void (*event)(void *arg, struct json_object *event);
	void *arg;
};

/* Returns false with a sentence. */
bool pv_qmp_remote_open(struct pv_qmp_remote **remote, const struct pv_qmp_remote_options *options,
                        char sentence[static PV_SENTENCE_BYTES]);
void pv_qmp_remote_close(struct pv_qmp_remote *remote);

/*
 * Sends a command; `arguments` is borrowed, NULL: none. Returns the answer, an object with `return`
 * or `error`, which is the caller's to put; NULL with a sentence if there was none.
 */
struct json_object *pv_qmp_remote_ask(struct pv_qmp_remote *remote, const char *command,
                                      struct json_object *arguments,
                                      char sentence[static PV_SENTENCE_BYTES]);

/*
 * The same for who only wants what the command returns, which is the caller's to put; NULL with a
 * sentence, the server's own words if it refused.
 */
struct json_object *pv_qmp_remote_return(struct pv_qmp_remote *remote, const char *command,
                                         struct json_object *arguments,
                                         char sentence[static PV_SENTENCE_BYTES]);

/*
 * Why an answer that is an error is one: the server's words, as much of them as make a sentence,
 * without what would steer a terminal.
 */
#define PV_QMP_REMOTE_WORDS 256u
void pv_qmp_remote_words(char to[static PV_QMP_REMOTE_WORDS], struct json_object *answer);

/* The process that has the socket; -1: it is not known. */
int pv_qmp_remote_pid(const struct pv_qmp_remote *remote);

/* From here on there is no deadline. */
void pv_qmp_remote_be_patient(struct pv_qmp_remote *remote);

/*
 * Waits for one message; an event has been handled when it returns. `awaited` says what it is for,
 * in a sentence. Returns false with a sentence.
 */
bool pv_qmp_remote_listen(struct pv_qmp_remote *remote, const char *awaited,
                          char sentence[static PV_SENTENCE_BYTES]);

/* The server has closed the connection, and between two messages. */
bool pv_qmp_remote_has_ended(const struct pv_qmp_remote *remote);

#endif
