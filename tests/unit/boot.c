/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernels that are not what they say: each is answered by one sentence, before or after it was
 * opened, and nothing is read or written that is not there. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <asm/bootparam.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hosted/vmm/boot.h"

#define MEMORY_BYTES  (4u << 20)
#define IMAGE_BYTES   0x3000u
#define IMAGE_ADDRESS 0x180000u
#define NOTES_AT      0x1000u
#define CODE_AT       0x2000u
#define KERNEL_BYTES  0x8000u
#define INIT_BYTES    0x100000u
#define PVH_ENTRY     18u

/* A file in memory, with a path. */
struct file {
	int fd;
	char path[32];
};

static struct file file_of(const void *data, size_t bytes)
{
	struct file file = { .fd = memfd_create("boot", MFD_CLOEXEC) };

	assert_true(file.fd >= 0);
	assert_int_equal(write(file.fd, data, bytes), bytes);
	snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
	return file;
}

/* ---- an ELF image with a PVH note ---- */

struct note {
	Elf64_Nhdr header;
	char name[4];
	uint32_t entry;
};

struct elf {
	union {
		Elf64_Ehdr header;
		uint8_t bytes[IMAGE_BYTES];
	};
	size_t size;
};

static Elf64_Phdr *segment_of(struct elf *elf, unsigned int index)
{
	return (Elf64_Phdr *)(elf->bytes + sizeof(elf->header)) + index;
}

static struct note *note_of(struct elf *elf)
{
	return (struct note *)(elf->bytes + NOTES_AT);
}

static void good_elf(struct elf *elf)
{
	*elf = (struct elf){ .size = IMAGE_BYTES };
	elf->header = (Elf64_Ehdr){ .e_machine = EM_X86_64,
		                    .e_phoff = sizeof(elf->header),
		                    .e_phentsize = sizeof(Elf64_Phdr),
		                    .e_phnum = 2 };
	memcpy(elf->header.e_ident, ELFMAG, SELFMAG);
	elf->header.e_ident[EI_CLASS] = ELFCLASS64;
	*segment_of(elf, 0) = (Elf64_Phdr){ .p_type = PT_LOAD,
		                            .p_offset = CODE_AT,
		                            .p_paddr = IMAGE_ADDRESS,
		                            .p_filesz = 0x1000,
		                            .p_memsz = 0x2000 };
	*segment_of(elf, 1) = (Elf64_Phdr){ .p_type = PT_NOTE,
		                            .p_offset = NOTES_AT,
		                            .p_filesz = sizeof(struct note) };
	*note_of(elf) = (struct note){ { 4, 4, PVH_ENTRY }, "Xen", IMAGE_ADDRESS + 0x10 };
	memset(elf->bytes + CODE_AT, 0xf4, 0x1000);
}

/* ---- a bzImage ---- */

struct bzimage {
	union {
		struct boot_params params;
		uint8_t bytes[KERNEL_BYTES];
	};
	size_t size;
};

static void good_bzimage(struct bzimage *kernel)
{
	*kernel = (struct bzimage){ .size = KERNEL_BYTES };
	kernel->params.hdr = (struct setup_header){ .setup_sects = 7,
		                                    .boot_flag = 0xaa55,
		                                    .header = 0x53726448,
		                                    .version = 0x20f,
		                                    .xloadflags = XLF_KERNEL_64,
		                                    .pref_address = IMAGE_ADDRESS,
		                                    .init_size = INIT_BYTES,
		                                    .initrd_addr_max = 0x7fffffff };
}

/* ---- loading ---- */

struct result {
	bool is_loaded;
	struct pv_boot_entry entry;
	char sentence[PV_SENTENCE_BYTES];
};

static void load(const struct pv_boot_options *options, uint64_t memory_bytes,
                 struct result *result)
{
	const struct pv_machine_memory_options wanted = { .bytes = memory_bytes };
	struct pv_machine_memory memory;
	struct pv_boot boot;

	*result = (struct result){ 0 };
	assert_true(pv_machine_memory_create(&memory, &wanted, result->sentence));
	if (pv_boot_open(&boot, options, result->sentence)) {
		result->is_loaded = pv_boot_load(&boot, &memory, &result->entry, result->sentence);
		pv_boot_close(&boot);
	}
	pv_machine_memory_destroy(&memory);
}

static void load_bytes(const void *data, size_t bytes, struct result *result)
{
	struct file kernel = file_of(data, bytes);
	const struct pv_boot_options options = { .kernel = kernel.path, .cpus = 1 };

	load(&options, MEMORY_BYTES, result);
	close(kernel.fd);
}

static void assert_refused(const struct result *result, const char *name, const char *words)
{
	if (result->is_loaded || !strstr(result->sentence, words) || strchr(result->sentence, '\n'))
		fail_msg("%s: %s: '%s' without '%s'", name,
		         result->is_loaded ? "loaded" : "refused", result->sentence, words);
}

static void test_what_is_sound_is_loaded(void **state)
{
	struct bzimage kernel;
	struct result result;
	struct elf elf;

	(void)state;
	good_elf(&elf);
	load_bytes(elf.bytes, elf.size, &result);
	assert_string_equal(result.sentence, "");
	assert_true(result.is_loaded && !result.entry.is_64_bit);
	assert_int_equal(result.entry.address, IMAGE_ADDRESS + 0x10);
	good_bzimage(&kernel);
	load_bytes(kernel.bytes, kernel.size, &result);
	assert_string_equal(result.sentence, "");
	assert_true(result.is_loaded && result.entry.is_64_bit);
	assert_int_equal(result.entry.address, IMAGE_ADDRESS + 0x200);
}

/* ---- ELF images ---- */

#define NO_KERNEL "is no kernel"
#define NO_ENTRY  "has no PVH entry"
#define CUT_OFF   "is cut off, or wants to be below 1 MiB"
#define NO_ROOM   "the kernel does not fit into memory"
#define TOO_OLD   "is no 64-bit kernel"

/* Statements that spoil an image, and what is said to it. */
#define ELF_CASES(CASE)                                                                            \
	CASE(elf->size = sizeof(elf->header) - 1, NO_KERNEL)                                       \
	CASE(elf->size = sizeof(elf->header), NO_KERNEL)                                           \
	CASE(elf->size = NOTES_AT, CUT_OFF)                                                        \
	CASE(elf->size = CODE_AT + 0xfff, CUT_OFF)                                                 \
	CASE(elf->header.e_ident[EI_CLASS] = ELFCLASS32, NO_KERNEL)                                \
	CASE(elf->header.e_machine = EM_AARCH64, NO_KERNEL)                                        \
	CASE(elf->header.e_phentsize = 1, NO_KERNEL)                                               \
	CASE(elf->header.e_phnum = UINT16_MAX, NO_KERNEL)                                          \
	CASE(elf->header.e_phnum = 0, NO_ENTRY)                                                    \
	CASE(elf->header.e_phoff = UINT64_MAX, NO_KERNEL)                                          \
	CASE(elf->header.e_phoff = IMAGE_BYTES, NO_KERNEL)                                         \
	CASE(elf->header.e_phoff += 1, NO_ENTRY)                                                   \
	CASE(segment_of(elf, 0)->p_offset = UINT64_MAX, CUT_OFF)                                   \
	CASE(segment_of(elf, 0)->p_filesz = UINT64_MAX, CUT_OFF)                                   \
	CASE(segment_of(elf, 0)->p_memsz = 0x10, CUT_OFF)                                          \
	CASE(segment_of(elf, 0)->p_memsz = 0, NO_ENTRY)                                            \
	CASE(segment_of(elf, 0)->p_memsz = UINT64_MAX, NO_ROOM)                                    \
	CASE(segment_of(elf, 0)->p_memsz = MEMORY_BYTES, NO_ROOM)                                  \
	CASE(segment_of(elf, 0)->p_paddr = 0, CUT_OFF)                                             \
	CASE(segment_of(elf, 0)->p_paddr = UINT64_MAX, NO_ROOM)                                    \
	CASE(segment_of(elf, 0)->p_paddr = -(uint64_t)0x1000, NO_ROOM)                             \
	CASE(segment_of(elf, 0)->p_paddr = MEMORY_BYTES - 0x1fff, NO_ROOM)                         \
	CASE(segment_of(elf, 1)->p_type = PT_NULL, NO_ENTRY)                                       \
	CASE(segment_of(elf, 1)->p_offset = UINT64_MAX, NO_ENTRY)                                  \
	CASE(segment_of(elf, 1)->p_filesz = UINT64_MAX, NO_ENTRY)                                  \
	CASE(segment_of(elf, 1)->p_filesz = sizeof(struct note) - 1, NO_ENTRY)                     \
	CASE(note_of(elf)->header.n_type = 17, NO_ENTRY)                                           \
	CASE(note_of(elf)->header.n_namesz = UINT32_MAX, NO_ENTRY)                                 \
	CASE(note_of(elf)->header.n_descsz = UINT32_MAX, NO_ENTRY)                                 \
	CASE(note_of(elf)->header.n_descsz = 3, NO_ENTRY)                                          \
	CASE(note_of(elf)->name[0] = 'Y', NO_ENTRY)                                                \
	CASE(note_of(elf)->entry = 0, NO_ENTRY)                                                    \
	CASE(note_of(elf)->entry = UINT32_MAX, NO_ENTRY)

static void test_elf_images_that_are_none(void **state)
{
	struct result result;
	struct elf image, *elf = &image;

	(void)state;
#define TRY_ELF(spoil, words)                                                                      \
	good_elf(elf);                                                                             \
	spoil;                                                                                     \
	load_bytes(elf->bytes, elf->size, &result);                                                \
	assert_refused(&result, #spoil, words);
	ELF_CASES(TRY_ELF)
}

/* ---- bzImages ---- */

#define BZIMAGE_CASES(CASE)                                                                        \
	CASE(kernel->size = 0x800, NO_KERNEL)                                                      \
	CASE(kernel->size = 0x1000, TOO_OLD)                                                       \
	CASE(header->boot_flag = 0, NO_KERNEL)                                                     \
	CASE(header->header = 0, NO_KERNEL)                                                        \
	CASE(header->version = 0x20b, TOO_OLD)                                                     \
	CASE(header->xloadflags = 0, TOO_OLD)                                                      \
	CASE(header->setup_sects = 0xff, TOO_OLD)                                                  \
	CASE(header->init_size = UINT32_MAX, NO_ROOM)                                              \
	CASE(header->init_size = MEMORY_BYTES, NO_ROOM)                                            \
	CASE(header->pref_address = 0, NO_ROOM)                                                    \
	CASE(header->pref_address = UINT64_MAX, NO_ROOM)                                           \
	CASE(header->pref_address = -(uint64_t)INIT_BYTES, NO_ROOM)                                \
	CASE(header->pref_address = MEMORY_BYTES, NO_ROOM)

static void test_bzimages_that_are_none(void **state)
{
	struct bzimage image, *kernel = &image;
	struct setup_header *header = &kernel->params.hdr;
	struct result result;

	(void)state;
#define TRY_BZIMAGE(spoil, words)                                                                  \
	good_bzimage(kernel);                                                                      \
	spoil;                                                                                     \
	load_bytes(kernel->bytes, kernel->size, &result);                                          \
	assert_refused(&result, #spoil, words);
	BZIMAGE_CASES(TRY_BZIMAGE)
}

/* ---- initrds ---- */

static void load_with_initrd(struct bzimage *kernel, size_t initrd_bytes, struct result *result)
{
	uint8_t *data = calloc(1, initrd_bytes);
	struct file initrd = file_of(data, initrd_bytes);
	struct file file = file_of(kernel->bytes, kernel->size);
	const struct pv_boot_options options = { file.path, initrd.path, "", 1 };

	free(data);
	load(&options, MEMORY_BYTES, result);
	close(file.fd);
	close(initrd.fd);
}

static void test_an_initrd_fits_behind_the_kernel(void **state)
{
	const size_t room = MEMORY_BYTES - IMAGE_ADDRESS - INIT_BYTES;
	struct bzimage kernel;
	struct result result;

	(void)state;
	good_bzimage(&kernel);
	load_with_initrd(&kernel, room, &result);
	assert_true(result.is_loaded);
	load_with_initrd(&kernel, room + 1, &result);
	assert_refused(&result, "a byte too many", "the initrd does not fit into memory");
	kernel.params.hdr.initrd_addr_max = IMAGE_ADDRESS;
	load_with_initrd(&kernel, 1, &result);
	assert_refused(&result, "too low a limit", "the initrd does not fit into memory");
	/* A kernel that says it needs less than it is. */
	good_bzimage(&kernel);
	kernel.params.hdr.init_size = 0;
	load_with_initrd(&kernel, MEMORY_BYTES - IMAGE_ADDRESS - 0x1000, &result);
	assert_refused(&result, "over the kernel", "the initrd does not fit into memory");
}

static void test_memory_is_large_enough_for_anything(void **state)
{
	struct pv_boot_options options = { .cpus = 1 };
	struct result result;
	struct file file;
	struct elf elf;

	(void)state;
	good_elf(&elf);
	file = file_of(elf.bytes, elf.size);
	options.kernel = file.path;
	load(&options, 2u << 20, &result);
	assert_refused(&result, "2 MiB", "a kernel does not fit into memory");
	close(file.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_sound_is_loaded),
		cmocka_unit_test(test_elf_images_that_are_none),
		cmocka_unit_test(test_bzimages_that_are_none),
		cmocka_unit_test(test_an_initrd_fits_behind_the_kernel),
		cmocka_unit_test(test_memory_is_large_enough_for_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
