/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine as its guest sees it: memory, and three windows of registers. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_RAM_BASE  0x80000000u
#define MACHINE_RAM_BYTES (4u << 20)

/* A virtio device in each slot. */
#define MACHINE_DISK       0u
#define MACHINE_CONSOLE    1u
#define MACHINE_SLOTS      2u
#define MACHINE_SLOT(n)    (0x10000000u + (n)*MACHINE_SLOT_BYTES)
#define MACHINE_SLOT_BYTES 0x1000u

/* The board. Reads: a bit for each slot whose interrupt line is high. A write: be saved and loaded.
 */
#define MACHINE_BOARD 0x20000000u

struct machine;

/* What the guest's processor does: an access of 1, 2 or 4 bytes to a register ... */
uint32_t machine_read(struct machine *machine, uint32_t address, unsigned int bytes);
void machine_write(struct machine *machine, uint32_t address, unsigned int bytes, uint32_t value);

/* ... and to memory, which begins here on the host; ... */
uint8_t *machine_ram(struct machine *machine);

/* ... or it waits until something has happened: the devices have their turn. */
void machine_wait(struct machine *machine);

/* guest.c: its program. Returns whether all went well. */
bool guest_run(struct machine *machine);

#endif
