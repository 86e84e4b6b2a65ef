/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls ioctl
 */
#include "hosted/control/device_storage.h"
#include "hosted/vmm/mmio_bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/vmm/events.h"
#include "hosted/vmm/memory.h"
#include "ring/err.h"

#define VENDOR_ID 0x4e565250u /* "PRVN" */

struct pv_mmio_slot {
	struct pv_virtio_mmio virtio;
	struct pv_machine_mmio *bus;
	void *storage;
	int interrupt_fd;
	struct pv_kick_events kicks;
};

static struct pv_mmio_slot *slot_of(struct pv_virtio_mmio *virtio)
{
	return (struct pv_mmio_slot *)virtio;
}

uint32_t pv_mmio_slot_address(unsigned int slot)
{
	return PV_MMIO + slot * PV_MMIO_SLOT_BYTES;
}

/* Pins that neither the board nor PCI has. */
uint32_t pv_mmio_slot_gsi(unsigned int slot)
{
	static const uint8_t gsis[PV_MMIO_SLOTS] = { 20, 21, 22, 23, 10, 11, 5, 7 };

	pv_bug_on(slot >= PV_MMIO_SLOTS);
	return gsis[slot];
}

/* ---- the transport's host ---- */

static void interrupt_changed(struct pv_virtio_mmio *virtio)
{
	if (pv_virtio_mmio_has_interrupt(virtio))
		pv_event_signal(slot_of(virtio)->interrupt_fd);
}

static void kick(struct pv_virtio_mmio *virtio, uint16_t queue)
{
	pv_event_signal(slot_of(virtio)->kicks.fd[queue]);
}

static void wait(struct pv_virtio_mmio *virtio)
{
	const struct pv_mmio_bus_options *options = &slot_of(virtio)->bus->options;

	options->wait(options->arg);
}

static const struct pv_virtio_mmio_host_ops host_ops = { interrupt_changed, kick, wait };

/* A lane's thread. */
static void lane_call(void *arg, uint16_t queue)
{
	struct pv_mmio_slot *slot = arg;

	(void)queue;
	pv_virtio_mmio_call(&slot->virtio);
}

static void config_changed(void *arg)
{
	struct pv_mmio_slot *slot = arg;

	pv_virtio_mmio_config_changed(&slot->virtio);
}

static const struct pv_host_ops transport_ops = { lane_call, config_changed };

/* ---- the window ---- */

static uint64_t window_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct pv_mmio_slot *slot = arg;

	return pv_virtio_mmio_read(&slot->virtio, offset, bytes);
}

static void window_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct pv_mmio_slot *slot = arg;

	pv_virtio_mmio_write(&slot->virtio, offset, bytes, value);
}

static const struct pv_io_ops window_ops = { window_read, window_write };

/* Without a doorbell the write leaves the guest, and the register kicks. */
static void add_doorbells(struct pv_mmio_slot *slot, uint32_t address)
{
	for (uint16_t i = 0; i < slot->kicks.queues; i++) {
		const struct pv_kvm_doorbell doorbell = {
			.address = address + VIRTIO_MMIO_QUEUE_NOTIFY,
			.bytes = 4,
			.value = &i,
			.fd = slot->kicks.fd[i],
		};

		pv_kvm_doorbell_add(slot->bus->options.kvm, &doorbell);
	}
}

/* ---- a slot's life ---- */

static void slot_destroy(struct pv_mmio_slot *slot)
{
	pv_event_close(slot->interrupt_fd);
	pv_kick_events_close(&slot->kicks);
	free(slot->storage);
	free(slot);
}

static struct pv_mmio_slot *slot_make(struct pv_machine_mmio *mmio, struct pv_device *device)
{
	const struct pv_virtio_mmio_options options = {
		.host = &host_ops,
		.device = device,
		.vendor_id = VENDOR_ID,
	};
	struct pv_mmio_slot *slot = calloc(1, sizeof(*slot));
	void *storage = pv_device_storage(pv_virtio_mmio_storage_bytes(device));

	if (!slot || !storage) {
		free(slot);
		free(storage);
		return NULL;
	}
	slot->bus = mmio;
	slot->storage = storage;
	slot->interrupt_fd = pv_event_create();
	pv_virtio_mmio_init(&slot->virtio, &options, storage);
	return slot;
}

static int slot_connect(struct pv_mmio_slot *slot, unsigned int index, struct pv_host *host)
{
	const struct pv_mmio_bus_options *options = &slot->bus->options;
	const struct pv_io_range range = { pv_mmio_slot_address(index), PV_MMIO_SLOT_BYTES,
		                           &window_ops, slot };
	int error = pv_kick_events_open(&slot->kicks, host, slot->virtio.transport.device->queues);

	if (!error && slot->interrupt_fd < 0)
		error = -EMFILE;
	if (!error)
		error = pv_kvm_irqfd(options->kvm, pv_mmio_slot_gsi(index), slot->interrupt_fd, -1);
	if (!error && !pv_io_add(options->memory, &range))
		error = -ENOSPC;
	return error;
}

int pv_machine_mmio_add(struct pv_machine_mmio *mmio, struct pv_device *device,
                        struct pv_host *host)
{
	struct pv_mmio_slot *slot;
	int error;

	if (mmio->slots == PV_MMIO_SLOTS)
		return -ENOSPC;
	slot = slot_make(mmio, device);
	if (!slot)
		return -ENOMEM;
	error = slot_connect(slot, mmio->slots, host);
	if (error) {
		slot_destroy(slot);
		return error;
	}
	add_doorbells(slot, pv_mmio_slot_address(mmio->slots));
	pv_host_set_transport(host, &transport_ops, slot);
	mmio->slot[mmio->slots++] = slot;
	return 0;
}

void pv_machine_mmio_init(struct pv_machine_mmio *mmio, const struct pv_mmio_bus_options *options)
{
	*mmio = (struct pv_machine_mmio){ .options = *options };
}

void pv_machine_mmio_fini(struct pv_machine_mmio *mmio)
{
	for (unsigned int i = 0; i < mmio->slots; i++)
		slot_destroy(mmio->slot[i]);
}

void pv_machine_mmio_reset(struct pv_machine_mmio *mmio)
{
	for (unsigned int i = 0; i < mmio->slots; i++)
		pv_virtio_mmio_reset(&mmio->slot[i]->virtio);
}
