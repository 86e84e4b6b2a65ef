/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/apic.h"

#include "payload/x86/machine.h"

#define CPUID_FEATURES 1u
#define CPUID_HAS_APIC 0x200u /* edx */

#define MSR_APIC_BASE 0x1bu
#define BASE_X2APIC   0x400u
#define BASE_ENABLED  0x800u
#define BASE_FLAGS    0xfffu

#define LVT_MASKED       0x10000u
#define LVT_PERIODIC     0x20000u
#define TIMER_BY_16      0x3u
#define CALIBRATION_NS   1000000u
#define ICR_SELF         0x40000u
#define MESSAGE_ID_SHIFT 12u

#define MADT_ENTRIES    44u
#define MADT_IOAPIC     1u
#define IOAPIC_ADDRESS  4u
#define IOAPIC_GSI_BASE 8u

#define IOAPIC_DATA     0x10u
#define IOAPIC_VERSION  1u
#define IOAPIC_PIN(pin) (0x10u + 2u * (pin))
#define PIN_LOW         0x2000u
#define PIN_LEVEL       0x8000u
#define PIN_MASKED      0x10000u
#define PIN_TO_SHIFT    24u

static uint32_t get(uint32_t reg)
{
	return (uint32_t)mmio_read(APIC_BASE + reg, 4);
}

static void set(uint32_t reg, uint32_t value)
{
	mmio_write(APIC_BASE + reg, 4, value);
}

/* ---- the local APIC ---- */

static bool has_apic(void)
{
	uint32_t eax = CPUID_FEATURES, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return edx & CPUID_HAS_APIC;
}

static void write_base(uint64_t value)
{
	__asm__ volatile("wrmsr"
	                 :
	                 : "c"(MSR_APIC_BASE), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
	                 : "memory");
}

/* Its registers where we look for them, whatever firmware liked better; from x2APIC mode the only
 * way back leads through off. */
static void place_registers(void)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_APIC_BASE));
	if (low & BASE_X2APIC)
		write_base((uint64_t)high << 32 | (low & ~(BASE_X2APIC | BASE_ENABLED)));
	if ((low & ~BASE_FLAGS) != APIC_BASE || high || low & BASE_X2APIC || !(low & BASE_ENABLED))
		write_base(APIC_BASE | (low & BASE_FLAGS & ~BASE_X2APIC) | BASE_ENABLED);
}

/* How far it counts in a nanosecond, in 2^-32. */
static uint64_t timer_scale(void)
{
	const uint64_t begin = clock_ns();
	uint64_t span;

	set(APIC_LVT_TIMER, LVT_MASKED);
	set(APIC_TIMER_SHIFT, TIMER_BY_16);
	set(APIC_TIMER_BEGIN, UINT32_MAX);
	do
		span = clock_ns() - begin;
	while (span < CALIBRATION_NS);
	return ((uint64_t)(UINT32_MAX - get(APIC_TIMER_NOW)) << 32) / span;
}

bool apic_begin(uint8_t timer_vector, uint64_t period_ns)
{
	uint64_t count;

	if (!has_apic())
		return false;
	pics_quiet();
	place_registers();
	set(APIC_TPR, TPR_NO_EXCEPTIONS);
	set(APIC_SVR, SVR_ENABLED);
	set(APIC_LVT_LINT0, LVT_MASKED);
	count = (uint64_t)((unsigned __int128)period_ns * timer_scale() >> 32);
	if (count == 0 || count > UINT32_MAX)
		return false;
	set(APIC_LVT_TIMER, LVT_PERIODIC | timer_vector);
	set(APIC_TIMER_BEGIN, (uint32_t)count);
	return true;
}

uint32_t apic_message_address(void)
{
	return APIC_BASE | get(APIC_ID) >> 24 << MESSAGE_ID_SHIFT;
}

void apic_send_self(uint8_t vector)
{
	set(APIC_ICR, ICR_SELF | vector);
}

/* ---- pins ---- */

static uint32_t ioapic_get(uint64_t at, uint32_t reg)
{
	mmio_write(at, 4, reg);
	return (uint32_t)mmio_read(at + IOAPIC_DATA, 4);
}

static void ioapic_set(uint64_t at, uint32_t reg, uint32_t value)
{
	mmio_write(at, 4, reg);
	mmio_write(at + IOAPIC_DATA, 4, value);
}

/* Where the controller is that has the pin, and which of its own that is; 0: there is none. */
static uint64_t ioapic_of(uint32_t gsi, uint32_t *pin)
{
	const uint8_t *madt = acpi_table("APIC");

	for (uint32_t at = MADT_ENTRIES; madt && at + 2 <= acpi_length(madt) && madt[at + 1] > 0;
	     at += madt[at + 1]) {
		uint64_t address;

		if (madt[at] != MADT_IOAPIC)
			continue;
		address = acpi_field(madt, at + IOAPIC_ADDRESS, 4);
		*pin = gsi - (uint32_t)acpi_field(madt, at + IOAPIC_GSI_BASE, 4);
		if (*pin <= (ioapic_get(address, IOAPIC_VERSION) >> 16 & 0xff))
			return address;
	}
	return 0;
}

bool apic_pin_on(const struct apic_pin *pin, uint8_t vector)
{
	uint32_t number;
	uint64_t at = ioapic_of(pin->gsi, &number);

	if (!at)
		return false;
	ioapic_set(at, IOAPIC_PIN(number) + 1, get(APIC_ID) >> 24 << PIN_TO_SHIFT);
	ioapic_set(at, IOAPIC_PIN(number),
	           vector | (pin->is_low ? PIN_LOW : 0) | (pin->is_edge ? 0 : PIN_LEVEL));
	return true;
}

void apic_pin_off(const struct apic_pin *pin)
{
	uint32_t number;
	uint64_t at = ioapic_of(pin->gsi, &number);

	if (at)
		ioapic_set(at, IOAPIC_PIN(number), PIN_MASKED);
}
