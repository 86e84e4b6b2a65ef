/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A QMP server: QEMU's machine protocol, on the control loop.
 *
 * Clients connect to a unix socket, are greeted, negotiate with qmp_capabilities, and send commands
 * as JSON objects; each is answered with a `return` or an `error`, in the order of the commands,
 * and its `id` comes back with the answer.  Events go to every client that has negotiated.  The
 * protocol's grammar, classes of errors and recovery after nonsense are QEMU's, so that its
 * clients work; the words of the descriptions are ours and may change.
 *
 * Commands come in constant tables: a name, its parameters with their types, and a function.  What
 * a client sends is checked against the table first: a handler sees arguments that are all known,
 * there and of the right type.  A handler answers at once or later.
 *
 * Input, output and clients are bounded: a message has at most PV_QMP_MESSAGE_BYTES and
 * PV_QMP_DEPTH levels, a client whose answers pile up is not listened to until it reads, and one
 * that lets PV_QMP_OUTPUT_BYTES pile up beside its longest answer is dropped.
 *
 * All functions are for the loop's thread.
 */
#ifndef PV_HOSTED_QMP_H
#define PV_HOSTED_QMP_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json_object.h>

#include "hosted/loop/loop.h"

#define PV_QMP_CLIENTS       16u
#define PV_QMP_MESSAGE_BYTES 65536u
#define PV_QMP_DEPTH         64u
#define PV_QMP_OUTPUT_BYTES  (1u << 20)

struct pv_qmp;
struct pv_qmp_request;

/* The classes of errors that clients tell apart; nearly all are generic. */
enum pv_qmp_class {
	PV_QMP_GENERIC_ERROR,
	PV_QMP_COMMAND_NOT_FOUND,
	PV_QMP_DEVICE_NOT_FOUND,
};

enum pv_qmp_type {
	PV_QMP_TEXT, /* json_type_string, without a NUL inside */
	PV_QMP_BOOL,
	PV_QMP_INTEGER, /* fits an int64_t */
	PV_QMP_LIST,
	PV_QMP_OBJECT,
};

struct pv_qmp_parameter {
	const char *name; /* NULL ends a list */
	enum pv_qmp_type type;
	bool is_required;
};

struct pv_qmp_command {
	const char *name;                          /* NULL ends a table */
	const struct pv_qmp_parameter *parameters; /* NULL: none */

	/*
	 * Must have the request answered, by pv_qmp_return() or pv_qmp_fail(), before it returns or
	 * later; the client's next command waits until then. `arguments` is an object, valid until
	 * it returns.
	 */
	void (*run)(struct pv_qmp_request *request, void *arg, struct json_object *arguments);
};

struct pv_qmp_options {
	struct pv_loop *loop;
	/* What query-status calls the state; "running" is the one in which devices work. */
	const char *(*status)(void *arg);
	/* The client wants the program to end. It has been answered. */
	void (*quit)(void *arg);
	void *arg;
};

/*
 * Returns 0 or -ENOMEM. Knows qmp_capabilities, query-commands, query-status, query-version, quit.
 */
int pv_qmp_create(struct pv_qmp **qmp, const struct pv_qmp_options *options);

/* Takes leave of all clients. Not from within a handler. */
void pv_qmp_destroy(struct pv_qmp *qmp);

/* Adds commands; a name must be new. Table and `arg` must outlive the server. */
void pv_qmp_register(struct pv_qmp *qmp, const struct pv_qmp_command *table, void *arg);

/*
 * Accepts clients on a listening socket, which is taken over on success (the path it is bound to is
 * not). Returns 0 or -errno.
 */
int pv_qmp_listen(struct pv_qmp *qmp, int fd);

/* An answer: `result` is taken over; NULL stands for an empty object. The request is gone then. */
void pv_qmp_return(struct pv_qmp_request *request, struct json_object *result);
__attribute__((format(printf, 3, 4))) void
pv_qmp_fail(struct pv_qmp_request *request, enum pv_qmp_class class, const char *format, ...);

/* Tells all clients that have negotiated. `data` is taken over; NULL: an event without data. */
void pv_qmp_event(struct pv_qmp *qmp, const char *name, struct json_object *data);

#endif
