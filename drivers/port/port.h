/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a driver asks of the operating system around it: eight functions.
 *
 * Every address that a device gets to see comes from here, so that an IOMMU, bounce buffers, pages
 * that do not lie side by side, or a machine whose addresses are not the device's need no change in
 * a driver: what is shared all the time comes from shared_alloc(), the data of requests goes
 * through map() and unmap(). Who calls what when, and three ways to write it: docs/howto/port.md.
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

	/*
	 * Lets the device at the memory of a request, which it will write (`is_written`) or read:
	 * as much of `bytes` from `memory` on as is contiguous for it. Returns how much that is,
	 * and its device address in `*addr`; 0 when there is no room for it now. A driver asks for
	 * the rest by another call, and never looks behind `memory`: what the pointer means is
	 * between its user and the port.
	 *
	 * Called at each request. unmap() takes back exactly what one map() gave, before the
	 * request ends: with bounce buffers it copies what was written. NULL where there is nothing
	 * to do.
	 */
	uint32_t (*map)(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
	                struct pv_gpa *addr);
	void (*unmap)(struct pv_os *os, struct pv_gpa addr, uint32_t bytes, bool is_written);

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
