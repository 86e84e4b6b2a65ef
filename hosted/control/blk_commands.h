/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control commands over disks, in the shapes that QEMU gives them: query-block, block_resize, and
 * cont, which has disks go on that an error policy has stopped.  Failures are told as the events
 * BLOCK_IO_ERROR, and STOP when a disk stops; RESUME when all go on, by cont or by a reset.
 */
#ifndef PV_HOSTED_BLK_COMMANDS_H
#define PV_HOSTED_BLK_COMMANDS_H

#include "hosted/control/disk.h"
#include "hosted/control/qmp.h"

/* In the caller's storage, for as long as the server lives. */
struct pv_blk_commands {
	struct pv_disk *disk;
	unsigned int disks;
	struct pv_qmp *qmp;
	void (*stop_machine)(void *machine); /* NULL: there is none */
	void *machine;
};

/* Registers the commands, and has the server tell of the disks' failures. */
void pv_blk_commands_register(struct pv_blk_commands *commands, struct pv_qmp *qmp,
                              struct pv_disk *disk, unsigned int disks);

/*
 * The same for disks of a machine in this process: an error policy calls `stop` instead of telling
 * STOP, and `cont` is the machine's.
 */
void pv_blk_commands_register_for_machine(struct pv_blk_commands *commands, struct pv_qmp *qmp,
                                          struct pv_disk *disk, unsigned int disks,
                                          void (*stop)(void *machine), void *machine);

/* Has all disks go on that an error policy has stopped. */
void pv_blk_commands_resume(struct pv_blk_commands *commands);

/* What query-status is to say on behalf of the disks: "running", or "io-error". */
const char *pv_blk_commands_status(void *commands);

#endif
