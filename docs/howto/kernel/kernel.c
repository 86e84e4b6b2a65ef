/* SPDX-License-Identifier: BSD-2-Clause */
/* A kernel that does two things: it says what its first disk begins with, and hello to the network.
 */
#include "paravane_guest.h"

/* ---- the machine: ports, a serial line, mem*() ---- */

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void say(const char *text)
{
	while (*text)
		out8(0x3f8, (uint8_t)*text++);
}

void *memset(void *to, int value, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

/* ---- the port: what the drivers ask of us ---- */

static uint8_t memory[1 << 20] __attribute__((aligned(4096)));
static size_t memory_used;

/* Address for address: what we call it is what the device calls it. */
static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	size_t at = (memory_used + align - 1) & ~(align - 1);

	(void)os;
	if (at + bytes > sizeof(memory))
		return NULL;
	memory_used = at + bytes;
	*addr = pv_gpa_of((uint64_t)&memory[at]);
	return &memory[at];
}

static uint32_t map(struct pv_os *os, void *what, uint32_t bytes, bool is_written,
                    struct pv_gpa *addr)
{
	(void)os;
	(void)is_written;
	*addr = pv_gpa_of((uint64_t)what);
	return bytes;
}

static void *alloc(struct pv_os *os, size_t bytes)
{
	struct pv_gpa addr;

	return shared_alloc(os, bytes, 64, &addr);
}

static void release(struct pv_os *os, void *what, size_t bytes)
{
	(void)os;
	(void)what;
	(void)bytes;
}

/* Good enough for time limits: a processor counts a nanosecond or less at a time. */
static uint64_t now_ns(struct pv_os *os)
{
	uint32_t low, high;

	(void)os;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void wait(struct pv_os *os, uint64_t ns)
{
	(void)os;
	(void)ns;
	__asm__ volatile("pause");
}

static const struct pv_os_ops os_ops = { shared_alloc, release, map,    NULL,
	                                 alloc,        release, now_ns, wait };
static struct pv_os os = { &os_ops };

/* ---- PCI: configuration space by ports, BARs where firmware has put them ---- */

struct function {
	struct pv_pci_port port;
	uint32_t slot;
};

static uint32_t config(uint32_t slot, uint32_t offset)
{
	out32(0xcf8, 0x80000000 | slot << 11 | (offset & 0xfc));
	return in32(0xcfc) >> 8 * (offset & 3);
}

static uint32_t config_read(struct pv_pci_port *port, uint32_t offset, unsigned int bytes)
{
	uint32_t value = config(((struct function *)port)->slot, offset);

	return bytes == 4 ? value : value & ((1u << 8 * bytes) - 1);
}

/* The drivers write to the command register and to nothing else. */
static void config_write(struct pv_pci_port *port, uint32_t offset, unsigned int bytes,
                         uint32_t value)
{
	(void)bytes;
	out32(0xcf8, 0x80000000 | ((struct function *)port)->slot << 11 | (offset & 0xfc));
	out32(0xcfc, value);
}

static volatile uint8_t *bar_at(struct pv_pci_port *port, unsigned int bar, uint32_t offset)
{
	uint32_t low = config_read(port, PCI_BAR(bar), 4) & ~PCI_BAR_MEMORY_FLAGS;

	return (volatile uint8_t *)(uint64_t)(low + offset);
}

/* Modern devices have their registers in memory, in less than this. */
static uint64_t bar_bytes(struct pv_pci_port *port, unsigned int bar)
{
	uint32_t value = config_read(port, PCI_BAR(bar), 4);

	return value & PCI_BAR_IO || value == 0 ? 0 : 0x4000;
}

static uint32_t bar_read(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                         unsigned int bytes)
{
	volatile uint8_t *at = bar_at(port, bar, offset);

	if (bytes == 1)
		return *at;
	return bytes == 2 ? *(volatile uint16_t *)at : *(volatile uint32_t *)at;
}

static void bar_write(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                      unsigned int bytes, uint32_t value)
{
	volatile uint8_t *at = bar_at(port, bar, offset);

	if (bytes == 1)
		*at = (uint8_t)value;
	else if (bytes == 2)
		*(volatile uint16_t *)at = (uint16_t)value;
	else
		*(volatile uint32_t *)at = value;
}

static const struct pv_pci_port_ops port_ops = { config_read, config_write, bar_bytes, bar_read,
	                                         bar_write };

/* ---- what it is all about ---- */

static void read_disk(struct pv_bus *bus)
{
	const struct pv_blkdrv_options options = { .timeout_ns = 10000000000 };
	static uint8_t sector[512];
	const struct pv_buffer data = { sector, sizeof(sector) };
	static struct pv_blkdrv_request request = { .op = PV_BLKDRV_READ, .buffers = 1 };
	struct pv_blkdrv *blk;

	if (pv_blkdrv_create(&blk, bus, &os, &options)) {
		say("the disk does not come up\n");
		return;
	}
	request.buffer = &data;
	if (pv_blkdrv_do(pv_blkdrv_queue(blk, 0), &request, options.timeout_ns) == 0) {
		sector[64] = '\0';
		say("the disk begins with: ");
		say((const char *)sector);
		say("\n");
	}
	pv_blkdrv_destroy(blk);
}

/* To everybody, from us, by a protocol that is for experiments; padded with zeroes. */
static void say_hello(struct pv_bus *bus)
{
	const struct pv_netdrv_options options = { .timeout_ns = 10000000000 };
	static uint8_t frame[60] = "\xff\xff\xff\xff\xff\xff"
				   "MACMAC"
				   "\x88\xb5"
				   "Hello, network";
	const struct pv_buffer data = { frame, sizeof(frame) };
	static struct pv_netdrv_packet packet = { .buffers = 1 };
	struct pv_netdrv *net;

	if (pv_netdrv_create(&net, bus, &os, &options)) {
		say("the network does not come up\n");
		return;
	}
	memcpy(frame + 6, pv_netdrv_info(net)->mac, 6);
	packet.buffer = &data;
	if (pv_netdrv_send(pv_netdrv_tx(net, 0), &packet) == 0) {
		pv_netdrv_publish(pv_netdrv_tx(net, 0));
		if (pv_netdrv_wait(pv_netdrv_tx(net, 0), &packet.is_done, options.timeout_ns) == 0)
			say("the network was told hello\n");
	}
	pv_netdrv_destroy(net);
}

void kernel(void);

void kernel(void)
{
	static struct function function = { .port = { &port_ops } };
	static struct pv_pci_bus bus;

	for (function.slot = 0; function.slot < 32; function.slot++) {
		if (pv_pci_bus_init(&bus, &function.port))
			continue;
		if (bus.bus.device_id == 2)
			read_disk(&bus.bus);
		else if (bus.bus.device_id == 1)
			say_hello(&bus.bus);
	}
	out16(0x604, 0x2000); /* switches QEMU's q35 off */
}
