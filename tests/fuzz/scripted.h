/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device by script, for a driver to stand: the bus, the operating system and the other side of
 * the rings.  It serves its rings as a device should (by our own device's role), and in between
 * answers, configures and writes into shared memory what the input says.  Past the input's end it
 * is honest.
 */
#ifndef PV_TESTS_SCRIPTED_H
#define PV_TESTS_SCRIPTED_H

#include "drivers/core/driver.h"
#include "tests/fuzz/fuzz.h"

#define SCRIPTED_QUEUES  6u
#define SCRIPTED_AREAS   24u
#define SCRIPTED_BUFFERS 8u
#define SCRIPTED_CONFIG  64u

struct scripted_piece {
	uint8_t *memory;
	size_t bytes;
};

struct scripted_queue {
	struct pv_dev_ring ring;
	struct pv_mem *mem;
	void *storage;
	bool is_up;
};

struct scripted {
	struct pv_bus bus;
	struct pv_os os;
	struct fuzz_input *input;
	uint8_t config[SCRIPTED_CONFIG];
	uint64_t more;       /* features that it may offer, beside rings' and bits 0 to 15 */
	uint16_t queues;     /* that it has; 0: five */
	uint32_t head_bytes; /* of what it writes to a chain, the input's; 0: 4 */
	uint64_t features;   /* accepted */
	uint8_t status;
	uint64_t now_ns;
	uint64_t tick_ns; /* that each look at the clock takes; 0: none */
	struct scripted_queue queue[SCRIPTED_QUEUES];
	struct scripted_piece area[SCRIPTED_AREAS];     /* shared with the driver */
	struct scripted_piece buffer[SCRIPTED_BUFFERS]; /* of the driver's user */
	uint32_t private_out;
	uint32_t mapped;
};

void scripted_open(struct scripted *scripted, struct fuzz_input *input);

/* When the driver is gone: nothing of its own may be left, or mapped. */
void scripted_close(struct scripted *scripted);

/* The device does something. */
void scripted_act(struct scripted *scripted);

#endif
