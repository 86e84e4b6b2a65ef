/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program of the machine's guest: Paravane's drivers (paravane_guest.h) on the machine's
 * registers. It asks for a line on the console, writes it to the disk, has all devices replaced by
 * others while that is under way, and says what it then reads there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine.h"
#include "paravane_guest.h"

#define TIMEOUT_NS   10000000000u
#define SECTOR_BYTES 512u
#define LINE_BYTES   80u

/* ---- the machine, as drivers want it ---- */

struct window {
	struct pv_mmio_port port;
	struct pv_mmio_bus bus;
	struct machine *machine;
	uint32_t address;
	uint32_t interrupts;
};

struct guest {
	struct pv_os os;
	struct machine *machine;
	struct window window[MACHINE_SLOTS];
	uint32_t ram_used;
};

static uint32_t window_bytes(struct pv_mmio_port *port)
{
	(void)port;
	return MACHINE_SLOT_BYTES;
}

static uint32_t window_read(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes)
{
	struct window *window = (struct window *)port;

	return machine_read(window->machine, window->address + offset, bytes);
}

static void window_write(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes,
                         uint32_t value)
{
	struct window *window = (struct window *)port;

	machine_write(window->machine, window->address + offset, bytes, value);
}

static const struct pv_mmio_port_ops window_ops = { window_bytes, window_read, window_write };

static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	struct guest *guest = (struct guest *)os;
	size_t at = (guest->ram_used + align - 1) & ~(align - 1);

	if (bytes > MACHINE_RAM_BYTES || at > MACHINE_RAM_BYTES - bytes)
		return NULL;
	guest->ram_used = (uint32_t)(at + bytes);
	*addr = pv_gpa_of(MACHINE_RAM_BASE + at);
	return machine_ram(guest->machine) + at;
}

static void shared_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os;
	(void)memory;
	(void)bytes;
}

/* Requests have their data in the machine's memory, where else. */
static uint32_t map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                    struct pv_gpa *addr)
{
	uintptr_t at = (uintptr_t)memory - (uintptr_t)machine_ram(((struct guest *)os)->machine);

	(void)is_written;
	*addr = pv_gpa_of(MACHINE_RAM_BASE + at);
	return at < MACHINE_RAM_BYTES ? bytes : 0;
}

static void *own_alloc(struct pv_os *os, size_t bytes)
{
	(void)os;
	return calloc(1, bytes);
}

static void own_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os;
	(void)bytes;
	free(memory);
}

static uint64_t now_ns(struct pv_os *os)
{
	struct timespec now;

	(void)os;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The interrupt controller says whose line is high, and the driver says that it has seen it. */
static void wait_for_interrupt(struct pv_os *os, uint64_t ns)
{
	struct guest *guest = (struct guest *)os;
	uint32_t lines;

	(void)ns;
	machine_wait(guest->machine);
	lines = machine_read(guest->machine, MACHINE_BOARD, 4);
	for (uint32_t i = 0; i < MACHINE_SLOTS; i++)
		if (lines >> i & 1 && pv_mmio_bus_interrupt_take(&guest->window[i].bus))
			guest->window[i].interrupts++;
}

static const struct pv_os_ops os_ops = {
	.shared_alloc = shared_alloc,
	.shared_free = shared_free,
	.map = map,
	.alloc = own_alloc,
	.free = own_free,
	.now_ns = now_ns,
	.wait = wait_for_interrupt,
};

static bool find_devices(struct guest *guest)
{
	for (uint32_t i = 0; i < MACHINE_SLOTS; i++) {
		struct window *window = &guest->window[i];

		window->port.ops = &window_ops;
		window->machine = guest->machine;
		window->address = MACHINE_SLOT(i);
		if (pv_mmio_bus_init(&window->bus, &window->port))
			return false;
	}
	return true;
}

/* ---- a console, for which there is no driver yet ---- */

struct console {
	struct guest *guest;
	struct pv_driver driver;
	struct pv_driver_queue in, out;
	char *text; /* for the device to read and write */
	struct pv_gpa text_gpa;
};

static bool console_open(struct console *console, struct guest *guest)
{
	const struct pv_driver_wish wish = { .wanted = PV_DRIVER_FEATURES };
	const struct pv_driver_queue_options options = { .size_max = 8 };

	console->guest = guest;
	console->text = shared_alloc(&guest->os, LINE_BYTES, 1, &console->text_gpa);
	return console->text &&
	       pv_driver_init(&console->driver, &guest->window[MACHINE_CONSOLE].bus.bus, &guest->os,
	                      &wish) == 0 &&
	       pv_driver_queue_init(&console->in, &console->driver, 0, &options) == 0 &&
	       pv_driver_queue_init(&console->out, &console->driver, 1, &options) == 0 &&
	       pv_driver_start(&console->driver) == 0;
}

static void console_close(struct console *console)
{
	pv_driver_stop(&console->driver);
	pv_driver_queue_fini(&console->in);
	pv_driver_queue_fini(&console->out);
}

/* Has the device work on `bytes` bytes of the text. Returns what it wrote to them; -1 for none. */
static int console_do(struct console *console, struct pv_driver_queue *queue, uint32_t bytes)
{
	const struct pv_sg sg = { console->text_gpa, bytes };
	bool is_input = queue == &console->in;
	struct pv_os *os = &console->guest->os;
	uint64_t end_ns = now_ns(os) + TIMEOUT_NS;
	uint32_t written_bytes = 0;
	void *token;

	if (pv_drv_ring_add(&queue->ring, &sg, !is_input, is_input, console))
		return -1;
	pv_driver_queue_publish(queue);
	while (pv_drv_ring_take(&queue->ring, &token, &written_bytes) != PV_DRV_TAKEN) {
		if (queue->ring.is_broken || now_ns(os) > end_ns)
			return -1;
		if (!pv_drv_ring_interrupts_on(&queue->ring))
			wait_for_interrupt(os, 0);
	}
	return (int)written_bytes;
}

static bool say(struct console *console, const char *text)
{
	size_t bytes = strnlen(text, LINE_BYTES);

	memcpy(console->text, text, bytes);
	return console_do(console, &console->out, (uint32_t)bytes) == 0;
}

/* Up to the end of the line, which is left out. */
static bool ask(struct console *console, char line[LINE_BYTES])
{
	for (uint32_t at = 0; at < LINE_BYTES; at++) {
		if (console_do(console, &console->in, 1) != 1)
			return false;
		line[at] = console->text[0];
		if (line[at] == '\n') {
			line[at] = '\0';
			return true;
		}
	}
	return false;
}

/* ---- the program ---- */

static bool disk_do(struct guest *guest, struct pv_blkdrv_queue *queue, enum pv_blkdrv_op op,
                    void *sector)
{
	static struct pv_blkdrv_request request;
	const struct pv_buffer data = { sector, SECTOR_BYTES };

	request = (struct pv_blkdrv_request){ .op = op, .buffers = 1, .buffer = &data };
	if (pv_blkdrv_submit(queue, &request))
		return false;
	pv_blkdrv_publish(queue);
	/* The device is kicked, and has not looked yet. The other one has the registers that it
	 * had. */
	machine_write(guest->machine, MACHINE_BOARD, 4, 1);
	if (machine_read(guest->machine, MACHINE_SLOT(MACHINE_DISK) + VIRTIO_MMIO_QUEUE_READY, 4) !=
	    1)
		return false;
	return pv_blkdrv_wait(queue, &request, TIMEOUT_NS) == 0;
}

static bool keep_line(struct guest *guest, struct pv_blkdrv *blk, struct console *console)
{
	struct pv_blkdrv_queue *queue = pv_blkdrv_queue(blk, 0);
	struct pv_gpa gpa; /* which the driver asks for again */
	char *sector = shared_alloc(&guest->os, SECTOR_BYTES, 64, &gpa);
	char line[LINE_BYTES];

	if (!sector || !say(console, "what is to be kept?\n") || !ask(console, line))
		return false;
	snprintf(sector, SECTOR_BYTES, "%s\n", line);
	if (!disk_do(guest, queue, PV_BLKDRV_WRITE, sector))
		return false;
	memset(sector, 0, SECTOR_BYTES);
	return disk_do(guest, queue, PV_BLKDRV_READ, sector) && say(console, "the disk says: ") &&
	       say(console, sector);
}

bool guest_run(struct machine *machine)
{
	static struct guest guest;
	static struct console console;
	const struct pv_blkdrv_options options = { .timeout_ns = TIMEOUT_NS };
	struct pv_blkdrv *blk;
	bool is_good;

	guest.os.ops = &os_ops;
	guest.machine = machine;
	if (!find_devices(&guest) || !console_open(&console, &guest))
		return false;
	if (pv_blkdrv_create(&blk, &guest.window[MACHINE_DISK].bus.bus, &guest.os, &options)) {
		say(&console, "the disk does not come up\n");
		return false;
	}
	is_good = keep_line(&guest, blk, &console);
	pv_blkdrv_destroy(blk);
	console_close(&console);
	return is_good && guest.window[MACHINE_DISK].interrupts > 0 &&
	       guest.window[MACHINE_CONSOLE].interrupts > 0;
}
