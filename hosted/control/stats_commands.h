/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * query-stats: all counters of devices, their queues, and loops, in the shape of QEMU's command of
 * that name.  Each queue and loop is an entry with a path of its own, and so is each processor of a
 * machine; the provider is "paravane".  QEMU's `target` may be left out: queues and loops are those
 * of "vm", processors of "vcpu". `providers` and `vcpus` select, as they do there.
 */
#ifndef PV_HOSTED_STATS_COMMANDS_H
#define PV_HOSTED_STATS_COMMANDS_H

#include "devices/core/device.h"
#include "hosted/control/qmp.h"
#include "hosted/loop/loop.h"

/* Counters of what a device stands on, under the path of its name; all zero: there are none. */
struct pv_stats_ground {
	const struct pv_counter_name *names; /* offsets are those of PV_STATS_GROUND_MAX numbers */
	void (*read)(void *arg, uint64_t *counters);
	void *arg;

	/* Where it stands on several things, each has a path below: "port" makes it port0. */
	const char *part_name; /* NULL: it does not */
	unsigned int parts;
	bool (*read_part)(void *arg, unsigned int part, uint64_t *counters); /* is it there? */
};

#define PV_STATS_GROUND_MAX 8u

struct pv_stats_device {
	const char *name;
	const struct pv_device *device;
	struct pv_stats_ground ground;
};

struct pv_stats_loop {
	const char *name;
	const struct pv_loop *loop;
};

/* A processor: what its counters are called is up to whoever has it. */
struct pv_stats_cpu {
	const char *name;
	const struct pv_counter_name *names;
	const void *counters;
};

/* The argument to register the table with. */
struct pv_stats_commands {
	const struct pv_stats_device *device;
	unsigned int devices;
	const struct pv_stats_loop *loop;
	unsigned int loops;
	const struct pv_stats_cpu *cpu;
	unsigned int cpus;
};

extern const struct pv_qmp_command pv_stats_command_table[];

#endif
