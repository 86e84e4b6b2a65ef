/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI 6.4, section 5.2: as much of it as finds the tables and the way to switch off. */
#include "payload/x86/machine.h"

#define HEADER_BYTES  36u
#define RSDP_BYTES_V1 20u
#define RSDP_BYTES    36u
#define RSDP_REVISION 15u
#define RSDP_RSDT     16u
#define RSDP_XSDT     24u
#define FADT_DSDT     40u
#define FADT_PM_CNT   64u
#define FADT_PM_TMR   76u
#define FADT_FLAGS    112u
#define FADT_X_DSDT   140u
#define MCFG_BASE     44u
#define SLEEP_ENABLE  0x2000u

#define FLAG_HW_REDUCED      0x100000u
#define FADT_SLEEP_CONTROL   248u /* the address in it */
#define SLEEP_CONTROL_ENABLE 0x20u

#define MMIO_ID "LNRO0005"
/* A resource: 32-bit fixed memory range (section 6.4.3.4). */
#define FIXED_MEMORY       "\x86\x09\x00"
#define FIXED_MEMORY_BASE  4u
#define FIXED_MEMORY_BYTES 12u
/* And behind it an interrupt of one pin (section 6.4.3.6): flags, how many, its number. */
#define INTERRUPT       "\x89\x06\x00"
#define INTERRUPT_FLAGS 3u
#define INTERRUPT_GSI   5u
#define INTERRUPT_BYTES 9u
#define FLAG_EDGE       0x02u
#define FLAG_LOW        0x04u

/* The list of tables, by addresses of 8 bytes (XSDT), or in older machines of 4 (RSDT). */
static const uint8_t *list;
static unsigned int list_bytes;

uint64_t acpi_field(const uint8_t *table, uint32_t offset, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)table[offset + i] << 8 * i;
	return value;
}

uint32_t acpi_length(const uint8_t *table)
{
	return (uint32_t)acpi_field(table, 4, 4);
}

static uint8_t sum(const uint8_t *data, uint32_t bytes)
{
	uint8_t value = 0;

	while (bytes-- > 0)
		value = (uint8_t)(value + *data++);
	return value;
}

static bool is_sound(const uint8_t *table, const char *signature)
{
	return __builtin_memcmp(table, signature, 4) == 0 && sum(table, acpi_length(table)) == 0;
}

bool acpi_begin(uint64_t address)
{
	const uint8_t *rsdp = (const uint8_t *)address;
	bool is_old;

	if (address == 0 || __builtin_memcmp(rsdp, "RSD PTR ", 8) != 0 ||
	    sum(rsdp, RSDP_BYTES_V1) != 0)
		return false;
	is_old = rsdp[RSDP_REVISION] < 2;
	if (!is_old && sum(rsdp, RSDP_BYTES) != 0)
		return false;
	list = (const uint8_t *)acpi_field(rsdp, is_old ? RSDP_RSDT : RSDP_XSDT, is_old ? 4 : 8);
	list_bytes = is_old ? 4 : 8;
	return is_sound(list, is_old ? "RSDT" : "XSDT");
}

/* Of those with this signature the one with this index. */
static const uint8_t *nth_table(const char *signature, unsigned int index)
{
	for (uint32_t at = HEADER_BYTES; list && at + list_bytes <= acpi_length(list);
	     at += list_bytes) {
		const uint8_t *table = (const uint8_t *)acpi_field(list, at, list_bytes);

		if (is_sound(table, signature) && index-- == 0)
			return table;
	}
	return NULL;
}

const uint8_t *acpi_table(const char *signature)
{
	return nth_table(signature, 0);
}

static const uint8_t *dsdt(void)
{
	const uint8_t *fadt = acpi_table("FACP");
	uint64_t at = fadt ? acpi_field(fadt, FADT_DSDT, 4) : 0;

	if (fadt && at == 0 && acpi_length(fadt) >= FADT_X_DSDT + 8)
		at = acpi_field(fadt, FADT_X_DSDT, 8);
	return (const uint8_t *)at;
}

/* The first element of the package \_S5: name, package, its length, elements, a byte. */
static uint16_t sleep_type_off(const uint8_t *table)
{
	for (uint32_t at = HEADER_BYTES; table && at + 8 < acpi_length(table); at++)
		if (__builtin_memcmp(table + at, "_S5_\x12", 5) == 0)
			return table[at + 7] == 0x0a ? table[at + 8] : table[at + 7];
	return 0;
}

void acpi_power_off(void)
{
	const uint8_t *fadt = acpi_table("FACP");
	uint16_t type;

	if (!fadt)
		return;
	type = sleep_type_off(dsdt());
	/* Hardware-reduced machines have one register for it (section 4.8.3.7). */
	if (acpi_field(fadt, FADT_FLAGS, 4) & FLAG_HW_REDUCED)
		mmio_write(acpi_field(fadt, FADT_SLEEP_CONTROL, 8), 1,
		           SLEEP_CONTROL_ENABLE | (uint32_t)type << 2);
	else
		out16((uint16_t)acpi_field(fadt, FADT_PM_CNT, 4),
		      (uint16_t)(SLEEP_ENABLE | (uint32_t)type << 10));
}

uint64_t acpi_ecam(void)
{
	const uint8_t *mcfg = acpi_table("MCFG");

	return mcfg ? acpi_field(mcfg, MCFG_BASE, 8) : 0;
}

uint16_t acpi_timer(void)
{
	const uint8_t *fadt = acpi_table("FACP");

	return fadt ? (uint16_t)acpi_field(fadt, FADT_PM_TMR, 4) : 0;
}

static void take_pin(struct acpi_mmio *found, const uint8_t *at)
{
	found->has_pin = __builtin_memcmp(at, INTERRUPT, sizeof(INTERRUPT) - 1) == 0;
	if (!found->has_pin)
		return;
	found->pin.gsi = (uint32_t)acpi_field(at, INTERRUPT_GSI, 4);
	found->pin.is_edge = at[INTERRUPT_FLAGS] & FLAG_EDGE;
	found->pin.is_low = at[INTERRUPT_FLAGS] & FLAG_LOW;
}

/*
 * AML is not understood here: a device that has the id says where its registers are in the first
 * memory range behind it, and of its interrupt right behind that.
 */
static bool virtio_mmio_in(const uint8_t *table, unsigned int *index, struct acpi_mmio *found)
{
	const uint32_t length = acpi_length(table);
	bool is_behind_id = false;

	for (uint32_t at = HEADER_BYTES; at + FIXED_MEMORY_BYTES <= length; at++) {
		if (__builtin_memcmp(table + at, MMIO_ID, sizeof(MMIO_ID) - 1) == 0)
			is_behind_id = true;
		if (!is_behind_id ||
		    __builtin_memcmp(table + at, FIXED_MEMORY, sizeof(FIXED_MEMORY) - 1) != 0)
			continue;
		is_behind_id = false;
		if ((*index)-- > 0)
			continue;
		*found = (struct acpi_mmio){ .address =
			                             acpi_field(table, at + FIXED_MEMORY_BASE, 4) };
		if (at + FIXED_MEMORY_BYTES + INTERRUPT_BYTES <= length)
			take_pin(found, table + at + FIXED_MEMORY_BYTES);
		return true;
	}
	return false;
}

bool acpi_virtio_mmio(unsigned int index, struct acpi_mmio *found)
{
	const uint8_t *table = dsdt();
	bool is_found = table && virtio_mmio_in(table, &index, found);

	for (unsigned int i = 0; !is_found && (table = nth_table("SSDT", i)); i++)
		is_found = virtio_mmio_in(table, &index, found);
	return is_found;
}
