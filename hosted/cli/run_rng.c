/* SPDX-License-Identifier: BSD-2-Clause */
/* The entropy device of paravane run. */
#include "abi/pci.h"
#include "hosted/cli/run.h"

bool pv_run_plan_rng(struct pv_run_rng *rng, const char *option,
                     char sentence[static PV_SENTENCE_BYTES])
{
	/* It is in argv, which is ours to write to. */
	char *text = (char *)(uintptr_t)option;

	*rng = (struct pv_run_rng){ .is_on = true, .options = PV_ENTROPY_DEFAULTS };
	return !text || pv_entropy_parse("rng", &rng->options, &rng->is_on, text, sentence);
}

void pv_run_extend_by_rng(struct pv_service_extent *extent, const struct pv_run_rng *rng)
{
	extent->devices += rng->is_on;
	extent->queues += rng->is_on ? PV_ENTROPY_QUEUES : 0;
}

bool pv_run_add_rng(struct pv_machine *machine, struct pv_run_rng *rng, struct pv_service *service,
                    char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_export_options export = PV_EXPORT_DEFAULTS;

	return !rng->is_on ||
	       (pv_entropy_open(&rng->entropy, &rng->options, &export, service, sentence) &&
	        pv_machine_add(machine, rng->entropy.device, rng->entropy.host, PCI_CLASS_OTHERS,
	                       sentence));
}
