/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "hosted/vmm/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_BYTES (2ull << 20)

/* Aligned, so that transparent huge pages can be had from the first byte on. */
static uint8_t *map(uint64_t bytes)
{
	uint64_t room = bytes + HUGE_BYTES;
	uint8_t *at = mmap(NULL, room, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t skip;

	if (at == MAP_FAILED)
		return NULL;
	skip = -(uintptr_t)at % HUGE_BYTES;
	if (skip)
		munmap(at, skip);
	munmap(at + skip + bytes, room - skip - bytes);
	madvise(at + skip, bytes, MADV_HUGEPAGE);
	return at + skip;
}

int pv_machine_memory_create(struct pv_machine_memory *memory, uint64_t bytes)
{
	*memory = (struct pv_machine_memory){ .bytes = bytes,
		                              .low_bytes = bytes < PV_HOLE_BEGIN ? bytes
		                                                                 : PV_HOLE_BEGIN };
	memory->table = calloc(1, pv_mem_table_bytes(2));
	memory->host = map(bytes);
	if (!memory->table || !memory->host) {
		pv_machine_memory_destroy(memory);
		return -ENOMEM;
	}
	memory->table->region[memory->table->count++] =
		(struct pv_region){ pv_gpa_of(0), memory->low_bytes, memory->host };
	if (bytes > memory->low_bytes)
		memory->table->region[memory->table->count++] =
			(struct pv_region){ pv_gpa_of(PV_HOLE_END), bytes - memory->low_bytes,
			                    memory->host + memory->low_bytes };
	pv_mem_seal(memory->table);
	return 0;
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
	free(memory->table);
	*memory = (struct pv_machine_memory){ 0 };
}

void *pv_machine_memory_at(const struct pv_machine_memory *memory, uint64_t gpa, uint64_t bytes)
{
	if (gpa > memory->low_bytes || bytes > memory->low_bytes - gpa)
		return NULL;
	return memory->host + gpa;
}
