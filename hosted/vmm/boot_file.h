/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that guest memory is filled from, at each start of the guest.  It stays open and is read
 * into its place; nothing of it is kept but its beginning, where a kernel says what it is.
 */
#ifndef PV_HOSTED_VMM_BOOT_FILE_H
#define PV_HOSTED_VMM_BOOT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "hosted/control/sentence.h"

#define PV_BOOT_HEAD_BYTES 16384u

struct pv_boot_file {
	const char *option, *path; /* the caller's, for sentences */
	uint8_t *head;             /* NULL: not open */
	uint64_t bytes, head_bytes;
	int fd;
};

/* Opens it and reads its head. False with a sentence that names the option; it is not open then. */
bool pv_boot_file_open(struct pv_boot_file *file, const char *option, const char *path,
                       char sentence[static PV_SENTENCE_BYTES]);

/* One that is not open may be closed as well, if it is all zero or was closed before. */
void pv_boot_file_close(struct pv_boot_file *file);

/* Is there such a part of it? */
bool pv_boot_file_has(const struct pv_boot_file *file, uint64_t offset, uint64_t bytes);

/*
 * Reads a part of it to `to`. False with a sentence where it is not there, or not any more: what it
 * was when it was opened does not bind whoever writes to it.
 */
bool pv_boot_file_read(const struct pv_boot_file *file, uint64_t offset, void *to, uint64_t bytes,
                       char sentence[static PV_SENTENCE_BYTES]);

#endif
