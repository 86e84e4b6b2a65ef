/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control commands over disks, in the shapes that QEMU gives them: query-block, block_resize, and
 * cont, which has nothing to do while everything runs.
 */
#ifndef PV_HOSTED_BLK_COMMANDS_H
#define PV_HOSTED_BLK_COMMANDS_H

#include "hosted/control/disk.h"
#include "hosted/control/qmp.h"

/* The argument to register the table with. */
struct pv_blk_commands {
	struct pv_disk *disk;
	unsigned int disks;
};

extern const struct pv_qmp_command pv_blk_command_table[];

#endif
