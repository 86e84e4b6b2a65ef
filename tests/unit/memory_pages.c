/* SPDX-License-Identifier: BSD-2-Clause */
/* What a machine's memory and a front-end's say of how it goes back to the host. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/vhost_user/memory.h"
#include "hosted/vmm/memory.h"

#define PAGE      4096u
#define HUGE      (2u << 20)
#define MANY      (4ull << 20)
#define ABOVE_4_G (5ull << 30)

static void assert_machine(const struct pv_machine_memory_options *options, uint32_t regions)
{
	char sentence[PV_SENTENCE_BYTES];
	struct pv_machine_memory memory;

	assert_true(pv_machine_memory_create(&memory, options, sentence));
	assert_int_equal(memory.table->count, regions);
	for (uint32_t i = 0; i < regions; i++) {
		const struct pv_region *region = &memory.table->region[i];

		assert_int_equal(region->page_bytes, PAGE);
		assert_int_equal(region->is_file, options->is_shared);
		assert_int_equal((uintptr_t)region->host % region->page_bytes, 0);
	}
	pv_machine_memory_destroy(&memory);
}

static void a_machine_has_private_pages_or_a_file(void **state)
{
	(void)state;
	assert_machine(&(struct pv_machine_memory_options){ .bytes = MANY }, 1);
	assert_machine(&(struct pv_machine_memory_options){ .bytes = ABOVE_4_G }, 2);
	assert_machine(&(struct pv_machine_memory_options){ .bytes = MANY, .is_shared = true }, 1);
}

/* The page size that a region at `offset` of the file has. */
static uint64_t front_end_pages(int fd, uint64_t offset, uint64_t bytes)
{
	const struct vhost_user_region region = { .bytes = bytes, .mmap_offset = offset };
	struct pv_vhu_memory *memory = pv_vhu_memory_create(NULL, NULL, NULL);
	uint64_t page_bytes;

	assert_null(pv_vhu_memory_add(memory, &region, fd));
	assert_null(pv_vhu_memory_seal(memory));
	assert_true(memory->table->region[0].is_file);
	page_bytes = memory->table->region[0].page_bytes;
	pv_vhu_memory_destroy(memory);
	return page_bytes;
}

static void a_front_ends_memory_has_pages_where_it_begins_with_one(void **state)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, MANY), 0);
	assert_int_equal(front_end_pages(fd, 0, MANY), PAGE);
	assert_int_equal(front_end_pages(fd, PAGE, PAGE + 1), PAGE);
	assert_int_equal(front_end_pages(fd, PAGE / 2, MANY / 2), 0);
	close(fd);
}

static void a_front_ends_memory_of_huge_pages_has_those(void **state)
{
	int fd = memfd_create("memory", MFD_CLOEXEC | MFD_HUGETLB);
	void *map;

	(void)state;
	if (fd < 0 || ftruncate(fd, MANY) < 0)
		skip();
	/* Without a pool. */
	map = mmap(NULL, MANY, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		skip();
	munmap(map, MANY);
	assert_int_equal(front_end_pages(fd, 0, MANY), HUGE);
	assert_int_equal(front_end_pages(fd, PAGE, MANY - PAGE), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_has_private_pages_or_a_file),
		cmocka_unit_test(a_front_ends_memory_has_pages_where_it_begins_with_one),
		cmocka_unit_test(a_front_ends_memory_of_huge_pages_has_those),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
