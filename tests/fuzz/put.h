/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver that puts chains of any pieces on rings of FUZZ_SIZE, in either format, and looks at
 * nothing that comes back.
 */
#ifndef PV_TESTS_FUZZ_PUT_H
#define PV_TESTS_FUZZ_PUT_H

#include "tests/fuzz/fuzz.h"

/* A ring's areas, one after the other. */
#define FUZZ_PUT_BYTES  0x100u
#define FUZZ_PUT_DRIVER 0x80u
#define FUZZ_PUT_DEVICE 0xa0u

struct fuzz_piece {
	uint64_t gpa;
	uint32_t bytes;
	bool is_writable;
};

/* One at any of eight places, up to 31 steps behind it, and mostly short. */
struct fuzz_piece fuzz_any_piece(struct fuzz_input *input, const uint64_t places[static 8],
                                 uint32_t step, bool is_writable);

/* What the driver knows of a ring. */
struct fuzz_place {
	uint16_t idx, at;
	bool is_wrapped;
};

void fuzz_put(uint8_t *ring, struct fuzz_place *place, bool is_packed,
              const struct fuzz_piece *piece, uint16_t pieces);

/* A fresh ring for a queue of the device, at this guest address; starts it, if it can be. */
void fuzz_put_start(struct pv_device *device, uint16_t index, uint8_t *ring, uint64_t gpa,
                    struct fuzz_place *place);

#endif
