/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Getting a kernel to run without firmware: it is put where it wants to be, with what it expects to
 * find.  A Linux bzImage begins at its 64-bit entry (Documentation/x86/boot, 64-bit boot protocol),
 * an ELF image with a PVH note at its 32-bit one (the Xen start-of-day ABI for HVM guests).
 */
#ifndef PV_HOSTED_VMM_BOOT_H
#define PV_HOSTED_VMM_BOOT_H

#include "hosted/vmm/boot_file.h"
#include "hosted/vmm/memory.h"

struct pv_boot_options {
	const char *kernel;
	const char *initrd; /* may be NULL */
	const char *append; /* may be NULL */
	unsigned int cpus;
};

struct pv_boot {
	struct pv_boot_options options;
	struct pv_boot_file kernel, initrd;
	unsigned int mmio_devices;
};

/* How the first processor begins. */
struct pv_boot_entry {
	bool is_64_bit;
	uint64_t address;
	uint64_t argument; /* rsi, or ebx with PVH */
};

/* Opens the files. False with a sentence that names the option at fault. */
bool pv_boot_open(struct pv_boot *boot, const struct pv_boot_options *options,
                  char sentence[static PV_SENTENCE_BYTES]);
void pv_boot_close(struct pv_boot *boot);

/* Puts everything into memory. The same. */
bool pv_boot_load(const struct pv_boot *boot, const struct pv_machine_memory *memory,
                  struct pv_boot_entry *entry, char sentence[static PV_SENTENCE_BYTES]);

/* There are so many devices on MMIO, here and at each load from now on: ACPI says so. */
void pv_boot_set_mmio_devices(struct pv_boot *boot, const struct pv_machine_memory *memory,
                              unsigned int devices);

/* For the first processor in 64-bit mode: page tables that map the first 4 GiB, and a GDT. */
#define PV_BOOT_GDT        0x500u
#define PV_BOOT_PAGE_TABLE 0x9000u

#endif
