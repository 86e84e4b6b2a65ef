/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole device under a driver by script: guest memory with the rings in it, chains of any pieces
 * that are put there, and a second device that it moves to.
 */
#ifndef PV_TESTS_FUZZ_DEVICE_H
#define PV_TESTS_FUZZ_DEVICE_H

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/put.h"

#define FUZZ_DEVICE_QUEUES 6u
#define FUZZ_DEVICE_PIECES 7u /* of a chain */

/* What is a kind of device's own. */
struct fuzz_device_kind {
	/* Makes a device, and what is its host's. */
	void (*make)(struct fuzz_host *host);
	/* Would a driver of good will put this piece there for the device to write? */
	bool (*is_for_writing)(uint16_t queue, uint16_t piece, uint16_t pieces);
	/* Where pieces may lie: there, or some steps behind it. */
	uint64_t places[8];
	uint32_t step;
};

struct fuzz_device {
	const struct fuzz_device_kind *kind;
	struct fuzz_memory memory;
	struct fuzz_host host[2];
	unsigned int current;
	uint64_t refused; /* bits that the driver does without */
	bool is_wild;     /* it takes the rest also where bits do not go together */
	struct fuzz_place place[FUZZ_DEVICE_QUEUES];
};

/* The one in use. */
struct fuzz_host *fuzz_device_host(struct fuzz_device *device);

/*
 * After its memory was opened: makes the first device, calls `furnish`, which may be NULL, and
 * starts it.
 */
void fuzz_device_open(struct fuzz_device *device, void (*furnish)(void));

/* Resets it, and starts it anew on fresh rings. */
void fuzz_device_restart(struct fuzz_device *device);

/* Puts a chain on a ring; and one of the input's choice. */
void fuzz_device_put(struct fuzz_device *device, uint16_t queue, const struct fuzz_piece *piece,
                     uint16_t pieces);
void fuzz_device_put_any(struct fuzz_device *device, struct fuzz_input *input);

/* Expects that no chain is kept where all is sound. */
void fuzz_device_expect_rest(struct fuzz_device *device);

/*
 * To another device, which goes on, or, where what it is told makes no sense, begins anew. With
 * `changes`, an input or NULL, the state is altered on its way. `furnish`, which may be NULL, is
 * called before the other is told.
 */
void fuzz_device_move(struct fuzz_device *device, struct fuzz_input *changes,
                      void (*furnish)(void));

#endif
