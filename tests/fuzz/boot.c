/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel images: taken or refused, with a sentence, and nothing written beside the machine's
 * memory. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hosted/vmm/boot.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY_BYTES (4u << 20)
#define INITRD_UNIT  4099u

/* A file with a path, kept from one input to the next. */
static const char *file_of(int *fd, char path[static 32], const void *data, size_t bytes)
{
	if (*fd <= 0)
		*fd = memfd_create("boot", MFD_CLOEXEC);
	pv_bug_on(*fd < 0 || ftruncate(*fd, 0) < 0);
	pv_bug_on(pwrite(*fd, data, bytes, 0) != (ssize_t)bytes);
	snprintf(path, 32, "/proc/self/fd/%d", *fd);
	return path;
}

static void load(const struct pv_boot *boot, struct pv_machine_memory *memory)
{
	struct pv_boot_entry entry = { 0 };
	char sentence[PV_SENTENCE_BYTES] = "";

	if (pv_boot_load(boot, memory, &entry, sentence))
		pv_bug_on(entry.address >= MEMORY_BYTES || entry.argument >= MEMORY_BYTES);
	else
		pv_bug_on(sentence[0] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const uint8_t nothing[INITRD_UNIT * 255];
	static int kernel_fd, initrd_fd;
	struct fuzz_input input = { data, bytes };
	size_t initrd_bytes = fuzz_u8(&input) * INITRD_UNIT;
	char kernel[32], initrd[32], sentence[PV_SENTENCE_BYTES] = "";
	const struct pv_boot_options options = {
		.kernel = file_of(&kernel_fd, kernel, input.data, input.bytes),
		.initrd = initrd_bytes ? file_of(&initrd_fd, initrd, nothing, initrd_bytes) : NULL,
		.cpus = 1,
	};
	const struct pv_machine_memory_options wanted = { .bytes = MEMORY_BYTES };
	struct pv_machine_memory memory;
	struct pv_boot boot;

	if (!pv_boot_open(&boot, &options, sentence)) {
		pv_bug_on(sentence[0] == '\0');
		return 0;
	}
	pv_bug_on(!pv_machine_memory_create(&memory, &wanted, sentence));
	load(&boot, &memory);
	pv_machine_memory_destroy(&memory);
	pv_boot_close(&boot);
	return 0;
}
