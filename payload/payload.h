/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The image of the drivers: it finds every virtio device of the machine, tests it with the driver
 * that there is, says what it found on COM1, in TAP, and switches the machine off.
 */
#ifndef PV_PAYLOAD_H
#define PV_PAYLOAD_H

#include "drivers/core/bus.h"
#include "payload/x86/machine.h"
#include "payload/x86/ring.h"

/* What the command line says. */
struct payload_options {
	bool may_write; /* "scratch": disks may be written to, what is on them does not matter */
	bool is_legacy; /* "legacy": PCI devices by their legacy registers */
	bool is_bench;  /* "bench": how fast is it?, instead of the self test */
	bool is_guest;  /* "guest": a balloon is lived with, instead of the self test */
	bool has_echo;  /* "net-echo": who is behind network devices sends back what it gets */
	/*
	 * "poll", "interrupts": how devices are waited for; both, one after the other, if neither
	 * is there (a benchmark polls).
	 */
	bool may_poll, may_interrupt;
	enum ring_wish ring; /* "ring=0", "ring=3"; otherwise what is faster (ring.h) */
	/* "depth=", "bytes=", "ms=": requests in flight, bytes of each, how long to measure. */
	uint32_t depth, bytes;
	uint32_t serial_bytes; /* the same of serial ports, whose pieces are larger */
	bool is_paged;         /* "paged": these lie in single pages, not in one piece */
	uint64_t ms;
	/* "answers=": to each packet where there is an echo; "udp=": a port of the host's instead
	 * of frames of a protocol for experiments, or 0. */
	uint32_t answers;
	uint16_t udp_port;
	/* "balloon=": MiB of memory, from 32 MiB on, that a balloon is measured or lived with; 0:
	 * the image's own. */
	uint32_t balloon_mib;
	/* "step=": 1: only in a row, 2: only every other page, 3: only reports, 0: all of them, one
	 * after the other */
	uint32_t balloon_step;
};

/* A statement about the device that is being tested; returns is_true. */
bool payload_ok(bool is_true, const char *text);

/* One that cannot be made here, and why. */
void payload_skip(const char *text, const char *why);

/* The self tests: statements about a device, from its reset to its end. */
void payload_test_blk(struct pv_bus *bus, const struct payload_options *options);
void payload_test_rng(struct pv_bus *bus, const struct payload_options *options);
void payload_test_net(struct pv_bus *bus, const struct payload_options *options);
void payload_test_serial(struct pv_bus *bus, const struct payload_options *options);
void payload_test_balloon(struct pv_bus *bus, const struct payload_options *options);

/* The same, and figures in notes. */
void payload_bench_blk(struct pv_bus *bus, const struct payload_options *options);
void payload_bench_rng(struct pv_bus *bus, const struct payload_options *options);
void payload_bench_net(struct pv_bus *bus, const struct payload_options *options);
void payload_bench_serial(struct pv_bus *bus, const struct payload_options *options);
void payload_bench_balloon(struct pv_bus *bus, const struct payload_options *options);

/* One that goes on until it is told on COM1 to end (guest_balloon.c). */
void payload_live_with_balloon(struct pv_bus *bus, const struct payload_options *options);

/* A line that is no statement: a name and a number. */
void payload_note(const char *name, uint64_t number);

/* ---- interrupts ---- */

/* Statements about the machine: what is asleep is woken. Without any device. */
void payload_test_interrupts(void);

/* A statement about the device that interrupts_attach_...() was called for, outside its driver: it
 * is given a queue that is nonsense, and its configuration's interrupt tells that it found out. */
void payload_test_config_interrupt(struct pv_bus *bus);

/* Sleeps until a queue has had more interrupts than `before`; false: not within the time. */
bool payload_sleep(uint16_t queue, uint32_t before, uint64_t timeout_ns);

#endif
