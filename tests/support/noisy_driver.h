/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of noise: it reads and writes a block device's registers at random, whatever bus they
 * are on, and the memory that its rings may lie in. After it comes one that means well.
 */
#ifndef PV_TESTS_NOISY_DRIVER_H
#define PV_TESTS_NOISY_DRIVER_H

#include "tests/support/couple.h"
#include "tests/support/slow_store.h"

#define PV_NOISY_QUEUES       3u
#define PV_NOISY_DISK_BYTES   65536u
#define PV_NOISY_AREA_BYTES   16384u
#define PV_NOISY_MEMORY_BYTES (4u << 20)

struct pv_noisy;

/* What is different from bus to bus. */
struct pv_noisy_bus {
	/* Makes a couple with pv_noisy_device() on the bus; of odd numbers it is for legacy
	 * drivers. */
	struct pv_couple *(*open)(struct pv_noisy *noisy, bool is_legacy);
	void (*close)(void);
	/* One access to anything. */
	void (*access)(struct pv_noisy *noisy);
	/* Noise alone seldom gets a queue to run. */
	void (*start_queue)(struct pv_noisy *noisy);
	/* What always holds; NULL: nothing. */
	void (*check)(void);
	void (*reset)(void);
	/* As a driver that comes anew finds the device. */
	struct pv_bus *(*probe)(void);
};

struct pv_noisy {
	const struct pv_noisy_bus *bus;
	struct pv_couple *couple;
	struct pv_random random;
	struct pv_slow_store store;
	uint8_t disk[PV_NOISY_DISK_BYTES];
	void *storage;
	struct pv_gpa area; /* of guest memory, for rings and buffers of the wildest kind */
};

void pv_noisy_open(struct pv_noisy *noisy, const struct pv_noisy_bus *bus, uint64_t number);
void pv_noisy_close(struct pv_noisy *noisy);

/* The block device, on the couple's port. */
struct pv_device *pv_noisy_device(struct pv_noisy *noisy, struct pv_couple *couple);

/* Less than `limit`; and values that mean something more often than not. */
uint32_t pv_noisy_below(struct pv_noisy *noisy, uint32_t limit);
uint64_t pv_noisy_value(struct pv_noisy *noisy);

/* After a reset: the device comes to rest, and serves whoever comes. */
void pv_noisy_settle(struct pv_noisy *noisy);
void pv_noisy_expect_service(struct pv_noisy *noisy);

/* The tests that every bus has. */
void pv_noisy_registers_answer(const struct pv_noisy_bus *bus);
void pv_noisy_driver_after_is_served(const struct pv_noisy_bus *bus);

#endif
