/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/interrupts.h"

#include "abi/virtio_mmio.h"
#include "payload/x86/machine.h"
#include "payload/x86/msix.h"

#define VECTOR_CLOCK  0x30u
#define VECTOR_SELF   0x31u
#define VECTOR_DEVICE 0x40u /* and those behind it: an entry of MSI-X each */

/* More than the clock takes for its first interrupt, on whatever host. */
#define FIRST_TICK_NS (200 * INTERRUPTS_TICK_NS)

static struct {
	struct pci_device *pci;
	struct mmio_device *mmio;
	struct apic_pin pin;
	uint32_t before[MSIX_ENTRIES_MAX];           /* interrupts of each entry */
	volatile uint32_t queue_taken, config_taken; /* by the pin */
} line;

static uint32_t taken(unsigned int vector)
{
	return interrupts_of_vector[vector];
}

/* ---- the machine ---- */

uint32_t interrupts_of_clock(void)
{
	return taken(VECTOR_CLOCK);
}

uint32_t interrupts_of_self(void)
{
	return taken(VECTOR_SELF);
}

void interrupts_send_self(void)
{
	apic_send_self(VECTOR_SELF);
}

/* The instruction behind `sti` is done before an interrupt is taken: none comes between the two. */
void interrupts_halt(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* These two are enough for it. */
static void let_in(void)
{
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

/* Has the clock really interrupted? Nobody would wake us otherwise. */
bool interrupts_begin(void)
{
	const uint64_t begin = clock_ns();

	if (!apic_begin(VECTOR_CLOCK, INTERRUPTS_TICK_NS))
		return false;
	do
		let_in();
	while (taken(VECTOR_CLOCK) == 0 && clock_ns() - begin < FIRST_TICK_NS);
	return taken(VECTOR_CLOCK) > 0;
}

bool interrupts_are_on(void)
{
	return line.pci || line.mmio;
}

bool interrupts_sleep(uint64_t ns)
{
	if (!interrupts_are_on())
		return false;
	if (ns < INTERRUPTS_TICK_NS)
		let_in();
	else
		interrupts_halt();
	return true;
}

/* ---- a device ---- */

bool interrupts_attach_pci(struct pci_device *device)
{
	if (!msix_begin(device, apic_message_address(), VECTOR_DEVICE))
		return false;
	line.pci = device;
	for (unsigned int i = 0; i < MSIX_ENTRIES_MAX; i++)
		line.before[i] = taken(VECTOR_DEVICE + i);
	return true;
}

/* The pin is up, or may be, until the device has been asked what for. */
static void by_pin(unsigned int vector)
{
	uint32_t why;

	if (vector != VECTOR_DEVICE || !line.mmio)
		return;
	why = pv_mmio_bus_interrupt_take(&line.mmio->mmio);
	line.queue_taken += (why & VIRTIO_MMIO_INT_QUEUE) != 0;
	line.config_taken += (why & VIRTIO_MMIO_INT_CONFIG) != 0;
}

bool interrupts_attach_mmio(struct mmio_device *device, const struct apic_pin *pin)
{
	line.mmio = device;
	line.pin = *pin;
	interrupt_hook = by_pin;
	if (!apic_pin_on(pin, VECTOR_DEVICE))
		line.mmio = NULL;
	return line.mmio != NULL;
}

void interrupts_detach(void)
{
	if (line.pci)
		msix_end(line.pci);
	if (line.mmio)
		apic_pin_off(&line.pin);
	line.pci = NULL;
	line.mmio = NULL;
	line.queue_taken = line.config_taken = 0;
}

static uint32_t of_entry(uint16_t entry)
{
	return taken(VECTOR_DEVICE + entry) - line.before[entry];
}

uint32_t interrupts_of_queue(uint16_t queue)
{
	return line.pci ? of_entry(msix_entry_of_queue(line.pci, queue)) : line.queue_taken;
}

uint32_t interrupts_of_config(void)
{
	return line.pci ? of_entry(MSIX_ENTRY_CONFIG) : line.config_taken;
}

uint32_t interrupts_taken(void)
{
	uint32_t all = 0;

	for (uint16_t i = 0; line.pci && i < line.pci->msix.entries; i++)
		all += of_entry(i);
	return line.pci ? all : line.queue_taken + line.config_taken;
}

bool interrupts_are_apart(uint16_t queues)
{
	return line.pci ? line.pci->msix.entries > queues : queues == 1;
}
