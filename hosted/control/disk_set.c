/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hosted/control/disk_set.h"
#include "hosted/loop/log.h"

#define KIND "blk" /* of device */

/* ---- plans ---- */

static bool allocate(struct pv_disk_set *set, unsigned int disks,
                     char sentence[static PV_SENTENCE_BYTES])
{
	/* None is a number too. */
	*set = (struct pv_disk_set){ .disks = disks,
		                     .plan = calloc(disks + 1u, sizeof(*set->plan)),
		                     .disk = calloc(disks + 1u, sizeof(*set->disk)) };
	if (set->plan && set->disk)
		return true;
	pv_disk_set_close(set);
	return pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
}

bool pv_disk_set_one(struct pv_disk_set *set, const struct pv_disk_plan *plan,
                     char sentence[static PV_SENTENCE_BYTES])
{
	if (!allocate(set, 1, sentence))
		return false;
	set->plan[0] = *plan;
	return true;
}

bool pv_disk_set_empty(struct pv_disk_set *set, unsigned int disks,
                       char sentence[static PV_SENTENCE_BYTES])
{
	if (!allocate(set, disks, sentence))
		return false;
	for (unsigned int i = 0; i < disks; i++)
		set->plan[i] = (struct pv_disk_plan)PV_DISK_PLAN_DEFAULTS;
	return true;
}

static bool plan_from_config(struct pv_disk_set *set, unsigned int i,
                             char sentence[static PV_SENTENCE_BYTES])
{
	static const struct pv_option_group *const groups[] = { &pv_disk_option_group,
		                                                &pv_export_option_group, NULL };
	struct pv_disk_plan *plan = &set->plan[i];
	void *const values[] = { &plan->disk, &plan->export };

	*plan = (struct pv_disk_plan)PV_DISK_PLAN_DEFAULTS;
	return pv_config_device(set->config, i, groups, values, sentence);
}

bool pv_disk_set_many(struct pv_disk_set *set, const struct pv_config *config,
                      char sentence[static PV_SENTENCE_BYTES])
{
	bool is_good = allocate(set, config->devices, sentence);

	if (!is_good)
		return false;
	set->config = config;
	for (unsigned int i = 0; is_good && i < set->disks; i++)
		is_good = plan_from_config(set, i, sentence);
	if (!is_good)
		pv_disk_set_close(set);
	return is_good;
}

struct pv_service_extent pv_disk_set_extent(const struct pv_disk_set *set)
{
	struct pv_service_extent extent = { .kind = KIND, .devices = set->disks };

	for (unsigned int i = 0; i < set->disks; i++) {
		const struct pv_disk_plan *plan = &set->plan[i];

		extent.queues += (unsigned int)plan->disk.queues;
		extent.own_loops += (unsigned int)plan->export.own_loops;
		if (plan->export.own_loops > 0)
			extent.queues_on_own_loops += (unsigned int)plan->disk.queues;
	}
	return extent;
}

/* ---- one file, one writer ---- */

static bool are_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A file that is not there yet is no other's. */
static bool share_a_file(const struct pv_disk_options *a, const struct pv_disk_options *b)
{
	struct stat of_a, of_b;

	return a->blk_file && b->blk_file && stat(a->blk_file, &of_a) == 0 &&
	       stat(b->blk_file, &of_b) == 0 && are_same(&of_a, &of_b);
}

static bool is_file_free(const struct pv_disk_set *set, unsigned int i,
                         char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_disk_options *o = &set->plan[i].disk;

	for (unsigned int j = 0; j < i; j++) {
		const struct pv_disk_options *other = &set->plan[j].disk;

		if (!(o->is_read_only && other->is_read_only) && share_a_file(o, other))
			return pv_sentence_wrong(
				sentence,
				"option '--blk-file': %s is the disk of '%s' too; only disks that "
				"are all read-only may share one",
				o->blk_file, set->disk[j].name);
	}
	return true;
}

/* ---- opening ---- */

static bool open_disk(struct pv_disk_set *set, unsigned int i, struct pv_service *service,
                      char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_export *export = pv_service_export(service, KIND, &set->plan[i].export, sentence);
	struct pv_disk *disk = &set->disk[i];
	struct pv_host_options host;
	char what[PV_DISK_TEXT_BYTES];
	int error;

	if (!export || !is_file_free(set, i, sentence))
		return false;
	set->plan[i].disk.can_be_resumed = pv_service_qmp(service) != NULL;
	host = pv_export_host(export);
	if (!pv_disk_open(disk, &set->plan[i].disk, &host, sentence))
		return false;
	set->opened++;
	error = pv_export_attach(export, disk->host, disk->device, pv_disk_text(disk, what));
	return !error || pv_sentence_wrong(sentence, "%s", strerror(-error));
}

static bool fail(const struct pv_disk_set *set, unsigned int i,
                 char sentence[static PV_SENTENCE_BYTES])
{
	if (set->spelling)
		return pv_options_spell(set->spelling, sentence);
	return set->config ? pv_config_about(set->config, i, sentence) : false;
}

bool pv_disk_set_open(struct pv_disk_set *set, struct pv_service *service,
                      char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < set->disks; i++)
		if (!open_disk(set, i, service, sentence))
			return fail(set, i, sentence);
	return true;
}

/* ---- the end ---- */

bool pv_disk_set_sync(const struct pv_disk_set *set, char sentence[static PV_SENTENCE_BYTES])
{
	bool is_good = true;

	for (unsigned int i = 0; i < set->opened; i++) {
		const struct pv_disk *disk = &set->disk[i];
		int error = pv_store_sync(disk->store);

		if (!error)
			continue;
		is_good = pv_sentence_wrong(
			sentence, "what was written last to '%s' may not be on the disk: %s",
			disk->name, strerror(-error));
		pv_log(disk->name, PV_LOG_ERROR, sentence);
	}
	return is_good;
}

void pv_disk_set_close(struct pv_disk_set *set)
{
	while (set->opened > 0)
		pv_disk_close(&set->disk[--set->opened]);
	free(set->disk);
	free(set->plan);
	set->disk = NULL;
	set->plan = NULL;
}
