/* SPDX-License-Identifier: BSD-2-Clause */
/* A device's state on its way to another device, which may not arrive as it was saved. */
#ifndef PV_TESTS_FUZZ_MOVED_H
#define PV_TESTS_FUZZ_MOVED_H

#include "tests/fuzz/fuzz.h"

#define FUZZ_STATE_BYTES 32768u

struct fuzz_state {
	uint8_t data[FUZZ_STATE_BYTES];
	size_t bytes;
};

/*
 * Pauses the device and saves it. With an input, which may be NULL, some bytes of the state are
 * others then, and its checksum agrees with them.
 */
void fuzz_state_save(struct fuzz_state *state, struct pv_device *device, struct fuzz_input *input);

/*
 * Loads it into the device of the host. Returns whether the device goes on from there; it always
 * does with a state that was not changed, of a device whose rings were sound.
 */
bool fuzz_state_load(const struct fuzz_state *state, struct fuzz_host *to, bool may_fail);

#endif
