/* SPDX-License-Identifier: BSD-2-Clause */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <paravane/ring/err.h>

static bool move_piece(int fd, bool is_write, const struct pv_iov *piece, uint64_t offset)
{
	uint8_t *memory = piece->base;

	for (size_t done = 0; done < piece->bytes;) {
		size_t left = piece->bytes - done;
		off_t at = (off_t)(offset + done);
		ssize_t moved = is_write ? pwrite(fd, memory + done, left, at)
		                         : pread(fd, memory + done, left, at);

		if (moved <= 0)
			return false;
		done += (size_t)moved;
	}
	return true;
}

static bool move(int fd, const struct pv_blk_io *io)
{
	uint64_t offset = io->offset;
	bool is_write = io->op == PV_BLK_WRITE;

	for (uint16_t i = 0; i < io->iovs; i++) {
		if (!move_piece(fd, is_write, &io->iov[i], offset))
			return false;
		offset += io->iov[i].bytes;
	}
	return !is_write || !io->is_stable || fdatasync(fd) == 0;
}

static enum pv_blk_submit disk_submit(struct pv_blk_store *store, struct pv_blk_io *io)
{
	int fd = ((struct disk *)store)->fd;

	errno = 0;
	io->error = -PV_ENOTSUP; /* what `limits` does not offer does not come */
	if (io->op == PV_BLK_READ || io->op == PV_BLK_WRITE)
		io->error = move(fd, io) ? 0 : errno == ENOSPC ? -PV_ENOSPC : -PV_EIO;
	else if (io->op == PV_BLK_FLUSH)
		io->error = fdatasync(fd) ? -PV_EIO : 0;
	return io->error ? PV_BLK_FAILED : PV_BLK_DONE;
}

static const struct pv_blk_store_ops disk_ops = { .submit = disk_submit };

bool disk_open(struct disk *disk, const char *path)
{
	off_t bytes;

	disk->fd = open(path, O_RDWR | O_CLOEXEC);
	bytes = disk->fd < 0 ? -1 : lseek(disk->fd, 0, SEEK_END);
	if (bytes < 0)
		return false;
	disk->store.ops = &disk_ops;
	disk->store.capacity_bytes = (uint64_t)bytes / 512 * 512;
	disk->store.limits.logical_block_bytes = 512;
	disk->store.limits.physical_block_bytes = 512;
	return true;
}

void disk_close(struct disk *disk)
{
	close(disk->fd);
}
