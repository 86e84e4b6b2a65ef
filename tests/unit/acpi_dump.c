/* SPDX-License-Identifier: BSD-2-Clause */
/* acpi_dump CPUS DEVICES: writes the ACPI tables of a machine with so many processors, and devices
 * on MMIO, as they lie in its memory, to standard output. */
#include <stdio.h>
#include <stdlib.h>

#include "hosted/vmm/acpi.h"

int main(int argc, char **argv)
{
	static uint8_t memory[PV_ACPI_BYTES];

	if (argc != 3)
		return EXIT_FAILURE;
	pv_acpi_build(memory, (unsigned int)atoi(argv[1]), (unsigned int)atoi(argv[2]));
	return fwrite(memory, sizeof(memory), 1, stdout) == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
