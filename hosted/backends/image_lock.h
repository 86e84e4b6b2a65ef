/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks on an image, as QEMU takes them: so QEMU and its tools keep away from an image in use here,
 * and we from one in use there.
 *
 * Two rows of single bytes of the file, far within it, stand for what its users do with it: a lock
 * on byte 100 + i says "I do i", one on byte 200 + i "nobody else may do i".  The locks are shared
 * ones and never conflict as such; whoever comes takes its own and then looks whether somebody else
 * holds a contrary one.  They belong to the open file and go when it is closed, however the process
 * ends; no byte is ever read or written.
 */
#ifndef PV_HOSTED_IMAGE_LOCK_H
#define PV_HOSTED_IMAGE_LOCK_H

#include <stdbool.h>

/*
 * Any thread. Takes the locks of a disk that is read, and written if `is_writer`; others may read
 * what nobody writes. Returns 0; -EAGAIN when somebody does what this excludes or excludes what
 * this does: no lock is held then; or -errno, also where files of this kind cannot be locked
 * (-ENOLCK, -EOPNOTSUPP, -EINVAL).
 */
int pv_image_lock(int fd, bool is_writer);

/* Lets go of all of them. */
void pv_image_unlock(int fd);

#endif
