/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operating system of a driver in the test's process: memory is an arena, which the device
 * finds by a table of one region.  Include after cmocka.
 */
#ifndef PV_TESTS_ARENA_OS_H
#define PV_TESTS_ARENA_OS_H

#include "hosted/driver_bus/arena_os.h"
#include "ring/mem.h"

struct arena_os {
	struct pv_arena_os base; /* first */
	struct pv_mem *table;
	void (*wait)(void *arg); /* a little: whatever else is to go on does so meanwhile */
	void *arg;
};

void arena_os_open(struct arena_os *guest, size_t bytes, void (*wait)(void *arg), void *arg);
void arena_os_close(struct arena_os *guest);

#endif
