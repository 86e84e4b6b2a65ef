/* SPDX-License-Identifier: BSD-2-Clause */
/* A store for a disk: a file, read and written on the spot. */
#ifndef DISK_H
#define DISK_H

#include <paravane/devices/blk/store.h>

struct disk {
	struct pv_blk_store store;
	int fd;
};

/* Returns whether there is such a file. */
bool disk_open(struct disk *disk, const char *path);
void disk_close(struct disk *disk);

#endif
