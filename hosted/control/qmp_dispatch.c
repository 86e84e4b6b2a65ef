/* SPDX-License-Identifier: BSD-2-Clause */
/* From a message to a call of a handler, and from its answer to a message. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/linkhash.h>

#include "hosted/control/json_add.h"
#include "hosted/control/qmp_internal.h"

/* The members of a command's object, borrowed from it. */
struct envelope {
	struct json_object *execute;
	struct json_object *arguments;
};

static void answer(struct pv_qmp_client *client, struct json_object *message)
{
	pv_qmp_client_send(client, message);
	json_object_put(message);
}

static struct json_object *error_of(enum pv_qmp_class class, const char *text)
{
	static const char *const name[] = {
		[PV_QMP_GENERIC_ERROR] = "GenericError",
		[PV_QMP_COMMAND_NOT_FOUND] = "CommandNotFound",
		[PV_QMP_DEVICE_NOT_FOUND] = "DeviceNotFound",
	};
	struct json_object *message = json_object_new_object();
	struct json_object *error = json_object_new_object();

	json_object_object_add(error, "class", json_object_new_string(name[class]));
	pv_json_add_text(error, "desc", text);
	json_object_object_add(message, "error", error);
	return message;
}

static void finish(struct pv_qmp_request *request, struct json_object *message)
{
	struct pv_qmp_client *client = request->client;

	if (request->has_id)
		json_object_object_add(message, "id", request->id);
	if (client) {
		client->request = NULL;
		answer(client, message);
		pv_qmp_client_settle(client);
	} else {
		json_object_put(message);
	}
	free(request);
}

void pv_qmp_return(struct pv_qmp_request *request, struct json_object *result)
{
	struct json_object *message = json_object_new_object();

	json_object_object_add(message, "return", result ? result : json_object_new_object());
	finish(request, message);
}

void pv_qmp_fail(struct pv_qmp_request *request, enum pv_qmp_class class, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	finish(request, error_of(class, text));
}

void pv_qmp_dispatch_nonsense(struct pv_qmp_client *client, const char *what)
{
	char text[128];

	snprintf(text, sizeof(text), "JSON parse error, %s", what);
	answer(client, error_of(PV_QMP_GENERIC_ERROR, text));
}

const char *pv_qmp_shortened(const char *name, char to[static QMP_NAME_BYTES])
{
	size_t bytes = strnlen(name, QMP_NAME_BYTES);

	if (bytes == QMP_NAME_BYTES)
		for (bytes--; bytes && ((unsigned char)name[bytes] & 0xc0) == 0x80;)
			bytes--;
	memcpy(to, name, bytes);
	to[bytes] = '\0';
	return to;
}

static bool has_type(struct json_object *value, enum pv_qmp_type type)
{
	switch (type) {
	case PV_QMP_TEXT:
		return json_object_is_type(value, json_type_string);
	case PV_QMP_BOOL:
		return json_object_is_type(value, json_type_boolean);
	case PV_QMP_INTEGER:
		return json_object_is_type(value, json_type_int);
	case PV_QMP_LIST:
		return json_object_is_type(value, json_type_array);
	case PV_QMP_OBJECT:
		return json_object_is_type(value, json_type_object);
	}
	return false;
}

static bool has_nul(struct json_object *text)
{
	return strlen(json_object_get_string(text)) != (size_t)json_object_get_string_len(text);
}

/* Returns what is wrong with a value, as the end of a sentence, or NULL. */
static const char *fault_of(struct json_object *value, enum pv_qmp_type type)
{
	static const char *const expected[] = {
		[PV_QMP_TEXT] = "must be a string",      [PV_QMP_BOOL] = "must be true or false",
		[PV_QMP_INTEGER] = "must be an integer", [PV_QMP_LIST] = "must be an array",
		[PV_QMP_OBJECT] = "must be an object",
	};

	if (!has_type(value, type))
		return expected[type];
	if (type == PV_QMP_TEXT && has_nul(value))
		return "must not have a NUL in it";
	if (type == PV_QMP_INTEGER && json_object_get_int64(value) == INT64_MAX &&
	    json_object_get_uint64(value) > INT64_MAX)
		return "is too large";
	return NULL;
}

static bool is_known(const struct pv_qmp_parameter *parameters, const char *name)
{
	for (const struct pv_qmp_parameter *p = parameters; p && p->name; p++)
		if (strcmp(p->name, name) == 0)
			return true;
	return false;
}

/* Returns whether the arguments are what the command takes; the request has failed if not. */
static bool are_good(struct pv_qmp_request *request, const struct pv_qmp_command *command,
                     struct json_object *arguments)
{
	struct json_object *value;
	char shown[QMP_NAME_BYTES];

	json_object_object_foreach(arguments, name, unused)
	{
		(void)unused;
		if (is_known(command->parameters, name))
			continue;
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "Parameter '%s' is unexpected",
		            pv_qmp_shortened(name, shown));
		return false;
	}
	for (const struct pv_qmp_parameter *p = command->parameters; p && p->name; p++) {
		bool is_there = json_object_object_get_ex(arguments, p->name, &value);
		const char *fault = is_there         ? fault_of(value, p->type)
		                    : p->is_required ? "is missing"
		                                     : NULL;

		if (!fault)
			continue;
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "Parameter '%s' %s", p->name, fault);
		return false;
	}
	return true;
}

static const struct pv_qmp_command *find(const struct pv_qmp *qmp, const char *name, void **arg)
{
	for (unsigned int i = 0; i < qmp->tables; i++) {
		for (const struct pv_qmp_command *c = qmp->table[i].commands; c->name; c++) {
			if (strcmp(c->name, name) == 0) {
				*arg = qmp->table[i].arg;
				return c;
			}
		}
	}
	return NULL;
}

static void run(struct pv_qmp_request *request, const char *name, struct json_object *arguments)
{
	struct pv_qmp_client *client = request->client;
	bool is_negotiating = strcmp(name, QMP_NEGOTIATE) == 0;
	char shown[QMP_NAME_BYTES];
	void *arg;
	const struct pv_qmp_command *command = find(client->qmp, name, &arg);

	if (!client->has_negotiated && !is_negotiating)
		pv_qmp_fail(request, PV_QMP_COMMAND_NOT_FOUND,
		            "'" QMP_NEGOTIATE "' has to come before any other command");
	else if (client->has_negotiated && is_negotiating)
		pv_qmp_fail(request, PV_QMP_COMMAND_NOT_FOUND,
		            "capabilities have been negotiated already");
	else if (!command)
		pv_qmp_fail(request, PV_QMP_COMMAND_NOT_FOUND, "there is no command '%s'",
		            pv_qmp_shortened(name, shown));
	else if (are_good(request, command, arguments))
		command->run(request, arg, arguments);
}

/* Picks the members out. Returns what is wrong, with the culprit's name, or NULL. */
static const char *unpack(struct json_object *message, struct envelope *envelope,
                          const char **culprit)
{
	*culprit = "execute";
	json_object_object_foreach(message, name, value)
	{
		if (strcmp(name, "execute") == 0) {
			envelope->execute = value;
		} else if (strcmp(name, "arguments") == 0) {
			envelope->arguments = value;
		} else if (strcmp(name, "id") != 0) {
			*culprit = name;
			return "is unexpected";
		}
	}
	if (!json_object_object_get_ex(message, "execute", NULL))
		return "is missing";
	if (fault_of(envelope->execute, PV_QMP_TEXT))
		return fault_of(envelope->execute, PV_QMP_TEXT);
	*culprit = "arguments";
	if (json_object_object_get_ex(message, "arguments", NULL))
		return fault_of(envelope->arguments, PV_QMP_OBJECT);
	return NULL;
}

static void dispatch_object(struct pv_qmp_client *client, struct json_object *message)
{
	struct pv_qmp_request *request = calloc(1, sizeof(*request));
	struct json_object *empty = json_object_new_object();
	struct envelope envelope = { 0 };
	const char *fault, *culprit;
	char shown[QMP_NAME_BYTES];

	if (!request || !empty) {
		free(request);
		json_object_put(empty);
		pv_qmp_client_close(client);
		return;
	}
	request->client = client;
	client->request = request;
	request->has_id = json_object_object_get_ex(message, "id", &request->id);
	json_object_get(request->id);
	fault = unpack(message, &envelope, &culprit);
	if (fault)
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "QMP input member '%s' %s",
		            pv_qmp_shortened(culprit, shown), fault);
	else
		run(request, json_object_get_string(envelope.execute),
		    envelope.arguments ? envelope.arguments : empty);
	json_object_put(empty);
}

void pv_qmp_dispatch(struct pv_qmp_client *client)
{
	struct json_object *message;
	const char *fault;

	if (!pv_qmp_parse(client->qmp->tokener, client->input.text, client->input.bytes, &message,
	                  &fault)) {
		pv_qmp_dispatch_nonsense(client, fault);
		return;
	}
	if (json_object_is_type(message, json_type_object))
		dispatch_object(client, message);
	else
		answer(client, error_of(PV_QMP_GENERIC_ERROR, "QMP input must be a JSON object"));
	json_object_put(message);
}
