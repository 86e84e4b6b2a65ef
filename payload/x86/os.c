/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/os.h"

#include "payload/x86/interrupts.h"
#include "payload/x86/machine.h"

#define ARENA_BYTES (4u << 20)
#define ALIGN       64u

static uint8_t arena[ARENA_BYTES] __attribute__((aligned(4096)));
static size_t arena_used;

/* Nothing is freed by itself: one device after the other has all of it. */
void *bare_alloc(size_t bytes, size_t align)
{
	size_t at = (arena_used + align - 1) & ~(align - 1);

	if (at > ARENA_BYTES || bytes > ARENA_BYTES - at)
		return NULL;
	arena_used = at + bytes;
	__builtin_memset(arena + at, 0, bytes);
	return arena + at;
}

void bare_forget(void)
{
	arena_used = 0;
}

static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	void *memory = bare_alloc(bytes, align);

	(void)os;
	*addr = pv_gpa_of((uint64_t)memory);
	return memory;
}

/* Addresses are what they are, for a device too. */
static uint32_t map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                    struct pv_gpa *addr)
{
	(void)os;
	(void)is_written;
	*addr = pv_gpa_of((uint64_t)memory);
	return bytes;
}

#define PAGE_BYTES 4096u

/* Pages have changed places, each with its neighbour, so that none is followed by its next. */
static uint32_t map_page(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                         struct pv_gpa *addr)
{
	const uint64_t at = (uint64_t)memory;
	const uint32_t left = PAGE_BYTES - (uint32_t)(at % PAGE_BYTES);

	(void)os;
	(void)is_written;
	*addr = pv_gpa_of(at ^ PAGE_BYTES);
	return bytes < left ? bytes : left;
}

static void *alloc(struct pv_os *os, size_t bytes)
{
	(void)os;
	return bare_alloc(bytes, ALIGN);
}

static void keep(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os;
	(void)memory;
	(void)bytes;
}

static uint64_t now_ns(struct pv_os *os)
{
	(void)os;
	return clock_ns();
}

static void wait(struct pv_os *os, uint64_t ns)
{
	(void)os;
	if (!interrupts_sleep(ns))
		__asm__ volatile("pause");
}

static const struct pv_os_ops ops = {
	.shared_alloc = shared_alloc,
	.shared_free = keep,
	.map = map,
	.alloc = alloc,
	.free = keep,
	.now_ns = now_ns,
	.wait = wait,
};

static const struct pv_os_ops paged_ops = {
	.shared_alloc = shared_alloc,
	.shared_free = keep,
	.map = map_page,
	.alloc = alloc,
	.free = keep,
	.now_ns = now_ns,
	.wait = wait,
};

struct pv_os bare_os = { &ops };
struct pv_os bare_os_paged = { &paged_ops };
