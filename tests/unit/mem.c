/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory table: what is found, where it ends, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/chain.h"
#include "ring/err.h"
#include "ring/mem.h"

static uint8_t backing[3][0x1000];

#define REGION(at, length, where)                                                                  \
	{                                                                                          \
		.gpa = { at }, .bytes = length, .host = where                                      \
	}

static struct pv_mem *table_of(uint32_t count, const struct pv_region *regions)
{
	struct pv_mem *mem = calloc(1, pv_mem_table_bytes(count));

	mem->count = count;
	memcpy(mem->region, regions, count * sizeof(*regions));
	return mem;
}

/* 0x1000 and 0x2000 touch each other; 0x8000 stands apart. Given out of order on purpose. */
static struct pv_mem *three_regions(void)
{
	struct pv_mem *mem = table_of(3, (struct pv_region[]){
						 REGION(0x8000, 0x1000, backing[2]),
						 REGION(0x1000, 0x1000, backing[0]),
						 REGION(0x2000, 0x1000, backing[1]),
					 });

	assert_int_equal(pv_mem_seal(mem), 0);
	return mem;
}

static void every_address_is_found_with_the_run_behind_it(void **state)
{
	struct pv_mem *mem = three_regions();
	struct pv_mem_view view;
	uint64_t run_bytes;

	(void)state;
	pv_mem_view_init(&view, mem);
	assert_ptr_equal(pv_mem_at(&view, pv_gpa_of(0x1000), &run_bytes), backing[0]);
	assert_int_equal(run_bytes, 0x1000);
	assert_ptr_equal(pv_mem_at(&view, pv_gpa_of(0x8fff), &run_bytes), backing[2] + 0xfff);
	assert_int_equal(run_bytes, 1);
	assert_ptr_equal(pv_mem_at(&view, pv_gpa_of(0x2010), &run_bytes), backing[1] + 0x10);
	assert_int_equal(run_bytes, 0xff0);
	free(mem);
}

static void what_is_no_memory_is_not_found(void **state)
{
	struct pv_mem *mem = three_regions();
	struct pv_mem_view view;
	uint64_t run_bytes;
	const uint64_t nowhere[] = { 0, 0xfff, 0x3000, 0x7fff, 0x9000, UINT64_MAX };

	(void)state;
	pv_mem_view_init(&view, mem);
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
		assert_null(pv_mem_at(&view, pv_gpa_of(nowhere[i]), &run_bytes));
	assert_null(pv_mem_span(&view, pv_gpa_of(0x1800), 0x801));
	assert_non_null(pv_mem_span(&view, pv_gpa_of(0x1800), 0x800));
	assert_null(pv_mem_span(&view, pv_gpa_of(0x1800), UINT64_MAX));
	free(mem);
}

static void a_table_with_empty_wrapping_or_overlapping_regions_is_refused(void **state)
{
	const struct pv_region bad[][2] = {
		{ REGION(0, 0x1000, backing[0]), REGION(0x2000, 0, backing[1]) },
		{ REGION(0, 0x1001, backing[0]), REGION(0x1000, 0x1000, backing[1]) },
		{ REGION(0, 1, backing[0]), REGION(UINT64_MAX, 2, backing[1]) },
		{ REGION(5, 1, backing[0]), REGION(5, 1, backing[1]) },
		/* On the host, where a guest's 64 bits may be too many. */
		{ REGION(0, 1, backing[0]), REGION(1, 3, (uint8_t *)(UINTPTR_MAX - 1)) },
		{ REGION(0, 1, backing[0]), REGION(1, UINT64_MAX - 1, backing[1]) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pv_mem *mem = table_of(2, bad[i]);

		assert_int_equal(pv_mem_seal(mem), -PV_EINVAL);
		free(mem);
	}
}

static void a_read_crosses_from_region_to_region(void **state)
{
	struct pv_mem *mem = three_regions();
	struct pv_mem_view view;
	uint8_t copy[4];

	(void)state;
	pv_mem_view_init(&view, mem);
	memcpy(backing[0] + 0xffe, "ab", 2);
	memcpy(backing[1], "cd", 2);
	assert_true(pv_mem_read(&view, pv_gpa_of(0x1ffe), copy, 4));
	assert_memory_equal(copy, "abcd", 4);
	assert_false(pv_mem_read(&view, pv_gpa_of(0x2ffe), copy, 4));
	free(mem);
}

static void a_host_pointer_leads_back_to_its_guest_address(void **state)
{
	struct pv_mem *mem = three_regions();
	struct pv_gpa gpa;

	(void)state;
	assert_true(pv_mem_gpa_of(mem, backing[2] + 0x123, &gpa));
	assert_int_equal(gpa.v, 0x8123);
	assert_false(pv_mem_gpa_of(mem, &gpa, &gpa));
	free(mem);
}

static void cutting_a_list_keeps_exactly_the_bytes_asked_for(void **state)
{
	uint8_t bytes[12];

	(void)state;
	for (size_t skip = 0; skip <= 12; skip++) {
		for (size_t keep = 0; keep <= 13 - skip; keep++) {
			struct pv_iov list[] = { { bytes, 5 }, { bytes + 5, 3 }, { bytes + 8, 4 } };
			struct pv_iov *iov = list;
			uint16_t count = 3;
			bool fits = skip + keep <= 12;

			assert_int_equal(pv_iov_cut(&iov, &count, skip, keep), fits);
			if (!fits)
				continue;
			assert_int_equal(pv_iov_bytes(iov, count), keep);
			for (size_t i = 0, at = skip; i < count; at += iov[i++].bytes)
				assert_ptr_equal(iov[i].base, bytes + at);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_address_is_found_with_the_run_behind_it),
		cmocka_unit_test(what_is_no_memory_is_not_found),
		cmocka_unit_test(a_table_with_empty_wrapping_or_overlapping_regions_is_refused),
		cmocka_unit_test(a_read_crosses_from_region_to_region),
		cmocka_unit_test(a_host_pointer_leads_back_to_its_guest_address),
		cmocka_unit_test(cutting_a_list_keeps_exactly_the_bytes_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
