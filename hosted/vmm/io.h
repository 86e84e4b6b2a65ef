/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An address space of a machine, ports or memory, as accesses that leave the guest see it: ranges,
 * and who answers for each.  What nobody answers for reads as all ones, and writes are lost, as on
 * a bus without a device.
 */
#ifndef PV_HOSTED_VMM_IO_H
#define PV_HOSTED_VMM_IO_H

#include <stdbool.h>
#include <stdint.h>

struct pv_io_ops {
	/* `bytes` is 1, 2, 4 or 8, and the access inside the range. */
	uint64_t (*read)(void *arg, uint64_t offset, unsigned int bytes);
	void (*write)(void *arg, uint64_t offset, unsigned int bytes, uint64_t value);
};

struct pv_io_range {
	uint64_t base, bytes;
	const struct pv_io_ops *ops;
	void *arg;
};

#define PV_IO_RANGES_MAX 256u

struct pv_io_space {
	struct pv_io_range range[PV_IO_RANGES_MAX];
	unsigned int ranges;
};

/* A later range lies over an earlier one. False: no room. */
bool pv_io_add(struct pv_io_space *space, const struct pv_io_range *range);
void pv_io_remove(struct pv_io_space *space, uint64_t base, const void *arg);

/* An access as KVM has it: the data is little-endian. */
void pv_io_access(const struct pv_io_space *space, uint64_t address, void *data, unsigned int bytes,
                  bool is_write);

#endif
