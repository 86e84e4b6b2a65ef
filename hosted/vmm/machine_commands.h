/* SPDX-License-Identifier: BSD-2-Clause */
/* The control commands of a machine: query-cpus-fast, system_powerdown, system_reset. */
#ifndef PV_HOSTED_VMM_MACHINE_COMMANDS_H
#define PV_HOSTED_VMM_MACHINE_COMMANDS_H

#include "hosted/control/qmp.h"
#include "hosted/vmm/machine.h"

/* In the caller's storage, for as long as the server and the machine live. */
struct pv_machine_commands {
	struct pv_machine *machine;
	struct pv_qmp *qmp;
};

/* Registers the commands, and has the server tell of resets. */
void pv_machine_commands_register(struct pv_machine_commands *commands, struct pv_qmp *qmp,
                                  struct pv_machine *machine);

#endif
