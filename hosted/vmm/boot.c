/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/boot.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <string.h>

#include "hosted/vmm/acpi.h"

/* Below 1 MiB, where nothing else lies. */
#define ZERO_PAGE    0x7000u
#define START_INFO   0x7000u
#define COMMAND_LINE 0x20000u
#define COMMAND_MAX  0x10000u
#define LOW_END      0x9fc00u
#define HIGH_BEGIN   0x100000u

#define PAGE_BYTES 4096u

/* ---- what both ways have in common ---- */

static bool too_little(char sentence[static PV_SENTENCE_BYTES], const char *what)
{
	return pv_sentence_wrong(sentence, "%s does not fit into memory; give more with --memory",
	                         what);
}

/* At the end of low memory, but below what the kernel can reach. */
static bool load_initrd(const struct pv_boot *boot, const struct pv_machine_memory *memory,
                        uint64_t limit, uint64_t kernel_end, uint64_t *at,
                        char sentence[static PV_SENTENCE_BYTES])
{
	uint64_t end = memory->low_bytes < limit ? memory->low_bytes : limit;

	*at = 0;
	if (!boot->initrd.head)
		return true;
	if (boot->initrd.bytes > end ||
	    ((end - boot->initrd.bytes) & ~(PAGE_BYTES - 1ull)) < kernel_end)
		return too_little(sentence, "the initrd");
	*at = (end - boot->initrd.bytes) & ~(PAGE_BYTES - 1ull);
	return pv_boot_file_read(&boot->initrd, 0, memory->host + *at, boot->initrd.bytes,
	                         sentence);
}

static void load_command_line(const struct pv_boot *boot, const struct pv_machine_memory *memory)
{
	const char *text = boot->options.append ? boot->options.append : "";

	strcpy((char *)memory->host + COMMAND_LINE, text);
}

/* Ranges of memory as firmware would list them. */
struct range {
	uint64_t base, bytes;
	uint32_t type;
};

#define RANGE_RAM      1u
#define RANGE_RESERVED 2u
#define RANGES         5u

static unsigned int list_ranges(const struct pv_machine_memory *memory, struct range range[RANGES])
{
	unsigned int count = 0;

	range[count++] = (struct range){ 0, LOW_END, RANGE_RAM };
	range[count++] = (struct range){ PV_ACPI_ADDRESS, PV_ACPI_BYTES, RANGE_RESERVED };
	range[count++] = (struct range){ HIGH_BEGIN, memory->low_bytes - HIGH_BEGIN, RANGE_RAM };
	range[count++] = (struct range){ PV_PCI_ECAM, PV_PCI_ECAM_BYTES, RANGE_RESERVED };
	if (memory->bytes > memory->low_bytes)
		range[count++] =
			(struct range){ PV_HOLE_END, memory->bytes - memory->low_bytes, RANGE_RAM };
	return count;
}

/* ---- bzImage ---- */

#define BZIMAGE_MAGIC     0x53726448u /* "HdrS" */
#define BZIMAGE_VERSION   0x020cu     /* the first with a 64-bit entry that says so */
#define BZIMAGE_ENTRY_64  0x200u
#define SECTOR_BYTES      512u
#define SETUP_SECTORS_OLD 4u
#define LOADER_UNDEFINED  0xffu

static const struct setup_header *bzimage_header(const struct pv_boot_file *file)
{
	const struct boot_params *params = (const void *)file->head;

	if (file->head_bytes < sizeof(*params) || params->hdr.boot_flag != 0xaa55 ||
	    params->hdr.header != BZIMAGE_MAGIC)
		return NULL;
	return &params->hdr;
}

/* Page tables for a kernel that begins in 64-bit mode: 4 GiB, address for address. */
static void build_page_tables(const struct pv_machine_memory *memory)
{
	uint64_t *top = (uint64_t *)(memory->host + PV_BOOT_PAGE_TABLE);
	uint64_t *directories = top + 512;

	memset(top, 0, 6 * PAGE_BYTES);
	top[0] = (PV_BOOT_PAGE_TABLE + PAGE_BYTES) | 3;
	for (uint64_t i = 0; i < 4; i++) {
		uint64_t *pages = directories + 512 * (i + 1);

		directories[i] = (PV_BOOT_PAGE_TABLE + (i + 2) * PAGE_BYTES) | 3;
		for (uint64_t page = 0; page < 512; page++)
			pages[page] = (i << 30 | page << 21) | 0x83;
	}
}

static void fill_zero_page(const struct pv_boot *boot, const struct pv_machine_memory *memory,
                           const struct setup_header *header, uint64_t initrd)
{
	struct boot_params *params = (struct boot_params *)(memory->host + ZERO_PAGE);
	struct range range[RANGES];

	memset(params, 0, sizeof(*params));
	params->hdr = *header;
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.cmd_line_ptr = COMMAND_LINE;
	params->hdr.ramdisk_image = (uint32_t)initrd;
	params->hdr.ramdisk_size = (uint32_t)boot->initrd.bytes;
	params->acpi_rsdp_addr = PV_ACPI_ADDRESS;
	params->e820_entries = (uint8_t)list_ranges(memory, range);
	for (unsigned int i = 0; i < params->e820_entries; i++)
		params->e820_table[i] =
			(struct boot_e820_entry){ range[i].base, range[i].bytes, range[i].type };
}

static bool load_bzimage(const struct pv_boot *boot, const struct pv_machine_memory *memory,
                         struct pv_boot_entry *entry, char sentence[static PV_SENTENCE_BYTES])
{
	const struct setup_header *header = bzimage_header(&boot->kernel);
	uint64_t setup = (header->setup_sects ? header->setup_sects : SETUP_SECTORS_OLD) + 1u;
	uint64_t at = header->pref_address, bytes, room, initrd;
	uint8_t *place;

	setup *= SECTOR_BYTES;
	if (header->version < BZIMAGE_VERSION || !(header->xloadflags & XLF_KERNEL_64) ||
	    setup >= boot->kernel.bytes)
		return pv_sentence_wrong(sentence,
		                         "option '--kernel': %s is no 64-bit kernel of this "
		                         "century; give a bzImage of Linux 3.8 or later",
		                         boot->options.kernel);
	bytes = boot->kernel.bytes - setup;
	room = header->init_size > bytes ? header->init_size : bytes;
	place = pv_machine_memory_at(memory, at, room);
	if (!place || at < HIGH_BEGIN)
		return too_little(sentence, "the kernel");
	if (!pv_boot_file_read(&boot->kernel, setup, place, bytes, sentence) ||
	    !load_initrd(boot, memory, header->initrd_addr_max + 1ull, at + room, &initrd,
	                 sentence))
		return false;
	build_page_tables(memory);
	fill_zero_page(boot, memory, header, initrd);
	*entry = (struct pv_boot_entry){ true, at + BZIMAGE_ENTRY_64, ZERO_PAGE };
	return true;
}

/* ---- PVH ---- */

#define XEN_ELFNOTE_PHYS32_ENTRY 18u
#define START_MAGIC              0x336ec578u

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

static const Elf64_Ehdr *elf_header(const struct pv_boot_file *file)
{
	const Elf64_Ehdr *header = (const void *)file->head;

	if (file->head_bytes < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
	    header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff > file->head_bytes ||
	    header->e_phnum > (file->head_bytes - header->e_phoff) / sizeof(Elf64_Phdr))
		return NULL;
	return header;
}

/* Looks for the note with the entry in a segment of notes. */
static bool find_entry(const uint8_t *notes, uint64_t bytes, uint32_t *entry)
{
	Elf64_Nhdr note;

	while (bytes >= sizeof(note)) {
		uint64_t name, desc;

		memcpy(&note, notes, sizeof(note));
		name = (note.n_namesz + 3ull) & ~3ull;
		desc = (note.n_descsz + 3ull) & ~3ull;
		if (name + desc > bytes - sizeof(note))
			return false;
		notes += sizeof(note);
		if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_namesz == 4 &&
		    memcmp(notes, "Xen", 4) == 0 && note.n_descsz >= sizeof(*entry)) {
			memcpy(entry, notes + name, sizeof(*entry));
			return true;
		}
		notes += name + desc;
		bytes -= sizeof(note) + name + desc;
	}
	return false;
}

/* A header may lie at any address. */
static Elf64_Phdr segment_at(const struct pv_boot_file *file, unsigned int index)
{
	const Elf64_Ehdr *header = elf_header(file);
	Elf64_Phdr segment;

	memcpy(&segment, file->head + header->e_phoff + index * sizeof(segment), sizeof(segment));
	return segment;
}

static bool is_sound(const struct pv_boot_file *file, const Elf64_Phdr *segment)
{
	return pv_boot_file_has(file, segment->p_offset, segment->p_filesz) &&
	       (segment->p_type != PT_LOAD || segment->p_filesz <= segment->p_memsz);
}

static bool load_segment(const struct pv_boot_file *file, const Elf64_Phdr *segment,
                         const struct pv_machine_memory *memory,
                         char sentence[static PV_SENTENCE_BYTES])
{
	uint8_t *at = pv_machine_memory_at(memory, segment->p_paddr, segment->p_memsz);

	if (!at)
		return too_little(sentence, "the kernel");
	memset(at + segment->p_filesz, 0, segment->p_memsz - segment->p_filesz);
	return pv_boot_file_read(file, segment->p_offset, at, segment->p_filesz, sentence);
}

/* All that is to be loaded. `*end` becomes the address behind the last. */
static bool load_segments(const struct pv_boot *boot, const struct pv_machine_memory *memory,
                          uint64_t *end, char sentence[static PV_SENTENCE_BYTES])
{
	*end = HIGH_BEGIN;
	for (unsigned int i = 0; i < elf_header(&boot->kernel)->e_phnum; i++) {
		const Elf64_Phdr segment = segment_at(&boot->kernel, i);

		if (segment.p_type != PT_LOAD || segment.p_memsz == 0)
			continue;
		if (!is_sound(&boot->kernel, &segment) || segment.p_paddr < HIGH_BEGIN)
			return pv_sentence_wrong(sentence,
			                         "option '--kernel': %s is cut off, or wants to be "
			                         "below 1 MiB; give a whole ELF image above that",
			                         boot->options.kernel);
		if (!load_segment(&boot->kernel, &segment, memory, sentence))
			return false;
		if (segment.p_paddr + segment.p_memsz > *end)
			*end = segment.p_paddr + segment.p_memsz;
	}
	return true;
}

/* Notes that lie further behind in their segment are not looked at. */
#define NOTES_MAX 16384u

static bool has_entry(const struct pv_boot_file *file, const Elf64_Phdr *segment, uint32_t *entry)
{
	uint8_t notes[NOTES_MAX];
	uint64_t bytes = segment->p_filesz < NOTES_MAX ? segment->p_filesz : NOTES_MAX;
	char sentence[PV_SENTENCE_BYTES];

	return pv_boot_file_read(file, segment->p_offset, notes, bytes, sentence) &&
	       find_entry(notes, bytes, entry);
}

/* Where it wants to be entered: in what was loaded. */
static bool find_pvh_entry(const struct pv_boot *boot, uint64_t end, uint32_t *entry,
                           char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < elf_header(&boot->kernel)->e_phnum; i++) {
		const Elf64_Phdr segment = segment_at(&boot->kernel, i);

		if (segment.p_type == PT_NOTE && is_sound(&boot->kernel, &segment) &&
		    has_entry(&boot->kernel, &segment, entry) && *entry >= HIGH_BEGIN &&
		    *entry < end)
			return true;
	}
	return pv_sentence_wrong(sentence,
	                         "option '--kernel': %s has no PVH entry; give a bzImage or "
	                         "a kernel with CONFIG_PVH",
	                         boot->options.kernel);
}

static void fill_start_info(const struct pv_boot *boot, const struct pv_machine_memory *memory,
                            uint64_t initrd)
{
	struct start_info *info = (struct start_info *)(memory->host + START_INFO);
	struct start_module *module = (struct start_module *)(info + 1);
	struct start_range *ranges = (struct start_range *)(module + 1);
	struct range range[RANGES];
	unsigned int count = list_ranges(memory, range);

	*info = (struct start_info){
		.magic = START_MAGIC,
		.version = 1,
		.modules = boot->initrd.head ? 1 : 0,
		.module_list = START_INFO + sizeof(*info),
		.command_line = COMMAND_LINE,
		.rsdp = PV_ACPI_ADDRESS,
		.memory_map = START_INFO + sizeof(*info) + sizeof(*module),
		.memory_map_entries = count,
	};
	*module = (struct start_module){ .address = initrd, .bytes = boot->initrd.bytes };
	for (unsigned int i = 0; i < count; i++)
		ranges[i] = (struct start_range){ range[i].base, range[i].bytes, range[i].type, 0 };
}

static bool load_pvh(const struct pv_boot *boot, const struct pv_machine_memory *memory,
                     struct pv_boot_entry *entry, char sentence[static PV_SENTENCE_BYTES])
{
	uint64_t end, initrd;
	uint32_t address = 0;

	if (!load_segments(boot, memory, &end, sentence) ||
	    !find_pvh_entry(boot, end, &address, sentence) ||
	    !load_initrd(boot, memory, PV_HOLE_BEGIN, end, &initrd, sentence))
		return false;
	fill_start_info(boot, memory, initrd);
	*entry = (struct pv_boot_entry){ false, address, START_INFO };
	return true;
}

/* ---- the whole ---- */

static bool is_kernel(const struct pv_boot *boot, char sentence[static PV_SENTENCE_BYTES])
{
	return bzimage_header(&boot->kernel) || elf_header(&boot->kernel) ||
	       pv_sentence_wrong(sentence,
	                         "option '--kernel': %s is no kernel; give a bzImage or an ELF "
	                         "image with a PVH entry",
	                         boot->options.kernel);
}

void pv_boot_close(struct pv_boot *boot)
{
	pv_boot_file_close(&boot->kernel);
	pv_boot_file_close(&boot->initrd);
	*boot = (struct pv_boot){ 0 };
}

bool pv_boot_open(struct pv_boot *boot, const struct pv_boot_options *options,
                  char sentence[static PV_SENTENCE_BYTES])
{
	*boot = (struct pv_boot){ .options = *options };
	if (options->append && strlen(options->append) >= COMMAND_MAX)
		return pv_sentence_wrong(sentence,
		                         "option '--append': more than %u characters are too many",
		                         COMMAND_MAX - 1);
	if (pv_boot_file_open(&boot->kernel, "kernel", options->kernel, sentence) &&
	    is_kernel(boot, sentence) &&
	    (!options->initrd ||
	     pv_boot_file_open(&boot->initrd, "initrd", options->initrd, sentence)))
		return true;
	pv_boot_close(boot);
	return false;
}

static void load_gdt(const struct pv_machine_memory *memory)
{
	/* Code and data, flat: 64 bits wide at 0x10, 32 at 0x20. */
	static const uint64_t gdt[] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff,
		                        0x00cf9b000000ffff };

	memcpy(memory->host + PV_BOOT_GDT, gdt, sizeof(gdt));
}

static void load_acpi(const struct pv_boot *boot, const struct pv_machine_memory *memory)
{
	pv_acpi_build(memory->host + PV_ACPI_ADDRESS, boot->options.cpus, boot->mmio_devices);
}

void pv_boot_set_mmio_devices(struct pv_boot *boot, const struct pv_machine_memory *memory,
                              unsigned int devices)
{
	boot->mmio_devices = devices;
	load_acpi(boot, memory);
}

bool pv_boot_load(const struct pv_boot *boot, const struct pv_machine_memory *memory,
                  struct pv_boot_entry *entry, char sentence[static PV_SENTENCE_BYTES])
{
	if (memory->low_bytes <= 2 * HIGH_BEGIN)
		return too_little(sentence, "a kernel");
	load_gdt(memory);
	load_command_line(boot, memory);
	load_acpi(boot, memory);
	return bzimage_header(&boot->kernel) ? load_bzimage(boot, memory, entry, sentence)
	                                     : load_pvh(boot, memory, entry, sentence);
}
