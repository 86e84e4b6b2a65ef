/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a driver asks of the operating system around it: six functions.
 *
 * Memory that a device sees goes through here, so that an IOMMU, a bounce buffer or a machine
 * whose addresses are not the device's need no change in a driver.
 */
#ifndef PV_DRIVERS_PORT_H
#define PV_DRIVERS_PORT_H

#include <stdbool.h>

#include "abi/types.h"

struct pv_os;

struct pv_os_ops {
	/*
	 * Zeroed memory that the device may see, contiguous for it, at least `align`-aligned on
	 * both sides; its device address in `*addr`. NULL when there is none. Called at start.
	 */
	void *(*shared_alloc)(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr);
	void (*shared_free)(struct pv_os *os, void *memory, size_t bytes);

	/* Zeroed memory of the driver's own. Called at start. */
	void *(*alloc)(struct pv_os *os, size_t bytes);
	void (*free)(struct pv_os *os, void *memory, size_t bytes);

	/* A clock that never goes back, in nanoseconds. */
	uint64_t (*now_ns)(struct pv_os *os);

	/*
	 * Waits until an interrupt of a device may have come, or about `ns` have passed; a port
	 * without interrupts waits a little and returns.
	 */
	void (*wait)(struct pv_os *os, uint64_t ns);
};

struct pv_os {
	const struct pv_os_ops *ops;
};

#endif
