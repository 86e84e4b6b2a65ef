/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/mmio_couple.h"

#include <stdlib.h>
#include <string.h>

#include "ring/err.h"

#define MEMBER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* A page: the registers and room for any configuration. */
#define WINDOW_BYTES 4096u

static struct pv_mmio_couple *of_mmio(struct pv_virtio_mmio *mmio)
{
	return MEMBER_OF(mmio, struct pv_mmio_couple, mmio);
}

static struct pv_mmio_couple *of_couple(struct pv_couple *couple)
{
	return MEMBER_OF(couple, struct pv_mmio_couple, couple);
}

static struct pv_mmio_couple *of_port(struct pv_mmio_port *port)
{
	return MEMBER_OF(port, struct pv_mmio_couple, port);
}

/* ---- the transport's host ---- */

static void host_interrupt_changed(struct pv_virtio_mmio *virtio)
{
	struct pv_mmio_couple *mmio = of_mmio(virtio);
	bool is_high = pv_virtio_mmio_has_interrupt(virtio);

	mmio->raised += is_high && !mmio->is_line_high;
	mmio->is_line_high = is_high;
}

static void host_kick(struct pv_virtio_mmio *virtio, uint16_t queue)
{
	of_mmio(virtio)->couple.lane[queue].is_kicked = true;
}

static void host_wait(struct pv_virtio_mmio *virtio)
{
	struct pv_mmio_couple *mmio = of_mmio(virtio);

	mmio->waits++;
	pv_couple_run(&mmio->couple);
}

static const struct pv_virtio_mmio_host_ops host_ops = {
	.interrupt_changed = host_interrupt_changed,
	.kick = host_kick,
	.wait = host_wait,
};

static void on_interrupt(struct pv_couple *couple, uint16_t queue)
{
	(void)queue;
	pv_virtio_mmio_call(&of_couple(couple)->mmio);
}

static void on_config_change(struct pv_couple *couple)
{
	pv_virtio_mmio_config_changed(&of_couple(couple)->mmio);
}

/* ---- the driver's port ---- */

static uint32_t window_bytes(struct pv_mmio_port *port)
{
	(void)port;
	return WINDOW_BYTES;
}

static uint32_t window_read(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes)
{
	struct pv_mmio_couple *mmio = of_port(port);
	uint32_t value = (uint32_t)pv_virtio_mmio_read(&mmio->mmio, offset, bytes);

	/* A driver that looks again and again gives the device its time. */
	pv_couple_run(&mmio->couple);
	return value;
}

/*
 * Before the device looks at memory the driver has had all that it will have. A legacy device would
 * look as soon as it hears of a queue: it hears of them when the driver has them all.
 */
static bool is_held_back(struct pv_mmio_couple *mmio, uint32_t offset, uint32_t value)
{
	struct pv_mmio_couple_queue *queue = &mmio->placed[mmio->selected % PV_COUPLE_QUEUES];

	if (!mmio->mmio.is_legacy || mmio->couple.is_sealed)
		return false;
	if (offset == VIRTIO_MMIO_QUEUE_SEL)
		mmio->selected = value;
	else if (offset == VIRTIO_MMIO_QUEUE_SIZE)
		queue->size = value;
	else if (offset == VIRTIO_MMIO_LEGACY_QUEUE_ALIGN)
		queue->align = value;
	else if (offset == VIRTIO_MMIO_LEGACY_QUEUE_PFN)
		queue->page = value;
	return offset == VIRTIO_MMIO_LEGACY_QUEUE_PFN;
}

static void tell_of_queues(struct pv_mmio_couple *mmio)
{
	for (uint32_t i = 0; i < PV_COUPLE_QUEUES; i++) {
		const struct pv_mmio_couple_queue *queue = &mmio->placed[i];
		struct pv_virtio_mmio *to = &mmio->mmio;

		if (queue->page == 0)
			continue;
		pv_virtio_mmio_write(to, VIRTIO_MMIO_QUEUE_SEL, 4, i);
		pv_virtio_mmio_write(to, VIRTIO_MMIO_QUEUE_SIZE, 4, queue->size);
		pv_virtio_mmio_write(to, VIRTIO_MMIO_LEGACY_QUEUE_ALIGN, 4, queue->align);
		pv_virtio_mmio_write(to, VIRTIO_MMIO_LEGACY_QUEUE_PFN, 4, queue->page);
	}
	memset(mmio->placed, 0, sizeof(mmio->placed));
}

static void window_write(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes,
                         uint32_t value)
{
	struct pv_mmio_couple *mmio = of_port(port);

	if (is_held_back(mmio, offset, value))
		return;
	if (offset == VIRTIO_MMIO_STATUS && value & VIRTIO_STATUS_DRIVER_OK) {
		pv_couple_seal(&mmio->couple);
		tell_of_queues(mmio);
	}
	if (offset == VIRTIO_MMIO_QUEUE_NOTIFY)
		mmio->last_kick = (struct pv_couple_kick){ value, bytes };
	pv_virtio_mmio_write(&mmio->mmio, offset, bytes, value);
}

static const struct pv_mmio_port_ops port_ops = {
	.bytes = window_bytes,
	.read = window_read,
	.write = window_write,
};

/* ---- the couple ---- */

void pv_mmio_couple_open(struct pv_mmio_couple *mmio, size_t memory_bytes, struct pv_random random)
{
	memset(mmio, 0, sizeof(*mmio));
	pv_couple_open(&mmio->couple, memory_bytes, random);
	mmio->couple.on_interrupt = on_interrupt;
	mmio->couple.on_config_change = on_config_change;
	mmio->port.ops = &port_ops;
}

void pv_mmio_couple_close(struct pv_mmio_couple *mmio)
{
	pv_couple_close(&mmio->couple);
	free(mmio->storage);
}

void pv_mmio_couple_set_device(struct pv_mmio_couple *mmio, struct pv_device *device,
                               enum pv_twin_view view, bool is_legacy)
{
	const struct pv_virtio_mmio_options options = {
		.host = &host_ops,
		.device = device,
		.vendor_id = PV_MMIO_COUPLE_VENDOR,
		.is_legacy = is_legacy,
		.has_notification_data = mmio->has_notification_data,
	};
	size_t bytes = (pv_virtio_mmio_storage_bytes(device) + 63) & ~(size_t)63;

	pv_bug_on(device->queues > PV_COUPLE_QUEUES);
	free(mmio->storage);
	mmio->storage = aligned_alloc(64, bytes);
	memset(mmio->storage, 0, bytes);
	pv_couple_set_device(&mmio->couple, device, view);
	mmio->couple.has_rings_on_pages = is_legacy;
	pv_virtio_mmio_init(&mmio->mmio, &options, mmio->storage);
}

int pv_mmio_couple_probe(struct pv_mmio_couple *mmio)
{
	return pv_mmio_bus_init(&mmio->bus, &mmio->port);
}
