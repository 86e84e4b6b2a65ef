/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest without an operating system, for tests of the monitor.  It is told by its command line
 * what to do, says on COM1 what it found, in TAP, and switches the machine off.
 */
#ifndef PV_TESTS_BARE_H
#define PV_TESTS_BARE_H

#include "payload/x86/machine.h"

struct pv_bus;

/* ---- devices ---- */

#define SLOTS 32u

uint32_t pci_read(unsigned int slot, uint32_t offset, unsigned int bytes);
void pci_write(unsigned int slot, uint32_t offset, unsigned int bytes, uint32_t value);

/* Remembers where BARs are; puts them back there, and turns decoding on. */
void pci_begin(void);
void pci_put_back(void);
bool pci_is_virtio(unsigned int slot);
bool pci_is_disk(unsigned int slot);
/* 0: there is none. */
uint64_t pci_bar(unsigned int slot, unsigned int bar, bool *is_io);
uint64_t pci_bar_bytes(unsigned int slot, unsigned int bar);

/* A device's registers, looked for at the first call, and at the first one after pci_bus_forget().
 */
struct pv_bus *pci_bus(unsigned int slot);
void pci_bus_forget(unsigned int slot);

/* As the monitor has them. */
#define MMIO_PLACES      0xe0100000u
#define MMIO_PLACE_BYTES 0x1000u
#define MMIO_PLACE_COUNT 8u

/* Registers at a place, valid until the next call; NULL where there is no device. */
struct pv_bus *mmio_bus(unsigned int index);

/* Brings every disk up from nothing, by the drivers of this tree: writes and reads back, or where
 * it is read-only reads the pattern that lies there. Returns how many there are. */
unsigned int disks_check(void);

/* ---- jobs ---- */

void job_hello(const struct words *words, const struct start_info *info);
void job_hostile(const struct words *words, const struct start_info *info);
void job_reset(const struct words *words, const struct start_info *info);
void job_storm(const struct words *words, const struct start_info *info);
void job_triple(const struct words *words, const struct start_info *info);

#endif
