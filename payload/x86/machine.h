/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An x86-64 machine without an operating system: what an image that is entered as PVH has it needs
 * to say something, to find devices, to wait and to switch off.  One processor runs it; memory is
 * mapped address for address up to 4 GiB, and above it where memory_begin() has found some.
 */
#ifndef PV_PAYLOAD_MACHINE_H
#define PV_PAYLOAD_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "payload/x86/apic.h"

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

/* `bytes` is 1, 2, 4 or 8; one access at any address that is mapped. */
void mmio_write(uint64_t address, unsigned int bytes, uint64_t value);
uint64_t mmio_read(uint64_t address, unsigned int bytes);

/* Where a physical address above 4 GiB can be reached; until the next call. */
uint64_t window_at(uint64_t physical);
/* The same for good, of so many bytes; 0: there is no room any more. */
uint64_t window_keep(uint64_t physical, uint64_t bytes);

void wait_for_ever(void) __attribute__((noreturn));

/* ---- console and TAP ---- */

void serial_begin(void);
void say(const char *text);
void say_number(uint64_t number);
void say_hex(uint64_t number);
bool has_heard(void); /* is there a byte? */
uint8_t hear(void);   /* waits for one */

/* One statement; returns is_true. */
bool ok(bool is_true, const char *text);
/* The same, and says both numbers where they differ. */
bool equal(uint64_t got, uint64_t wanted, const char *text);
/* One that cannot be made here, and why. */
void skip(const char *text, const char *why);

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

/* Remembers where the machine has memory, and maps what lies between 4 and 16 GiB. */
void memory_begin(const struct start_info *info);
/* A piece of it, one after the other from index 0; false: there are no more. */
bool memory_piece(unsigned int index, struct start_range *piece);

/* As it was at the entry. */
extern uint32_t entry_flags, entry_cr0, entry_cr4;
extern char image_end[];

/* Checks and remembers; to be called before what follows. False: there are no tables. */
bool acpi_begin(uint64_t rsdp);
/* By its signature; NULL: there is none. Its checksum is right. */
const uint8_t *acpi_table(const char *signature);
uint64_t acpi_field(const uint8_t *table, uint32_t offset, unsigned int bytes);
uint32_t acpi_length(const uint8_t *table);
void acpi_power_off(void);
/* Where configuration space is in memory. */
uint64_t acpi_ecam(void);

/* A virtio device that no bus leads to (LNRO0005): its registers, and its pin where ACPI names one.
 */
struct acpi_mmio {
	uint64_t address;
	bool has_pin;
	struct apic_pin pin;
};

/* One after the other from index 0; false: there are no more. */
bool acpi_virtio_mmio(unsigned int index, struct acpi_mmio *found);
/* The port of the timer, 0: there is none. It counts 24 bits of 3.579545 MHz. */
uint16_t acpi_timer(void);

/* ---- the clock ---- */

/* Finds out how fast the processor counts; after acpi_begin(). */
void clock_begin(void);
uint64_t clock_ns(void);

/* ---- interrupts ---- */

#define APIC_BASE   0xfee00000u
#define IOAPIC_BASE 0xfec00000u

void traps_begin(void);
/* Lets ring 3 call what begins at `entry`, below 4 GiB, by the vector's number. */
void trap_open_to_user(uint8_t vector, const char *entry);
/* Lets interrupts in for a moment. */
void interrupt_window(void);
/* Of all vectors, exceptions and NMIs too; and those of controllers, by their vectors. */
#define VECTORS 256u
extern volatile uint32_t interrupts_seen, interrupts_of_vector[VECTORS];
/* Called for each of the latter before its end is told to the local APIC; NULL: nobody. */
extern void (*interrupt_hook)(unsigned int vector);

/* Starts the other processors, each of which calls `job` with its number from 1 on. Returns how
 * many began within the time. */
unsigned int cpus_start(unsigned int cpus, void (*job)(unsigned int cpu), uint64_t limit_ns);
unsigned int cpus_listed(void);

/* ---- what the image is about ---- */

/* Called once, with a stack and the machine's memory; does not return. */
void guest_main(const struct start_info *info);

/* The words of the command line, cut into pieces in place. */
struct words {
	const char *word[16];
	unsigned int words;
};

void words_of(struct words *words, const struct start_info *info);
/* The decimal number that a word is; 0 if there are not so many. */
uint64_t number_of(const struct words *words, unsigned int index);
bool is_same(const char *a, const char *b);
/* What stands behind the word "name=", as a decimal number; `otherwise` if there is no such word.
 */
uint64_t option_of(const struct words *words, const char *name, uint64_t otherwise);

#endif
