/* SPDX-License-Identifier: BSD-2-Clause */
/* Within the bare guest: nonsense for every register there is. */
#ifndef PV_TESTS_BARE_CHAOS_H
#define PV_TESTS_BARE_CHAOS_H

#include "tests/guests/bare/bare.h"

#define CHAOS_PORTS 0x10000u

/* A processor's own. */
struct chaos {
	uint64_t state;
	uint32_t next_port, ports_a_turn;
	uint64_t accesses;
	/* Memory that devices may be pointed to: the end of what there is. */
	uint64_t sandbox, sandbox_bytes;
};

uint64_t chaos_random(struct chaos *chaos);
/* Below `limit`. */
uint64_t chaos_below(struct chaos *chaos, uint64_t limit);
/* What a driver might write, and all else. */
uint64_t chaos_value(struct chaos *chaos);
/* 1, 2, 4, and in memory 8. */
unsigned int chaos_width(struct chaos *chaos, bool is_memory);

/*
 * The value as an interrupt's message: whatever comes, but for INIT and SMI, which would begin
 * where there is no firmware.
 */
uint32_t chaos_message(uint64_t value);

/* A read or a write of a port or an address. A write that would end or reset the machine is left
 * out. */
void chaos_port(struct chaos *chaos, uint16_t port);
void chaos_memory(struct chaos *chaos, uint64_t address);

/* One turn of everything. */
void chaos_ports(struct chaos *chaos);
void chaos_strings(struct chaos *chaos);
void chaos_holes(struct chaos *chaos);
void chaos_interrupts(struct chaos *chaos);
void chaos_config(struct chaos *chaos);
void chaos_bars(struct chaos *chaos);
void chaos_queues(struct chaos *chaos);

#endif
