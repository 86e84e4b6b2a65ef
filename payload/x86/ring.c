/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/ring.h"

#include "payload/x86/machine.h"

#define LOOPS       10000u
#define TRIES       5u
#define MUCH_FASTER 4u /* so many times */
#define LEAVE_TICKS 0x100000000ull

#define TRAP_STACK_BYTES 8192u
#define PORTS            0x10000u

#define CODE_64     0x00af9b000000ffffull
#define DATA        0x00cf93000000ffffull
#define USER        0x0000600000000000ull /* privilege level 3 */
#define TASK_SYSTEM 0x0000890000000000ull /* an available task state segment of 64 bits */

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* The task state segment, and a bit for each port: zero, it may be used. */
struct task {
	uint32_t reserved_0;
	uint64_t stack[3]; /* of rings 0 to 2 */
	uint64_t reserved_1;
	uint64_t interrupt_stack[7];
	uint64_t reserved_2;
	uint16_t reserved_3;
	uint16_t bitmap_at;
	uint8_t bitmap[PORTS / 8];
	uint8_t bitmap_end;
} __attribute__((packed));

_Static_assert(offsetof(struct task, bitmap) == 104, "the segment's own part");

extern char user_end[];
void user_call(void (*function)(void));

static struct {
	enum ring_wish wish;
	void (*work)(void);
	bool has_begun;
	uint64_t ticks_0, ticks_3; /* that the loop takes */
} choice;

/* ---- tables ---- */

static void load_tables(void)
{
	static struct task task __attribute__((aligned(4096)));
	static uint8_t trap_stack[TRAP_STACK_BYTES] __attribute__((aligned(16)));
	static uint64_t descriptors[7] = { 0, CODE_64, DATA, CODE_64 | USER, DATA | USER };
	const struct table_pointer pointer = { sizeof(descriptors) - 1, (uint64_t)descriptors };
	const uint64_t base = (uint64_t)&task;

	task.stack[0] = (uint64_t)trap_stack + sizeof(trap_stack);
	task.bitmap_at = offsetof(struct task, bitmap);
	task.bitmap_end = 0xff;
	descriptors[5] = TASK_SYSTEM | (sizeof(task) - 1) | (base & 0xffffff) << 16 |
	                 (base >> 24 & 0xff) << 56;
	descriptors[6] = base >> 32;
	__asm__ volatile("lgdt %0; ltr %w1" : : "m"(pointer), "r"(SELECTOR_TASK) : "memory");
	trap_open_to_user(VECTOR_USER_END, user_end);
}

/* ---- the choice ---- */

static uint64_t counter(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* The best of several: whatever else the host does, it does not do it always. */
static uint64_t loop_ticks(void)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int i = 0; i < TRIES; i++) {
		uint64_t left = LOOPS, begin = counter(), ticks;

		__asm__ volatile("0: dec %0; jnz 0b" : "+r"(left));
		ticks = counter() - begin;
		if (ticks < best)
			best = ticks;
	}
	return best > 0 ? best : 1;
}

static void say_choice(unsigned int ring)
{
	say("# ring ");
	say_number(ring);
	if (choice.wish == RING_THAT_IS_FASTER) {
		say(": a loop in ring 0 takes, in hundredths of what it takes in ring 3, ");
		say_number(choice.ticks_0 * 100 / choice.ticks_3);
	} else {
		say(": so it was told");
	}
	say("\n");
}

static void in_ring_3(void)
{
	choice.ticks_3 = loop_ticks();
	if (choice.wish == RING_THAT_IS_FASTER && choice.ticks_0 / MUCH_FASTER < choice.ticks_3)
		return;
	choice.has_begun = true;
	say_choice(3);
	choice.work();
}

void ring_run(enum ring_wish wish, void (*work)(void))
{
	choice.wish = wish;
	choice.work = work;
	if (wish != RING_0) {
		choice.ticks_0 = loop_ticks();
		load_tables();
		user_call(in_ring_3);
	}
	if (!choice.has_begun) {
		say_choice(0);
		work();
	}
	wait_for_ever();
}

/*
 * The machine has been told to switch itself off: a software KVM, which perhaps knows no way back
 * to ring 0, has ended by then.
 */
void ring_leave(void)
{
	const uint64_t begin = counter();

	while (counter() - begin < LEAVE_TICKS)
		__asm__ volatile("pause");
	for (;;)
		__asm__ volatile("int %0" : : "i"(VECTOR_USER_END));
}
