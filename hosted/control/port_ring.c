/* SPDX-License-Identifier: BSD-2-Clause */
/* ringbuf-read and ringbuf-write. */
#include <stdlib.h>
#include <string.h>

#include "hosted/control/base64.h"
#include "hosted/control/json_add.h"
#include "hosted/control/port_commands_internal.h"

/* What one answer carries, at most. */
#define READ_MAX (256u << 10)

static bool fail_format(struct pv_qmp_request *request)
{
	pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "Parameter 'format' must be 'utf8' or 'base64'");
	return false;
}

static bool take_format(struct pv_qmp_request *request, struct json_object *arguments,
                        bool *is_base64)
{
	const char *format = pv_json_text_of(arguments, "format");

	*is_base64 = format && strcmp(format, "base64") == 0;
	return *is_base64 || !format || strcmp(format, "utf8") == 0 || fail_format(request);
}

static struct pv_ports_port *ring_of(struct pv_qmp_request *request, void *arg,
                                     struct json_object *arguments)
{
	struct pv_ports_port *port = pv_port_of(request, arg, arguments, "device");

	if (!port || port->kind == PV_LINE_RINGBUF)
		return port;
	pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "port '%s' has no ringbuf, but %s", port->id,
	            pv_line_text(port->line));
	return NULL;
}

/* ---- bytes as text ---- */

static struct json_object *base64_of(const uint8_t *from, size_t bytes)
{
	char *text = malloc(pv_base64_text_bytes(bytes));
	struct json_object *object;

	if (!text)
		return NULL;
	pv_base64_write(from, bytes, text);
	object = json_object_new_string(text);
	free(text);
	return object;
}

/* ---- the commands ---- */

void pv_port_ring_read(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_ports_port *port = ring_of(request, arg, arguments);
	int64_t size = json_object_get_int64(json_object_object_get(arguments, "size"));
	struct json_object *answer;
	uint8_t *bytes;
	bool is_base64;
	size_t count;

	if (!port || !take_format(request, arguments, &is_base64))
		return;
	if (size <= 0) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "Parameter 'size' must be greater than zero");
		return;
	}
	bytes = malloc(READ_MAX);
	if (!bytes) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "out of memory");
		return;
	}
	count = pv_line_ring_read(port->line, bytes, size < READ_MAX ? (size_t)size : READ_MAX);
	answer = is_base64 ? base64_of(bytes, count) : pv_json_text(bytes, count);
	free(bytes);
	if (answer)
		pv_qmp_return(request, answer);
	else
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "out of memory");
}

/* Into memory of the caller's to free; NULL: it is no base64, or there is no memory. */
static uint8_t *bytes_of(const char *text, bool is_base64, size_t *bytes)
{
	uint8_t *to = malloc(strlen(text) + 1);

	*bytes = strlen(text);
	if (to && !is_base64) {
		memcpy(to, text, *bytes);
	} else if (to && !pv_base64_read(text, to, bytes)) {
		free(to);
		return NULL;
	}
	return to;
}

void pv_port_ring_write(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_ports_port *port = ring_of(request, arg, arguments);
	const char *text = pv_json_text_of(arguments, "data");
	size_t count, taken;
	uint8_t *bytes;
	bool is_base64;

	if (!port || !take_format(request, arguments, &is_base64))
		return;
	bytes = bytes_of(text, is_base64, &count);
	if (!bytes) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "Parameter 'data' must be base64");
		return;
	}
	taken = pv_line_ring_write(port->line, bytes, count);
	free(bytes);
	if (taken == count)
		pv_qmp_return(request, NULL);
	else
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "port '%s' had room for %zu bytes of %zu; the guest does not read, or "
		            "not fast enough",
		            port->id, taken, count);
}
