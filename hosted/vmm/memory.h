/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine's memory, and where everything lies in its address space. */
#ifndef PV_HOSTED_VMM_MEMORY_H
#define PV_HOSTED_VMM_MEMORY_H

#include "hosted/vmm/kvm.h"
#include "ring/mem.h"

/* Memory ends at the hole at the latest and goes on above 4 GiB. */
#define PV_HOLE_BEGIN      0xc0000000ull
#define PV_HOLE_END        0x100000000ull
#define PV_PCI_MEMORY      0xc0000000u /* BARs */
#define PV_PCI_MEMORY_END  0xe0000000u
#define PV_PCI_ECAM        0xe0000000u /* configuration space of bus 0 */
#define PV_PCI_ECAM_BYTES  0x100000u
#define PV_MMIO            0xe0100000u /* virtio devices without a bus */
#define PV_MMIO_SLOT_BYTES 0x1000u
#define PV_PCI_IO          0xc000u
#define PV_PCI_IO_END      0x10000u

struct pv_machine_memory {
	uint8_t *host;
	int fd; /* of shared memory; or -1 */
	uint64_t bytes;
	uint64_t low_bytes; /* below the hole */
	struct pv_mem *table;
};

struct pv_machine_memory_options {
	uint64_t bytes;
	bool is_shared;      /* behind a descriptor, which other processes can be given */
	bool has_huge_pages; /* of the host's pool, all there from the beginning */
};

/* False with a sentence about the option --memory. */
bool pv_machine_memory_create(struct pv_machine_memory *memory,
                              const struct pv_machine_memory_options *options,
                              char sentence[static PV_SENTENCE_BYTES]);

/* Returns 0 or -errno. */
int pv_machine_memory_show(const struct pv_machine_memory *memory, struct pv_kvm *kvm);
void pv_machine_memory_destroy(struct pv_machine_memory *memory);

/* The one way to write to it from here: NULL where the range is not below the hole. */
void *pv_machine_memory_at(const struct pv_machine_memory *memory, uint64_t gpa, uint64_t bytes);

#endif
