/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emulator DISK: a machine with a disk and a console behind memory-mapped registers, on one thread.
 *
 * Its processor is a function (guest.c) that reaches the machine by machine_read() and
 * machine_write(), as an interpreter or a translator of instructions would.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "console.h"
#include "disk.h"
#include "machine.h"
#include "slot.h"

#define STATE_BYTES (64u << 10)
#define IDLE_MS     10

struct machine {
	uint8_t *ram;
	struct pv_mem *mem; /* the same, as devices know it */
	struct disk disk;
	struct slot slot[MACHINE_SLOTS];
	int input_fd; /* -1: it came to its end */
};

static void *give_up(const char *what)
{
	fprintf(stderr, "emulator: %s\n", what);
	exit(1);
}

static void *alloc(size_t bytes)
{
	void *memory = slot_alloc(bytes);

	return memory ? memory : give_up("no memory");
}

/* ---- devices ---- */

static void write_out(void *arg, const void *text, size_t bytes)
{
	(void)arg;
	fwrite(text, 1, bytes, stdout);
	fflush(stdout);
}

static void put_disk(struct machine *machine)
{
	static const struct pv_blk_options options = {
		.serial = "embedded",
		.queues = 1,
		.queue_size_max = 128,
		.has_write_cache = true,
	};
	struct slot *slot = &machine->slot[MACHINE_DISK];
	void *storage = alloc(pv_blk_bytes(options.queues));

	if (!slot_put(slot, pv_blk_init(storage, &slot->port, &machine->disk.store, &options),
	              storage, machine->mem))
		give_up("no memory");
}

static void put_console(struct machine *machine)
{
	static const struct console_options options = { .output = write_out };
	struct slot *slot = &machine->slot[MACHINE_CONSOLE];
	void *storage = alloc(console_bytes());

	if (!slot_put(slot, console_init(storage, &slot->port, &options), storage, machine->mem))
		give_up("no memory");
}

static void open_slot(struct machine *machine, uint32_t index)
{
	slot_open(&machine->slot[index]);
	if (index == MACHINE_DISK)
		put_disk(machine);
	else
		put_console(machine);
}

/* A device is saved and thrown away, and a new one goes on where it was. */
static void renew_slot(struct machine *machine, uint32_t index)
{
	static uint8_t state[STATE_BYTES];
	size_t bytes = slot_save(&machine->slot[index], state, sizeof(state));

	if (bytes == 0)
		give_up("a device cannot be saved");
	slot_close(&machine->slot[index]);
	open_slot(machine, index);
	if (!slot_load(&machine->slot[index], state, bytes))
		give_up("a device cannot be loaded");
}

/* ---- what the processor reaches ---- */

uint8_t *machine_ram(struct machine *machine)
{
	return machine->ram;
}

static uint32_t lines(const struct machine *machine)
{
	uint32_t high = 0;

	for (uint32_t i = 0; i < MACHINE_SLOTS; i++)
		high |= (uint32_t)machine->slot[i].is_line_high << i;
	return high;
}

static struct slot *slot_at(struct machine *machine, uint32_t address)
{
	uint32_t index = (address - MACHINE_SLOT(0)) / MACHINE_SLOT_BYTES;

	return index < MACHINE_SLOTS ? &machine->slot[index] : NULL;
}

uint32_t machine_read(struct machine *machine, uint32_t address, unsigned int bytes)
{
	struct slot *slot = slot_at(machine, address);

	if (slot)
		return (uint32_t)pv_virtio_mmio_read(&slot->mmio, address % MACHINE_SLOT_BYTES,
		                                     bytes);
	return address == MACHINE_BOARD ? lines(machine) : 0;
}

void machine_write(struct machine *machine, uint32_t address, unsigned int bytes, uint32_t value)
{
	struct slot *slot = slot_at(machine, address);

	if (slot)
		pv_virtio_mmio_write(&slot->mmio, address % MACHINE_SLOT_BYTES, bytes, value);
	else if (address == MACHINE_BOARD)
		for (uint32_t i = 0; i < MACHINE_SLOTS; i++)
			renew_slot(machine, i);
}

/* No more than there is room for: the rest can wait where it is. */
static void read_input(struct machine *machine, int wait_ms)
{
	struct pv_device *console = machine->slot[MACHINE_CONSOLE].device;
	struct pollfd input = { .fd = machine->input_fd, .events = POLLIN };
	uint8_t text[64];
	size_t room = console_room(console);
	ssize_t bytes;

	if (room == 0)
		input.fd = -1;
	if (poll(&input, 1, wait_ms) <= 0)
		return;
	bytes = read(input.fd, text, room < sizeof(text) ? room : sizeof(text));
	if (bytes > 0)
		console_input(console, text, (size_t)bytes);
	else
		machine->input_fd = -1;
}

void machine_wait(struct machine *machine)
{
	bool is_busy = false;

	for (uint32_t i = 0; i < MACHINE_SLOTS; i++)
		is_busy |= slot_run(&machine->slot[i]);
	read_input(machine, is_busy || lines(machine) ? 0 : IDLE_MS);
}

/* ---- its life ---- */

static void machine_open(struct machine *machine, const char *path)
{
	if (!disk_open(&machine->disk, path))
		give_up("the disk cannot be opened");
	machine->input_fd = STDIN_FILENO;
	machine->ram = alloc(MACHINE_RAM_BYTES);
	machine->mem = alloc(pv_mem_table_bytes(1));
	machine->mem->count = 1;
	machine->mem->region[0].gpa = pv_gpa_of(MACHINE_RAM_BASE);
	machine->mem->region[0].bytes = MACHINE_RAM_BYTES;
	machine->mem->region[0].host = machine->ram;
	if (pv_mem_seal(machine->mem))
		give_up("no such memory");
	for (uint32_t i = 0; i < MACHINE_SLOTS; i++)
		open_slot(machine, i);
}

static void machine_close(struct machine *machine)
{
	for (uint32_t i = 0; i < MACHINE_SLOTS; i++)
		slot_close(&machine->slot[i]);
	free(machine->mem);
	free(machine->ram);
	disk_close(&machine->disk);
}

int main(int argc, char **argv)
{
	static struct machine machine;
	bool is_good;

	if (argc != 2)
		give_up("usage: emulator DISK");
	machine_open(&machine, argv[1]);
	is_good = guest_run(&machine);
	machine_close(&machine);
	return is_good ? 0 : 1;
}
