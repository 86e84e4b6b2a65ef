/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/top_vm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hosted/control/json_add.h"
#include "hosted/control/printable.h"
#include "hosted/control/qmp_remote.h"

#define KIB 1024u

static void copy_name(char to[static PV_TOP_NAME_BYTES], const char *from)
{
	size_t bytes = strnlen(from, PV_TOP_NAME_BYTES - 1);

	for (size_t i = 0; i < bytes; i++)
		to[i] = pv_is_control(from[i]) || from[i] == ' ' ? '_' : from[i];
	to[bytes] = '\0';
}

/* ---- the socket ---- */

/* What a command returns, the caller's to put; NULL: nothing, or it is not known there. */
static struct json_object *ask(struct pv_qmp_remote *remote, const char *command, bool *is_lost)
{
	char sentence[PV_SENTENCE_BYTES];
	struct json_object *answer, *result = NULL;

	if (*is_lost)
		return NULL;
	answer = pv_qmp_remote_ask(remote, command, NULL, sentence);
	*is_lost = !answer;
	if (answer && json_object_object_get_ex(answer, "return", &result))
		json_object_get(result);
	json_object_put(answer);
	return result;
}

static uint64_t number_of(struct json_object *object, const char *key)
{
	uint64_t number;

	return pv_json_number_of(object, key, &number) ? number : PV_TOP_UNKNOWN;
}

static void take_text(struct json_object *object, const char *key,
                      char to[static PV_TOP_NAME_BYTES])
{
	struct json_object *value;

	if (json_object_is_type(object, json_type_object) &&
	    json_object_object_get_ex(object, key, &value) &&
	    json_object_is_type(value, json_type_string))
		copy_name(to, json_object_get_string(value));
}

/* The total that the guest says is no measure: with DEFLATE_ON_OOM Linux has the balloon in it. */
static uint64_t used_of(struct json_object *stats, uint64_t actual)
{
	uint64_t available = number_of(stats, "available-memory");

	if (actual == PV_TOP_UNKNOWN || available == PV_TOP_UNKNOWN || available > actual)
		return PV_TOP_UNKNOWN;
	return actual - available;
}

static void ask_all(struct pv_top_vm *vm, struct pv_qmp_remote *remote, bool *is_lost)
{
	struct json_object *status = ask(remote, "query-status", is_lost);
	struct json_object *name = ask(remote, "query-name", is_lost);
	struct json_object *balloon = ask(remote, "query-balloon", is_lost);
	struct json_object *stats = ask(remote, "query-balloon-stats", is_lost);

	take_text(status, "status", vm->status);
	take_text(name, "name", vm->name);
	vm->memory = number_of(balloon, "memory");
	vm->actual = number_of(balloon, "actual");
	vm->target = number_of(balloon, "target");
	vm->used = used_of(stats, vm->actual);
	json_object_put(stats);
	json_object_put(balloon);
	json_object_put(name);
	json_object_put(status);
}

/* ---- the kernel ---- */

/* Huge pages of the pool are not in the resident size. */
static uint64_t resident_of(int pid)
{
	uint64_t kib, resident = PV_TOP_UNKNOWN, huge = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = pid > 0 ? fopen(path, "re") : NULL;
	if (!file)
		return PV_TOP_UNKNOWN;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1)
			resident = kib * KIB;
		if (sscanf(line, "HugetlbPages: %" SCNu64, &kib) == 1)
			huge = kib * KIB;
	}
	fclose(file);
	return resident == PV_TOP_UNKNOWN ? resident : resident + huge;
}

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool pv_top_ask(struct pv_top_vm *vm, const char *path, unsigned int timeout_s,
                char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_qmp_remote_options options = { .path = path, .timeout_s = timeout_s };
	struct pv_qmp_remote *remote;
	bool is_lost = false;

	*vm = (struct pv_top_vm){ .status = "-" };
	copy_name(vm->name, last_of(path));
	if (!pv_qmp_remote_open(&remote, &options, sentence))
		return false;
	ask_all(vm, remote, &is_lost);
	vm->resident = resident_of(pv_qmp_remote_pid(remote));
	pv_qmp_remote_close(remote);
	return !is_lost || pv_sentence_wrong(sentence, "%s does not answer", path);
}
