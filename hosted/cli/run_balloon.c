/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory balloon of paravane run. */
#include "abi/pci.h"
#include "hosted/cli/run.h"

#define BALLOON struct pv_run_balloon
static const struct pv_option own_keys[] = {
	{ "id", "NAME", "its name", PV_OPTION_TEXT_AT(BALLOON, export.name) },
	{ "bus", "pci|mmio", "where it is", PV_OPTION_CHOICE_AT(BALLOON, bus, pv_run_buses) },
	{ "iothreads", "N", "an event loop of its own",
	  PV_OPTION_NUMBER_AT(BALLOON, export.own_loops, 0, 1) },
	{ 0 },
};

_Static_assert(offsetof(BALLOON, options) == 0, "offsets of keys are those of its options");

bool pv_run_plan_balloon(struct pv_run_balloon *balloon, const char *option,
                         char sentence[static PV_SENTENCE_BYTES])
{
	/* It is in argv, which is ours to write to. */
	char *text = (char *)(uintptr_t)option;
	struct pv_option keys[PV_OPTION_KEYS_MAX];
	unsigned int count = 0;

	*balloon = (BALLOON){ .options = PV_BALLAST_DEFAULTS, .export = PV_EXPORT_DEFAULTS };
	balloon->export.id_option = "balloon";
	pv_options_add_keys(keys, &count, own_keys);
	pv_options_add_keys(keys, &count, pv_ballast_option_group.options);
	return !text || pv_options_parse_switch_and_keys("balloon", keys, balloon, &balloon->is_on,
	                                                 text, sentence);
}

/* Private huge pages that are given up go to the pool, but stay set aside for who had them. */
bool pv_run_balloon_wants_file(const struct pv_run_balloon *balloon,
                               const struct pv_machine_memory_options *memory)
{
	return balloon->is_on && memory->has_huge_pages;
}

void pv_run_extend_by_balloon(struct pv_service_extent *extent,
                              const struct pv_run_balloon *balloon)
{
	if (balloon->is_on)
		pv_ballast_extend(extent, balloon->export.own_loops);
}

/* Now that it has its memory. */
static bool set_target(struct pv_ballast *ballast, uint64_t target,
                       char sentence[static PV_SENTENCE_BYTES])
{
	return target == PV_OPTION_UNSET || pv_ballast_set_target(ballast, target, sentence) ||
	       pv_sentence_about(sentence, "option '--balloon': 'target'");
}

bool pv_run_add_balloon(struct pv_machine *machine, struct pv_run_balloon *balloon,
                        struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_ballast *ballast = &balloon->ballast;
	bool is_good;

	if (!balloon->is_on)
		return true;
	if (!pv_ballast_open(ballast, &balloon->options, &balloon->export, service, sentence))
		return false;
	if (balloon->bus == PV_DISK_ON_MMIO)
		is_good = pv_machine_add_mmio(machine, ballast->device, ballast->host, sentence);
	else
		is_good = pv_machine_add(machine, ballast->device, ballast->host, PCI_CLASS_OTHERS,
		                         sentence);
	return is_good && set_target(ballast, balloon->options.target, sentence);
}
