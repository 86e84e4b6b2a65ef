/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/transport/mmio/virtio_internal.h"

#include "devices/transport/transport_internal.h"
#include "ring/err.h"

_Static_assert(PV_TRANSPORT_ISR_QUEUE == VIRTIO_MMIO_INT_QUEUE &&
                       PV_TRANSPORT_ISR_CONFIG == VIRTIO_MMIO_INT_CONFIG,
               "bits of the interrupt status");

static struct pv_virtio_mmio *mmio_of(struct pv_transport *transport)
{
	return (struct pv_virtio_mmio *)transport;
}

/* ---- interrupts ---- */

static void raise(struct pv_virtio_mmio *mmio, uint32_t bits)
{
	pv_transport_isr_raise(&mmio->transport, bits);
	mmio->host->interrupt_changed(mmio);
}

void pv_virtio_mmio_call(struct pv_virtio_mmio *mmio)
{
	raise(mmio, VIRTIO_MMIO_INT_QUEUE);
}

void pv_virtio_mmio_config_changed(struct pv_virtio_mmio *mmio)
{
	raise(mmio, VIRTIO_MMIO_INT_CONFIG);
}

bool pv_virtio_mmio_has_interrupt(const struct pv_virtio_mmio *mmio)
{
	return pv_transport_isr(&mmio->transport) != 0;
}

static void acknowledge(struct pv_virtio_mmio *mmio, uint32_t bits)
{
	pv_transport_isr_clear(&mmio->transport, bits);
	mmio->host->interrupt_changed(mmio);
}

/* ---- what happens behind the registers ---- */

static void kick(struct pv_transport *transport, uint16_t queue)
{
	struct pv_virtio_mmio *mmio = mmio_of(transport);

	mmio->host->kick(mmio, queue);
}

static void wait(struct pv_transport *transport)
{
	struct pv_virtio_mmio *mmio = mmio_of(transport);

	mmio->host->wait(mmio);
}

static void queue_forgotten(struct pv_transport *transport, uint16_t queue)
{
	transport->queue[queue].own = LEGACY_ALIGN_DEFAULT;
}

/* The interrupt status is clear. What size a page has stays: drivers say it before they reset. */
static void forgotten(struct pv_transport *transport)
{
	struct pv_virtio_mmio *mmio = mmio_of(transport);

	mmio->host->interrupt_changed(mmio);
}

static const struct pv_transport_ops transport_ops = { kick, wait, queue_forgotten, forgotten };

/* ---- registers that both versions have ---- */

static uint32_t queue_size_max(const struct pv_transport *transport)
{
	return pv_transport_selected(transport) ? transport->device->queue_size_max : 0;
}

static uint32_t control_read(struct pv_virtio_mmio *mmio, uint32_t offset)
{
	const struct pv_transport *transport = &mmio->transport;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return VIRTIO_MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return mmio->is_legacy ? VIRTIO_MMIO_VERSION_LEGACY : VIRTIO_MMIO_VERSION_MODERN;
	case VIRTIO_MMIO_DEVICE_ID:
		return transport->device->ops->virtio->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return mmio->vendor_id;
	case VIRTIO_MMIO_QUEUE_SIZE_MAX:
		return queue_size_max(transport);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return pv_transport_isr(transport);
	case VIRTIO_MMIO_STATUS:
		return pv_device_status(transport->device);
	default:
		return mmio->is_legacy ? pv_virtio_mmio_legacy_read(mmio, offset)
		                       : pv_virtio_mmio_modern_read(mmio, offset);
	}
}

static void control_write(struct pv_virtio_mmio *mmio, uint32_t offset, uint32_t value)
{
	struct pv_transport *transport = &mmio->transport;

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		transport->device_feature_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		transport->driver_feature_select = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		transport->queue_select = value;
		break;
	case VIRTIO_MMIO_QUEUE_SIZE:
		pv_transport_size_write(transport, value);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		/* With NOTIFICATION_DATA there is more above the queue's number. */
		pv_transport_kick(transport, (uint16_t)value);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		acknowledge(mmio, value);
		break;
	default:
		if (mmio->is_legacy)
			pv_virtio_mmio_legacy_write(mmio, offset, value);
		else
			pv_virtio_mmio_modern_write(mmio, offset, value);
		break;
	}
}

/* ---- accesses ---- */

static bool is_control(uint64_t offset, unsigned int bytes)
{
	return offset < VIRTIO_MMIO_CONFIG && offset % 4 == 0 && bytes == 4;
}

static bool is_config(uint64_t offset, unsigned int bytes)
{
	return offset >= VIRTIO_MMIO_CONFIG && offset <= UINT16_MAX && pv_access_is_good(bytes);
}

uint64_t pv_virtio_mmio_read(struct pv_virtio_mmio *mmio, uint64_t offset, unsigned int bytes)
{
	if (is_control(offset, bytes))
		return control_read(mmio, (uint32_t)offset);
	if (is_config(offset, bytes))
		return pv_transport_config_read(&mmio->transport,
		                                (uint32_t)offset - VIRTIO_MMIO_CONFIG, bytes);
	return 0;
}

void pv_virtio_mmio_write(struct pv_virtio_mmio *mmio, uint64_t offset, unsigned int bytes,
                          uint64_t value)
{
	if (is_control(offset, bytes))
		control_write(mmio, (uint32_t)offset, (uint32_t)value);
	else if (is_config(offset, bytes))
		pv_transport_config_write(&mmio->transport, (uint32_t)offset - VIRTIO_MMIO_CONFIG,
		                          bytes, value);
}

/* ---- making one ---- */

size_t pv_virtio_mmio_storage_bytes(const struct pv_device *device)
{
	return sizeof(struct pv_transport_queue) * device->queues;
}

void pv_virtio_mmio_init(struct pv_virtio_mmio *mmio, const struct pv_virtio_mmio_options *options,
                         void *storage)
{
	*mmio = (struct pv_virtio_mmio){ .host = options->host,
		                         .vendor_id = options->vendor_id,
		                         .is_legacy = options->is_legacy };
	pv_transport_init(&mmio->transport, &transport_ops, options->device, storage);
	if (options->has_notification_data && !options->is_legacy)
		pv_transport_offer_notification_data(&mmio->transport);
}

void pv_virtio_mmio_reset(struct pv_virtio_mmio *mmio)
{
	pv_transport_reset(&mmio->transport);
	mmio->page_bytes = 0;
}

/* ---- state ---- */

void pv_virtio_mmio_save(const struct pv_virtio_mmio *mmio, struct pv_state_writer *to)
{
	pv_state_put_u8(to, mmio->is_legacy);
	pv_state_put_u32(to, mmio->page_bytes);
	pv_transport_save(&mmio->transport, to);
}

void pv_virtio_mmio_load(struct pv_virtio_mmio *mmio, struct pv_state_reader *from)
{
	pv_state_check(from, pv_state_get_u8(from) == mmio->is_legacy);
	mmio->page_bytes = pv_state_get_u32(from);
	pv_state_check(from, pv_virtio_mmio_is_power_or_0(mmio->page_bytes));
	pv_transport_load(&mmio->transport, from);
	for (uint16_t i = 0; i < mmio->transport.device->queues; i++)
		pv_state_check(from, pv_virtio_mmio_is_power_or_0(mmio->transport.queue[i].own));
	mmio->host->interrupt_changed(mmio);
}
