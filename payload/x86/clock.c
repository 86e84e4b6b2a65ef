/* SPDX-License-Identifier: BSD-2-Clause */
/* The processor's own counter, against the ACPI timer, or the 8254 where there is none. */
#include "payload/x86/machine.h"

#define TIMER_HZ   3579545u
#define TIMER_MASK 0xffffffu
#define PIT_HZ     1193182u
#define SPAN_NS    10000000u
#define NS         1000000000u

#define PIT_CHANNEL_0 0x40u
#define PIT_MODE      0x43u
#define MODE_RATE     0x34u /* channel 0, both bytes, mode 2 */
#define MODE_LATCH    0x00u
#define PIT_MASK      0xffffu

/* More looks than either takes, where it counts. */
#define TRIES_MAX 1000000u

/* What a nanosecond is of the counter, in 2^-32. */
static uint64_t ns_scale;
static uint64_t begin;

static uint64_t counter(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static bool wait_by_timer(uint16_t port)
{
	const uint32_t ticks = (uint32_t)((uint64_t)TIMER_HZ * SPAN_NS / NS);
	const uint32_t first = in32(port);

	for (uint32_t i = 0; i < TRIES_MAX; i++)
		if (((in32(port) - first) & TIMER_MASK) >= ticks)
			return true;
	return false;
}

static uint32_t pit_count(void)
{
	uint32_t low;

	out8(PIT_MODE, MODE_LATCH);
	low = in8(PIT_CHANNEL_0);
	return low | (uint32_t)in8(PIT_CHANNEL_0) << 8;
}

/* It counts down from 65536, again and again; the interrupts that come of it are masked. */
static bool wait_by_pit(void)
{
	const uint32_t ticks = (uint32_t)((uint64_t)PIT_HZ * SPAN_NS / NS);
	uint32_t first;

	out8(PIT_MODE, MODE_RATE);
	out8(PIT_CHANNEL_0, 0);
	out8(PIT_CHANNEL_0, 0);
	first = pit_count();
	for (uint32_t i = 0; i < TRIES_MAX; i++)
		if (((first - pit_count()) & PIT_MASK) >= ticks)
			return true;
	return false;
}

void clock_begin(void)
{
	const uint16_t timer = acpi_timer();
	uint64_t span;

	begin = counter();
	/* Without anything to measure it by, a nanosecond each is as good as another guess. */
	if (timer ? !wait_by_timer(timer) : !wait_by_pit())
		ns_scale = (uint64_t)1 << 32;
	span = counter() - begin;
	if (ns_scale == 0)
		ns_scale = ((uint64_t)SPAN_NS << 32) / span;
}

uint64_t clock_ns(void)
{
	return (uint64_t)((unsigned __int128)(counter() - begin) * ns_scale >> 32);
}
