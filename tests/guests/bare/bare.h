/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest without an operating system, for tests of the monitor.  It is told by its command line
 * what to do, says on COM1 what it found, in TAP, and switches the machine off.
 */
#ifndef PV_TESTS_BARE_H
#define PV_TESTS_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pv_bus;

/* ---- instructions ---- */

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

/* `bytes` is 1, 2 or 4. */
void out(uint16_t port, unsigned int bytes, uint32_t value);
uint32_t in(uint16_t port, unsigned int bytes);

/* `bytes` is 1, 2, 4 or 8; one access at any address below 5 GiB. */
void mmio_write(uint64_t address, unsigned int bytes, uint64_t value);
uint64_t mmio_read(uint64_t address, unsigned int bytes);

/* Where a physical address above 4 GiB can be reached; until the next call. */
uint64_t window_at(uint64_t physical);

void wait_for_ever(void) __attribute__((noreturn));

/* ---- console and TAP ---- */

void serial_begin(void);
void say(const char *text);
void say_number(uint64_t number);
void say_hex(uint64_t number);
uint8_t hear(void); /* waits for a byte */

/* One statement; returns is_true. */
bool ok(bool is_true, const char *text);
/* The same, and says both numbers where they differ. */
bool equal(uint64_t got, uint64_t wanted, const char *text);

/* Plan, and the machine is switched off. */
void finish(void) __attribute__((noreturn));
void bail_out(const char *why) __attribute__((noreturn));

/* ---- the machine ---- */

/* The Xen start-of-day ABI for HVM guests, version 1. */
struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, command_line, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};

struct start_module {
	uint64_t address, bytes, command_line, reserved;
};

struct start_range {
	uint64_t base, bytes;
	uint32_t type, reserved;
};

#define START_MAGIC 0x336ec578u
#define RANGE_RAM   1u

/* As it was at the entry. */
extern uint32_t entry_flags, entry_cr0, entry_cr4;
extern char image_end[];

/* Checks and remembers; to be called before what follows. False: no tables. */
bool acpi_begin(uint64_t rsdp);
/* By its signature; NULL: there is none. Its checksum is right. */
const uint8_t *acpi_table(const char *signature);
uint64_t acpi_field(const uint8_t *table, uint32_t offset, unsigned int bytes);
uint32_t acpi_length(const uint8_t *table);
void acpi_power_off(void);
/* Where configuration space is in memory. */
uint64_t acpi_ecam(void);

/* A clock, in nanoseconds; to be looked at every few seconds at least. */
uint64_t clock_ns(void);

/* ---- interrupts ---- */

#define APIC_BASE   0xfee00000u
#define IOAPIC_BASE 0xfec00000u

void traps_begin(void);
/* Lets interrupts in for a moment. */
void interrupt_window(void);
extern volatile uint32_t interrupts_seen;

/* Starts the other processors, each of which calls `job` with its number from 1 on. Returns how
 * many began within the time. */
unsigned int cpus_start(unsigned int cpus, void (*job)(unsigned int cpu), uint64_t limit_ns);
unsigned int cpus_listed(void);

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

struct words {
	const char *word[8];
	unsigned int words;
};

/* The decimal number that a word is; 0 if there are not so many. */
uint64_t number_of(const struct words *words, unsigned int index);

void job_hello(const struct words *words, const struct start_info *info);
void job_hostile(const struct words *words, const struct start_info *info);
void job_reset(const struct words *words, const struct start_info *info);
void job_storm(const struct words *words, const struct start_info *info);
void job_triple(const struct words *words, const struct start_info *info);

#endif
