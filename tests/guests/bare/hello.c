/* SPDX-License-Identifier: BSD-2-Clause */
/* hello INITRD_BYTES MEMORY_MIB: is everything as the PVH boot ABI and the machine's options say?
 */
#include "tests/guests/bare/bare.h"

#define CR0_PROTECTED 0x00000001u
#define CR0_PAGING    0x80000000u
/* Trap, interrupt, virtual 8086. */
#define FLAGS_CLEAR 0x00020300u
#define LOW_END     0xa0000ull
#define HIGH_BEGIN  0x100000ull
#define MIB         0x100000ull

static void check_entry(void)
{
	equal(entry_cr0 & (CR0_PROTECTED | CR0_PAGING), CR0_PROTECTED,
	      "the entry is in protected mode without paging");
	equal(entry_cr4, 0, "cr4 is zero at the entry");
	equal(entry_flags & FLAGS_CLEAR, 0, "no interrupts, no traps at the entry");
}

static void check_tables(void)
{
	static const char *const signatures[] = { "FACP", "APIC", "MCFG" };
	bool all_are_there = true;

	for (unsigned int i = 0; i < 3; i++)
		all_are_there = all_are_there && acpi_table(signatures[i]);
	ok(all_are_there, "the ACPI tables are found from the RSDP, with sound checksums");
}

static const struct start_range *ranges_of(const struct start_info *info)
{
	return (const struct start_range *)info->memory_map;
}

static bool is_in_ram(const struct start_info *info, uint64_t base, uint64_t bytes)
{
	const struct start_range *range = ranges_of(info);

	for (uint32_t i = 0; i < info->memory_map_entries; i++)
		if (range[i].type == RANGE_RAM && base >= range[i].base &&
		    base - range[i].base <= range[i].bytes &&
		    bytes <= range[i].bytes - (base - range[i].base))
			return true;
	return false;
}

static void check_map(const struct start_info *info, uint64_t memory_bytes)
{
	const struct start_range *range = ranges_of(info);
	uint64_t end = 0, ram = 0, last = 0;
	bool is_sorted = true;

	for (uint32_t i = 0; i < info->memory_map_entries; i++) {
		is_sorted = is_sorted && range[i].base >= end && range[i].bytes > 0 &&
		            range[i].reserved == 0;
		end = range[i].base + range[i].bytes;
		if (range[i].type != RANGE_RAM)
			continue;
		ram += range[i].bytes;
		last = end;
	}
	ok(is_sorted, "the memory map is sorted, and no two ranges overlap");
	ok(ram <= memory_bytes && ram + (HIGH_BEGIN - LOW_END) + 0x1000 >= memory_bytes,
	   "it has as much memory as was asked for, less what lies below 1 MiB");
	ok(is_in_ram(info, 0x180000, (uint64_t)image_end - 0x180000), "the image lies in memory");
	ok(!is_in_ram(info, acpi_ecam(), 1) && !is_in_ram(info, info->rsdp, 1),
	   "tables and configuration space do not");
	*(volatile uint64_t *)window_at(last - 8) = last;
	equal(*(volatile uint64_t *)window_at(last - 8), last, "the last byte is there");
	equal(mmio_read(window_at(last), 8), UINT64_MAX, "the one behind it is not");
	equal(mmio_read(window_at(last + 0x1000 - 3), 8), UINT64_MAX,
	      "nor are those on both sides of a page's end");
}

static void check_initrd(const struct start_info *info, uint64_t bytes)
{
	const struct start_module *module = (const struct start_module *)info->module_list;
	const uint8_t *data;
	bool is_same = true;

	equal(info->modules, bytes > 0, "there is a module if an initrd was given");
	if (bytes == 0 || info->modules == 0)
		return;
	data = (const uint8_t *)module->address;
	equal(module->bytes, bytes, "it has its length");
	ok(is_in_ram(info, module->address, bytes) && module->address >= (uint64_t)image_end,
	   "it lies in memory, behind the image");
	for (uint64_t i = 0; i < bytes && is_same; i++)
		is_same = data[i] == (uint8_t)(i ^ i >> 8);
	ok(is_same, "its content is right");
}

void job_hello(const struct words *words, const struct start_info *info)
{
	check_entry();
	equal(info->version, 1, "the start info is of version 1");
	equal(info->flags, 0, "no flags");
	check_tables();
	check_map(info, number_of(words, 2) * MIB);
	check_initrd(info, number_of(words, 1));
	finish();
}
