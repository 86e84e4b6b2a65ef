/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring 0 or ring 3.
 *
 * A software KVM runs ring 3 at the processor's speed and emulates ring 0, some hundred times
 * slower; any other machine is as fast in both, and only ring 0 can sleep.  So the same loop is
 * timed in both, and who is much faster in ring 3 stays there.  All memory is the user's too, and
 * all ports are, by the bitmap of a task state segment.
 */
#ifndef PV_PAYLOAD_RING_H
#define PV_PAYLOAD_RING_H

/* The vector by which ring 3 comes back to ring 0. */
#define VECTOR_USER_END 0x81

#define SELECTOR_DATA      0x10
#define SELECTOR_USER_CODE 0x1b
#define SELECTOR_USER_DATA 0x23
#define SELECTOR_TASK      0x28

#ifndef __ASSEMBLER__

enum ring_wish { RING_THAT_IS_FASTER, RING_0, RING_3 };

/*
 * Calls `work`, which does not return, in the ring that is wanted, and says which that is; after
 * traps_begin().
 */
void ring_run(enum ring_wish wish, void (*work)(void)) __attribute__((noreturn));

/* Where we are: 0 or 3. */
static inline unsigned int ring_now(void)
{
	unsigned int selector;

	__asm__ volatile("mov %%cs, %0" : "=r"(selector));
	return selector & 3;
}

/* From ring 3, when there is nothing left to do. */
void ring_leave(void) __attribute__((noreturn));

#endif
#endif
