/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine's memory, and where everything lies in its address space. */
#ifndef PV_HOSTED_VMM_MEMORY_H
#define PV_HOSTED_VMM_MEMORY_H

#include "hosted/vmm/kvm.h"
#include "ring/mem.h"

/* Memory ends at the hole at the latest and goes on above 4 GiB. */
#define PV_HOLE_BEGIN     0xc0000000ull
#define PV_HOLE_END       0x100000000ull
#define PV_PCI_MEMORY     0xc0000000u /* BARs */
#define PV_PCI_MEMORY_END 0xe0000000u
#define PV_PCI_ECAM       0xe0000000u /* configuration space of bus 0 */
#define PV_PCI_ECAM_BYTES 0x100000u
#define PV_PCI_IO         0xc000u
#define PV_PCI_IO_END     0x10000u

struct pv_machine_memory {
	uint8_t *host;
	uint64_t bytes;
	uint64_t low_bytes; /* below the hole */
	struct pv_mem *table;
};

/* Returns 0 or -errno. */
int pv_machine_memory_create(struct pv_machine_memory *memory, uint64_t bytes);
int pv_machine_memory_show(const struct pv_machine_memory *memory, struct pv_kvm *kvm);
void pv_machine_memory_destroy(struct pv_machine_memory *memory);

/* The one way to write to it from here: NULL where the range is not below the hole. */
void *pv_machine_memory_at(const struct pv_machine_memory *memory, uint64_t gpa, uint64_t bytes);

#endif
