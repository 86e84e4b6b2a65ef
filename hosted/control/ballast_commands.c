/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/ballast_commands.h"

#include <string.h>

#include "hosted/control/json_add.h"
#include "hosted/loop/clock.h"

#define NS_PER_S 1000000000ull

/* ---- how much ---- */

static void balloon(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_ballast_commands *commands = arg;
	int64_t value = json_object_get_int64(json_object_object_get(arguments, "value"));
	char sentence[PV_SENTENCE_BYTES];

	if (value < 0)
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "Parameter 'value' must be the bytes that the guest is to have");
	else if (!pv_ballast_set_target(commands->ballast, (uint64_t)value, sentence))
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "Parameter 'value': %s", sentence);
	else
		pv_qmp_return(request, NULL);
}

static void query_balloon(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_ballast_commands *commands = arg;
	const struct pv_ballast *ballast = commands->ballast;
	struct json_object *object = json_object_new_object();

	(void)arguments;
	pv_json_add_number(object, "actual", pv_ballast_actual(ballast));
	pv_json_add_number(object, "target", pv_ballast_target(ballast));
	pv_json_add_number(object, "memory", pv_ballast_memory(ballast));
	pv_json_add_text(object, "id", ballast->name);
	pv_qmp_return(request, object);
}

/* ---- what the guest says of its memory ---- */

const char *const pv_ballast_stat_names[VIRTIO_BALLOON_S_KNOWN] = {
	[VIRTIO_BALLOON_S_SWAP_IN] = "swap-in",
	[VIRTIO_BALLOON_S_SWAP_OUT] = "swap-out",
	[VIRTIO_BALLOON_S_MAJFLT] = "major-faults",
	[VIRTIO_BALLOON_S_MINFLT] = "minor-faults",
	[VIRTIO_BALLOON_S_MEMFREE] = "free-memory",
	[VIRTIO_BALLOON_S_MEMTOT] = "total-memory",
	[VIRTIO_BALLOON_S_AVAIL] = "available-memory",
	[VIRTIO_BALLOON_S_CACHES] = "disk-caches",
	[VIRTIO_BALLOON_S_HTLB_PGALLOC] = "htlb-pgalloc",
	[VIRTIO_BALLOON_S_HTLB_PGFAIL] = "htlb-pgfail",
	[VIRTIO_BALLOON_S_OOM_KILL] = "oom-kills",
	[VIRTIO_BALLOON_S_ALLOC_STALL] = "alloc-stalls",
	[VIRTIO_BALLOON_S_ASYNC_SCAN] = "async-scans",
	[VIRTIO_BALLOON_S_DIRECT_SCAN] = "direct-scans",
	[VIRTIO_BALLOON_S_ASYNC_RECLAIM] = "async-reclaims",
	[VIRTIO_BALLOON_S_DIRECT_RECLAIM] = "direct-reclaims",
};

static struct json_object *unknown_of(const struct pv_balloon_stats *stats)
{
	struct json_object *list = json_object_new_array();

	for (uint16_t i = 0; i < stats->unknown && i < PV_BALLOON_STATS_UNKNOWN; i++) {
		struct json_object *stat = json_object_new_object();

		pv_json_add_number(stat, "tag", stats->unknown_tag[i]);
		pv_json_add_number(stat, "value", stats->unknown_value[i]);
		json_object_array_add(list, stat);
	}
	return list;
}

static void add_stats(struct json_object *object, const struct pv_balloon_stats *stats)
{
	for (unsigned int tag = 0; tag < VIRTIO_BALLOON_S_KNOWN; tag++) {
		if (stats->known >> tag & 1)
			pv_json_add_number(object, pv_ballast_stat_names[tag], stats->value[tag]);
		else
			json_object_object_add(object, pv_ballast_stat_names[tag], NULL);
	}
	json_object_object_add(object, "unknown", unknown_of(stats));
}

static void add_age(struct json_object *object, const struct pv_balloon_stats *stats)
{
	if (stats->at_ns == 0)
		json_object_object_add(object, "age", NULL);
	else
		pv_json_add_number(object, "age",
		                   (pv_clock_ns(CLOCK_MONOTONIC) - stats->at_ns) / NS_PER_S);
}

static void query_balloon_stats(struct pv_qmp_request *request, void *arg,
                                struct json_object *arguments)
{
	const struct pv_ballast_commands *commands = arg;
	const struct pv_device *device = commands->ballast->device;
	struct json_object *object = json_object_new_object();
	struct pv_balloon_stats stats;

	(void)arguments;
	pv_balloon_stats(device, &stats);
	pv_json_add_bool(object, "supported", pv_balloon_has_stats(device));
	pv_json_add_number(object, "interval", pv_balloon_stats_period(device) / NS_PER_S);
	pv_json_add_number(object, "updates", stats.count);
	add_age(object, &stats);
	add_stats(object, &stats);
	pv_qmp_return(request, object);
}

static void balloon_stats_interval(struct pv_qmp_request *request, void *arg,
                                   struct json_object *arguments)
{
	const struct pv_ballast_commands *commands = arg;
	int64_t seconds = json_object_get_int64(json_object_object_get(arguments, "seconds"));

	if (seconds < 0 || seconds > PV_BALLAST_STATS_INTERVAL_MAX_S) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "Parameter 'seconds' must be from 0, for never, to %u",
		            PV_BALLAST_STATS_INTERVAL_MAX_S);
		return;
	}
	pv_balloon_stats_period_set(commands->ballast->device, (uint64_t)seconds * NS_PER_S);
	pv_qmp_return(request, NULL);
}

/* ---- the event ---- */

static void tell(struct pv_ballast_commands *commands)
{
	struct json_object *data = json_object_new_object();

	commands->told = pv_balloon_actual(commands->ballast->device);
	pv_json_add_number(data, "actual", pv_ballast_actual(commands->ballast));
	pv_qmp_event(commands->qmp, "BALLOON_CHANGE", data);
	commands->is_timing = true;
	pv_timer_set(&commands->timer, NS_PER_S);
}

static void actual_changed(void *arg)
{
	struct pv_ballast_commands *commands = arg;
	const struct pv_ballast *ballast = commands->ballast;

	/* Of a guest that has gone, with its memory, there is nothing to tell. */
	if (!commands->is_timing && pv_ballast_memory(ballast) > 0 &&
	    pv_balloon_actual(ballast->device) != commands->told)
		tell(commands);
}

static void second_is_over(void *arg)
{
	struct pv_ballast_commands *commands = arg;

	commands->is_timing = false;
	actual_changed(commands);
}

/* ---- all of them ---- */

static const struct pv_qmp_parameter balloon_parameters[] = {
	{ "value", PV_QMP_INTEGER, true },
	{ 0 },
};

static const struct pv_qmp_parameter interval_parameters[] = {
	{ "seconds", PV_QMP_INTEGER, true },
	{ 0 },
};

static const struct pv_qmp_command command_table[] = {
	{ "balloon", balloon_parameters, balloon },
	{ "balloon-stats-interval", interval_parameters, balloon_stats_interval },
	{ "query-balloon", NULL, query_balloon },
	{ "query-balloon-stats", NULL, query_balloon_stats },
	{ 0 },
};

bool pv_ballast_commands_init(struct pv_ballast_commands *commands, struct pv_qmp *qmp,
                              struct pv_loop *control, struct pv_ballast *ballast,
                              char sentence[static PV_SENTENCE_BYTES])
{
	int error;

	*commands = (struct pv_ballast_commands){ .ballast = ballast, .qmp = qmp };
	if (!qmp)
		return true;
	error = pv_timer_init(&commands->timer, control, second_is_over, commands);
	if (error) {
		pv_ballast_commands_fini(commands);
		return pv_sentence_wrong(sentence, "option '--qmp': %s", strerror(-error));
	}
	ballast->actual_changed = actual_changed;
	ballast->arg = commands;
	pv_qmp_register(qmp, command_table, commands);
	return true;
}

void pv_ballast_commands_fini(struct pv_ballast_commands *commands)
{
	if (!commands->qmp)
		return;
	commands->ballast->actual_changed = NULL;
	pv_timer_fini(&commands->timer);
	*commands = (struct pv_ballast_commands){ 0 };
}
