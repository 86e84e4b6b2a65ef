/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control commands of a machine, in the shapes that QEMU gives them: cont, query-cpus-fast,
 * query-kvm, query-name, stop, system_powerdown, system_reset; and its events.
 */
#ifndef PV_HOSTED_VMM_MACHINE_COMMANDS_H
#define PV_HOSTED_VMM_MACHINE_COMMANDS_H

#include "hosted/control/blk_commands.h"
#include "hosted/control/disk_set.h"
#include "hosted/vmm/machine.h"

/* In the caller's storage, for as long as the server and the machine live. */
struct pv_machine_commands {
	struct pv_machine *machine;
	struct pv_qmp *qmp;
	const char *name;
	struct pv_blk_commands blk;
	struct pv_qmp_request *stop; /* not answered yet; NULL: none */
};

/*
 * Registers the commands, those of the machine's disks too, and has the server tell of what becomes
 * of it. `name` is what query-name says; NULL: nothing.
 */
void pv_machine_commands_register(struct pv_machine_commands *commands, struct pv_qmp *qmp,
                                  struct pv_machine *machine, const char *name,
                                  const struct pv_disk_set *set);

/* What query-status is to say: "running", "paused", "io-error" where a disk has stopped it,
 * "guest-panicked". */
const char *pv_machine_commands_status(void *commands);

#endif
