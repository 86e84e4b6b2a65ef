/* SPDX-License-Identifier: BSD-2-Clause */
/* The disks of paravane run. */
#include <stddef.h>
#include <string.h>

#include "abi/pci.h"
#include "hosted/cli/run.h"

#define QUEUES_DEFAULT 16u
#define QUEUE_SIZE     256u
#define KEYS_MAX       64u

const char *const pv_run_buses[] = { [PV_DISK_ON_PCI] = "pci", [PV_DISK_ON_MMIO] = "mmio", NULL };

/* What a key is called here, and in the table of disks. */
static const struct pv_option_alias aliases[] = { { "path", "blk-file" },
	                                          { "readonly", "read-only" },
	                                          { "queues", "num-queues" },
	                                          { "id", "name" },
	                                          { 0 } };

#define IOTHREADS_MAX 16u
#define PLAN          struct pv_disk_plan
static const struct pv_option plan_keys[] = {
	{ "id", "NAME", "its name", PV_OPTION_TEXT_AT(PLAN, export.name) },
	{ "bus", "pci|mmio", "where it is", PV_OPTION_CHOICE_AT(PLAN, bus, pv_run_buses) },
	{ "iothreads", "N", "event loops of its own",
	  PV_OPTION_NUMBER_AT(PLAN, export.own_loops, 0, IOTHREADS_MAX) },
	{ 0 },
};

/* NULL: it is none of a disk. */
static const struct pv_option *disk_option(const char *name)
{
	for (const struct pv_option *o = pv_disk_option_group.options; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

/* Offsets are those of a plan: a disk's options are at its beginning. */
static void list_keys(struct pv_option keys[KEYS_MAX])
{
	unsigned int count = 0;

	_Static_assert(offsetof(struct pv_disk_plan, disk) == 0, "the disk is not first");
	for (const struct pv_option_alias *a = aliases; a->key; a++) {
		const struct pv_option *o = disk_option(a->option);

		if (!o)
			continue;
		keys[count] = *o;
		keys[count++].name = a->key;
	}
	for (const struct pv_option *o = plan_keys; o->name; o++)
		keys[count++] = *o;
	for (const struct pv_option *o = pv_disk_option_group.options;
	     o->name && count < KEYS_MAX - 1; o++)
		keys[count++] = *o;
	keys[count] = (struct pv_option){ 0 };
}

static bool are_few_on_mmio(const struct pv_disk_set *set, char sentence[static PV_SENTENCE_BYTES])
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < set->disks; i++)
		count += set->plan[i].bus == PV_DISK_ON_MMIO;
	return count <= PV_MACHINE_MMIO_DEVICES ||
	       pv_sentence_wrong(sentence,
	                         "option '--disk': bus=mmio has room for %u disks, not %u; leave "
	                         "the others on pci",
	                         PV_MACHINE_MMIO_DEVICES, count);
}

bool pv_run_plan_disks(struct pv_disk_set *set, const struct pv_option_texts *texts, uint64_t cpus,
                       char sentence[static PV_SENTENCE_BYTES])
{
	static struct pv_option keys[KEYS_MAX];
	static const struct pv_option_spelling spelling = { "disk", aliases, keys };

	list_keys(keys);
	if (!pv_disk_set_empty(set, texts->count, sentence))
		return false;
	set->spelling = &spelling;
	for (unsigned int i = 0; i < set->disks; i++) {
		struct pv_disk_plan *plan = &set->plan[i];
		/* It is in argv, which is ours to write to. */
		char *text = (char *)(uintptr_t)texts->text[i];

		plan->disk.queues = cpus < QUEUES_DEFAULT ? cpus : QUEUES_DEFAULT;
		plan->disk.queue_size_max = QUEUE_SIZE;
		if (!pv_options_parse_keys("disk", keys, plan, text, sentence)) {
			pv_disk_set_close(set);
			return false;
		}
	}
	if (are_few_on_mmio(set, sentence))
		return true;
	pv_disk_set_close(set);
	return false;
}

static bool add_disk(struct pv_machine *machine, const struct pv_disk *disk, unsigned int bus,
                     char sentence[static PV_SENTENCE_BYTES])
{
	if (bus == PV_DISK_ON_MMIO)
		return pv_machine_add_mmio(machine, disk->device, disk->host, sentence);
	return pv_machine_add(machine, disk->device, disk->host, PCI_CLASS_STORAGE_SCSI, sentence);
}

bool pv_run_add_disks(struct pv_machine *machine, const struct pv_disk_set *set,
                      char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < set->opened; i++)
		if (!add_disk(machine, &set->disk[i], set->plan[i].bus, sentence))
			return false;
	return true;
}
