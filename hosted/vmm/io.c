/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/io.h"

#include <string.h>

bool pv_io_add(struct pv_io_space *space, const struct pv_io_range *range)
{
	if (space->ranges == PV_IO_RANGES_MAX)
		return false;
	space->range[space->ranges++] = *range;
	return true;
}

void pv_io_remove(struct pv_io_space *space, uint64_t base, const void *arg)
{
	for (unsigned int i = 0; i < space->ranges; i++) {
		if (space->range[i].base != base || space->range[i].arg != arg)
			continue;
		space->ranges--;
		memmove(&space->range[i], &space->range[i + 1],
		        (space->ranges - i) * sizeof(space->range[0]));
		return;
	}
}

static const struct pv_io_range *find(const struct pv_io_space *space, uint64_t address,
                                      unsigned int bytes)
{
	for (unsigned int i = space->ranges; i-- > 0;) {
		const struct pv_io_range *range = &space->range[i];
		uint64_t offset = address - range->base;

		if (offset < range->bytes && bytes <= range->bytes - offset)
			return range;
	}
	return NULL;
}

/* Where an access crosses a page its parts may be of any width: that no register has. */
static bool is_width(unsigned int bytes)
{
	return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

void pv_io_access(const struct pv_io_space *space, uint64_t address, void *data, unsigned int bytes,
                  bool is_write)
{
	const struct pv_io_range *range;
	uint64_t value = 0;

	range = is_width(bytes) ? find(space, address, bytes) : NULL;
	if (!range) {
		if (!is_write)
			memset(data, 0xff, bytes);
		return;
	}
	if (is_write) {
		memcpy(&value, data, bytes);
		range->ops->write(range->arg, address - range->base, bytes, value);
		return;
	}
	value = range->ops->read(range->arg, address - range->base, bytes);
	memcpy(data, &value, bytes);
}
