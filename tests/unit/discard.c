/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is given up: it is zeroes, its neighbours are not, and the host has it back. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/loop/discard.h"

#define PAGE  4096u
#define HUGE  (2u << 20)
#define PAGES 8u

/* Pages that the process has; huge ones are counted by their pool alone. */
static unsigned int pages_present(const struct pv_region *region)
{
	size_t pages = region->bytes / PAGE;
	unsigned char *is_present = malloc(pages);
	unsigned int present = 0;

	assert_int_equal(mincore(region->host, region->bytes, is_present), 0);
	for (size_t i = 0; i < pages; i++)
		present += is_present[i] & 1;
	free(is_present);
	return present;
}

static uint64_t blocks_of(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

static long pool(const char *name)
{
	FILE *meminfo = fopen("/proc/meminfo", "r");
	char line[128];
	long pages = -1;

	assert_non_null(meminfo);
	while (fgets(line, sizeof(line), meminfo))
		if (strncmp(line, name, strlen(name)) == 0)
			pages = strtol(line + strlen(name) + 1, NULL, 10);
	fclose(meminfo);
	return pages;
}

static void map(struct pv_region *region, uint64_t page_bytes, int flags, int fd)
{
	*region = (struct pv_region){ .bytes = PAGES * page_bytes,
		                      .page_bytes = page_bytes,
		                      .is_file = fd >= 0 };
	region->host = mmap(NULL, region->bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
}

/* The first page and the last two stay. */
static void give_up_the_middle(const struct pv_region *region)
{
	uint64_t page = region->page_bytes;

	struct pv_iov piece = { region->host + page, (PAGES - 3) * page };

	memset(region->host, 1, region->bytes);
	assert_int_equal(pv_memory_discard(region, &piece, 1), 0);
}

static void assert_the_middle_is_zero(const struct pv_region *region)
{
	for (uint64_t i = 0; i < region->bytes; i++) {
		uint64_t page = i / region->page_bytes;

		assert_int_equal(region->host[i], page == 0 || page >= PAGES - 2);
	}
}

static void private_memory_is_not_resident_any_more(void **state)
{
	struct pv_region region;

	(void)state;
	map(&region, PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	assert_ptr_not_equal(region.host, MAP_FAILED);
	madvise(region.host, region.bytes, MADV_NOHUGEPAGE);
	give_up_the_middle(&region);
	assert_int_equal(pages_present(&region), 3);
	assert_the_middle_is_zero(&region);
	munmap(region.host, region.bytes);
}

#define MANY 3000u /* pieces: more than one call takes */

/* Every other page, one of which cannot go: all others do, and it is told. */
static void many_pieces_go_but_for_what_cannot(int flags, int fd)
{
	static struct pv_iov piece[MANY];
	struct pv_region region = { .bytes = 2ull * MANY * PAGE,
		                    .page_bytes = PAGE,
		                    .is_file = fd >= 0 };

	region.host = mmap(NULL, region.bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	assert_ptr_not_equal(region.host, MAP_FAILED);
	for (uint32_t i = 0; i < MANY; i++)
		piece[i] = (struct pv_iov){ region.host + 2ull * i * PAGE, PAGE };
	for (uint32_t refused = 0; refused <= MANY; refused += MANY / 4) {
		memset(region.host, 1, region.bytes);
		if (refused < MANY)
			piece[refused].base = region.host + 2ull * refused * PAGE + 1;
		assert_int_equal(pv_memory_discard(&region, piece, MANY),
		                 refused < MANY ? -EINVAL : 0);
		for (uint32_t i = 0; i < 2 * MANY; i++) {
			const uint8_t kept = i % 2 == 1 || i == 2 * refused;

			assert_int_equal(region.host[i * PAGE], kept);
			assert_int_equal(region.host[i * PAGE + PAGE - 1], kept);
		}
		if (refused < MANY)
			piece[refused].base = region.host + 2ull * refused * PAGE;
	}
	munmap(region.host, region.bytes);
}

static void many_pieces_go(void **state)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);

	(void)state;
	many_pieces_go_but_for_what_cannot(MAP_PRIVATE | MAP_ANONYMOUS, -1);
	assert_int_equal(ftruncate(fd, 2l * MANY * PAGE), 0);
	many_pieces_go_but_for_what_cannot(MAP_SHARED, fd);
	close(fd);
}

/* As before Linux 6.14, and in containers that do not know the call. Nobody is tried again. */
static void many_pieces_go_where_lists_are_refused(void **state)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	assert_non_null(filter);
	assert_int_equal(
		seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(process_madvise), 0), 0);
	assert_int_equal(seccomp_load(filter), 0);
	seccomp_release(filter);
	many_pieces_go(state);
}

/* Seen by another map of it too. */
static void assert_file_gets_a_hole(int fd, uint64_t page_bytes)
{
	struct pv_region region, other;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(PAGES * page_bytes)), 0);
	map(&region, page_bytes, MAP_SHARED, fd);
	map(&other, page_bytes, MAP_SHARED, fd);
	assert_true(region.host != MAP_FAILED && other.host != MAP_FAILED);
	memset(region.host, 1, region.bytes);
	assert_int_equal(msync(region.host, region.bytes, MS_SYNC), 0);
	assert_true(blocks_of(fd) >= PAGES * page_bytes);
	give_up_the_middle(&other);
	assert_true(blocks_of(fd) < 4 * page_bytes);
	assert_the_middle_is_zero(&region);
	munmap(other.host, other.bytes);
	munmap(region.host, region.bytes);
	close(fd);
}

static void a_memory_file_gets_a_hole(void **state)
{
	(void)state;
	assert_file_gets_a_hole(memfd_create("memory", MFD_CLOEXEC), PAGE);
}

static void a_file_gets_a_hole(void **state)
{
	char path[] = "discard-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_file_gets_a_hole(fd, PAGE);
}

static void skip_without_huge_pages(void)
{
	if (pool("HugePages_Free") - pool("HugePages_Rsvd") < (long)PAGES)
		skip();
}

static void a_file_of_huge_pages_gets_a_hole_and_the_pool_has_them(void **state)
{
	struct pv_region region;
	long free_pages = pool("HugePages_Free");
	int fd = memfd_create("memory", MFD_CLOEXEC | MFD_HUGETLB);

	(void)state;
	skip_without_huge_pages();
	assert_file_gets_a_hole(fcntl(fd, F_DUPFD_CLOEXEC, 0), HUGE);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, PAGES * HUGE), 0);
	map(&region, HUGE, MAP_SHARED, fd);
	give_up_the_middle(&region);
	assert_int_equal(pool("HugePages_Free"), free_pages - 3);
	assert_int_equal(pool("HugePages_Rsvd"), 0);
	munmap(region.host, region.bytes);
	close(fd);
}

/* They may stay reserved for this process (from Linux 6.9 on): nobody else gets them then. */
static void private_huge_pages_go_to_the_pool(void **state)
{
	long free_pages = pool("HugePages_Free");
	struct pv_region region;

	(void)state;
	skip_without_huge_pages();
	map(&region, HUGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	give_up_the_middle(&region);
	assert_int_equal(pool("HugePages_Free"), free_pages - 3);
	print_message("of private huge pages that were given up, %ld stay reserved\n",
	              pool("HugePages_Rsvd"));
	assert_the_middle_is_zero(&region);
	munmap(region.host, region.bytes);
}

static void a_part_of_a_huge_page_stays(void **state)
{
	struct pv_region region;
	struct pv_iov piece;

	(void)state;
	skip_without_huge_pages();
	map(&region, HUGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	memset(region.host, 1, region.bytes);
	/* The kernel rounds down to nothing what is too short, and refuses what begins within. */
	piece = (struct pv_iov){ region.host + PAGE, PAGE };
	assert_int_equal(pv_memory_discard(&region, &piece, 1), -EINVAL);
	assert_int_equal(region.host[PAGE], 1);
	munmap(region.host, region.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_memory_is_not_resident_any_more),
		cmocka_unit_test(a_memory_file_gets_a_hole),
		cmocka_unit_test(a_file_gets_a_hole),
		cmocka_unit_test(a_file_of_huge_pages_gets_a_hole_and_the_pool_has_them),
		cmocka_unit_test(private_huge_pages_go_to_the_pool),
		cmocka_unit_test(a_part_of_a_huge_page_stays),
		cmocka_unit_test(many_pieces_go),
		cmocka_unit_test(many_pieces_go_where_lists_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
