/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "hosted/control/stats_commands.h"

#define PROVIDER "paravane"

/* What is being collected: the answer so far, and what was asked for. */
struct collection {
	struct json_object *list;
	struct json_object *names; /* NULL: all */
	struct json_object *paths; /* of processors, NULL: all */
	bool is_vm, is_vcpu;
};

static const struct pv_counter_name loop_counter_names[] = {
	{ "iterations", offsetof(struct pv_loop_counters, iterations) },
	{ "submits", offsetof(struct pv_loop_counters, submits) },
	{ "ios", offsetof(struct pv_loop_counters, ios) },
	{ "sleeps", offsetof(struct pv_loop_counters, sleeps) },
	{ "yields", offsetof(struct pv_loop_counters, yields) },
	{ "messages", offsetof(struct pv_loop_counters, messages) },
	{ 0 },
};

/* Without a list everything is wanted. */
static bool is_wanted(struct json_object *list, const char *name)
{
	size_t count = list ? json_object_array_length(list) : 0;

	for (size_t i = 0; i < count; i++) {
		struct json_object *wanted = json_object_array_get_idx(list, i);

		if (json_object_is_type(wanted, json_type_string) &&
		    strcmp(json_object_get_string(wanted), name) == 0)
			return true;
	}
	return !list;
}

static void add_counters(const struct collection *collection, struct json_object *stats,
                         const struct pv_counter_name *names, const void *counters)
{
	for (; counters && names && names->name; names++) {
		struct json_object *stat;

		if (!is_wanted(collection->names, names->name))
			continue;
		stat = json_object_new_object();
		json_object_object_add(stat, "name", json_object_new_string(names->name));
		json_object_object_add(stat, "value",
		                       json_object_new_uint64(pv_counter_at(counters, names)));
		json_object_array_add(stats, stat);
	}
}

static void add_entry(const struct collection *collection, const char *path,
                      struct json_object *stats)
{
	struct json_object *entry = json_object_new_object();

	json_object_object_add(entry, "provider", json_object_new_string(PROVIDER));
	json_object_object_add(entry, "qom-path", json_object_new_string(path));
	json_object_object_add(entry, "stats", stats);
	json_object_array_add(collection->list, entry);
}

static void add_ground(const struct collection *collection, const struct pv_stats_device *from)
{
	uint64_t counters[PV_STATS_GROUND_MAX] = { 0 };
	struct json_object *stats;
	char path[128];

	if (!from->ground.read)
		return;
	from->ground.read(from->ground.arg, counters);
	stats = json_object_new_array();
	snprintf(path, sizeof(path), "/%s", from->name);
	add_counters(collection, stats, from->ground.names, counters);
	add_entry(collection, path, stats);
}

static void add_part(const struct collection *collection, const struct pv_stats_device *from,
                     unsigned int part)
{
	const struct pv_stats_ground *ground = &from->ground;
	uint64_t counters[PV_STATS_GROUND_MAX] = { 0 };
	struct json_object *stats;
	char path[128];

	if (!ground->read_part(ground->arg, part, counters))
		return;
	stats = json_object_new_array();
	snprintf(path, sizeof(path), "/%s/%s%u", from->name, ground->part_name, part);
	add_counters(collection, stats, ground->names, counters);
	add_entry(collection, path, stats);
}

static void add_device(const struct collection *collection, const struct pv_stats_device *from)
{
	const struct pv_device *device = from->device;
	const struct pv_device_ops *ops = device->ops;

	for (uint16_t i = 0; i < device->queues; i++) {
		struct json_object *stats = json_object_new_array();
		char path[128];

		snprintf(path, sizeof(path), "/%s/queue%u", from->name, i);
		add_counters(collection, stats, pv_queue_counter_names, &device->queue[i].counters);
		if (ops->counter_names)
			add_counters(collection, stats, ops->counter_names,
			             ops->queue_counters(device, i));
		add_entry(collection, path, stats);
	}
	add_ground(collection, from);
	for (unsigned int i = 0; from->ground.part_name && i < from->ground.parts; i++)
		add_part(collection, from, i);
}

static void add_loop(const struct collection *collection, const struct pv_stats_loop *from)
{
	struct pv_loop_counters counters = pv_loop_counters(from->loop);
	struct json_object *stats = json_object_new_array();
	char path[128];

	snprintf(path, sizeof(path), "/loop/%s", from->name);
	add_counters(collection, stats, loop_counter_names, &counters);
	add_entry(collection, path, stats);
}

static void add_cpu(const struct collection *collection, const struct pv_stats_cpu *from)
{
	struct json_object *stats;
	char path[128];

	snprintf(path, sizeof(path), "/%s", from->name);
	if (!is_wanted(collection->paths, path))
		return;
	stats = json_object_new_array();
	add_counters(collection, stats, from->names, from->counters);
	add_entry(collection, path, stats);
}

static void collect(const struct pv_stats_commands *commands, const struct collection *collection)
{
	for (unsigned int i = 0; collection->is_vm && i < commands->devices; i++)
		add_device(collection, &commands->device[i]);
	for (unsigned int i = 0; collection->is_vm && i < commands->loops; i++)
		add_loop(collection, &commands->loop[i]);
	for (unsigned int i = 0; collection->is_vcpu && i < commands->cpus; i++)
		add_cpu(collection, &commands->cpu[i]);
}

enum selection { NOT_SELECTED, SELECTED, NO_SELECTION };

/*
 * Looks for ours among the providers that were asked for, and for the names that came with it
 * (NULL: none did). NO_SELECTION: the list is not one of providers.
 */
static enum selection select_provider(struct json_object *providers, struct json_object **names)
{
	enum selection selection = NOT_SELECTED;

	for (size_t i = 0; i < json_object_array_length(providers); i++) {
		struct json_object *entry = json_object_array_get_idx(providers, i);
		struct json_object *provider, *wanted;

		if (!json_object_is_type(entry, json_type_object) ||
		    !json_object_object_get_ex(entry, "provider", &provider) ||
		    !json_object_is_type(provider, json_type_string))
			return NO_SELECTION;
		if (!json_object_object_get_ex(entry, "names", &wanted))
			wanted = NULL;
		else if (!json_object_is_type(wanted, json_type_array))
			return NO_SELECTION;
		if (strcmp(json_object_get_string(provider), PROVIDER) != 0)
			continue;
		selection = SELECTED;
		*names = wanted;
	}
	return selection;
}

static bool is_target(const char *name)
{
	static const char *const target[] = { "vm", "vcpu", "cryptodev" };

	for (size_t i = 0; i < sizeof(target) / sizeof(target[0]); i++)
		if (strcmp(target[i], name) == 0)
			return true;
	return false;
}

/* Whose counters are wanted; NULL, or the sentence of why there are none such. */
static const char *select_target(struct collection *collection, struct json_object *arguments)
{
	struct json_object *target;

	collection->is_vm = collection->is_vcpu = true;
	if (json_object_object_get_ex(arguments, "target", &target)) {
		const char *name = json_object_get_string(target);

		if (!is_target(name))
			return "Parameter 'target' must be 'vm', 'vcpu' or 'cryptodev'";
		collection->is_vm = strcmp(name, "vm") == 0;
		collection->is_vcpu = strcmp(name, "vcpu") == 0;
	}
	if (!json_object_object_get_ex(arguments, "vcpus", &collection->paths))
		collection->paths = NULL;
	else if (!collection->is_vcpu || collection->is_vm)
		return "Parameter 'vcpus' goes with the target 'vcpu' alone";
	return NULL;
}

static void query_stats(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	struct collection collection = { 0 };
	struct json_object *providers;
	enum selection selection = SELECTED;
	const char *wrong = select_target(&collection, arguments);

	if (wrong) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "%s", wrong);
		return;
	}
	if (json_object_object_get_ex(arguments, "providers", &providers))
		selection = select_provider(providers, &collection.names);
	if (selection == NO_SELECTION) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "Parameter 'providers' must be a list of objects with a 'provider' and "
		            "perhaps 'names'");
		return;
	}
	collection.list = json_object_new_array();
	if (selection == SELECTED)
		collect(arg, &collection);
	pv_qmp_return(request, collection.list);
}

static const struct pv_qmp_parameter query_stats_parameters[] = {
	{ "target", PV_QMP_TEXT, false },
	{ "providers", PV_QMP_LIST, false },
	{ "vcpus", PV_QMP_LIST, false },
	{ 0 },
};

const struct pv_qmp_command pv_stats_command_table[] = {
	{ "query-stats", query_stats_parameters, query_stats },
	{ 0 },
};
