/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/ballast_view.h"

#include "hosted/control/ballast_commands.h"
#include "hosted/control/json_add.h"

static bool is_no_balloon(const char *command, char sentence[static PV_SENTENCE_BYTES])
{
	return pv_sentence_wrong(sentence,
	                         "%s: the answer is not one of a Paravane balloon; name the "
	                         "control socket of paravane serve balloon, or of paravane run "
	                         "with --balloon",
	                         command);
}

static bool take_size(struct pv_ballast_view *view, struct json_object *answer,
                      char sentence[static PV_SENTENCE_BYTES])
{
	if (!pv_json_number_of(answer, "memory", &view->memory) ||
	    !pv_json_number_of(answer, "actual", &view->actual) ||
	    !pv_json_number_of(answer, "target", &view->target) ||
	    view->memory > PV_BALLAST_VIEW_BYTES_MAX || view->actual > view->memory ||
	    view->target > view->memory)
		return is_no_balloon("query-balloon", sentence);
	return true;
}

static bool take_stats(struct pv_ballast_view *view, struct json_object *answer,
                       char sentence[static PV_SENTENCE_BYTES])
{
	if (!pv_json_number_of(answer, "interval", &view->interval_s) ||
	    !pv_json_number_of(answer, "updates", &view->updates))
		return is_no_balloon("query-balloon-stats", sentence);
	if (!pv_json_number_of(answer, "age", &view->age_s))
		view->updates = 0;
	for (unsigned int tag = 0; tag < VIRTIO_BALLOON_S_KNOWN; tag++)
		if (pv_json_number_of(answer, pv_ballast_stat_names[tag], &view->value[tag]))
			view->known |= 1u << tag;
	return true;
}

bool pv_ballast_view_read(struct pv_ballast_view *view, struct pv_qmp_remote *remote,
                          char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *stats, *size;
	bool is_good;

	*view = (struct pv_ballast_view){ 0 };
	stats = pv_qmp_remote_return(remote, "query-balloon-stats", NULL, sentence);
	if (!stats)
		return false;
	size = pv_qmp_remote_return(remote, "query-balloon", NULL, sentence);
	is_good = size && take_stats(view, stats, sentence) && take_size(view, size, sentence);
	json_object_put(stats);
	json_object_put(size);
	return is_good;
}

static bool tell(struct pv_qmp_remote *remote, const char *command, const char *name,
                 uint64_t number, char sentence[static PV_SENTENCE_BYTES])
{
	struct json_object *arguments = json_object_new_object();
	struct json_object *value;

	pv_json_add_number(arguments, name, number);
	value = pv_qmp_remote_return(remote, command, arguments, sentence);
	json_object_put(arguments);
	if (!value)
		return false;
	json_object_put(value);
	return true;
}

bool pv_ballast_view_set_target(struct pv_qmp_remote *remote, uint64_t bytes,
                                char sentence[static PV_SENTENCE_BYTES])
{
	return tell(remote, "balloon", "value", bytes, sentence);
}

bool pv_ballast_view_set_interval(struct pv_qmp_remote *remote, uint64_t seconds,
                                  char sentence[static PV_SENTENCE_BYTES])
{
	return tell(remote, "balloon-stats-interval", "seconds", seconds, sentence);
}
