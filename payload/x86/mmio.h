/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio devices that no bus leads to, and the drivers' way to them. */
#ifndef PV_PAYLOAD_MMIO_H
#define PV_PAYLOAD_MMIO_H

#include "drivers/bus/mmio.h"

struct mmio_device {
	struct pv_mmio_port port;
	struct pv_mmio_bus mmio;
	uint64_t address;
};

/* Registers at an address. Returns the device's bus; NULL where there is none. */
struct pv_bus *mmio_open(struct mmio_device *device, uint64_t address);

#endif
