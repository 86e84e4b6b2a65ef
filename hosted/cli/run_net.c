/* SPDX-License-Identifier: BSD-2-Clause */
/* The network devices of paravane run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/pci.h"
#include "hosted/cli/run.h"

#define IOTHREADS_MAX 16u
#define QUEUE_SIZE    256u

#define PLAN struct pv_run_nic_plan
static const struct pv_option plan_keys[] = {
	{ "id", "NAME", "its name", PV_OPTION_TEXT_AT(PLAN, export.name) },
	{ "bus", "pci|mmio", "where it is", PV_OPTION_CHOICE_AT(PLAN, bus, pv_run_buses) },
	{ "iothreads", "N", "event loops of its own",
	  PV_OPTION_NUMBER_AT(PLAN, export.own_loops, 0, IOTHREADS_MAX) },
	{ 0 },
};

_Static_assert(offsetof(PLAN, nic) == 0, "offsets of keys are those of a plan");

static bool plan_one(PLAN *plan, const char *option, const char *machine,
                     char sentence[static PV_SENTENCE_BYTES])
{
	/* It is in argv, which is ours to write to. */
	char *text = (char *)(uintptr_t)option;

	*plan = (PLAN){ .nic = pv_nic_defaults(), .export = PV_EXPORT_DEFAULTS };
	plan->export.id_option = "net";
	plan->nic.identity = machine;
	plan->nic.queue_size = QUEUE_SIZE;
	return pv_nic_parse("net", plan_keys, &plan->nic, text, sentence);
}

bool pv_run_plan_nics(struct pv_run_nics *nics, const struct pv_option_texts *texts,
                      const char *machine, char sentence[static PV_SENTENCE_BYTES])
{
	bool is_good = true;

	*nics = (struct pv_run_nics){ 0 };
	if (texts->count == 0)
		return true;
	nics->plan = calloc(texts->count, sizeof(*nics->plan));
	nics->nic = calloc(texts->count, sizeof(*nics->nic));
	if (!nics->plan || !nics->nic)
		is_good = pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	for (unsigned int i = 0; is_good && i < texts->count; i++)
		if (!pv_remote_device_is_meant(texts->text[i]))
			is_good = plan_one(&nics->plan[nics->count++], texts->text[i], machine,
			                   sentence);
	if (!is_good)
		pv_run_close_nics(nics);
	return is_good;
}

void pv_run_extend_by_nics(struct pv_service_extent *extent, const struct pv_run_nics *nics)
{
	for (unsigned int i = 0; i < nics->count; i++)
		pv_nic_extend(extent, &nics->plan[i].nic, nics->plan[i].export.own_loops);
}

static bool add(struct pv_machine *machine, const struct pv_nic *nic, unsigned int bus,
                char sentence[static PV_SENTENCE_BYTES])
{
	if (bus == PV_DISK_ON_MMIO)
		return pv_machine_add_mmio(machine, nic->device, nic->host, sentence);
	return pv_machine_add(machine, nic->device, nic->host, PCI_CLASS_NETWORK_ETHERNET,
	                      sentence);
}

bool pv_run_add_nics(struct pv_machine *machine, struct pv_run_nics *nics,
                     struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < nics->count; i++) {
		const PLAN *plan = &nics->plan[i];

		if (!pv_nic_open(&nics->nic[i], &plan->nic, &plan->export, service, sentence) ||
		    !add(machine, &nics->nic[i], plan->bus, sentence))
			return false;
	}
	return true;
}

void pv_run_close_nics(struct pv_run_nics *nics)
{
	for (unsigned int i = 0; i < nics->count; i++)
		pv_nic_close(&nics->nic[i]);
	free(nics->nic);
	free(nics->plan);
	*nics = (struct pv_run_nics){ 0 };
}
