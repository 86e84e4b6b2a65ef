/* SPDX-License-Identifier: BSD-2-Clause */
/* The remote devices of paravane run: those of --device, and networks that others serve. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "abi/pci.h"
#include "hosted/cli/run.h"

#define PLAN struct pv_run_remote_plan
static const struct pv_option plan_keys[] = {
	{ "id", "NAME", "its name", PV_OPTION_TEXT_AT(PLAN, export.name) },
	{ "bus", "pci|mmio", "where it is", PV_OPTION_CHOICE_AT(PLAN, bus, pv_run_buses) },
	{ 0 },
};

_Static_assert(offsetof(PLAN, remote) == 0, "offsets of keys are those of a plan");

static bool plan_one(struct pv_run_remotes *remotes, const char *option, const char *value,
                     enum pv_remote_type type, char sentence[static PV_SENTENCE_BYTES])
{
	PLAN *plan = &remotes->plan[remotes->count++];
	/* It is in argv, which is ours to write to. */
	char *text = (char *)(uintptr_t)value;

	*plan = (PLAN){ .remote = pv_remote_device_defaults(type), .export = PV_EXPORT_DEFAULTS };
	plan->export.id_option = option;
	return pv_remote_device_parse(option, plan_keys, &plan->remote, text, sentence);
}

bool pv_run_plan_remotes(struct pv_run_remotes *remotes, const struct pv_option_texts *devices,
                         const struct pv_option_texts *nets,
                         char sentence[static PV_SENTENCE_BYTES])
{
	size_t most = (size_t)devices->count + nets->count;
	bool is_good = true;

	*remotes = (struct pv_run_remotes){ 0 };
	if (most == 0)
		return true;
	remotes->plan = calloc(most, sizeof(*remotes->plan));
	remotes->device = calloc(most, sizeof(*remotes->device));
	if (!remotes->plan || !remotes->device)
		is_good = pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	for (unsigned int i = 0; is_good && i < devices->count; i++)
		is_good = plan_one(remotes, "device", devices->text[i], PV_REMOTE_RNG, sentence);
	for (unsigned int i = 0; is_good && i < nets->count; i++)
		if (pv_remote_device_is_meant(nets->text[i]))
			is_good = plan_one(remotes, "net", nets->text[i], PV_REMOTE_NET, sentence);
	if (!is_good)
		pv_run_close_remotes(remotes);
	return is_good;
}

void pv_run_extend_by_remotes(struct pv_service_extent *extent,
                              const struct pv_run_remotes *remotes)
{
	for (unsigned int i = 0; i < remotes->count; i++)
		pv_remote_device_extend(extent, &remotes->plan[i].remote);
}

bool pv_run_remotes_share_memory(const struct pv_run_remotes *remotes)
{
	for (unsigned int i = 0; i < remotes->count; i++)
		if (pv_remote_device_needs_shared_memory(&remotes->plan[i].remote))
			return true;
	return false;
}

static uint16_t class_of(unsigned int type)
{
	switch (type) {
	case PV_REMOTE_BLK:
		return PCI_CLASS_STORAGE_SCSI;
	case PV_REMOTE_NET:
		return PCI_CLASS_NETWORK_ETHERNET;
	default:
		return PCI_CLASS_OTHERS;
	}
}

static bool add(struct pv_machine *machine, const struct pv_remote_device *device, const PLAN *plan,
                char sentence[static PV_SENTENCE_BYTES])
{
	const uint8_t *base;
	int fd = pv_machine_shared_memory(machine, &base);

	pv_remote_set_memory(device->remote, fd, base);
	if (plan->bus == PV_DISK_ON_MMIO)
		return pv_machine_add_mmio(machine, device->device, device->host, sentence);
	return pv_machine_add(machine, device->device, device->host, class_of(plan->remote.type),
	                      sentence);
}

bool pv_run_add_remotes(struct pv_machine *machine, struct pv_run_remotes *remotes,
                        struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < remotes->count; i++) {
		const PLAN *plan = &remotes->plan[i];

		if (!pv_remote_device_open(&remotes->device[i], &plan->remote, &plan->export,
		                           service, sentence) ||
		    !add(machine, &remotes->device[i], plan, sentence))
			return false;
	}
	return true;
}

void pv_run_close_remotes(struct pv_run_remotes *remotes)
{
	for (unsigned int i = 0; i < remotes->count; i++)
		pv_remote_device_close(&remotes->device[i]);
	free(remotes->device);
	free(remotes->plan);
	*remotes = (struct pv_run_remotes){ 0 };
}
