/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real driver and a real device in one process, on one thread.
 *
 * The couple is the bus and the operating system of the driver, and the host of the device.  Memory
 * is a twin's: each half has its own view of it.  A lane of the device runs only when it is polled
 * (pv_couple_run) and, once it went to sleep, only after a kick; so a notification that is lost
 * shows as a test that makes no progress.
 */
#ifndef PV_TESTS_COUPLE_H
#define PV_TESTS_COUPLE_H

#include "devices/core/device.h"
#include "drivers/core/bus.h"
#include "drivers/port/port.h"
#include "tests/support/twin.h"

#define PV_COUPLE_QUEUES 9

struct pv_couple_lane {
	bool is_attached;
	bool is_asleep;
	bool is_kicked;
	bool has_ended; /* work of the device's own came to an end: no sleep before a run */
	bool has_event; /* for the control side */
	bool has_timer;
	uint64_t timer_ns; /* when it goes off */
	bool is_detaching;
	bool is_interrupted; /* since the driver last looked */
	struct pv_bus_queue place;
	bool is_placed;
	void *inflight; /* its journal, for the test to set; NULL: none */
};

/* A kick as it came in at a transport's register. */
struct pv_couple_kick {
	uint32_t value;
	unsigned int bytes;
};

struct pv_couple {
	struct pv_bus bus;
	struct pv_os os;
	struct pv_port port;
	struct pv_twin twin;
	struct pv_random random;
	struct pv_device *device;
	enum pv_twin_view view; /* the device's */
	uint16_t inflight_places;
	uint32_t region_max; /* bytes of a region of request slots and indirect tables */
	struct pv_couple_lane lane[PV_COUPLE_QUEUES];
	uint64_t now_ns; /* virtual time, of both halves; waiting moves it on */
	uint32_t interrupts;
	uint32_t config_changes;
	uint32_t needs_resets;
	uint32_t logs;   /* lines */
	uint32_t allocs; /* that are not freed */
	/* Where a transport stands between; NULL: all that there is is counting. */
	void (*on_interrupt)(struct pv_couple *couple, uint16_t queue);
	void (*on_config_change)(struct pv_couple *couple);
	bool is_sealed;
	bool is_ring_next;
	bool has_rings_on_pages; /* the device is a legacy one */
	/* No queue has more than its rings for certain: only what can be none is cut. */
	bool has_whole_lines;
	char last_log[160];
};

/* `random` decides how memory is cut. The device comes after: its port is `couple->port`. */
void pv_couple_open(struct pv_couple *couple, size_t memory_bytes, struct pv_random random);
void pv_couple_close(struct pv_couple *couple);

/* Puts a device in place, the first or one that takes over from the last. */
void pv_couple_set_device(struct pv_couple *couple, struct pv_device *device,
                          enum pv_twin_view view);

/* No more memory for the driver: the device gets the table of what there is. */
void pv_couple_seal(struct pv_couple *couple);

/* Starts a queue of the driver's once more, where the driver has it. Returns 0 or why not. */
int pv_couple_start_queue(struct pv_couple *couple, uint16_t index);

/* Runs each lane once, where it is awake or was kicked. Returns whether anything was done. */
bool pv_couple_run(struct pv_couple *couple);

/* Lanes without work go to sleep: they ask for kicks, and look once more. */
void pv_couple_sleep(struct pv_couple *couple);

/* Time passes; who waits for a timer that goes off is awake for the next run. */
void pv_couple_pass(struct pv_couple *couple, uint64_t ns);

/* The device's own work has come to an end for a lane: it runs even if it was asleep. */
void pv_couple_wake(struct pv_couple *couple, uint16_t queue);

#endif
