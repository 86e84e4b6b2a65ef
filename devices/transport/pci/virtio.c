/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/transport/pci/virtio_internal.h"

#include "abi/virtio_ids.h"
#include "devices/transport/transport_internal.h"
#include "ring/err.h"

#define QUEUES_MAX 256u

static struct pv_virtio_pci *virtio_of(const struct pv_pci_function *function)
{
	return (struct pv_virtio_pci *)function;
}

static struct pv_virtio_pci *virtio_of_transport(struct pv_transport *transport)
{
	return (struct pv_virtio_pci *)((char *)transport -
	                                offsetof(struct pv_virtio_pci, transport));
}

/* ---- interrupts ---- */

static void raise(struct pv_virtio_pci *virtio, uint32_t isr)
{
	pv_transport_isr_raise(&virtio->transport, isr);
	virtio->function.bus->intx_raised(&virtio->function);
}

static bool has_intx(const struct pv_pci_function *function)
{
	return pv_transport_isr(&virtio_of(function)->transport) != 0 &&
	       pv_pci_intx_is_on(function);
}

void pv_virtio_pci_call(struct pv_virtio_pci *virtio)
{
	if (!pv_msix_is_enabled(&virtio->msix))
		raise(virtio, VIRTIO_PCI_ISR_QUEUE);
}

void pv_virtio_pci_config_changed(struct pv_virtio_pci *virtio)
{
	if (!pv_msix_is_enabled(&virtio->msix))
		raise(virtio, VIRTIO_PCI_ISR_CONFIG);
	else if (virtio->config_vector != VIRTIO_MSI_NO_VECTOR)
		virtio->host->send(virtio, virtio->config_vector);
}

uint16_t pv_virtio_pci_vector_checked(const struct pv_virtio_pci *virtio, uint64_t vector)
{
	return vector < virtio->msix.vectors ? (uint16_t)vector : VIRTIO_MSI_NO_VECTOR;
}

static void route(struct pv_virtio_pci *virtio, uint16_t queue)
{
	uint16_t vector = (uint16_t)virtio->transport.queue[queue].own;

	if (!pv_msix_is_enabled(&virtio->msix))
		vector = PV_VIRTIO_PCI_BY_CALL;
	virtio->host->route(virtio, queue, vector);
}

uint16_t pv_virtio_pci_queue_vector(const struct pv_virtio_pci *virtio)
{
	const struct pv_transport_queue *queue = pv_transport_selected(&virtio->transport);

	return queue ? (uint16_t)queue->own : VIRTIO_MSI_NO_VECTOR;
}

static void vector_set(struct pv_virtio_pci *virtio, uint16_t queue, uint64_t vector)
{
	virtio->transport.queue[queue].own = pv_virtio_pci_vector_checked(virtio, vector);
	route(virtio, queue);
}

void pv_virtio_pci_queue_vector_set(struct pv_virtio_pci *virtio, uint64_t vector)
{
	if (pv_transport_selected(&virtio->transport))
		vector_set(virtio, (uint16_t)virtio->transport.queue_select, vector);
}

static void msix_switched(struct pv_pci_function *function)
{
	struct pv_virtio_pci *virtio = virtio_of(function);

	for (uint16_t i = 0; i < virtio->transport.device->queues; i++)
		route(virtio, i);
}

/* ---- what happens behind the registers ---- */

static void kick(struct pv_transport *transport, uint16_t queue)
{
	struct pv_virtio_pci *virtio = virtio_of_transport(transport);

	virtio->host->kick(virtio, queue);
}

static void wait(struct pv_transport *transport)
{
	struct pv_virtio_pci *virtio = virtio_of_transport(transport);

	virtio->host->wait(virtio);
}

static void queue_forgotten(struct pv_transport *transport, uint16_t queue)
{
	vector_set(virtio_of_transport(transport), queue, VIRTIO_MSI_NO_VECTOR);
}

static void forgotten(struct pv_transport *transport)
{
	virtio_of_transport(transport)->config_vector = VIRTIO_MSI_NO_VECTOR;
}

static const struct pv_transport_ops transport_ops = { kick, wait, queue_forgotten, forgotten };

/* ---- BARs ---- */

static uint64_t modern_read(struct pv_virtio_pci *virtio, uint32_t offset, unsigned int bytes)
{
	uint32_t at = offset % REGION_BYTES;

	switch (offset - at) {
	case COMMON_AT:
		return pv_virtio_pci_common_read(virtio, at, bytes);
	case ISR_AT:
		return at == 0 ? (uint8_t)pv_transport_isr_take(&virtio->transport) : 0;
	case DEVICE_AT:
		return pv_transport_config_read(&virtio->transport, at, bytes);
	default:
		return 0;
	}
}

static void modern_write(struct pv_virtio_pci *virtio, uint32_t offset, unsigned int bytes,
                         uint64_t value)
{
	uint32_t at = offset % REGION_BYTES;

	switch (offset - at) {
	case COMMON_AT:
		pv_virtio_pci_common_write(virtio, at, bytes, value);
		break;
	case DEVICE_AT:
		pv_transport_config_write(&virtio->transport, at, bytes, value);
		break;
	case NOTIFY_AT:
		pv_transport_kick(&virtio->transport, at / NOTIFY_STRIDE);
		break;
	default:
		break;
	}
}

uint32_t pv_virtio_pci_notify_offset(uint16_t queue)
{
	return NOTIFY_AT + NOTIFY_STRIDE * queue;
}

static uint64_t bar_read(struct pv_pci_function *function, unsigned int bar, uint32_t offset,
                         unsigned int bytes)
{
	struct pv_virtio_pci *virtio = virtio_of(function);

	switch (bar) {
	case PV_VIRTIO_PCI_BAR_LEGACY:
		return pv_virtio_pci_legacy_read(virtio, offset, bytes);
	case PV_VIRTIO_PCI_BAR_MSIX:
		return pv_msix_read(&virtio->msix, offset, bytes);
	default:
		return modern_read(virtio, offset, bytes);
	}
}

static void bar_write(struct pv_pci_function *function, unsigned int bar, uint32_t offset,
                      unsigned int bytes, uint64_t value)
{
	struct pv_virtio_pci *virtio = virtio_of(function);

	switch (bar) {
	case PV_VIRTIO_PCI_BAR_LEGACY:
		pv_virtio_pci_legacy_write(virtio, offset, bytes, value);
		break;
	case PV_VIRTIO_PCI_BAR_MSIX:
		pv_msix_write(&virtio->msix, offset, bytes, value);
		break;
	default:
		modern_write(virtio, offset, bytes, value);
		break;
	}
}

/* ---- access through configuration space (section 4.1.4.9) ---- */

struct cfg_access {
	uint8_t bar;
	uint32_t offset;
	uint32_t bytes;
};

static bool cfg_access(const struct pv_virtio_pci *virtio, uint32_t offset, uint32_t bytes,
                       struct cfg_access *access)
{
	const uint32_t at = virtio->pci_cfg;
	const uint32_t data = at + (uint32_t)offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);

	if (offset >= data + 4 || offset + bytes <= data)
		return false;
	*access = (struct cfg_access){
		.bar = virtio->function.config[at + offsetof(struct virtio_pci_cap, bar)],
		.offset = pv_pci_get32(&virtio->function,
		                       at + (uint32_t)offsetof(struct virtio_pci_cap, offset)),
		.bytes = pv_pci_get32(&virtio->function,
		                      at + (uint32_t)offsetof(struct virtio_pci_cap, length)),
	};
	return (access->bytes == 1 || access->bytes == 2 || access->bytes == 4) &&
	       access->offset % access->bytes == 0;
}

static uint8_t *cfg_data(struct pv_virtio_pci *virtio)
{
	return virtio->function.config + virtio->pci_cfg +
	       offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
}

static void config_written(struct pv_pci_function *function, uint32_t offset, uint32_t bytes)
{
	struct pv_virtio_pci *virtio = virtio_of(function);
	struct cfg_access access;

	if (cfg_access(virtio, offset, bytes, &access))
		pv_pci_bar_write(function, access.bar, access.offset, access.bytes,
		                 pv_access_get(cfg_data(virtio), access.bytes));
}

static void config_about_to_be_read(struct pv_pci_function *function, uint32_t offset,
                                    uint32_t bytes)
{
	struct pv_virtio_pci *virtio = virtio_of(function);
	struct cfg_access access;

	if (cfg_access(virtio, offset, bytes, &access))
		pv_access_put(cfg_data(virtio),
		              pv_pci_bar_read(function, access.bar, access.offset, access.bytes),
		              access.bytes);
}

/* ---- making one ---- */

static const struct pv_pci_ops pci_ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.has_intx = has_intx,
	.msix_switched = msix_switched,
	.config_written = config_written,
	.config_about_to_be_read = config_about_to_be_read,
};

static uint16_t transitional_id(uint16_t virtio_id)
{
	switch (virtio_id) {
	case VIRTIO_ID_NET:
		return VIRTIO_PCI_DEVICE_NET;
	case VIRTIO_ID_BLOCK:
		return VIRTIO_PCI_DEVICE_BLOCK;
	case VIRTIO_ID_CONSOLE:
		return VIRTIO_PCI_DEVICE_CONSOLE;
	case VIRTIO_ID_ENTROPY:
		return VIRTIO_PCI_DEVICE_ENTROPY;
	case VIRTIO_ID_BALLOON:
		return VIRTIO_PCI_DEVICE_BALLOON;
	default:
		pv_bug_on(true); /* an id that the table of section 4.1.2.1 does not have */
	}
}

static struct pv_pci_identity identity_of(const struct pv_virtio_pci_options *options)
{
	uint16_t id = options->device->ops->virtio->id;
	struct pv_pci_identity identity = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = (uint16_t)(VIRTIO_PCI_DEVICE_BASE + id),
		.subsystem_vendor = VIRTIO_PCI_VENDOR,
		.subsystem = VIRTIO_PCI_SUBSYSTEM_ID_MODERN,
		.class_code = options->class_code,
		.revision = VIRTIO_PCI_REVISION_MODERN,
		.has_intx = true,
	};

	if (options->is_transitional) {
		identity.device = transitional_id(id);
		identity.subsystem = id;
		identity.revision = 0;
	}
	return identity;
}

static uint16_t add_region(struct pv_virtio_pci *virtio, uint8_t type, uint32_t offset,
                           uint32_t length)
{
	struct virtio_pci_notify_cap notify = {
		.cap = { .cap_len = sizeof(struct virtio_pci_cap),
		         .cfg_type = type,
		         .bar = PV_VIRTIO_PCI_BAR_MODERN,
		         .offset = pv_le32_of(offset),
		         .length = pv_le32_of(length) },
		.notify_off_multiplier = pv_le32_of(NOTIFY_STRIDE),
	};

	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		notify.cap.cap_len = sizeof(notify);
	return pv_pci_add_capability(&virtio->function, PCI_CAP_ID_VENDOR, &notify, NULL,
	                             notify.cap.cap_len);
}

static uint16_t add_pci_cfg(struct pv_virtio_pci *virtio)
{
	const struct virtio_pci_cfg_cap cap = {
		.cap = { .cap_len = sizeof(cap), .cfg_type = VIRTIO_PCI_CAP_PCI_CFG },
	};
	const struct virtio_pci_cfg_cap writable = {
		.cap = { .bar = 0xff,
		         .offset = pv_le32_of(UINT32_MAX),
		         .length = pv_le32_of(UINT32_MAX) },
		.pci_cfg_data = { 0xff, 0xff, 0xff, 0xff },
	};

	return pv_pci_add_capability(&virtio->function, PCI_CAP_ID_VENDOR, &cap, &writable,
	                             sizeof(cap));
}

static uint16_t vectors_of(const struct pv_device *device)
{
	return (uint16_t)(device->queues + 1); /* and one for the configuration */
}

static size_t queues_bytes(const struct pv_device *device)
{
	return sizeof(struct pv_transport_queue) * device->queues;
}

size_t pv_virtio_pci_storage_bytes(const struct pv_device *device)
{
	return queues_bytes(device) + pv_msix_storage_bytes(vectors_of(device));
}

void pv_virtio_pci_init(struct pv_virtio_pci *virtio, const struct pv_virtio_pci_options *options,
                        void *storage)
{
	const struct pv_pci_identity identity = identity_of(options);
	struct pv_device *device = options->device;

	pv_bug_on(device->queues > QUEUES_MAX);
	*virtio = (struct pv_virtio_pci){ .host = options->host };
	pv_pci_init(&virtio->function, &pci_ops, options->bus, &identity);
	pv_msix_init(&virtio->msix, &virtio->function, PV_VIRTIO_PCI_BAR_MSIX, vectors_of(device),
	             (uint8_t *)storage + queues_bytes(device));
	pv_pci_add_bar(&virtio->function, PV_VIRTIO_PCI_BAR_MODERN, PV_PCI_BAR_MEMORY_64,
	               MODERN_BYTES);
	if (options->is_transitional)
		pv_pci_add_bar(&virtio->function, PV_VIRTIO_PCI_BAR_LEGACY, PV_PCI_BAR_IO,
		               LEGACY_BYTES);
	add_region(virtio, VIRTIO_PCI_CAP_COMMON_CFG, COMMON_AT, REGION_BYTES);
	add_region(virtio, VIRTIO_PCI_CAP_ISR_CFG, ISR_AT, REGION_BYTES);
	add_region(virtio, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE_AT, REGION_BYTES);
	add_region(virtio, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY_AT, REGION_BYTES);
	virtio->pci_cfg = add_pci_cfg(virtio);
	pv_transport_init(&virtio->transport, &transport_ops, device, storage);
	if (options->has_notification_data)
		pv_transport_offer_notification_data(&virtio->transport);
}

void pv_virtio_pci_reset(struct pv_virtio_pci *virtio)
{
	pv_transport_reset(&virtio->transport);
	pv_pci_reset(&virtio->function);
}

/* ---- state ---- */

void pv_virtio_pci_save(const struct pv_virtio_pci *virtio, struct pv_state_writer *to)
{
	pv_pci_save(&virtio->function, to);
	pv_state_put_u16(to, virtio->config_vector);
	pv_transport_save(&virtio->transport, to);
}

void pv_virtio_pci_load(struct pv_virtio_pci *virtio, struct pv_state_reader *from)
{
	pv_pci_load(&virtio->function, from);
	virtio->config_vector = pv_virtio_pci_vector_checked(virtio, pv_state_get_u16(from));
	pv_transport_load(&virtio->transport, from);
	for (uint16_t i = 0; i < virtio->transport.device->queues; i++)
		vector_set(virtio, i, virtio->transport.queue[i].own);
	virtio->function.bus->intx_raised(&virtio->function);
}
