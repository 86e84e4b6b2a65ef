/* SPDX-License-Identifier: BSD-2-Clause */
/* The modern registers: the common configuration structure (virtio 1.3, section 4.1.4.3). */
#include "devices/transport/pci/virtio_internal.h"

#define CFG       struct virtio_pci_common_cfg
#define AT(field) ((uint32_t)offsetof(CFG, field))

/* The three areas lie behind each other, each low half first. */
#define AREA(offset)    (((offset)-AT(queue_desc)) / 8)
#define IS_HIGH(offset) ((offset) % 8 != 0)

static void show_queue(const struct pv_virtio_pci *virtio, CFG *cfg)
{
	const struct pv_transport *transport = &virtio->transport;
	const struct pv_transport_queue *queue = pv_transport_selected(transport);

	if (!queue)
		return;
	cfg->queue_size = pv_le16_of(queue->size);
	cfg->queue_enable = pv_le16_of(queue->is_enabled);
	cfg->queue_notify_off = pv_le16_of((uint16_t)transport->queue_select);
	for (unsigned int i = 0; i < 2; i++) {
		cfg->queue_desc[i] = pv_le32_of(pv_transport_area(transport, PV_TRANSPORT_DESC, i));
		cfg->queue_driver[i] =
			pv_le32_of(pv_transport_area(transport, PV_TRANSPORT_DRIVER, i));
		cfg->queue_device[i] =
			pv_le32_of(pv_transport_area(transport, PV_TRANSPORT_DEVICE, i));
	}
	cfg->queue_reset = pv_le16_of(queue->is_resetting);
}

static CFG show(const struct pv_virtio_pci *virtio)
{
	const struct pv_transport *transport = &virtio->transport;
	const struct pv_device *device = transport->device;
	CFG cfg = {
		.device_feature_select = pv_le32_of(transport->device_feature_select),
		.device_feature = pv_le32_of(pv_transport_device_features(transport)),
		.driver_feature_select = pv_le32_of(transport->driver_feature_select),
		.driver_feature = pv_le32_of(pv_transport_driver_features(transport)),
		.config_msix_vector = pv_le16_of(virtio->config_vector),
		.num_queues = pv_le16_of(device->queues),
		.device_status = pv_device_status(device),
		.config_generation = (uint8_t)device->config_generation,
		.queue_select = pv_le16_of((uint16_t)transport->queue_select),
		.queue_msix_vector = pv_le16_of(pv_virtio_pci_queue_vector(virtio)),
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
	return pv_access_get((const uint8_t *)&cfg + offset, bytes);
}

/* ---- writing ---- */

static void write_16(struct pv_virtio_pci *virtio, uint32_t offset, uint16_t value)
{
	struct pv_transport *transport = &virtio->transport;

	if (offset == AT(config_msix_vector))
		virtio->config_vector = pv_virtio_pci_vector_checked(virtio, value);
	else if (offset == AT(queue_select))
		transport->queue_select = value;
	else if (offset == AT(queue_size))
		pv_transport_size_write(transport, value);
	else if (offset == AT(queue_msix_vector))
		pv_virtio_pci_queue_vector_set(virtio, value);
	else if (offset == AT(queue_enable) && value == 1)
		pv_transport_enable(transport);
	else if (offset == AT(queue_reset) && value == 1)
		pv_transport_queue_reset_write(transport);
}

static bool is_area(uint32_t offset, unsigned int bytes)
{
	return offset % bytes == 0 && offset >= AT(queue_desc) &&
	       offset < AT(queue_notif_config_data);
}

static void write_32(struct pv_transport *transport, uint32_t offset, uint32_t value)
{
	if (offset == AT(device_feature_select))
		transport->device_feature_select = value;
	else if (offset == AT(driver_feature_select))
		transport->driver_feature_select = value;
	else if (offset == AT(driver_feature))
		pv_transport_driver_features_write(transport, value);
	else if (is_area(offset, 4))
		pv_transport_area_write(transport, AREA(offset), IS_HIGH(offset), value);
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
			pv_transport_status_write(&virtio->transport, (uint8_t)value);
		break;
	case 2:
		write_16(virtio, offset, (uint16_t)value);
		break;
	case 4:
		write_32(&virtio->transport, offset, (uint32_t)value);
		break;
	default:
		if (is_area(offset, 8)) {
			write_32(&virtio->transport, offset, (uint32_t)value);
			write_32(&virtio->transport, offset + 4, (uint32_t)(value >> 32));
		}
		break;
	}
}
