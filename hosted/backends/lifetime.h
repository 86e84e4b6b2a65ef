/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How worn a medium is, as the kernel tells it of an eMMC: two files in the folder of the device,
 * "life_time" with two numbers ("0x01 0x02": type A, type B, each in tenths of the life expected)
 * and "pre_eol_info" with one ("0x01"), both of them as JEDEC and virtio count (virtio 1.3, section
 * 5.2.6).  They hold what the kernel read when it found the device: to look there waits for
 * nothing.
 *
 * The files stay open, since the program cannot open any later.
 */
#ifndef PV_HOSTED_LIFETIME_H
#define PV_HOSTED_LIFETIME_H

#include "devices/blk/store.h"

struct pv_lifetime_files {
	int life_time_fd;
	int pre_eol_fd;
};

/* Neither is open. */
#define PV_LIFETIME_NONE ((struct pv_lifetime_files){ -1, -1 })

/* Opens the two files in this folder. Returns whether both are there; if not, neither is open. */
bool pv_lifetime_open(struct pv_lifetime_files *files, const char *folder);
void pv_lifetime_close(struct pv_lifetime_files *files);

/*
 * Any thread. Returns 0, with 0 ("not defined") for a value that has no meaning, or -PV_EIO where
 * there is no number, or the device is gone.
 */
int pv_lifetime_read(const struct pv_lifetime_files *files, struct pv_blk_lifetime *lifetime);

#endif
