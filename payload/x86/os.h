/* SPDX-License-Identifier: BSD-2-Clause */
/* The port of the drivers (drivers/port/port.h) to a bare x86-64 machine: it waits for a device's
 * interrupts where that has some (interrupts.h), and polls otherwise. */
#ifndef PV_PAYLOAD_OS_H
#define PV_PAYLOAD_OS_H

#include "drivers/port/port.h"

extern struct pv_os bare_os;

/*
 * The same, but for a device no page of a request's memory is followed by the next: as where an
 * operating system hands on what a program has in pages from anywhere. That memory is aligned to
 * two pages.
 */
extern struct pv_os bare_os_paged;

/* Memory for a device, zeroed and below 4 GiB, so its address is the device's; NULL: none left. */
void *bare_alloc(size_t bytes, size_t align);

/* All that was allocated since the last call is free again. */
void bare_forget(void);

#endif
