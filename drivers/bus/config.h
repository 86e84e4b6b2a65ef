/* SPDX-License-Identifier: BSD-2-Clause */
/* A device's configuration behind registers, by accesses of 1, 2 and 4 bytes at multiples of that.
 */
#ifndef PV_DRIVERS_BUS_CONFIG_H
#define PV_DRIVERS_BUS_CONFIG_H

#include "drivers/core/bus.h"

struct pv_config_access {
	uint32_t (*read)(struct pv_bus *bus, uint32_t offset, unsigned int bytes);
	void (*write)(struct pv_bus *bus, uint32_t offset, unsigned int bytes, uint32_t value);
};

/* The range was checked. */
void pv_config_read(const struct pv_config_access *access, struct pv_bus *bus, uint32_t offset,
                    void *to, uint32_t bytes);
void pv_config_write(const struct pv_config_access *access, struct pv_bus *bus, uint32_t offset,
                     const void *from, uint32_t bytes);

#endif
