/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "hosted/vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096ull
#define HUGE_BYTES (2ull << 20)

/* Addresses alone, aligned so that huge pages can be had from the first byte on. */
static uint8_t *reserve(uint64_t bytes)
{
	uint64_t room = bytes + HUGE_BYTES;
	uint8_t *at =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t skip;

	if (at == MAP_FAILED)
		return NULL;
	skip = -(uintptr_t)at % HUGE_BYTES;
	if (skip)
		munmap(at, skip);
	munmap(at + skip + bytes, room - skip - bytes);
	return at + skip;
}

/* Its size is settled: whoever is given the descriptor can rely on it. */
static int open_shared(const struct pv_machine_memory_options *options)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd =
		memfd_create("guest-memory", options->has_huge_pages ? flags | MFD_HUGETLB : flags);
	int error;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)options->bytes) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

/* Pages of the pool are set aside here, or a guest would die of their absence later. */
static int flags_of(const struct pv_machine_memory_options *options)
{
	int flags = MAP_FIXED | (options->is_shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);

	if (!options->has_huge_pages)
		return flags | MAP_NORESERVE;
	return options->is_shared ? flags : flags | MAP_HUGETLB;
}

static int map(struct pv_machine_memory *memory, const struct pv_machine_memory_options *options)
{
	memory->host = reserve(options->bytes);
	if (!memory->host)
		return -ENOMEM;
	if (options->is_shared) {
		memory->fd = open_shared(options);
		if (memory->fd < 0)
			return memory->fd;
	}
	if (mmap(memory->host, options->bytes, PROT_READ | PROT_WRITE, flags_of(options),
	         memory->fd, 0) == MAP_FAILED)
		return -errno;
	if (!options->has_huge_pages)
		madvise(memory->host, options->bytes, MADV_HUGEPAGE);
	return 0;
}

/* Transparent huge pages are taken apart where less than one goes back. */
static struct pv_region region_of(const struct pv_machine_memory *memory,
                                  const struct pv_machine_memory_options *options, uint64_t gpa,
                                  uint64_t at, uint64_t bytes)
{
	return (struct pv_region){
		.gpa = pv_gpa_of(gpa),
		.bytes = bytes,
		.host = memory->host + at,
		.page_bytes = options->has_huge_pages ? HUGE_BYTES : PAGE_BYTES,
		.is_file = options->is_shared,
	};
}

static bool make_table(struct pv_machine_memory *memory,
                       const struct pv_machine_memory_options *options)
{
	struct pv_mem *table = calloc(1, pv_mem_table_bytes(2));

	memory->table = table;
	if (!table)
		return false;
	table->region[table->count++] = region_of(memory, options, 0, 0, memory->low_bytes);
	if (memory->bytes > memory->low_bytes)
		table->region[table->count++] = region_of(memory, options, PV_HOLE_END,
		                                          memory->low_bytes,
		                                          memory->bytes - memory->low_bytes);
	pv_mem_seal(table);
	return true;
}

static bool is_not_to_be_had(const struct pv_machine_memory_options *options, int error,
                             char sentence[static PV_SENTENCE_BYTES])
{
	if (options->has_huge_pages)
		return pv_sentence_wrong(
			sentence,
			"option '--memory': the host has not %llu huge pages to spare; put them "
			"into its pool (sysctl vm.nr_hugepages), or leave out hugepages=on",
			(unsigned long long)(options->bytes / HUGE_BYTES));
	return pv_sentence_wrong(sentence, "option '--memory': that much is not to be had: %s",
	                         strerror(-error));
}

bool pv_machine_memory_create(struct pv_machine_memory *memory,
                              const struct pv_machine_memory_options *options,
                              char sentence[static PV_SENTENCE_BYTES])
{
	uint64_t bytes = options->bytes;
	int error;

	*memory = (struct pv_machine_memory){
		.fd = -1,
		.bytes = bytes,
		.low_bytes = bytes < PV_HOLE_BEGIN ? bytes : PV_HOLE_BEGIN,
	};
	if (options->has_huge_pages && bytes % HUGE_BYTES)
		return pv_sentence_wrong(sentence, "option '--memory': with hugepages=on the size "
		                                   "must be a multiple of 2M");
	error = map(memory, options);
	if (!error && !make_table(memory, options))
		error = -ENOMEM;
	if (!error)
		return true;
	pv_machine_memory_destroy(memory);
	return is_not_to_be_had(options, error, sentence);
}

int pv_machine_memory_show(const struct pv_machine_memory *memory, struct pv_kvm *kvm)
{
	int error = 0;

	for (uint32_t i = 0; !error && i < memory->table->count; i++) {
		const struct pv_region *region = &memory->table->region[i];

		error = pv_kvm_add_memory(kvm, region->gpa.v, region->host, region->bytes);
	}
	return error;
}

void pv_machine_memory_destroy(struct pv_machine_memory *memory)
{
	if (memory->host)
		munmap(memory->host, memory->bytes);
	if (memory->fd >= 0)
		close(memory->fd);
	free(memory->table);
	*memory = (struct pv_machine_memory){ .fd = -1 };
}

void *pv_machine_memory_at(const struct pv_machine_memory *memory, uint64_t gpa, uint64_t bytes)
{
	if (gpa > memory->low_bytes || bytes > memory->low_bytes - gpa)
		return NULL;
	return memory->host + gpa;
}
