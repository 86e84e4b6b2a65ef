/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile SEED TURNS: nonsense for every register of the machine; is all of it as it should be
 * then? storm SEED RESETS: the same on all processors without an end, until it was reset so often.
 * reset RESETS: by the host in the middle of an instruction, and by the guest in the two ways it
 * has. triple RESETS: by one fault too many.
 */
#include "abi/pci.h"
#include "tests/guests/bare/chaos.h"

#define SANDBOX_BYTES 0x100000ull
#define PAGE_BYTES    4096u
#define CPUS_LIMIT_NS 10000000000ull
/* In which a processor comes to all ports, if it comes so far. */
#define STORM_TURNS 64u
#define APIC_LVT    0x320u
#define APIC_LVTS   6u
#define LVT_MASKED  0x10000u
#define IOAPIC_PINS 24u

/* Lies where no reset writes: what the guest knows of its earlier lives. */
#define MEMORY_MAGIC 0x6d656d6fu
#define MEMORY_AT    0x90000u

struct memory {
	uint32_t magic, boots;
	uint64_t bar[SLOTS][PCI_BARS];
};

static struct memory *memory(void)
{
	struct memory *at = (struct memory *)(uint64_t)MEMORY_AT;

	if (at->magic != MEMORY_MAGIC) {
		at->magic = MEMORY_MAGIC;
		at->boots = 0;
	}
	return at;
}

/* ---- nonsense ---- */

static struct chaos first;

static uint64_t end_of_low_memory(const struct start_info *info)
{
	const struct start_range *range = (const struct start_range *)info->memory_map;
	uint64_t end = 0;

	for (uint32_t i = 0; i < info->memory_map_entries; i++)
		if (range[i].type == RANGE_RAM && range[i].base < 0x100000000)
			end = range[i].base + range[i].bytes;
	return end;
}

static struct chaos chaos_of(const struct start_info *info, uint64_t seed, uint64_t turns)
{
	return (struct chaos){ .state = seed * 0x9e3779b97f4a7c15u + 1,
		               .ports_a_turn = (uint32_t)(CHAOS_PORTS / turns + 1),
		               .sandbox = end_of_low_memory(info) - SANDBOX_BYTES,
		               .sandbox_bytes = SANDBOX_BYTES };
}

static void turn(struct chaos *chaos)
{
	chaos_ports(chaos);
	pci_put_back();
	chaos_strings(chaos);
	chaos_holes(chaos);
	chaos_interrupts(chaos);
	chaos_config(chaos);
	chaos_bars(chaos);
	pci_put_back();
	chaos_queues(chaos);
}

/* So that nothing comes any more. */
static void mask_everything(void)
{
	for (uint64_t i = 0; i < APIC_LVTS; i++)
		mmio_write(APIC_BASE + APIC_LVT + (i << 4), 4, LVT_MASKED);
	for (uint64_t pin = 0; pin < IOAPIC_PINS; pin++) {
		mmio_write(IOAPIC_BASE, 4, 0x10 + 2 * pin);
		mmio_write(IOAPIC_BASE + 0x10, 4, LVT_MASKED);
	}
	interrupt_window();
}

/* So that what the monitor uses later is not what the guest used first. */
static void touch_memory(const struct start_info *info)
{
	uint64_t end = end_of_low_memory(info);

	for (uint64_t at = (uint64_t)image_end; at < end; at += PAGE_BYTES)
		*(volatile uint64_t *)at = 0;
}

static void begin(void)
{
	pci_begin();
	for (unsigned int slot = 1; slot < SLOTS; slot++)
		if (pci_is_virtio(slot))
			pci_bus(slot);
}

/* ---- after a reset ---- */

static void remember_bars(struct memory *memory)
{
	bool is_io;

	for (unsigned int slot = 0; slot < SLOTS; slot++)
		for (unsigned int bar = 0; bar < PCI_BARS; bar++)
			memory->bar[slot][bar] = pci_bar(slot, bar, &is_io);
}

static bool has_same_bars(const struct memory *memory)
{
	bool is_same = true, is_io;

	for (unsigned int slot = 0; slot < SLOTS; slot++)
		for (unsigned int bar = 0; bar < PCI_BARS; bar++)
			is_same = is_same && memory->bar[slot][bar] == pci_bar(slot, bar, &is_io);
	return is_same;
}

static void check_after_reset(const struct memory *memory)
{
	say("\n");
	ok(has_same_bars(memory), "after the reset the BARs are where they were at first");
	equal(disks_check(), 3, "all disks are there after the reset");
	finish();
}

/* ---- resets that come from all sides ---- */

static void move_bars(void)
{
	for (unsigned int slot = 1; slot < SLOTS; slot++)
		for (unsigned int bar = 0; pci_is_virtio(slot) && bar < PCI_BARS; bar++)
			pci_write(slot, PCI_BAR(bar), 4, 0x10000 * slot + 0x1000 * bar);
}

/*
 * The reset comes between a register's answer and the instruction that asked: one that asks once,
 * for each of two pages, or again and again.
 */
static void ask_for_ever(unsigned int how)
{
	uint64_t ecam = acpi_ecam();

	for (;;) {
		uint64_t from = ecam, to = (uint64_t)image_end, count = 300;

		if (how == 0)
			mmio_read(ecam, 4);
		else if (how == 1)
			mmio_read(ecam + PAGE_BYTES - 3, 8);
		else
			__asm__ volatile("rep movsb"
			                 : "+S"(from), "+D"(to), "+c"(count)
			                 :
			                 : "memory");
	}
}

void job_reset(const struct words *words, const struct start_info *info)
{
	static const struct {
		uint16_t port;
		uint8_t value;
	} ways[] = { { 0xcf9, 0x06 }, { 0x64, 0xfe } };
	struct memory *past = memory();

	(void)info;
	pci_begin();
	if (past->boots++ >= number_of(words, 1))
		check_after_reset(past);
	if (past->boots == 1)
		remember_bars(past);
	say("boot ");
	say_number(past->boots);
	say("\n");
	move_bars();
	if (past->boots % 2)
		ask_for_ever(past->boots / 2 % 3);
	out8(ways[past->boots / 2 % 2].port, ways[past->boots / 2 % 2].value);
	bail_out("no reset");
}

/* ---- the jobs ---- */

void job_hostile(const struct words *words, const struct start_info *info)
{
	struct memory *past = memory();

	past->boots++;
	begin();
	if (past->boots > 1)
		check_after_reset(past);
	remember_bars(past);
	touch_memory(info);
	first = chaos_of(info, number_of(words, 1), number_of(words, 2));
	say("ready\n");
	hear();
	for (uint64_t i = 0; i < number_of(words, 2); i++)
		turn(&first);
	pci_put_back();
	mask_everything();
	serial_begin();
	say("\n# accesses: ");
	say_number(first.accesses);
	say(", interrupts: ");
	say_number(interrupts_seen);
	say("\n");
	equal(disks_check(), 3, "all disks are there after the nonsense");
	mask_everything();
	say("now idle\n");
	wait_for_ever();
}

static void storm(unsigned int cpu)
{
	struct chaos chaos = first;

	chaos.state += cpu * 0x1234567;
	for (;;)
		turn(&chaos);
}

void job_storm(const struct words *words, const struct start_info *info)
{
	struct memory *past = memory();

	begin();
	if (past->boots++ >= number_of(words, 2))
		check_after_reset(past);
	if (past->boots == 1)
		remember_bars(past);
	first = chaos_of(info, number_of(words, 1) + past->boots, STORM_TURNS);
	cpus_start(cpus_listed(), storm, CPUS_LIMIT_NS);
	say("\nstorm ");
	say_number(past->boots);
	say("\n");
	storm(0);
}

/* With an empty table of interrupts every exception is one too many. */
void job_triple(const struct words *words, const struct start_info *info)
{
	static const uint8_t nothing[10];
	struct memory *past = memory();

	(void)info;
	if (past->boots++ >= number_of(words, 1)) {
		ok(true, "each triple fault was a reset");
		finish();
	}
	say("about to fault\n");
	__asm__ volatile("lidt %0; int3" : : "m"(nothing));
}
