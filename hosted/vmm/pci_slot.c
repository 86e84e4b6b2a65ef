/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls read poll ioctl
 */
#include "hosted/control/device_storage.h"
#include "hosted/vmm/pci_slot.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/vmm/events.h"
#include "hosted/vmm/memory.h"

#define INTX_GSI  16u
#define INTX_GSIS 4u

struct vector {
	int fd;
	uint32_t gsi;
	bool is_on; /* the kernel sends what is written to the descriptor */
};

/* A BAR as it is in a space of addresses now; base 0: it is not. */
struct shown {
	struct pv_pci_slot *slot;
	unsigned int bar;
	struct pv_pci_window window;
};

struct pv_pci_slot {
	struct pv_virtio_pci virtio;
	const struct pv_pci_bus_options *bus;
	struct pv_host *host;
	void *storage;
	uint32_t intx_gsi;
	int intx_fd, resample_fd;
	uint16_t vectors;
	struct vector *vector;
	struct pv_kick_events kicks;
	struct shown shown[PCI_BARS];
};

static struct pv_pci_slot *slot_of(const struct pv_pci_function *function)
{
	return (struct pv_pci_slot *)function;
}

/* ---- interrupts ---- */

static void vector_set(struct pv_pci_function *function, uint16_t index,
                       const struct pv_msi_message *message)
{
	struct pv_pci_slot *slot = slot_of(function);
	struct pv_kvm *kvm = slot->bus->kvm;
	struct vector *vector = &slot->vector[index];

	if (!message) {
		if (vector->is_on)
			pv_kvm_irqfd_end(kvm, vector->gsi, vector->fd);
		vector->is_on = false;
		return;
	}
	if (vector->gsi == PV_KVM_GSI_NONE)
		vector->gsi = pv_kvm_gsi_alloc(kvm);
	if (vector->gsi == PV_KVM_GSI_NONE ||
	    pv_kvm_gsi_set_message(kvm, vector->gsi, message->address, message->data))
		return;
	/* What was written while it was off is sent by this. */
	if (!vector->is_on)
		vector->is_on = !pv_kvm_irqfd(kvm, vector->gsi, vector->fd, -1);
}

static bool vector_is_pending(struct pv_pci_function *function, uint16_t index)
{
	const struct vector *vector = &slot_of(function)->vector[index];
	struct pollfd readable = { .fd = vector->fd, .events = POLLIN };

	return !vector->is_on && poll(&readable, 1, 0) == 1;
}

/* Any thread. */
static void intx_raised(struct pv_pci_function *function)
{
	if (function->ops->has_intx(function))
		pv_event_signal(slot_of(function)->intx_fd);
}

/* The guest has handled an interrupt of this pin: is there more? */
static void resampled(void *arg, int events)
{
	struct pv_pci_slot *slot = arg;

	if (events >= 0)
		intx_raised(&slot->virtio.function);
}

/* ---- windows ---- */

static uint64_t window_read(void *arg, uint64_t offset, unsigned int bytes)
{
	const struct shown *shown = arg;

	return pv_pci_bar_read(&shown->slot->virtio.function, shown->bar, offset, bytes);
}

static void window_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	const struct shown *shown = arg;

	pv_pci_bar_write(&shown->slot->virtio.function, shown->bar, offset, bytes, value);
}

static const struct pv_io_ops window_ops = { window_read, window_write };

/* Doorbells at a place: of modern queues an address each, of legacy ones a value each. */
static void set_doorbells(struct pv_pci_slot *slot, unsigned int bar,
                          const struct pv_pci_window *window,
                          int (*set)(struct pv_kvm *, const struct pv_kvm_doorbell *))
{
	bool is_legacy = bar == PV_VIRTIO_PCI_BAR_LEGACY;

	if (bar == PV_VIRTIO_PCI_BAR_MSIX)
		return;
	for (uint16_t i = 0; i < slot->kicks.queues; i++) {
		struct pv_kvm_doorbell doorbell = {
			.address = window->base + (is_legacy ? VIRTIO_PCI_LEGACY_QUEUE_NOTIFY
			                                     : pv_virtio_pci_notify_offset(i)),
			.bytes = is_legacy ? 2 : 0,
			.is_io = window->is_io,
			.value = is_legacy ? &i : NULL,
			.fd = slot->kicks.fd[i],
		};

		/* Without one the write leaves the guest, and the register kicks. */
		set(slot->bus->kvm, &doorbell);
	}
}

static void hide(struct pv_pci_slot *slot, unsigned int bar)
{
	const struct pv_pci_bus_options *bus = slot->bus;
	struct pv_pci_window *window = &slot->shown[bar].window;

	if (window->base == 0)
		return;
	set_doorbells(slot, bar, window, pv_kvm_doorbell_remove);
	pv_io_remove(window->is_io ? bus->ports : bus->memory, window->base, &slot->shown[bar]);
	window->base = 0;
}

static void show(struct pv_pci_slot *slot, unsigned int bar, const struct pv_pci_window *window)
{
	const struct pv_pci_bus_options *bus = slot->bus;
	const struct pv_io_range range = { window->base, window->bytes, &window_ops,
		                           &slot->shown[bar] };

	if (!pv_io_add(window->is_io ? bus->ports : bus->memory, &range))
		return;
	slot->shown[bar].window = *window;
	set_doorbells(slot, bar, window, pv_kvm_doorbell_add);
}

static void windows_changed(struct pv_pci_function *function)
{
	struct pv_pci_slot *slot = slot_of(function);

	for (unsigned int bar = 0; bar < PCI_BARS; bar++) {
		struct pv_pci_window window;
		bool is_seen = pv_pci_window(function, bar, &window);

		if (is_seen && slot->shown[bar].window.base == window.base)
			continue;
		hide(slot, bar);
		if (is_seen)
			show(slot, bar, &window);
	}
}

static const struct pv_pci_bus_ops bus_ops = {
	.windows_changed = windows_changed,
	.vector_set = vector_set,
	.vector_is_pending = vector_is_pending,
	.intx_raised = intx_raised,
};

/* ---- the transport's host ---- */

static struct pv_pci_slot *slot_of_virtio(struct pv_virtio_pci *virtio)
{
	return (struct pv_pci_slot *)virtio;
}

static void host_route(struct pv_virtio_pci *virtio, uint16_t queue, uint16_t vector)
{
	struct pv_pci_slot *slot = slot_of_virtio(virtio);
	bool has_vector = vector < virtio->msix.vectors;

	pv_host_set_call(slot->host, queue, has_vector ? slot->vector[vector].fd : -1);
}

static void host_send(struct pv_virtio_pci *virtio, uint16_t vector)
{
	pv_event_signal(slot_of_virtio(virtio)->vector[vector].fd);
}

static void host_kick(struct pv_virtio_pci *virtio, uint16_t queue)
{
	pv_event_signal(slot_of_virtio(virtio)->kicks.fd[queue]);
}

static void host_wait(struct pv_virtio_pci *virtio)
{
	const struct pv_pci_bus_options *bus = slot_of_virtio(virtio)->bus;

	bus->wait(bus->arg);
}

static const struct pv_virtio_pci_host_ops host_ops = {
	.route = host_route,
	.send = host_send,
	.kick = host_kick,
	.wait = host_wait,
};

/* A lane's thread: the queue has no vector. */
static void lane_call(void *arg, uint16_t queue)
{
	struct pv_pci_slot *slot = arg;

	(void)queue;
	pv_virtio_pci_call(&slot->virtio);
}

static void config_changed(void *arg)
{
	struct pv_pci_slot *slot = arg;

	pv_virtio_pci_config_changed(&slot->virtio);
}

static const struct pv_host_ops transport_ops = { lane_call, config_changed };

/* ---- a slot's life ---- */

/* The watch ends with its loop. */
void pv_pci_slot_destroy(struct pv_pci_slot *slot)
{
	pv_event_close(slot->intx_fd);
	pv_event_close(slot->resample_fd);
	for (uint16_t i = 0; i < slot->vectors; i++)
		pv_event_close(slot->vector[i].fd);
	pv_kick_events_close(&slot->kicks);
	free(slot->vector);
	free(slot->storage);
	free(slot);
}

static int make_events(struct pv_pci_slot *slot)
{
	bool is_good;
	int error;

	slot->intx_fd = pv_event_create();
	slot->resample_fd = pv_event_create();
	is_good = slot->intx_fd >= 0 && slot->resample_fd >= 0;
	for (uint16_t i = 0; i < slot->vectors; i++) {
		slot->vector[i] = (struct vector){ pv_event_create(), PV_KVM_GSI_NONE, false };
		is_good = is_good && slot->vector[i].fd >= 0;
	}
	if (!is_good)
		return -EMFILE;
	error = pv_kick_events_open(&slot->kicks, slot->host,
	                            slot->virtio.transport.device->queues);
	return error ? error
	             : pv_kvm_irqfd(slot->bus->kvm, slot->intx_gsi, slot->intx_fd,
	                            slot->resample_fd);
}

static int watch(struct pv_pci_slot *slot)
{
	return pv_loop_watch(slot->bus->control, slot->resample_fd, POLLIN, resampled, slot)
	               ? 0
	               : -ENOMEM;
}

static int slot_init(struct pv_pci_slot *slot, const struct pv_pci_slot_options *options)
{
	const struct pv_virtio_pci_options virtio = {
		.bus = &bus_ops,
		.host = &host_ops,
		.device = options->device,
		.class_code = options->class_code,
		.is_transitional = options->is_transitional,
		.has_notification_data = true, /* doorbells of an address each take any width */
	};
	int error;

	*slot = (struct pv_pci_slot){
		.bus = options->bus,
		.host = options->host,
		.storage = pv_device_storage(pv_virtio_pci_storage_bytes(options->device)),
		.vector = calloc(options->device->queues + 1u, sizeof(*slot->vector)),
		.intx_gsi = INTX_GSI + options->index % INTX_GSIS,
		.intx_fd = -1,
		.resample_fd = -1
	};
	if (!slot->storage || !slot->vector)
		return -ENOMEM;
	slot->vectors = (uint16_t)(options->device->queues + 1);
	for (uint16_t i = 0; i < slot->vectors; i++)
		slot->vector[i].fd = -1;
	for (unsigned int bar = 0; bar < PCI_BARS; bar++)
		slot->shown[bar] = (struct shown){ .slot = slot, .bar = bar };
	pv_virtio_pci_init(&slot->virtio, &virtio, slot->storage);
	error = make_events(slot);
	return error ? error : watch(slot);
}

int pv_pci_slot_create(struct pv_pci_slot **created, const struct pv_pci_slot_options *options)
{
	struct pv_pci_slot *slot = calloc(1, sizeof(*slot));
	int error;

	if (!slot)
		return -ENOMEM;
	error = slot_init(slot, options);
	if (error) {
		pv_pci_slot_destroy(slot);
		return error;
	}
	pv_host_set_transport(options->host, &transport_ops, slot);
	*created = slot;
	return 0;
}

struct pv_virtio_pci *pv_pci_slot_virtio(struct pv_pci_slot *slot)
{
	return &slot->virtio;
}
