/* SPDX-License-Identifier: BSD-2-Clause */
/* Nonsense for ports, for addresses that nobody has, and for interrupt controllers. */
#include "tests/guests/bare/chaos.h"

#define STRINGS       6u
#define STRING_MAX    6000u
#define HOLES         400u
#define CONTROLLERS   300u
#define MODE(message) ((message) >> 8 & 7)
#define MODE_SMI      2u
#define MODE_INIT     5u
#define MODE_BIT      0x100u
#define PM_CONTROL    0x604u
#define PM_SLEEP      0x2000u
#define RESET_CONTROL 0xcf9u
#define KEYBOARD      0x64u
#define COM1          0x3f8u
#define IOAPIC_DATA   0x10u

/* ---- what comes ---- */

uint64_t chaos_random(struct chaos *chaos)
{
	chaos->state ^= chaos->state << 13;
	chaos->state ^= chaos->state >> 7;
	chaos->state ^= chaos->state << 17;
	return chaos->state;
}

uint64_t chaos_below(struct chaos *chaos, uint64_t limit)
{
	return chaos_random(chaos) % limit;
}

uint64_t chaos_value(struct chaos *chaos)
{
	switch (chaos_below(chaos, 6)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return 1ull << chaos_below(chaos, 64);
	case 3:
		return chaos_below(chaos, 16);
	case 4:
		return chaos->sandbox + (chaos_below(chaos, chaos->sandbox_bytes) & ~15ull);
	default:
		return chaos_random(chaos);
	}
}

unsigned int chaos_width(struct chaos *chaos, bool is_memory)
{
	return 1u << chaos_below(chaos, is_memory ? 4 : 3);
}

/* Among what lies in the way of this guest's own wish. */
static bool ends_machine(uint16_t port, unsigned int bytes, uint32_t value)
{
	if (port == PM_CONTROL)
		return bytes == 2 && value & PM_SLEEP;
	if (port == RESET_CONTROL)
		return bytes == 1 && value & 4;
	return port == KEYBOARD && bytes == 1 && (value & 0xff) == 0xfe;
}

void chaos_port(struct chaos *chaos, uint16_t port)
{
	unsigned int bytes = chaos_width(chaos, false);
	uint32_t value = (uint32_t)chaos_value(chaos);

	chaos->accesses++;
	if (chaos_below(chaos, 2))
		in(port, bytes);
	else if (!ends_machine(port, bytes, value))
		out(port, bytes, value);
}

void chaos_memory(struct chaos *chaos, uint64_t address)
{
	unsigned int bytes = chaos_width(chaos, true);

	chaos->accesses++;
	if (chaos_below(chaos, 3) == 0)
		mmio_read(address, bytes);
	else if (chaos_below(chaos, 16) == 0)
		__asm__ volatile("lock xaddl %k0, (%1)"
		                 :
		                 : "a"(chaos_value(chaos)), "r"(address)
		                 : "memory");
	else
		mmio_write(address, bytes, chaos_value(chaos));
}

/* ---- ports ---- */

/* In an order in which each comes once. */
void chaos_ports(struct chaos *chaos)
{
	for (uint32_t i = 0; i < chaos->ports_a_turn; i++) {
		chaos->next_port = (chaos->next_port * 5 + 0x3039) % CHAOS_PORTS;
		chaos_port(chaos, (uint16_t)chaos->next_port);
	}
}

static void string_out(uint16_t port, unsigned int bytes, const void *from, uint64_t count)
{
	if (bytes == 1)
		__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
	else if (bytes == 2)
		__asm__ volatile("rep outsw" : "+S"(from), "+c"(count) : "d"(port) : "memory");
	else
		__asm__ volatile("rep outsl" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

static void string_in(uint16_t port, unsigned int bytes, void *to, uint64_t count)
{
	if (bytes == 1)
		__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
	else if (bytes == 2)
		__asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(port) : "memory");
	else
		__asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(port) : "memory");
}

/* Across pages, from odd addresses. What is in the sandbox may not end the machine either. */
void chaos_strings(struct chaos *chaos)
{
	for (unsigned int i = 0; i < STRINGS; i++) {
		uint16_t port = (uint16_t)chaos_random(chaos);
		unsigned int bytes = chaos_width(chaos, false);
		uint64_t count = 1 + chaos_below(chaos, STRING_MAX) / bytes;
		void *at = (void *)(chaos->sandbox +
		                    chaos_below(chaos, chaos->sandbox_bytes - STRING_MAX - 8));

		chaos->accesses += count;
		if (chaos_below(chaos, 2))
			string_in(port, bytes, at, count);
		else if (port != PM_CONTROL && port != RESET_CONTROL && port != KEYBOARD &&
		         (port & ~7u) != COM1)
			string_out(port, bytes, at, count);
	}
}

/* ---- memory that is not there ---- */

/*
 * Behind memory, between and behind the BARs, beside configuration space, where there is perhaps a
 * device without a bus, and above 4 GiB.
 */
static uint64_t hole(struct chaos *chaos)
{
	static const uint64_t begins[] = { 0xc0000000,  0xd0000000, 0xdffff000,  0xe0100000,
		                           0xf0000000,  0xfed00000, 0x140000000, 0x800000000,
		                           0xff0000000, 0xfffff000, 0xfee00000 };
	uint64_t which = chaos_below(chaos, sizeof(begins) / sizeof(begins[0]) + 1);

	if (which == 0)
		return chaos->sandbox + chaos->sandbox_bytes + chaos_below(chaos, 0x2000) - 16;
	return begins[which - 1] + chaos_below(chaos, 0x1000);
}

void chaos_holes(struct chaos *chaos)
{
	for (unsigned int i = 0; i < HOLES; i++) {
		uint64_t address = hole(chaos);

		/* Registers of the local APIC have their own turn. */
		if (address < APIC_BASE || address >= APIC_BASE + 0x1000)
			chaos_memory(chaos, address < 0xfffff000 ? address : window_at(address));
	}
}

/* ---- interrupt controllers ---- */

uint32_t chaos_message(uint64_t value)
{
	uint32_t message = (uint32_t)value;

	if (MODE(message) == MODE_INIT || MODE(message) == MODE_SMI)
		message ^= MODE_BIT;
	return message;
}

static void local_apic(struct chaos *chaos)
{
	uint64_t at = APIC_BASE + (chaos_below(chaos, 64) << 4);

	if (chaos_below(chaos, 4) == 0)
		mmio_read(at + chaos_below(chaos, 16), chaos_width(chaos, true));
	else
		mmio_write(at, 4, chaos_message(chaos_value(chaos)));
}

static void ioapic(struct chaos *chaos)
{
	mmio_write(IOAPIC_BASE, 4, chaos_below(chaos, 0x50));
	if (chaos_below(chaos, 4) == 0)
		mmio_read(IOAPIC_BASE + chaos_below(chaos, 0x100), chaos_width(chaos, true));
	else
		mmio_write(IOAPIC_BASE + IOAPIC_DATA, 4, chaos_message(chaos_value(chaos)));
}

void chaos_interrupts(struct chaos *chaos)
{
	for (unsigned int i = 0; i < CONTROLLERS; i++) {
		chaos->accesses += 2;
		local_apic(chaos);
		ioapic(chaos);
	}
	interrupt_window();
}
