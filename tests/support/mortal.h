/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device that may die at any time, and a driver that must not notice.
 *
 * Guest memory and the journal are shared with child processes; all that a device has besides is
 * lost with it.  Each request carries its number and is answered with it; a request whose answer
 * the driver has seen is poisoned, so that a device that carries it out again is found out.
 */
#ifndef PV_TESTS_MORTAL_H
#define PV_TESTS_MORTAL_H

#include "ring/dev_ring.h"
#include "ring/drv_ring.h"
#include "tests/support/random.h"

#define MORTAL_SIZE_MAX 64u
#define MORTAL_PIECES   8u

/* One request of the driver's: a token. */
struct mortal_request {
	uint64_t number;
	bool is_out;
};

struct mortal_world {
	uint64_t features;
	uint16_t size;
	char name[64];

	/* Outlives devices. */
	uint8_t *memory;
	struct pv_mem *table;
	struct pv_ring_config config;
	const char **complaint; /* what a device found wrong; in shared memory */

	/* The driver's. */
	struct pv_drv_ring driver;
	struct pv_drv_ring_memory areas;
	struct mortal_request request[MORTAL_SIZE_MAX];
	uint64_t added;
	uint64_t done;
};

/* A life of a device. */
struct mortal_device {
	struct mortal_world *world;
	struct pv_dev_ring ring;
	void *storage;
	struct pv_random random;
	uint64_t taken_last; /* the number of the chain taken last, plus one */
	uint32_t held;
	struct mortal_held {
		struct pv_chain chain;
		struct pv_iov iov[MORTAL_PIECES];
	} slot[MORTAL_SIZE_MAX];
};

void mortal_world_open(struct mortal_world *world, uint64_t features, uint16_t size);
void mortal_world_close(struct mortal_world *world);

/* Random steps of the driver. Return a sentence that says what is wrong, or NULL. */
const char *mortal_driver_adds(struct mortal_world *world, struct pv_random *random);
const char *mortal_driver_takes(struct mortal_world *world);

/* Is every request answered? */
bool mortal_is_done(const struct mortal_world *world);

/* A device goes on where the one before was left, as a front-end would have it do. */
int mortal_device_start(struct mortal_device *device, struct mortal_world *world,
                        const struct pv_random *random);

/* A random step; what is wrong goes to `*world->complaint`. */
void mortal_device_step(struct mortal_device *device);

/* What its end leaves behind in this process. */
void mortal_device_forget(struct mortal_device *device);

#endif
