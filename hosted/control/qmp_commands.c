/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that every server knows. */
#include <string.h>

#include "hosted/control/qmp_internal.h"

/*
 * What clients look at when they decide how to speak: the version of QEMU whose protocol and
 * command shapes are followed here. `package` says who really answers.
 */
#define DIALECT_MAJOR 7
#define DIALECT_MINOR 2
#define DIALECT_MICRO 0

struct json_object *pv_qmp_version(void)
{
	struct json_object *version = json_object_new_object();
	struct json_object *qemu = json_object_new_object();

	json_object_object_add(qemu, "micro", json_object_new_int(DIALECT_MICRO));
	json_object_object_add(qemu, "minor", json_object_new_int(DIALECT_MINOR));
	json_object_object_add(qemu, "major", json_object_new_int(DIALECT_MAJOR));
	json_object_object_add(version, "qemu", qemu);
	json_object_object_add(version, "package", json_object_new_string("paravane " PV_VERSION));
	return version;
}

static void capabilities(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	struct json_object *enable = json_object_object_get(arguments, "enable");

	(void)arg;
	if (enable && json_object_array_length(enable) > 0) {
		struct json_object *first = json_object_array_get_idx(enable, 0);
		char shown[QMP_NAME_BYTES];

		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "capability '%s' is not offered",
		            pv_qmp_shortened(first ? json_object_get_string(first) : "null",
		                             shown));
		return;
	}
	request->client->has_negotiated = true;
	pv_qmp_return(request, NULL);
}

static void query_commands(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_qmp *qmp = arg;
	struct json_object *list = json_object_new_array();

	(void)arguments;
	for (unsigned int i = 0; i < qmp->tables; i++) {
		for (const struct pv_qmp_command *c = qmp->table[i].commands; c->name; c++) {
			struct json_object *command = json_object_new_object();

			json_object_object_add(command, "name", json_object_new_string(c->name));
			json_object_array_add(list, command);
		}
	}
	pv_qmp_return(request, list);
}

static void query_status(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_qmp *qmp = arg;
	const char *status = qmp->options.status(qmp->options.arg);
	struct json_object *result = json_object_new_object();

	(void)arguments;
	json_object_object_add(result, "status", json_object_new_string(status));
	json_object_object_add(result, "singlestep", json_object_new_boolean(false));
	json_object_object_add(result, "running",
	                       json_object_new_boolean(strcmp(status, "running") == 0));
	pv_qmp_return(request, result);
}

static void query_version(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	(void)arg;
	(void)arguments;
	pv_qmp_return(request, pv_qmp_version());
}

static void quit(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_qmp *qmp = arg;

	(void)arguments;
	request->client->is_quitting = true;
	pv_qmp_return(request, NULL);
	qmp->options.quit(qmp->options.arg);
}

const struct pv_qmp_command pv_qmp_basic_commands[] = {
	{ QMP_NEGOTIATE,
	  (const struct pv_qmp_parameter[]){ { "enable", PV_QMP_LIST, false }, { 0 } },
	  capabilities },
	{ "query-commands", NULL, query_commands },
	{ "query-status", NULL, query_status },
	{ "query-version", NULL, query_version },
	{ "quit", NULL, quit },
	{ 0 },
};
