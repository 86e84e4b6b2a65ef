/* SPDX-License-Identifier: BSD-2-Clause */
/* The drivers of this tree, where there is no operating system. */
#include "drivers/blk/blk.h"
#include "payload/x86/os.h"
#include "tests/guests/bare/bare.h"

#define SECTOR_BYTES 512u
#define TIMEOUT_NS   3000000000ull

static uint8_t sector[SECTOR_BYTES] __attribute__((aligned(SECTOR_BYTES)));

static int transfer(struct pv_blkdrv *blk, enum pv_blkdrv_op op)
{
	const struct pv_buffer data = { sector, SECTOR_BYTES };
	struct pv_blkdrv_request request = { .op = op, .buffers = 1, .buffer = &data };

	return pv_blkdrv_do(pv_blkdrv_queue(blk, 0), &request, TIMEOUT_NS);
}

static uint8_t pattern(unsigned int at)
{
	return (uint8_t)(0xa5 ^ at ^ at >> 8);
}

static bool has_pattern(void)
{
	for (unsigned int i = 0; i < SECTOR_BYTES; i++)
		if (sector[i] != pattern(i))
			return false;
	return true;
}

static bool write_pattern(struct pv_blkdrv *blk)
{
	for (unsigned int i = 0; i < SECTOR_BYTES; i++)
		sector[i] = pattern(i);
	return transfer(blk, PV_BLKDRV_WRITE) == 0;
}

static void check_sector(struct pv_blkdrv *blk)
{
	bool is_read_only = pv_blkdrv_disk(blk)->is_read_only;

	if (!is_read_only)
		ok(write_pattern(blk), "a sector is written");
	__builtin_memset(sector, 0, SECTOR_BYTES);
	ok(transfer(blk, PV_BLKDRV_READ) == 0 && has_pattern(),
	   is_read_only ? "the read-only disk has what it always had"
	                : "the sector is read as it was written");
}

static void disk_check(struct pv_bus *bus)
{
	const struct pv_blkdrv_options options = { .timeout_ns = TIMEOUT_NS };
	struct pv_blkdrv *blk;

	bare_forget();
	if (!equal((uint64_t)-pv_blkdrv_create(&blk, bus, &bare_os, &options), 0,
	           "the disk comes up"))
		return;
	check_sector(blk);
	pv_blkdrv_destroy(blk);
}

unsigned int disks_check(void)
{
	unsigned int count = 0;

	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		if (!pci_is_disk(slot))
			continue;
		count++;
		pci_bus_forget(slot);
		disk_check(pci_bus(slot));
	}
	for (unsigned int i = 0; i < MMIO_PLACE_COUNT; i++) {
		struct pv_bus *bus = mmio_bus(i);

		if (!bus)
			continue;
		count++;
		disk_check(bus);
	}
	return count;
}
