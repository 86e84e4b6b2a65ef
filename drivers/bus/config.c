/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/bus/config.h"

/* The widest access that fits. */
static unsigned int width_at(uint32_t offset, uint32_t bytes)
{
	if (offset % 4 == 0 && bytes >= 4)
		return 4;
	return offset % 2 == 0 && bytes >= 2 ? 2 : 1;
}

void pv_config_read(const struct pv_config_access *access, struct pv_bus *bus, uint32_t offset,
                    void *to, uint32_t bytes)
{
	uint8_t *byte = to;

	for (uint32_t end = offset + bytes; offset < end;) {
		unsigned int width = width_at(offset, end - offset);
		uint32_t value = access->read(bus, offset, width);

		for (unsigned int i = 0; i < width; i++)
			*byte++ = (uint8_t)(value >> 8 * i);
		offset += width;
	}
}

void pv_config_write(const struct pv_config_access *access, struct pv_bus *bus, uint32_t offset,
                     const void *from, uint32_t bytes)
{
	const uint8_t *byte = from;

	for (uint32_t end = offset + bytes; offset < end;) {
		unsigned int width = width_at(offset, end - offset);
		uint32_t value = 0;

		for (unsigned int i = 0; i < width; i++)
			value |= (uint32_t)*byte++ << 8 * i;
		access->write(bus, offset, width, value);
		offset += width;
	}
}
