/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzz targets share: reading an input piece by piece, guest memory whose every region is
 * an allocation of its own (the sanitizer guards its borders), and a host for a device on one
 * thread.
 */
#ifndef PV_TESTS_FUZZ_H
#define PV_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/blk/blk.h"
#include "devices/rng/rng.h"
#include "ring/dev_ring.h"
#include "ring/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* ---- the input ---- */

struct fuzz_input {
	const uint8_t *data;
	size_t bytes;
};

/* Past the end these are zero. */
uint8_t fuzz_u8(struct fuzz_input *input);
uint16_t fuzz_u16(struct fuzz_input *input);
uint32_t fuzz_u32(struct fuzz_input *input);

/* Copies at most `bytes`. Returns how many there were. */
size_t fuzz_copy(struct fuzz_input *input, void *to, size_t bytes);

/* The ring features in a byte. */
uint64_t fuzz_ring_features(uint8_t bits);

/* ---- memory ---- */

#define FUZZ_REGIONS 5u

/*
 * Small addresses, that an input comes upon: the ring; two regions next to each other; one of a few
 * bytes; and the last page that there is.
 */
#define FUZZ_RING_GPA   0x1000u
#define FUZZ_RING_BYTES 0x400u
#define FUZZ_LOW_GPA    0x2000u
#define FUZZ_LOW_BYTES  0x400u
#define FUZZ_HIGH_GPA   0x2400u
#define FUZZ_HIGH_BYTES 0xc00u
#define FUZZ_TINY_GPA   0x4000u
#define FUZZ_TINY_BYTES 7u
#define FUZZ_TOP_GPA    0xfffffffffffff000u
#define FUZZ_TOP_BYTES  0x1000u

/* The ring's areas, for either format. */
#define FUZZ_SIZE       8u
#define FUZZ_DESC_GPA   FUZZ_RING_GPA
#define FUZZ_DRIVER_GPA (FUZZ_RING_GPA + 0x80u)
#define FUZZ_DEVICE_GPA (FUZZ_RING_GPA + 0xa0u)
/* Of the ring's region, what the driver writes. */
#define FUZZ_DRIVER_BYTES 0xa0u

struct fuzz_memory {
	struct pv_mem *mem;
	uint8_t *host[FUZZ_REGIONS];
};

void fuzz_memory_open(struct fuzz_memory *memory);
void fuzz_memory_close(struct fuzz_memory *memory);

/* Fills ring, low and high region with what the input has. */
void fuzz_memory_fill(struct fuzz_memory *memory, struct fuzz_input *input);

/* The guest writes into its ring and its low region, some bytes here and there. */
void fuzz_memory_scribble(struct fuzz_memory *memory, struct fuzz_input *input);

bool fuzz_memory_has(const struct fuzz_memory *memory, const void *host, size_t bytes);

/* ---- a ring ---- */

/*
 * Takes what there is, checks it, and gives some of it back at once and the rest later, by the
 * input. `places`: of the ring's journal, 0: it has none.
 */
void fuzz_round_trip(struct pv_dev_ring *ring, const struct fuzz_memory *memory, uint16_t places,
                     struct fuzz_input *input);

/* ---- a device ---- */

/* One thread, and time that passes by a little with each run. */
struct fuzz_host {
	struct pv_port port;
	struct pv_device *device;
	void *storage;     /* the device's */
	uint32_t attached; /* queues, a bit each */
	uint32_t events;   /* that the control side has not heard of, the same */
	bool has_broken;   /* a queue of it */
	bool sets_timers;  /* also of queues that are not stalled */
	uint64_t now_ns;
};

/* Zeroed memory for a device, to be freed. */
void *fuzz_storage(size_t bytes);

/* For a device on `storage`: functions of a port. */
struct fuzz_host fuzz_host_of(void *storage);

/* Resets the device, which must be done at once, and frees its storage. */
void fuzz_host_close(struct fuzz_host *host);

/* Starts the first queue on the ring in memory. Returns 0 or why it does not start. */
int fuzz_host_start(struct fuzz_host *host, const struct fuzz_memory *memory, uint64_t features);

/* Runs all queues until they have nothing to do, for a few times at most. */
void fuzz_host_run(struct fuzz_host *host);

struct fuzz_blk {
	struct fuzz_host host;
	struct pv_blk_store store;
	uint8_t *disk;
};

/* A block device with one queue, on a store that answers at once. */
void fuzz_blk_open(struct fuzz_blk *blk);
void fuzz_blk_close(struct fuzz_blk *blk);

/* An entropy device whose source has a byte, its choice, or nothing, by the input. */
struct fuzz_rng {
	struct fuzz_host host;
	struct pv_rng_source source;
	struct fuzz_input *input;
};

void fuzz_rng_open(struct fuzz_rng *rng, struct fuzz_input *input);
void fuzz_rng_close(struct fuzz_rng *rng);

#endif
