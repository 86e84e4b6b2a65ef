/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts are counted and forgotten; an exception is the end. */
#include "payload/x86/machine.h"

#define ENTRY_BYTES    16u
#define CODE_64        0x08u
#define GATE_INTERRUPT 0x8eu
#define GATE_USER      0x60u
#define VECTOR_NMI     2u
#define EXCEPTIONS     32u

struct gate {
	uint16_t low, selector;
	uint8_t stack, type;
	uint16_t middle;
	uint32_t high, reserved;
};

struct frame {
	uint64_t registers[15];
	uint64_t vector, error, rip, cs, flags, rsp, ss;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern const char trap_entries[];
void trap(const struct frame *frame);

volatile uint32_t interrupts_seen, interrupts_of_vector[VECTORS];
void (*interrupt_hook)(unsigned int vector);

static struct gate gates[VECTORS] __attribute__((aligned(16)));

static void load_table(void)
{
	const struct table_pointer pointer = { sizeof(gates) - 1, (uint64_t)gates };

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void traps_begin(void)
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		uint64_t address = (uint64_t)trap_entries + ENTRY_BYTES * i;

		gates[i] = (struct gate){ .low = (uint16_t)address,
			                  .selector = CODE_64,
			                  .type = GATE_INTERRUPT,
			                  .middle = (uint16_t)(address >> 16),
			                  .high = (uint32_t)(address >> 32) };
	}
	load_table();
}

void trap_open_to_user(uint8_t vector, const char *entry)
{
	gates[vector].low = (uint16_t)(uint64_t)entry;
	gates[vector].middle = (uint16_t)((uint64_t)entry >> 16);
	gates[vector].type = GATE_INTERRUPT | GATE_USER;
}

static void say_register(const char *name, uint64_t value)
{
	say(name);
	say_hex(value);
}

static void interrupt(unsigned int vector)
{
	__atomic_fetch_add(&interrupts_of_vector[vector], 1, __ATOMIC_RELAXED);
	if (interrupt_hook)
		interrupt_hook(vector);
	mmio_write(APIC_BASE + APIC_EOI, 4, 0);
}

void trap(const struct frame *frame)
{
	__atomic_fetch_add(&interrupts_seen, 1, __ATOMIC_RELAXED);
	if (frame->vector == VECTOR_NMI)
		return;
	if (frame->vector >= EXCEPTIONS) {
		interrupt((unsigned int)frame->vector);
		return;
	}
	serial_begin();
	say_register("\n# exception 0x", frame->vector);
	say_register(" error 0x", frame->error);
	say_register(" rip 0x", frame->rip);
	say_register(" rsp 0x", frame->rsp);
	bail_out("an exception");
}

/* ICW1 to 4: vectors 0x20 and on, everything masked. */
void pics_quiet(void)
{
	static const uint8_t words[][2] = { { 0x20, 0x28 }, { 4, 2 }, { 1, 1 }, { 0xff, 0xff } };

	out8(0x20, 0x11);
	out8(0xa0, 0x11);
	for (unsigned int i = 0; i < 4; i++) {
		out8(0x21, words[i][0]);
		out8(0xa1, words[i][1]);
	}
}

/* Vectors of exceptions are kept out: some would have an error code on the stack, some not. */
void interrupt_window(void)
{
	pics_quiet();
	mmio_write(APIC_BASE + APIC_TPR, 4, TPR_NO_EXCEPTIONS);
	mmio_write(APIC_BASE + APIC_SVR, 4, SVR_ENABLED);
	for (unsigned int i = 0; i < 64; i++)
		__asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

/* ---- processors ---- */

#define AP_START    0x8000u
#define ICR_INIT    0x4500u
#define ICR_STARTUP 0x4600u

#define MADT_ENTRIES    44u
#define MADT_LOCAL_APIC 0u
#define INIT_NS         10000000ull

extern const uint8_t ap_begin[], ap_end[];
extern volatile uint32_t ap_next;
void ap_main(unsigned int index);

static void (*ap_job)(unsigned int cpu);
static volatile uint32_t aps_running;

void ap_main(unsigned int index)
{
	load_table();
	__atomic_fetch_add(&aps_running, 1, __ATOMIC_SEQ_CST);
	if (ap_job)
		ap_job(index + 1);
}

static void wait_ns(uint64_t ns)
{
	uint64_t begin = clock_ns();

	while (clock_ns() - begin < ns)
		;
}

static void send(uint32_t apic_id, uint32_t command)
{
	mmio_write(APIC_BASE + APIC_ICR_TO, 4, apic_id << 24);
	mmio_write(APIC_BASE + APIC_ICR, 4, command);
}

/* Calls `each` for every enabled processor of the MADT but this one. */
static unsigned int for_each_cpu(void (*each)(uint32_t apic_id, uint32_t argument),
                                 uint32_t argument)
{
	uint32_t self = (uint32_t)mmio_read(APIC_BASE + APIC_ID, 4) >> 24;
	const uint8_t *madt = acpi_table("APIC");
	unsigned int count = 0;

	for (uint32_t at = MADT_ENTRIES; madt && at + 2 <= acpi_length(madt); at += madt[at + 1]) {
		if (madt[at] != MADT_LOCAL_APIC || !(madt[at + 4] & 1))
			continue;
		count++;
		if (each && madt[at + 3] != self)
			each(madt[at + 3], argument);
	}
	return count;
}

unsigned int cpus_listed(void)
{
	return for_each_cpu(NULL, 0);
}

unsigned int cpus_start(unsigned int cpus, void (*job)(unsigned int cpu), uint64_t limit_ns)
{
	uint64_t begin = clock_ns();

	ap_job = job;
	__builtin_memcpy((void *)(uint64_t)AP_START, ap_begin, (size_t)(ap_end - ap_begin));
	mmio_write(APIC_BASE + APIC_SVR, 4, SVR_ENABLED);
	for_each_cpu(send, ICR_INIT);
	wait_ns(INIT_NS);
	for_each_cpu(send, ICR_STARTUP | AP_START >> 12);
	while (aps_running + 1 < cpus && clock_ns() - begin < limit_ns)
		;
	return aps_running + 1;
}
