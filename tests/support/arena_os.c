/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/support/arena_os.h"

#include <stdlib.h>

static void wait_a_little(struct pv_os *os, uint64_t ns)
{
	struct arena_os *guest = (struct arena_os *)os;

	(void)ns;
	guest->wait(guest->arg);
}

static const struct pv_os_ops os_ops = {
	PV_ARENA_OS_OPS,
	.wait = wait_a_little,
};

void arena_os_open(struct arena_os *guest, size_t bytes, void (*wait)(void *arg), void *arg)
{
	*guest = (struct arena_os){ .base.os = { &os_ops }, .wait = wait, .arg = arg };
	assert_int_equal(pv_arena_init(&guest->base.arena, bytes), 0);
	guest->table = calloc(1, pv_mem_table_bytes(1));
	guest->table->count = 1;
	guest->table->region[0] = (struct pv_region){ .gpa = pv_gpa_of(PV_ARENA_GPA),
		                                      .bytes = guest->base.arena.bytes,
		                                      .host = guest->base.arena.base };
	assert_int_equal(pv_mem_seal(guest->table), 0);
}

void arena_os_close(struct arena_os *guest)
{
	pv_arena_fini(&guest->base.arena);
	free(guest->table);
}
