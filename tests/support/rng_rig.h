/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entropy device and its driver, both real, with nothing between them or PCI, and a load that
 * knows what the source gave: each buffer must hold the stretch of the stream that follows the last
 * one's, and be untouched behind it.  Include after cmocka.
 */
#ifndef PV_TESTS_RNG_RIG_H
#define PV_TESTS_RNG_RIG_H

#include "devices/rng/rng.h"
#include "drivers/rng/rng.h"
#include "tests/support/counter.h"
#include "tests/support/pci_couple.h"
#include "tests/support/ring_kinds.h"
#include "tests/support/stream_source.h"

#define RNG_RIG_REQUESTS     12u
#define RNG_RIG_BUFFER_BYTES 600u

/* What the device takes from the source before it knows for whom, and drops with its queue. */
#define RNG_RIG_STOCK_BYTES 64u

struct rng_rig_slot {
	struct pv_rngdrv_request request;
	struct pv_gpa buffer;
	void *memory; /* its handle */
	bool is_out;
};

struct rng_rig {
	struct pv_pci_couple pci; /* of which only the couple is there without PCI */
	struct pv_couple *couple;
	struct pv_random random;
	struct pv_stream_source source;
	struct pv_rng_options options;
	bool is_on_pci;
	bool is_transitional;
	void *storage[2];
	unsigned int current; /* of the two devices */
	struct pv_rngdrv *driver;
	struct rng_rig_slot slot[RNG_RIG_REQUESTS];
	uint32_t out;
	uint64_t place;    /* in the stream: what comes next */
	uint32_t may_skip; /* bytes of the stream that queues dropped when they stopped, at most */
	bool is_over;      /* what is in flight fails now */
	bool is_repeated;  /* what is in flight may have been filled once already */
	uint64_t done;
	uint64_t bytes; /* received */
};

struct rng_rig_options {
	uint64_t ring_features;
	uint64_t number; /* of the sequence of random numbers */
	uint64_t max_bytes;
	uint64_t period_ns;
	bool is_on_pci;
};

void rng_rig_open(struct rng_rig *rig, const struct rng_rig_options *options);
void rng_rig_close(struct rng_rig *rig);

/* Asks for so many bytes by a slot that is not out. */
void rng_rig_submit(struct rng_rig *rig, uint32_t slot, uint32_t bytes);
/* By any slot, for anything from a byte up, if that one is not out and there is room. */
void rng_rig_submit_any(struct rng_rig *rig);

/* Until nothing is out, by kicks, interrupts and time alone. */
void rng_rig_settle(struct rng_rig *rig);

/* The device, saved and loaded into a fresh one whose memory is mapped elsewhere. */
void rng_rig_move(struct rng_rig *rig);

/* Pauses it, and writes its state, registers of the function first. Returns the bytes of each. */
#define RNG_RIG_STATE_BYTES 4096u
size_t rng_rig_save(struct rng_rig *rig, uint8_t state[static RNG_RIG_STATE_BYTES],
                    size_t *registers);

/* A fresh device, in place of the one that is not in use. */
struct pv_device *rng_rig_make_device(struct rng_rig *rig);

#endif
