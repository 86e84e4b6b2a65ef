/* SPDX-License-Identifier: BSD-2-Clause */
/* The modern registers: the common configuration structure (virtio 1.3, section 4.1.4.3). */
#include "devices/transport/pci/virtio_internal.h"

#define CFG       struct virtio_pci_common_cfg
#define AT(field) ((uint32_t)offsetof(CFG, field))

static uint32_t half(uint64_t value, uint32_t which)
{
	return which > 1 ? 0 : (uint32_t)(value >> 32 * which);
}

static void show_queue(const struct pv_virtio_pci *virtio, CFG *cfg)
{
	const struct pv_virtio_pci_queue *queue = pv_virtio_pci_selected(virtio);

	if (!queue)
		return;
	cfg->queue_size = pv_le16_of(queue->size);
	cfg->queue_msix_vector = pv_le16_of(queue->vector);
	cfg->queue_enable = pv_le16_of(queue->is_enabled);
	cfg->queue_notify_off = pv_le16_of(virtio->queue_select);
	for (uint32_t i = 0; i < 2; i++) {
		cfg->queue_desc[i] = pv_le32_of(half(queue->desc, i));
		cfg->queue_driver[i] = pv_le32_of(half(queue->driver, i));
		cfg->queue_device[i] = pv_le32_of(half(queue->device, i));
	}
	cfg->queue_reset = pv_le16_of(queue->is_resetting);
}

static CFG show(const struct pv_virtio_pci *virtio)
{
	const struct pv_device *device = virtio->device;
	CFG cfg = {
		.device_feature_select = pv_le32_of(virtio->device_feature_select),
		.device_feature =
			pv_le32_of(half(pv_device_features(device), virtio->device_feature_select)),
		.driver_feature_select = pv_le32_of(virtio->driver_feature_select),
		.driver_feature =
			pv_le32_of(half(virtio->driver_features, virtio->driver_feature_select)),
		.config_msix_vector = pv_le16_of(virtio->config_vector),
		.num_queues = pv_le16_of(device->queues),
		.device_status = pv_device_status(device),
		.config_generation = (uint8_t)device->config_generation,
		.queue_select = pv_le16_of(virtio->queue_select),
		.queue_msix_vector = pv_le16_of(VIRTIO_MSI_NO_VECTOR),
	};

	show_queue(virtio, &cfg);
	return cfg;
}

uint64_t pv_virtio_pci_common_read(const struct pv_virtio_pci *virtio, uint32_t offset,
                                   unsigned int bytes)
{
	const CFG cfg = show(virtio);

	if (offset >= sizeof(cfg) || bytes > sizeof(cfg) - offset)
		return 0;
	return pv_pci_get((const uint8_t *)&cfg + offset, bytes);
}

/* ---- writing ---- */

static void driver_feature(struct pv_virtio_pci *virtio, uint32_t value)
{
	uint32_t shift = 32 * virtio->driver_feature_select;

	if (shift > 32 || pv_device_status(virtio->device) & VIRTIO_STATUS_FEATURES_OK)
		return;
	virtio->driver_features &= ~((uint64_t)UINT32_MAX << shift);
	virtio->driver_features |= (uint64_t)value << shift;
}

/* FEATURES_OK does not stay where the features cannot be had. */
static void status(struct pv_virtio_pci *virtio, uint8_t value)
{
	uint8_t before = pv_device_status(virtio->device);

	if (value & ~before & VIRTIO_STATUS_FEATURES_OK &&
	    (!(virtio->driver_features & VIRTIO_F_VERSION_1) ||
	     pv_device_features_set(virtio->device, virtio->driver_features)))
		value &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	pv_virtio_pci_status_set(virtio, value);
}

static void enable(struct pv_virtio_pci *virtio, struct pv_virtio_pci_queue *queue)
{
	if (queue->is_enabled || queue->is_resetting || queue->size == 0)
		return;
	queue->is_enabled = true;
	if (pv_device_status(virtio->device) & VIRTIO_STATUS_DRIVER_OK)
		pv_virtio_pci_queue_start(virtio, virtio->queue_select);
}

static void reset(struct pv_virtio_pci *virtio)
{
	if (virtio->device->features & VIRTIO_F_RING_RESET)
		pv_virtio_pci_queue_reset(virtio, virtio->queue_select);
}

static void size(const struct pv_virtio_pci *virtio, struct pv_virtio_pci_queue *queue,
                 uint64_t value)
{
	if (!queue->is_enabled && value <= virtio->device->queue_size_max)
		queue->size = (uint16_t)value;
}

/* A register of the selected queue, of 16 bits. */
static void write_queue(struct pv_virtio_pci *virtio, uint32_t offset, uint64_t value)
{
	struct pv_virtio_pci_queue *queue = pv_virtio_pci_selected(virtio);

	if (!queue)
		return;
	if (offset == AT(queue_size))
		size(virtio, queue, value);
	else if (offset == AT(queue_msix_vector))
		pv_virtio_pci_queue_vector_set(virtio, virtio->queue_select,
		                               pv_virtio_pci_vector_checked(virtio, value));
	else if (offset == AT(queue_enable) && value == 1)
		enable(virtio, queue);
	else if (offset == AT(queue_reset) && value == 1)
		reset(virtio);
}

static void write_16(struct pv_virtio_pci *virtio, uint32_t offset, uint16_t value)
{
	if (offset == AT(config_msix_vector))
		virtio->config_vector = pv_virtio_pci_vector_checked(virtio, value);
	else if (offset == AT(queue_select))
		virtio->queue_select = value;
	else
		write_queue(virtio, offset, value);
}

/* One half of the address of an area of the selected queue. */
static void write_area(struct pv_virtio_pci *virtio, uint32_t offset, uint32_t value)
{
	struct pv_virtio_pci_queue *queue = pv_virtio_pci_selected(virtio);
	uint32_t shift = offset % 8 ? 32 : 0;
	uint64_t *area;

	if (!queue || queue->is_enabled)
		return;
	if (offset < AT(queue_driver))
		area = &queue->desc;
	else if (offset < AT(queue_device))
		area = &queue->driver;
	else
		area = &queue->device;
	*area = (*area & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

static void write_32(struct pv_virtio_pci *virtio, uint32_t offset, uint32_t value)
{
	if (offset == AT(device_feature_select))
		virtio->device_feature_select = value;
	else if (offset == AT(driver_feature_select))
		virtio->driver_feature_select = value;
	else if (offset == AT(driver_feature))
		driver_feature(virtio, value);
	else if (offset % 4 == 0 && offset >= AT(queue_desc) &&
	         offset < AT(queue_notif_config_data))
		write_area(virtio, offset, value);
}

/*
 * A driver writes each register in one access of its width, and addresses also in halves (section
 * 4.1.3.1); what else comes does nothing.
 */
void pv_virtio_pci_common_write(struct pv_virtio_pci *virtio, uint32_t offset, unsigned int bytes,
                                uint64_t value)
{
	switch (bytes) {
	case 1:
		if (offset == AT(device_status))
			status(virtio, (uint8_t)value);
		break;
	case 2:
		write_16(virtio, offset, (uint16_t)value);
		break;
	case 4:
		write_32(virtio, offset, (uint32_t)value);
		break;
	default:
		if (offset % 8 == 0 && offset >= AT(queue_desc) &&
		    offset < AT(queue_notif_config_data)) {
			write_area(virtio, offset, (uint32_t)value);
			write_area(virtio, offset + 4, (uint32_t)(value >> 32));
		}
		break;
	}
}
