/* SPDX-License-Identifier: BSD-2-Clause */
/* The arena: pieces that do not touch each other, at two addresses, given back and joined. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/driver_bus/arena.h"

static struct pv_arena arena;

static int setup(void **state)
{
	(void)state;
	return pv_arena_init(&arena, 3 << 20);
}

static int teardown(void **state)
{
	(void)state;
	pv_arena_fini(&arena);
	return 0;
}

static void a_piece_is_zeroed_and_aligned_at_both_addresses(void **state)
{
	(void)state;
	for (size_t align = 1; align <= PV_ARENA_ALIGN_MAX; align *= 2) {
		struct pv_gpa gpa;
		uint8_t *piece = pv_arena_alloc(&arena, 1000, align, &gpa);

		assert_non_null(piece);
		assert_int_equal((uintptr_t)piece % align, 0);
		assert_int_equal(gpa.v % align, 0);
		assert_int_not_equal(gpa.v, (uintptr_t)piece);
		assert_ptr_equal(pv_arena_at(&arena, gpa, 1000), piece);
		for (size_t i = 0; i < 1000; i++)
			assert_int_equal(piece[i], 0);
		memset(piece, 0xff, 1000);
		pv_arena_free(&arena, piece, 1000);
	}
}

static void what_does_not_fit_is_refused(void **state)
{
	struct pv_gpa gpa;
	void *all = pv_arena_alloc(&arena, arena.bytes, 1, &gpa);

	(void)state;
	assert_non_null(all);
	assert_null(pv_arena_alloc(&arena, 1, 1, &gpa));
	pv_arena_free(&arena, all, arena.bytes);
	assert_null(pv_arena_alloc(&arena, arena.bytes + 1, 1, &gpa));
	assert_null(pv_arena_alloc(&arena, SIZE_MAX, 1, &gpa));
	assert_null(pv_arena_alloc(&arena, 0, 1, &gpa));
	assert_null(pv_arena_alloc(&arena, 64, PV_ARENA_ALIGN_MAX * 2, &gpa));
}

static void an_address_outside_leads_nowhere(void **state)
{
	(void)state;
	assert_null(pv_arena_at(&arena, pv_gpa_of(0), 1));
	assert_null(pv_arena_at(&arena, pv_gpa_of(PV_ARENA_GPA - 1), 2));
	assert_null(pv_arena_at(&arena, pv_gpa_of(PV_ARENA_GPA + arena.bytes), 1));
	assert_null(pv_arena_at(&arena, pv_gpa_of(PV_ARENA_GPA + arena.bytes - 1), 2));
	assert_null(pv_arena_at(&arena, pv_gpa_of(PV_ARENA_GPA + 1), SIZE_MAX));
	assert_non_null(pv_arena_at(&arena, pv_gpa_of(PV_ARENA_GPA + arena.bytes - 1), 1));
}

static void the_device_cannot_change_the_file_under_us(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(arena.fd, 4096), -1);
	assert_int_equal(fcntl(arena.fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

/* Pieces come and go in any order; each is marked, and the marks stay. */
static void pieces_never_touch_and_all_room_comes_back(void **state)
{
	const char *text = getenv("PV_SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : (unsigned int)time(NULL);
	struct {
		uint8_t *at;
		size_t bytes;
	} piece[64] = { 0 };
	struct pv_gpa gpa;

	(void)state;
	print_message("PV_SEED=%u\n", seed);
	for (int round = 0; round < 5000; round++) {
		int i = rand_r(&seed) % 64;

		if (piece[i].at) {
			for (size_t at = 0; at < piece[i].bytes; at++)
				assert_int_equal(piece[i].at[at], i);
			pv_arena_free(&arena, piece[i].at, piece[i].bytes);
			piece[i].at = NULL;
			continue;
		}
		piece[i].bytes = 1 + (size_t)(rand_r(&seed) % 100000);
		piece[i].at =
			pv_arena_alloc(&arena, piece[i].bytes, 1u << rand_r(&seed) % 14, &gpa);
		if (piece[i].at)
			memset(piece[i].at, i, piece[i].bytes);
	}
	for (int i = 0; i < 64; i++) {
		if (piece[i].at)
			pv_arena_free(&arena, piece[i].at, piece[i].bytes);
	}
	assert_non_null(pv_arena_alloc(&arena, arena.bytes, 1, &gpa));
}

#define IN_ARENA(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ARENA(a_piece_is_zeroed_and_aligned_at_both_addresses),
		IN_ARENA(what_does_not_fit_is_refused),
		IN_ARENA(an_address_outside_leads_nowhere),
		IN_ARENA(the_device_cannot_change_the_file_under_us),
		IN_ARENA(pieces_never_touch_and_all_room_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
