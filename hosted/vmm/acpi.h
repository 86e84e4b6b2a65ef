/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables of a machine (ACPI 6.4, section 5.2). */
#ifndef PV_HOSTED_VMM_ACPI_H
#define PV_HOSTED_VMM_ACPI_H

#include <stdint.h>

/* Where they lie in guest memory, and how much room there is. A guest may look for them there. */
#define PV_ACPI_ADDRESS 0xe0000u
#define PV_ACPI_BYTES   0x20000u

/*
 * Writes all tables to `memory`, the machine's view of the room above; the pointer to the rest,
 * RSDP, is first. `cpus` is at most 255; so many of the places of mmio_bus.h have a device.
 */
void pv_acpi_build(uint8_t *memory, unsigned int cpus, unsigned int mmio_devices);

#endif
