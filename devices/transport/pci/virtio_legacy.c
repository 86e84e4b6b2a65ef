/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy registers (virtio 1.3, section 4.1.4.10): 32 feature bits, one address for all of a
 * queue, and a queue that is started by giving it that.
 */
#include "devices/transport/pci/virtio_internal.h"

static uint32_t config_at(const struct pv_virtio_pci *virtio)
{
	return pv_msix_is_enabled(&virtio->msix) ? VIRTIO_PCI_LEGACY_CONFIG_MSIX
	                                         : VIRTIO_PCI_LEGACY_CONFIG;
}

static uint16_t queue_vector(const struct pv_virtio_pci *virtio)
{
	const struct pv_virtio_pci_queue *queue = pv_virtio_pci_selected(virtio);

	return queue ? queue->vector : VIRTIO_MSI_NO_VECTOR;
}

static uint64_t read_register(struct pv_virtio_pci *virtio, uint32_t offset)
{
	const struct pv_virtio_pci_queue *queue = pv_virtio_pci_selected(virtio);

	switch (offset) {
	case VIRTIO_PCI_LEGACY_DEVICE_FEATURES:
		return (uint32_t)pv_device_features(virtio->device);
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		return (uint32_t)virtio->driver_features;
	case VIRTIO_PCI_LEGACY_QUEUE_ADDRESS:
		return queue ? (uint32_t)(queue->desc / VIRTIO_PCI_LEGACY_PAGE_BYTES) : 0;
	case VIRTIO_PCI_LEGACY_QUEUE_SIZE:
		return queue ? virtio->device->queue_size_max : 0;
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		return virtio->queue_select;
	case VIRTIO_PCI_LEGACY_DEVICE_STATUS:
		return pv_device_status(virtio->device);
	case VIRTIO_PCI_LEGACY_ISR_STATUS:
		return pv_virtio_pci_isr_read(virtio);
	case VIRTIO_PCI_LEGACY_CONFIG_VECTOR:
		return virtio->config_vector;
	case VIRTIO_PCI_LEGACY_QUEUE_VECTOR:
		return queue_vector(virtio);
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
		return pv_virtio_pci_config_read(virtio, offset - config, bytes);
	return bytes == bytes_of(offset) ? read_register(virtio, offset) : 0;
}

/* ---- writing ---- */

/* What was not offered is not taken: these drivers cannot be told. */
static void features(struct pv_virtio_pci *virtio, uint32_t value)
{
	uint64_t wanted = value & (uint32_t)pv_device_features(virtio->device);

	if (!pv_device_features_set(virtio->device, wanted))
		virtio->driver_features = wanted;
}

/* Section 2.7.2: table and available ring in one piece, the used ring on the next page. */
static void address(struct pv_virtio_pci *virtio, uint32_t page)
{
	const uint64_t align = VIRTIO_PCI_LEGACY_PAGE_BYTES;
	struct pv_virtio_pci_queue *queue = pv_virtio_pci_selected(virtio);

	if (!queue)
		return;
	if (page == 0) {
		pv_virtio_pci_queue_reset(virtio, virtio->queue_select);
		return;
	}
	if (queue->is_enabled)
		return;
	queue->size = virtio->device->queue_size_max;
	queue->desc = page * align;
	queue->driver = queue->desc + 16u * queue->size;
	queue->device = (queue->driver + 6 + 2u * queue->size + align - 1) / align * align;
	queue->is_enabled = true;
	/* Some kick before they say DRIVER_OK. */
	pv_virtio_pci_queue_start(virtio, virtio->queue_select);
}

static void status(struct pv_virtio_pci *virtio, uint8_t value)
{
	pv_virtio_pci_status_set(virtio, value);
	if (value == 0 && pv_device_status(virtio->device) != 0)
		virtio->host->wait_for_reset(virtio);
}

static void write_register(struct pv_virtio_pci *virtio, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		features(virtio, value);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_ADDRESS:
		address(virtio, value);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		virtio->queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_NOTIFY:
		pv_virtio_pci_kick(virtio, value);
		break;
	case VIRTIO_PCI_LEGACY_DEVICE_STATUS:
		status(virtio, (uint8_t)value);
		break;
	case VIRTIO_PCI_LEGACY_CONFIG_VECTOR:
		virtio->config_vector = pv_virtio_pci_vector_checked(virtio, value);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_VECTOR:
		if (pv_virtio_pci_selected(virtio))
			pv_virtio_pci_queue_vector_set(virtio, virtio->queue_select,
			                               pv_virtio_pci_vector_checked(virtio, value));
		break;
	default:
		break;
	}
}

void pv_virtio_pci_legacy_write(struct pv_virtio_pci *virtio, uint32_t offset, unsigned int bytes,
                                uint64_t value)
{
	uint32_t config = config_at(virtio);
	uint8_t data[8];

	if (offset >= config) {
		pv_pci_put(data, value, bytes);
		pv_device_config_write(virtio->device, offset - config, data, bytes);
	} else if (bytes == bytes_of(offset)) {
		write_register(virtio, offset, (uint32_t)value);
	}
}
