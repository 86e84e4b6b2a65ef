/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/support/arena_os.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hosted/loop/clock.h"

static struct arena_os *of_os(struct pv_os *os)
{
	return (struct arena_os *)os;
}

static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	return pv_arena_alloc(&of_os(os)->arena, bytes, align, addr);
}

static void shared_free(struct pv_os *os, void *memory, size_t bytes)
{
	pv_arena_free(&of_os(os)->arena, memory, bytes);
}

static uint32_t map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                    struct pv_gpa *addr)
{
	(void)is_written;
	return pv_arena_gpa(&of_os(os)->arena, memory, bytes, addr);
}

static void *own_alloc(struct pv_os *os, size_t bytes)
{
	size_t rounded = (bytes + 63) & ~(size_t)63;
	void *memory = aligned_alloc(64, rounded);

	(void)os;
	return memory ? memset(memory, 0, rounded) : NULL;
}

static void own_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os;
	(void)bytes;
	free(memory);
}

static uint64_t now_ns(struct pv_os *os)
{
	(void)os;
	return pv_clock_ns(CLOCK_MONOTONIC);
}

static void wait_a_little(struct pv_os *os, uint64_t ns)
{
	struct arena_os *guest = of_os(os);

	(void)ns;
	guest->wait(guest->arg);
}

static const struct pv_os_ops os_ops = {
	.shared_alloc = shared_alloc,
	.shared_free = shared_free,
	.map = map,
	.alloc = own_alloc,
	.free = own_free,
	.now_ns = now_ns,
	.wait = wait_a_little,
};

void arena_os_open(struct arena_os *guest, size_t bytes, void (*wait)(void *arg), void *arg)
{
	*guest = (struct arena_os){ .os = { &os_ops }, .wait = wait, .arg = arg };
	assert_int_equal(pv_arena_init(&guest->arena, bytes), 0);
	guest->table = calloc(1, pv_mem_table_bytes(1));
	guest->table->count = 1;
	guest->table->region[0] = (struct pv_region){ .gpa = pv_gpa_of(PV_ARENA_GPA),
		                                      .bytes = guest->arena.bytes,
		                                      .host = guest->arena.base };
	assert_int_equal(pv_mem_seal(guest->table), 0);
}

void arena_os_close(struct arena_os *guest)
{
	pv_arena_fini(&guest->arena);
	free(guest->table);
}
