/* SPDX-License-Identifier: BSD-2-Clause */
/* Nonsense for PCI functions: configuration space, BARs, MSI-X, and queues that cannot be. */
#include "abi/pci.h"
#include "abi/virtio_blk.h"
#include "abi/virtio_ids.h"
#include "abi/virtio_ring.h"
#include "drivers/bus/pci.h"
#include "tests/guests/bare/chaos.h"

#define CONFIGS       400u
#define BAR_ACCESSES  200u
#define MSIX_ENTRIES  20u
#define DOORBELLS     60u
#define QUEUE_SETUPS  4u
#define DESCRIPTORS   512u
#define ECAM_BYTES    0x100000u
#define FUNCTION_BITS 12u
#define BUSES         0x1000000u
#define COMPLAINTS    300u
#define LEGACY_BAR    0u
#define MSIX_BAR      1u
#define MESSAGE_TO    0xfee00000u

/* ---- configuration space ---- */

/* Mostly of slots that have something in them. */
static void config_in_memory(struct chaos *chaos)
{
	uint64_t slots = chaos_below(chaos, 4) ? 4 : SLOTS;
	uint64_t function = chaos_below(chaos, 8) ? 0 : chaos_below(chaos, 8);
	uint64_t offset = chaos_below(chaos, 4) ? chaos_below(chaos, PCI_CONFIG_BYTES)
	                                        : chaos_below(chaos, PCI_CONFIG_BYTES_EXT);
	uint64_t slot = chaos_below(chaos, slots);

	chaos_memory(chaos, acpi_ecam() + (slot << 15 | function << FUNCTION_BITS | offset));
}

static void config_by_ports(struct chaos *chaos)
{
	uint32_t address = (uint32_t)chaos_below(chaos, 4 << 11);

	if (chaos_below(chaos, 4) == 0)
		address = (uint32_t)chaos_below(chaos, BUSES);
	if (chaos_below(chaos, 8))
		address |= PCI_ADDRESS_ENABLE;
	out32(PCI_PORT_ADDRESS, address);
	chaos_port(chaos, (uint16_t)(PCI_PORT_DATA + chaos_below(chaos, 4)));
}

/* BARs over what the guest cannot do without, for a moment. */
static void overlay(struct chaos *chaos, unsigned int slot)
{
	static const uint32_t places[] = { 0,          0x3f8,      0xcf8,      0x600,
		                           0x60,       0x180000,   0xe0000000, 0xc0000000,
		                           0xfee00000, 0xfec00000, 0xfffff000, 0xfffbc000 };

	for (unsigned int i = 0; i < 8; i++) {
		uint32_t bar = (uint32_t)chaos_below(chaos, PCI_BARS);
		uint32_t place = places[chaos_below(chaos, sizeof(places) / sizeof(places[0]))];

		pci_write(slot, PCI_BAR(bar), 4, place);
		pci_write(slot, PCI_COMMAND, 2, (uint32_t)chaos_value(chaos));
		chaos_port(chaos, (uint16_t)(0xcfc + chaos_below(chaos, 4)));
		chaos_memory(chaos, acpi_ecam() + chaos_below(chaos, ECAM_BYTES));
	}
}

void chaos_config(struct chaos *chaos)
{
	for (unsigned int i = 0; i < CONFIGS; i++) {
		config_in_memory(chaos);
		config_by_ports(chaos);
	}
	for (unsigned int slot = 1; slot < SLOTS; slot++)
		if (pci_is_virtio(slot))
			overlay(chaos, slot);
	pci_put_back();
}

/* ---- BARs ---- */

static void in_bar(struct chaos *chaos, unsigned int slot, unsigned int bar)
{
	bool is_io;
	uint64_t base = pci_bar(slot, bar, &is_io), bytes = pci_bar_bytes(slot, bar);
	/* Now and then across its end. */
	uint64_t offset = chaos_below(chaos, 16) ? chaos_below(chaos, bytes) : bytes - 3;

	if (chaos_below(chaos, 2))
		offset = offset % bytes & ~7ull;
	if (is_io)
		chaos_port(chaos, (uint16_t)(base + offset));
	else
		chaos_memory(chaos, base + offset);
}

/* Messages to this processor among them. */
static void in_msix(struct chaos *chaos, unsigned int slot)
{
	bool is_io;
	uint64_t base = pci_bar(slot, MSIX_BAR, &is_io);
	uint64_t bytes = pci_bar_bytes(slot, MSIX_BAR);
	uint64_t entry = base + (chaos_below(chaos, 4) ? chaos_below(chaos, 4)
	                                               : chaos_below(chaos, bytes / 16)) *
	                                16;
	uint32_t data = chaos_message(chaos_below(chaos, 0x10000));

	mmio_write(entry, 4, MESSAGE_TO | (uint32_t)chaos_below(chaos, 0x100) << 12);
	mmio_write(entry + 4, 4, chaos_below(chaos, 2) ? 0 : chaos_value(chaos));
	mmio_write(entry + 8, 4, data);
	mmio_write(entry + 12, 4, chaos_below(chaos, 4) == 0);
	chaos->accesses += 4;
}

static void string_in_bar(struct chaos *chaos, unsigned int slot, unsigned int bar)
{
	bool is_io;
	uint64_t base = pci_bar(slot, bar, &is_io), count = 64;
	uint64_t from = base + pci_bar_bytes(slot, bar) - 256, to = chaos->sandbox;

	if (is_io)
		return;
	__asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	chaos->accesses += 64;
}

void chaos_bars(struct chaos *chaos)
{
	for (unsigned int slot = 1; slot < SLOTS; slot++) {
		for (unsigned int bar = 0; pci_is_virtio(slot) && bar < PCI_BARS; bar++) {
			if (pci_bar_bytes(slot, bar) == 0)
				continue;
			for (unsigned int i = 0; i < BAR_ACCESSES; i++)
				in_bar(chaos, slot, bar);
			string_in_bar(chaos, slot, bar);
		}
		for (unsigned int i = 0; pci_is_virtio(slot) && i < MSIX_ENTRIES; i++)
			in_msix(chaos, slot);
	}
	interrupt_window();
}

/* ---- queues ---- */

static void fill_sandbox(struct chaos *chaos)
{
	uint64_t *words = (uint64_t *)chaos->sandbox;

	for (unsigned int i = 0; i < 2 * DESCRIPTORS; i += 2) {
		uint64_t bytes = chaos_below(chaos, 4) ? 16u << chaos_below(chaos, 10)
		                                       : (uint32_t)chaos_random(chaos);

		words[i] = chaos->sandbox + chaos_below(chaos, chaos->sandbox_bytes);
		words[i + 1] = bytes | chaos_below(chaos, 8) << 32 | chaos_random(chaos) << 48;
	}
	for (unsigned int i = 2 * DESCRIPTORS; i < chaos->sandbox_bytes / 8; i++)
		words[i] = chaos_below(chaos, 3) ? chaos_below(chaos, 64) : chaos_random(chaos);
}

static struct pv_gpa area(struct chaos *chaos, uint64_t align)
{
	return pv_gpa_of(chaos->sandbox +
	                 (chaos_below(chaos, chaos->sandbox_bytes) & ~(align - 1)));
}

/* Vectors of its own, to whoever has the number 0. */
static void let_it_interrupt(struct chaos *chaos, unsigned int slot, struct pv_bus *bus)
{
	uint32_t at = pci_read(slot, PCI_CAPABILITIES, 1);
	bool is_io;

	for (unsigned int i = 0; i < 48 && at && pci_read(slot, at, 1) != PCI_CAP_ID_MSIX; i++)
		at = pci_read(slot, at + 1, 1);
	pci_write(slot, at + PCI_MSIX_CONTROL, 2, PCI_MSIX_ENABLE);
	for (uint16_t i = 0; i < 4; i++) {
		uint64_t entry =
			pci_bar(slot, MSIX_BAR, &is_io) + i * sizeof(struct pci_msix_entry);

		mmio_write(entry, 4, MESSAGE_TO);
		mmio_write(entry + 4, 4, 0);
		mmio_write(entry + 8, 4, 0x40 + chaos_below(chaos, 0x80));
		mmio_write(entry + 12, 4, 0);
		pv_pci_bus_queue_vector_set((struct pv_pci_bus *)bus, i, i);
	}
}

static void set_up_queue(struct chaos *chaos, unsigned int slot)
{
	struct pv_bus *bus = pci_bus(slot);
	const uint16_t index = (uint16_t)chaos_below(chaos, 3);
	struct pv_bus_queue place = {
		.size = (uint16_t)(1u << chaos_below(chaos, 9)),
		.desc_area = chaos_below(chaos, 2) ? pv_gpa_of(chaos->sandbox) : area(chaos, 16),
		.driver_area = area(chaos, 4),
		.device_area = area(chaos, 4),
	};
	uint64_t features = 0;

	bus->ops->status_set(bus, 0);
	bus->ops->status_set(bus, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	bus->ops->features_get(bus, &features);
	if (chaos_below(chaos, 2))
		features &= chaos_random(chaos) | VIRTIO_F_VERSION_1;
	bus->ops->features_set(bus, features);
	bus->ops->status_set(bus, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
	                                  VIRTIO_STATUS_FEATURES_OK);
	bus->ops->queue_enable(bus, index, &place);
	if (chaos_below(chaos, 2))
		let_it_interrupt(chaos, slot, bus);
	bus->ops->status_set(bus, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
	                                  VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
	for (unsigned int i = 0; i < DOORBELLS; i++)
		bus->ops->kick(bus,
		               (uint16_t)(chaos_below(chaos, 2) ? index : chaos_below(chaos, 256)),
		               (uint16_t)chaos_below(chaos, 65536));
	chaos->accesses += DOORBELLS;
	if (chaos_below(chaos, 2))
		bus->ops->queue_reset(bus, index);
}

/* Each of these is a mistake that is worth a line, but for a guest that makes it for ever. */
static void complain_for_ever(struct chaos *chaos, unsigned int slot)
{
	bool is_io;
	uint16_t base = (uint16_t)pci_bar(slot, LEGACY_BAR, &is_io);

	for (unsigned int i = 0; i < COMPLAINTS; i++) {
		out32((uint16_t)(base + VIRTIO_PCI_LEGACY_QUEUE_ADDRESS), 0x7fffffff);
		out8((uint16_t)(base + VIRTIO_PCI_LEGACY_DEVICE_STATUS), 0);
	}
	chaos->accesses += 2 * COMPLAINTS;
}

void chaos_queues(struct chaos *chaos)
{
	for (unsigned int i = 0; i < QUEUE_SETUPS; i++) {
		fill_sandbox(chaos);
		for (unsigned int slot = 1; slot < SLOTS; slot++)
			if (pci_is_virtio(slot))
				set_up_queue(chaos, slot);
	}
	for (unsigned int slot = 1; slot < SLOTS; slot++)
		if (pci_is_virtio(slot))
			complain_for_ever(chaos, slot);
	interrupt_window();
}
