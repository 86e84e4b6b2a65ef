/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/machine.h"
#include "payload/x86/ring.h"

#define WINDOW_AT   (511ull << 30)
#define LARGE_BYTES 0x200000ull
#define PRESENT     0x87u /* and writable, the user's, large */

#define WINDOW_PAGES 512u
#define WINDOW_KEPT  2u /* the first two are those of window_at() */

extern volatile uint64_t page_window[WINDOW_PAGES];

void out(uint16_t port, unsigned int bytes, uint32_t value)
{
	if (bytes == 1)
		out8(port, (uint8_t)value);
	else if (bytes == 2)
		out16(port, (uint16_t)value);
	else
		out32(port, value);
}

uint32_t in(uint16_t port, unsigned int bytes)
{
	if (bytes == 1)
		return in8(port);
	return bytes == 2 ? in16(port) : in32(port);
}

void mmio_write(uint64_t address, unsigned int bytes, uint64_t value)
{
	switch (bytes) {
	case 1:
		__asm__ volatile("movb %b0, (%1)" : : "a"(value), "r"(address) : "memory");
		break;
	case 2:
		__asm__ volatile("movw %w0, (%1)" : : "a"(value), "r"(address) : "memory");
		break;
	case 4:
		__asm__ volatile("movl %k0, (%1)" : : "a"(value), "r"(address) : "memory");
		break;
	default:
		__asm__ volatile("movq %q0, (%1)" : : "a"(value), "r"(address) : "memory");
		break;
	}
}

uint64_t mmio_read(uint64_t address, unsigned int bytes)
{
	uint64_t value = 0;

	switch (bytes) {
	case 1:
		__asm__ volatile("movb (%1), %b0" : "+a"(value) : "r"(address) : "memory");
		break;
	case 2:
		__asm__ volatile("movw (%1), %w0" : "+a"(value) : "r"(address) : "memory");
		break;
	case 4:
		__asm__ volatile("movl (%1), %k0" : "=a"(value) : "r"(address) : "memory");
		break;
	default:
		__asm__ volatile("movq (%1), %q0" : "=a"(value) : "r"(address) : "memory");
		break;
	}
	return value;
}

/* Two pages, so that an access may cross from one to the other. */
uint64_t window_at(uint64_t physical)
{
	uint64_t base = physical & ~(LARGE_BYTES - 1);

	for (unsigned int i = 0; i < 2; i++) {
		page_window[i] = (base + i * LARGE_BYTES) | PRESENT;
		__asm__ volatile("invlpg (%0)" : : "r"(WINDOW_AT + i * LARGE_BYTES) : "memory");
	}
	return WINDOW_AT + physical - base;
}

uint64_t window_keep(uint64_t physical, uint64_t bytes)
{
	static unsigned int next = WINDOW_KEPT;
	uint64_t base = physical & ~(LARGE_BYTES - 1), at = WINDOW_AT + next * LARGE_BYTES;

	for (uint64_t page = base; page < physical + bytes; page += LARGE_BYTES) {
		if (next == WINDOW_PAGES)
			return 0;
		page_window[next++] = page | PRESENT;
	}
	return at + physical - base;
}

void wait_for_ever(void)
{
	if (ring_now() == 3)
		ring_leave();
	for (;;)
		__asm__ volatile("cli; hlt");
}
