/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that means harm, for the machine of docs/howto/embed: it writes anything to registers and
 * to the memory where rings are, and has the machine save and load what becomes of it.  After that
 * the honest guest (guest.c, its function under another name) must find the machine in order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docs/howto/embed/machine.h"

#define ROUNDS      1500
#define QUEUES      2u
#define QUEUE_SIZE  16u
#define QUEUE_BYTES 4096u

/* Registers (virtio 1.3, section 4.2.2). */
enum {
	DRIVER_FEATURES = 0x20,
	DRIVER_FEATURES_SEL = 0x24,
	QUEUE_SEL = 0x30,
	QUEUE_NUM = 0x38,
	QUEUE_READY = 0x44,
	QUEUE_NOTIFY = 0x50,
	STATUS = 0x70,
	QUEUE_DESC = 0x80,
	QUEUE_DRIVER = 0x90,
	QUEUE_DEVICE = 0xa0,
};

bool honest_run(struct machine *machine);

struct hostile {
	struct machine *machine;
	uint64_t state; /* xorshift */
};

static uint32_t below(struct hostile *hostile, uint32_t limit)
{
	hostile->state ^= hostile->state << 13;
	hostile->state ^= hostile->state >> 7;
	hostile->state ^= hostile->state << 17;
	return (uint32_t)(hostile->state >> 32) % limit;
}

static void set(struct hostile *hostile, uint32_t slot, uint32_t offset, uint32_t value)
{
	machine_write(hostile->machine, MACHINE_SLOT(slot) + offset, 4, value);
}

static uint32_t queue_at(uint32_t slot, uint32_t queue)
{
	return (slot * QUEUES + queue) * QUEUE_BYTES;
}

/* As a driver does it, but for features that may be no good together. */
static void bring_up(struct hostile *hostile, uint32_t slot)
{
	static const uint32_t lower[] = { 0, 1u << 28, 1u << 29, 3u << 28 };
	static const uint32_t upper[] = { 1, 1, 1, 5, 0x101, 0x105 };

	set(hostile, slot, STATUS, 0);
	set(hostile, slot, STATUS, 3);
	set(hostile, slot, DRIVER_FEATURES_SEL, 0);
	set(hostile, slot, DRIVER_FEATURES, lower[below(hostile, 4)]);
	set(hostile, slot, DRIVER_FEATURES_SEL, 1);
	set(hostile, slot, DRIVER_FEATURES, upper[below(hostile, 6)]);
	set(hostile, slot, STATUS, 0xb);
	for (uint32_t queue = 0; queue < QUEUES; queue++) {
		uint32_t at = MACHINE_RAM_BASE + queue_at(slot, queue);

		memset(machine_ram(hostile->machine) + queue_at(slot, queue), 0, QUEUE_BYTES);
		set(hostile, slot, QUEUE_SEL, queue);
		set(hostile, slot, QUEUE_NUM, QUEUE_SIZE);
		set(hostile, slot, QUEUE_DESC, at);
		set(hostile, slot, QUEUE_DRIVER, at + 1024);
		/* Now and then the two are one, and what the device writes is there for it to read.
		 */
		set(hostile, slot, QUEUE_DEVICE, at + (below(hostile, 8) ? 2048 : 1024));
		set(hostile, slot, QUEUE_READY, 1);
	}
	set(hostile, slot, STATUS, 0xf);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value);
	put16(at + 2, value >> 16);
}

/* In memory, before its end, past it, nowhere. */
static uint32_t some_address(struct hostile *hostile)
{
	switch (below(hostile, 8)) {
	case 0:
		return MACHINE_RAM_BASE + MACHINE_RAM_BYTES - below(hostile, 64);
	case 1:
		return below(hostile, UINT32_MAX);
	case 2:
		return MACHINE_RAM_BASE + below(hostile, 4 * QUEUE_BYTES);
	default:
		return MACHINE_RAM_BASE + below(hostile, MACHINE_RAM_BYTES);
	}
}

static uint32_t some_bytes(struct hostile *hostile)
{
	static const uint32_t bytes[] = { 0, 1, 16, 512, 4096, 65536, 65537, UINT32_MAX };

	return bytes[below(hostile, 8)];
}

/* Descriptors in the layout of a split ring, which is as bad as any for a packed one. */
static void offer(struct hostile *hostile, uint32_t slot, uint32_t queue)
{
	uint8_t *at = machine_ram(hostile->machine) + queue_at(slot, queue);
	uint32_t heads = 1 + below(hostile, QUEUE_SIZE);

	for (uint32_t i = 0; i < QUEUE_SIZE; i++) {
		uint8_t *desc = at + 16 * i;

		put32(desc, some_address(hostile));
		put32(desc + 4, below(hostile, 16) ? 0 : below(hostile, UINT32_MAX));
		put32(desc + 8, some_bytes(hostile));
		put16(desc + 12, below(hostile, 16) ? below(hostile, 4) : below(hostile, 65536));
		put16(desc + 14, below(hostile, QUEUE_SIZE + (below(hostile, 16) == 0)));
	}
	for (uint32_t i = 0; i < QUEUE_SIZE; i++)
		put16(at + 1024 + 4 + 2 * i,
		      below(hostile, QUEUE_SIZE + (below(hostile, 32) == 0)));
	put16(at + 1024 + 2, (uint32_t)(at[1024 + 2] | at[1024 + 3] << 8) + heads);
	set(hostile, slot, QUEUE_NOTIFY, queue);
}

static void one_round(struct hostile *hostile)
{
	static const unsigned int widths[] = { 1, 2, 4, 8 };
	uint32_t slot = below(hostile, MACHINE_SLOTS);

	if (below(hostile, 4) == 0)
		bring_up(hostile, slot);
	for (uint32_t i = 0; i < 4; i++)
		offer(hostile, below(hostile, MACHINE_SLOTS), below(hostile, QUEUES));
	if (below(hostile, 8) == 0)
		machine_write(hostile->machine, MACHINE_SLOT(slot) + below(hostile, 0x200),
		              widths[below(hostile, 4)], below(hostile, UINT32_MAX));
	machine_read(hostile->machine, MACHINE_SLOT(slot) + below(hostile, 0x200),
	             widths[below(hostile, 4)]);
	if (below(hostile, 4) == 0)
		machine_write(hostile->machine, MACHINE_BOARD, 4, 1);
	machine_wait(hostile->machine);
	machine_wait(hostile->machine);
}

bool guest_run(struct machine *machine)
{
	const char *seed = getenv("PV_SEED");
	struct hostile hostile = { .machine = machine };

	hostile.state = seed ? strtoull(seed, NULL, 0) : 88172645463325252u;
	fprintf(stderr, "PV_SEED=%llu\n", (unsigned long long)hostile.state);
	for (int i = 0; i < ROUNDS; i++)
		one_round(&hostile);
	return honest_run(machine);
}
