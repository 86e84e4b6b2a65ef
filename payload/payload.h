/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image of the drivers: it finds every virtio device of the machine, tests it with the driver
 * that there is, says what it found on COM1, in TAP, and switches the machine off.
 */
#ifndef PV_PAYLOAD_H
#define PV_PAYLOAD_H

#include "drivers/core/bus.h"
#include "payload/x86/machine.h"

/* What the command line says. */
struct payload_options {
	bool may_write; /* "scratch": disks may be written to, what is on them does not matter */
	bool is_legacy; /* "legacy": PCI devices by their legacy registers */
	bool is_bench;  /* "bench": how fast is it?, instead of the self test */
	/* "depth=", "bytes=", "ms=": requests in flight, bytes of each, how long to measure. */
	uint32_t depth, bytes;
	uint64_t ms;
};

/* A statement about the device that is being tested; returns is_true. */
bool payload_ok(bool is_true, const char *text);

/* The self tests: statements about a device, from its reset to its end. */
void payload_test_blk(struct pv_bus *bus, const struct payload_options *options);
void payload_test_rng(struct pv_bus *bus, const struct payload_options *options);

/* The same, and figures in notes. */
void payload_bench_blk(struct pv_bus *bus, const struct payload_options *options);
void payload_bench_rng(struct pv_bus *bus, const struct payload_options *options);

/* A line that is no statement: a name and a number. */
void payload_note(const char *name, uint64_t number);

#endif
