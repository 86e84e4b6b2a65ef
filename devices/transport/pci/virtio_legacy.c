/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy registers (virtio 1.3, section 4.1.4.10). A queue has the size that the device says,
 * in pages of 4096 bytes.
 */
#include "devices/transport/pci/virtio_internal.h"

static uint32_t config_at(const struct pv_virtio_pci *virtio)
{
	return pv_msix_is_enabled(&virtio->msix) ? VIRTIO_PCI_LEGACY_CONFIG_MSIX
	                                         : VIRTIO_PCI_LEGACY_CONFIG;
}

static uint64_t read_register(struct pv_virtio_pci *virtio, uint32_t offset)
{
	struct pv_transport *transport = &virtio->transport;
	const struct pv_transport_queue *queue = pv_transport_selected(transport);

	switch (offset) {
	case VIRTIO_PCI_LEGACY_DEVICE_FEATURES:
		return (uint32_t)pv_device_features(transport->device);
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		return (uint32_t)transport->driver_features;
	case VIRTIO_PCI_LEGACY_QUEUE_ADDRESS:
		return queue ? (uint32_t)(queue->area[PV_TRANSPORT_DESC] /
		                          VIRTIO_PCI_LEGACY_PAGE_BYTES)
		             : 0;
	case VIRTIO_PCI_LEGACY_QUEUE_SIZE:
		return queue ? transport->device->queue_size_max : 0;
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		return (uint16_t)transport->queue_select;
	case VIRTIO_PCI_LEGACY_DEVICE_STATUS:
		return pv_device_status(transport->device);
	case VIRTIO_PCI_LEGACY_ISR_STATUS:
		return (uint8_t)pv_transport_isr_take(transport);
	case VIRTIO_PCI_LEGACY_CONFIG_VECTOR:
		return virtio->config_vector;
	case VIRTIO_PCI_LEGACY_QUEUE_VECTOR:
		return pv_virtio_pci_queue_vector(virtio);
	default:
		return 0;
	}
}

static unsigned int bytes_of(uint32_t offset)
{
	switch (offset) {
	case VIRTIO_PCI_LEGACY_DEVICE_FEATURES:
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
	case VIRTIO_PCI_LEGACY_QUEUE_ADDRESS:
		return 4;
	case VIRTIO_PCI_LEGACY_DEVICE_STATUS:
	case VIRTIO_PCI_LEGACY_ISR_STATUS:
		return 1;
	default:
		return 2;
	}
}

uint64_t pv_virtio_pci_legacy_read(struct pv_virtio_pci *virtio, uint32_t offset,
                                   unsigned int bytes)
{
	uint32_t config = config_at(virtio);

	if (offset >= config)
		return pv_transport_config_read(&virtio->transport, offset - config, bytes);
	return bytes == bytes_of(offset) ? read_register(virtio, offset) : 0;
}

/* ---- writing ---- */

static void address(struct pv_transport *transport, uint32_t page)
{
	const uint64_t align = VIRTIO_PCI_LEGACY_PAGE_BYTES;

	if (page == 0)
		pv_transport_queue_end(transport);
	else
		pv_transport_legacy_place(transport, page * align, (uint32_t)align);
}

static void write_register(struct pv_virtio_pci *virtio, uint32_t offset, uint32_t value)
{
	struct pv_transport *transport = &virtio->transport;

	switch (offset) {
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		pv_transport_legacy_features_write(transport, value);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_ADDRESS:
		address(transport, value);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		transport->queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_NOTIFY:
		pv_transport_kick(transport, value);
		break;
	case VIRTIO_PCI_LEGACY_DEVICE_STATUS:
		pv_transport_legacy_status_write(transport, (uint8_t)value);
		break;
	case VIRTIO_PCI_LEGACY_CONFIG_VECTOR:
		virtio->config_vector = pv_virtio_pci_vector_checked(virtio, value);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_VECTOR:
		pv_virtio_pci_queue_vector_set(virtio, value);
		break;
	default:
		break;
	}
}

void pv_virtio_pci_legacy_write(struct pv_virtio_pci *virtio, uint32_t offset, unsigned int bytes,
                                uint64_t value)
{
	uint32_t config = config_at(virtio);

	if (offset >= config)
		pv_transport_config_write(&virtio->transport, offset - config, bytes, value);
	else if (bytes == bytes_of(offset))
		write_register(virtio, offset, (uint32_t)value);
}
