/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/acpi.h"

#include <string.h>

#include "dsdt.h"
#include "hosted/vmm/memory.h"
#include "hosted/vmm/mmio_bus.h"
#include "hosted/vmm/platform.h"
#include "ring/err.h"

/* A table under construction: little-endian fields one after the other. */
struct table {
	uint8_t *base;
	uint32_t bytes;
};

struct builder {
	uint8_t *memory;
	uint32_t used;
};

static void put(struct table *table, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		table->base[table->bytes++] = (uint8_t)(i < sizeof(value) ? value >> 8 * i : 0);
}

static void put_text(struct table *table, const char *text, unsigned int bytes)
{
	memcpy(table->base + table->bytes, text, bytes);
	table->bytes += bytes;
}

static uint8_t checksum(const uint8_t *data, uint32_t bytes)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + data[i]);
	return (uint8_t)-sum;
}

#define LENGTH_AT   4u
#define CHECKSUM_AT 9u

/* Section 5.2.6. */
static struct table begin(struct builder *builder, const char *signature, uint8_t revision)
{
	struct table table = { .base = builder->memory + builder->used };

	put_text(&table, signature, 4);
	put(&table, 0, 4); /* length, later */
	put(&table, revision, 1);
	put(&table, 0, 1); /* checksum, later */
	put_text(&table, "PARAVN", 6);
	put_text(&table, "PARAVANE", 8);
	put(&table, 1, 4);
	put_text(&table, "PRVN", 4);
	put(&table, 1, 4);
	return table;
}

static uint32_t address_of(const struct builder *builder, const uint8_t *at)
{
	return PV_ACPI_ADDRESS + (uint32_t)(at - builder->memory);
}

/* The next table begins on 64 bytes, as FACS must. */
static void advance(struct builder *builder, uint32_t bytes)
{
	builder->used += (bytes + 63) & ~63u;
	pv_bug_on(builder->used > PV_ACPI_BYTES);
}

static uint32_t end(struct builder *builder, struct table *table)
{
	struct table length = { .base = table->base + LENGTH_AT };

	put(&length, table->bytes, 4);
	table->base[CHECKSUM_AT] = checksum(table->base, table->bytes);
	advance(builder, table->bytes);
	return address_of(builder, table->base);
}

/* ---- the tables ---- */

/* Section 5.2.10: its own form, without a checksum. */
static uint32_t build_facs(struct builder *builder)
{
	struct table table = { .base = builder->memory + builder->used };

	put_text(&table, "FACS", 4);
	put(&table, 64, 4);
	put(&table, 0, 24);
	put(&table, 2, 1); /* version */
	advance(builder, 64);
	return address_of(builder, table.base);
}

static uint32_t build_dsdt(struct builder *builder)
{
	uint8_t *at = builder->memory + builder->used;

	memcpy(at, dsdt_aml_code, sizeof(dsdt_aml_code));
	advance(builder, sizeof(dsdt_aml_code));
	return address_of(builder, at);
}

/* A generic address: a port (section 5.2.3.2). */
static void put_port(struct table *table, uint32_t port, unsigned int bytes)
{
	static const uint8_t access_sizes[] = { 0, 1, 2, 0, 3 };

	put(table, port ? 1 : 0, 1); /* space: ports */
	put(table, 8 * bytes, 1);
	put(table, 0, 1);
	put(table, access_sizes[bytes], 1);
	put(table, port, 8);
}

#define FADT_WBINVD       (1u << 0)
#define FADT_PROC_C1      (1u << 2)
#define FADT_SLEEP_BUTTON (1u << 5) /* none */
#define FADT_RTC_FIXED    (1u << 6) /* the clock wakes nobody through the fixed registers */
#define FADT_RESET        (1u << 10)

#define BOOT_NO_VGA  0x0004u
#define BOOT_NO_ASPM 0x0010u
#define BOOT_LEGACY  0x0001u /* COM1 is there; no keyboard controller is said to be */

#define PREFERRED_PM_PROFILE_SERVER 4u

/* Section 5.2.9, in the order of its table. */
static uint32_t build_fadt(struct builder *builder, uint32_t facs, uint32_t dsdt)
{
	struct table t = begin(builder, "FACP", 6);

	put(&t, facs, 4);
	put(&t, dsdt, 4);
	put(&t, 0, 1);
	put(&t, PREFERRED_PM_PROFILE_SERVER, 1);
	put(&t, PV_SCI_IRQ, 2);
	put(&t, 0, 4); /* SMI_CMD: always in ACPI mode */
	put(&t, 0, 4); /* ACPI_ENABLE, _DISABLE, S4BIOS_REQ, PSTATE_CNT */
	put(&t, PV_PM_EVENT_PORT, 4);
	put(&t, 0, 4);
	put(&t, PV_PM_CONTROL_PORT, 4);
	put(&t, 0, 8); /* PM1b control, PM2 control */
	put(&t, PV_PM_TIMER_PORT, 4);
	put(&t, 0, 8); /* GPE blocks */
	put(&t, 4, 1); /* PM1 event length */
	put(&t, 2, 1); /* PM1 control length */
	put(&t, 0, 1);
	put(&t, 4, 1);     /* timer length */
	put(&t, 0, 4);     /* GPE lengths, base, CST_CNT */
	put(&t, 0xfff, 2); /* C2 and C3 are not there */
	put(&t, 0xfff, 2);
	put(&t, 0, 4);    /* flush size and stride */
	put(&t, 0, 2);    /* duty cycle */
	put(&t, 0, 2);    /* no alarm for days and months */
	put(&t, 0x32, 1); /* century, in the clock's memory */
	put(&t, BOOT_LEGACY | BOOT_NO_VGA | BOOT_NO_ASPM, 2);
	put(&t, 0, 1);
	put(&t, FADT_WBINVD | FADT_PROC_C1 | FADT_SLEEP_BUTTON | FADT_RTC_FIXED | FADT_RESET, 4);
	put_port(&t, PV_RESET_PORT, 1);
	put(&t, PV_RESET_VALUE, 1);
	put(&t, 0, 2);
	put(&t, 4, 1); /* minor version */
	put(&t, 0, 8); /* X_FACS: the 32-bit one counts */
	put(&t, dsdt, 8);
	put_port(&t, PV_PM_EVENT_PORT, 4);
	put_port(&t, 0, 0);
	put_port(&t, PV_PM_CONTROL_PORT, 2);
	put_port(&t, 0, 0);
	put_port(&t, 0, 0);
	put_port(&t, PV_PM_TIMER_PORT, 4);
	put_port(&t, 0, 0);
	put_port(&t, 0, 0);
	put_port(&t, 0, 0); /* sleep control and status: of hardware-reduced ACPI */
	put_port(&t, 0, 0);
	put(&t, 0, 8); /* hypervisor vendor */
	pv_bug_on(t.bytes != 276);
	return end(builder, &t);
}

#define LOCAL_APIC_ADDRESS 0xfee00000u
#define IOAPIC_ADDRESS     0xfec00000u
#define LEVEL_HIGH         0x000du

static void put_override(struct table *t, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	put(t, 2, 1);
	put(t, 10, 1);
	put(t, 0, 1); /* ISA */
	put(t, irq, 1);
	put(t, gsi, 4);
	put(t, flags, 2);
}

/* Section 5.2.12. */
static uint32_t build_madt(struct builder *builder, unsigned int cpus)
{
	struct table t = begin(builder, "APIC", 5);

	put(&t, LOCAL_APIC_ADDRESS, 4);
	put(&t, 1, 4); /* there is a PIC too */
	for (unsigned int i = 0; i < cpus; i++) {
		put(&t, 0, 1);
		put(&t, 8, 1);
		put(&t, i, 1);
		put(&t, i, 1);
		put(&t, 1, 4); /* enabled */
	}
	put(&t, 1, 1);
	put(&t, 12, 1);
	put(&t, 0, 2); /* id */
	put(&t, IOAPIC_ADDRESS, 4);
	put(&t, 0, 4); /* its first interrupt */
	put_override(&t, 0, 2, 0);
	put_override(&t, PV_SCI_IRQ, PV_SCI_IRQ, LEVEL_HIGH);
	put(&t, 4, 1); /* NMI: on LINT1 of all processors */
	put(&t, 6, 1);
	put(&t, 0xff, 1);
	put(&t, 0, 2);
	put(&t, 1, 1);
	return end(builder, &t);
}

/* PCI Firmware Specification 3.2, section 4.1.2. */
static uint32_t build_mcfg(struct builder *builder)
{
	struct table t = begin(builder, "MCFG", 1);

	put(&t, 0, 8);
	put(&t, PV_PCI_ECAM, 8);
	put(&t, 0, 2); /* segment */
	put(&t, 0, 1); /* buses 0 to 0 */
	put(&t, 0, 1);
	put(&t, 0, 4);
	return end(builder, &t);
}

/* ---- devices that are in no table of the DSDT: how many there are only the machine knows ---- */

/* Section 20.2. */
#define AML_NAME            0x08u
#define AML_BYTE            0x0au
#define AML_STRING          0x0du
#define AML_SCOPE           0x10u
#define AML_BUFFER          0x11u
#define AML_EXTENDED        0x5bu
#define AML_EXTENDED_DEVICE 0x82u

/* Section 6.4: a range of memory, an interrupt of one pin, the end. */
#define RESOURCES_BYTES        23u
#define IRQ_CONSUMER_EDGE_HIGH 0x03u

/* What a package's length says includes itself: one byte here, two for the scope below. */
#define BUFFER_BYTES (1 + 2 + RESOURCES_BYTES)
#define DEVICE_BYTES (1 + 4 + 15 + 7 + 5 + 1 + BUFFER_BYTES)

static void put_name(struct table *t, const char *name)
{
	put(t, AML_NAME, 1);
	put_text(t, name, 4);
}

static void put_resources(struct table *t, unsigned int slot)
{
	put(t, AML_BUFFER, 1);
	put(t, BUFFER_BYTES, 1);
	put(t, AML_BYTE, 1);
	put(t, RESOURCES_BYTES, 1);
	put(t, 0x86, 1);
	put(t, 9, 2);
	put(t, 1, 1); /* it can be written to */
	put(t, pv_mmio_slot_address(slot), 4);
	put(t, PV_MMIO_SLOT_BYTES, 4);
	put(t, 0x89, 1);
	put(t, 6, 2);
	put(t, IRQ_CONSUMER_EDGE_HIGH, 1);
	put(t, 1, 1);
	put(t, pv_mmio_slot_gsi(slot), 4);
	put(t, 0x79, 1);
	put(t, 0, 1);
}

static void put_mmio_device(struct table *t, unsigned int slot)
{
	put(t, AML_EXTENDED, 1);
	put(t, AML_EXTENDED_DEVICE, 1);
	put(t, DEVICE_BYTES, 1);
	put_text(t, "VIO", 3);
	put(t, '0' + slot, 1);
	put_name(t, "_HID");
	put(t, AML_STRING, 1);
	put_text(t, "LNRO0005", 9); /* with its end */
	put_name(t, "_UID");
	put(t, AML_BYTE, 1);
	put(t, slot, 1);
	put_name(t, "_CRS");
	put_resources(t, slot);
}

static uint32_t build_mmio_ssdt(struct builder *builder, unsigned int devices)
{
	struct table t = begin(builder, "SSDT", 2);
	unsigned int bytes = 2 + 5 + devices * (2 + DEVICE_BYTES);

	_Static_assert(DEVICE_BYTES < 64 && PV_MMIO_SLOTS <= 10, "lengths and names of one digit");
	put(&t, AML_SCOPE, 1);
	put(&t, 0x40 | (bytes & 0x0f), 1);
	put(&t, bytes >> 4, 1);
	put_text(&t, "\\_SB_", 5);
	for (unsigned int i = 0; i < devices; i++)
		put_mmio_device(&t, i);
	return end(builder, &t);
}

static uint32_t build_xsdt(struct builder *builder, const uint32_t *tables, unsigned int count)
{
	struct table t = begin(builder, "XSDT", 1);

	for (unsigned int i = 0; i < count; i++)
		put(&t, tables[i], 8);
	return end(builder, &t);
}

#define RSDP_BYTES    36u
#define RSDP_BYTES_V1 20u

/* Section 5.2.5.3. */
static void build_rsdp(uint8_t *memory, uint32_t xsdt)
{
	struct table t = { .base = memory };

	put_text(&t, "RSD PTR ", 8);
	put(&t, 0, 1);
	put_text(&t, "PARAVN", 6);
	put(&t, 2, 1);
	put(&t, 0, 4); /* no RSDT */
	put(&t, RSDP_BYTES, 4);
	put(&t, xsdt, 8);
	put(&t, 0, 4);
	memory[8] = checksum(memory, RSDP_BYTES_V1);
	memory[32] = checksum(memory, RSDP_BYTES);
}

void pv_acpi_build(uint8_t *memory, unsigned int cpus, unsigned int mmio_devices)
{
	struct builder builder = { .memory = memory };
	uint32_t tables[4], facs;
	unsigned int count = 3;

	memset(memory, 0, PV_ACPI_BYTES);
	advance(&builder, RSDP_BYTES);
	facs = build_facs(&builder);
	tables[0] = build_fadt(&builder, facs, build_dsdt(&builder));
	tables[1] = build_madt(&builder, cpus);
	tables[2] = build_mcfg(&builder);
	if (mmio_devices > 0)
		tables[count++] = build_mmio_ssdt(&builder, mmio_devices);
	build_rsdp(memory, build_xsdt(&builder, tables, count));
}
