/* SPDX-License-Identifier: BSD-2-Clause */
/* ACPI 6.4, section 5.2: as much of it as finds the tables and the way to switch off. */
#include "tests/guests/bare/bare.h"

#define HEADER_BYTES  36u
#define RSDP_BYTES_V1 20u
#define RSDP_BYTES    36u
#define FADT_DSDT     40u
#define FADT_PM_CNT   64u
#define FADT_PM_TMR   76u
#define MCFG_BASE     44u
#define SLEEP_ENABLE  0x2000u
#define TIMER_HZ      3579545u
#define TIMER_MASK    0xffffffu

static const uint8_t *xsdt;

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

bool acpi_begin(uint64_t address)
{
	const uint8_t *rsdp = (const uint8_t *)address;

	if (address == 0 || __builtin_memcmp(rsdp, "RSD PTR ", 8) != 0 ||
	    sum(rsdp, RSDP_BYTES_V1) != 0 || sum(rsdp, RSDP_BYTES) != 0)
		return false;
	xsdt = (const uint8_t *)acpi_field(rsdp, 24, 8);
	return __builtin_memcmp(xsdt, "XSDT", 4) == 0 && sum(xsdt, acpi_length(xsdt)) == 0;
}

const uint8_t *acpi_table(const char *signature)
{
	for (uint32_t at = HEADER_BYTES; xsdt && at + 8 <= acpi_length(xsdt); at += 8) {
		const uint8_t *table = (const uint8_t *)acpi_field(xsdt, at, 8);

		if (__builtin_memcmp(table, signature, 4) == 0)
			return sum(table, acpi_length(table)) == 0 ? table : NULL;
	}
	return NULL;
}

/* The first element of the package \_S5: name, package, its length, elements, a byte. */
static uint16_t sleep_type_off(const uint8_t *dsdt)
{
	for (uint32_t at = HEADER_BYTES; at + 8 < acpi_length(dsdt); at++)
		if (__builtin_memcmp(dsdt + at, "_S5_\x12", 5) == 0)
			return dsdt[at + 7] == 0x0a ? dsdt[at + 8] : dsdt[at + 7];
	return 0;
}

void acpi_power_off(void)
{
	const uint8_t *fadt = acpi_table("FACP");
	uint16_t type;

	if (!fadt)
		return;
	type = sleep_type_off((const uint8_t *)acpi_field(fadt, FADT_DSDT, 4));
	out16((uint16_t)acpi_field(fadt, FADT_PM_CNT, 4),
	      (uint16_t)(SLEEP_ENABLE | (uint32_t)type << 10));
}

uint64_t acpi_ecam(void)
{
	const uint8_t *mcfg = acpi_table("MCFG");

	return mcfg ? acpi_field(mcfg, MCFG_BASE, 8) : 0;
}

uint64_t clock_ns(void)
{
	static uint64_t ticks;
	static uint32_t last;
	const uint8_t *fadt = acpi_table("FACP");
	uint32_t now = in32((uint16_t)acpi_field(fadt, FADT_PM_TMR, 4));

	ticks += (now - last) & TIMER_MASK;
	last = now;
	return ticks / TIMER_HZ * 1000000000u + ticks % TIMER_HZ * 1000000000u / TIMER_HZ;
}
