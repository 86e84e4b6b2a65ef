/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within tests/pair: the model of a ring that ring.c plays against.  It only knows lists: what was
 * added, published, taken, returned, used.  Each step of a side does something to the ring, says
 * what the ring must answer, and moves chains from list to list.
 */
#ifndef PV_TESTS_RING_MODEL_H
#define PV_TESTS_RING_MODEL_H

#include "tests/support/ring_pair.h"

#define INDIRECT_MAX 4u
#define BUFFERS_MAX  12u
#define CELL_MAX     96u
#define RUN_MAX      6u /* chains at a time */
#define UNTOUCHED    0xee

struct chain {
	uint32_t number;
	struct pv_sg sg[BUFFERS_MAX];
	uint16_t readable, writable;
	uint32_t readable_bytes, writable_bytes;
	uint16_t places;
	/* With the device. */
	struct pv_chain taken;
	struct pv_iov *iov;
	enum pv_twin_view view;
	uint32_t written_bytes;
	bool is_returned;
};

/* First in, first out, of chains. */
struct list {
	uint16_t *item;
	uint32_t head, count, room;
};

struct run {
	char name[96];
	struct pv_random random;
	struct pv_ring_pair pair;
	bool has_event_idx, has_in_order, has_indirect, is_packed;
	uint16_t size;
	uint32_t cell_bytes;

	struct chain *chain;
	struct pv_iov *iov;
	struct list unused, added, visible, taken, returned, used;
	uint32_t free_places;
	uint32_t added_total, done_total;

	enum pv_twin_view view; /* the device's */
	uint32_t taken_before;  /* chains with the device, from before the last change of memory */
	bool are_kicks_off, are_interrupts_off;
	bool does_device_sleep, does_driver_sleep;
	uint32_t arms, surplus_kicks, surplus_interrupts;
};

/* Ends the test with the rule that does not hold. */
void ring_model_broke(const struct run *run, int line, const char *rule);

#define check(run, rule)                                                                           \
	do {                                                                                       \
		if (!(rule))                                                                       \
			ring_model_broke(run, __LINE__, #rule);                                    \
	} while (0)

static inline void put(struct list *list, uint16_t item)
{
	list->item[(list->head + list->count++) % list->room] = item;
}

static inline uint16_t get(struct list *list)
{
	uint16_t item = list->item[list->head];

	list->head = (list->head + 1) % list->room;
	list->count--;
	return item;
}

static inline void move_all(struct list *to, struct list *from)
{
	while (from->count > 0)
		put(to, get(from));
}

/* Takes one out of the middle; the order of the others may change. */
static inline uint16_t get_any(struct list *list, struct pv_random *random)
{
	uint32_t pick = (list->head + pv_random_below(random, list->count)) % list->room;
	uint16_t item = list->item[pick];

	list->item[pick] = list->item[list->head];
	list->head = (list->head + 1) % list->room;
	list->count--;
	return item;
}

/* What a chain has at a place: the question, or the answer. */
static inline uint8_t pattern(uint32_t number, uint32_t at, bool is_answer)
{
	return (uint8_t)(number * 29 + at * 7 + (number >> 9) + (is_answer ? 101 : 0));
}

/* ---- the steps of the driver (ring_driver.c) ---- */

void driver_adds(struct run *run);
void driver_publishes(struct run *run);
void driver_decides(struct run *run);
void driver_takes(struct run *run);
void driver_sleeps(struct run *run);

/* ---- the steps of the device (ring_device.c), and its memory's ---- */

void device_takes(struct run *run);
void device_takes_run(struct run *run);
void device_takes_in_vain(struct run *run);
void device_returns(struct run *run);
void device_returns_run(struct run *run);
void device_publishes(struct run *run);
void device_decides(struct run *run);
void device_sleeps(struct run *run);
void memory_changes(struct run *run);

#endif
