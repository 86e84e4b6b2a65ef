/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/transport/pci/virtio_internal.h"

#include "abi/virtio_ids.h"
#include "ring/err.h"

#define QUEUES_MAX 256u

static struct pv_virtio_pci *virtio_of(const struct pv_pci_function *function)
{
	return (struct pv_virtio_pci *)function;
}

/* ---- interrupts ---- */

static void raise(struct pv_virtio_pci *virtio, uint32_t isr)
{
	/* Seen by whoever asks has_intx() when it hears that something was raised. */
	__atomic_fetch_or(&virtio->isr, isr, __ATOMIC_SEQ_CST);
	virtio->function.bus->intx_raised(&virtio->function);
}

uint8_t pv_virtio_pci_isr_read(struct pv_virtio_pci *virtio)
{
	return (uint8_t)__atomic_exchange_n(&virtio->isr, 0, __ATOMIC_SEQ_CST);
}

static bool has_intx(const struct pv_pci_function *function)
{
	return __atomic_load_n(&virtio_of(function)->isr, __ATOMIC_SEQ_CST) != 0 &&
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
	uint16_t vector = virtio->queue[queue].vector;

	if (!pv_msix_is_enabled(&virtio->msix))
		vector = PV_VIRTIO_PCI_BY_CALL;
	virtio->host->route(virtio, queue, vector);
}

void pv_virtio_pci_queue_vector_set(struct pv_virtio_pci *virtio, uint16_t queue, uint16_t vector)
{
	virtio->queue[queue].vector = vector;
	route(virtio, queue);
}

static void msix_switched(struct pv_pci_function *function)
{
	struct pv_virtio_pci *virtio = virtio_of(function);

	for (uint16_t i = 0; i < virtio->device->queues; i++)
		route(virtio, i);
}

/* ---- queues ---- */

struct pv_virtio_pci_queue *pv_virtio_pci_selected(const struct pv_virtio_pci *virtio)
{
	return virtio->queue_select < virtio->device->queues ? &virtio->queue[virtio->queue_select]
	                                                     : NULL;
}

void pv_virtio_pci_kick(struct pv_virtio_pci *virtio, uint32_t queue)
{
	if (queue < virtio->device->queues)
		virtio->host->kick(virtio, (uint16_t)queue);
}

static void forget_queue(struct pv_virtio_pci *virtio, uint16_t index)
{
	virtio->queue[index] = (struct pv_virtio_pci_queue){ .virtio = virtio,
		                                             .size = virtio->device->queue_size_max,
		                                             .vector = VIRTIO_MSI_NO_VECTOR };
	route(virtio, index);
}

static void complain(const struct pv_virtio_pci *virtio, const char *line)
{
	struct pv_port *port = virtio->device->port;

	port->ops->log(port, PV_LOG_WARNING, line);
}

void pv_virtio_pci_queue_start(struct pv_virtio_pci *virtio, uint16_t index)
{
	const struct pv_virtio_pci_queue *queue = &virtio->queue[index];
	const struct pv_ring_config config = {
		.size = queue->size,
		.desc_area = pv_gpa_of(queue->desc),
		.driver_area = pv_gpa_of(queue->driver),
		.device_area = pv_gpa_of(queue->device),
	};
	const struct pv_ring_position position = pv_ring_position_fresh();
	int err = pv_device_queue_set(virtio->device, index, &config, &position);

	if (!err)
		err = pv_device_queue_start(virtio->device, index);
	if (!err)
		return;
	complain(virtio, err == -PV_ELOCKED
	                         ? "a queue does not start: its disk is locked by somebody else"
	                         : "a queue does not start: its size or areas cannot be");
	pv_device_needs_reset(virtio->device);
}

static void start_enabled(struct pv_virtio_pci *virtio)
{
	for (uint16_t i = 0; i < virtio->device->queues; i++)
		if (virtio->queue[i].is_enabled && virtio->device->queue[i].state == PV_QUEUE_IDLE)
			pv_virtio_pci_queue_start(virtio, i);
}

/* One after the other: a device stops one queue at a time. */
static void reset_next(struct pv_virtio_pci *virtio);

static void queue_stopped(void *arg)
{
	struct pv_virtio_pci_queue *queue = arg;
	struct pv_virtio_pci *virtio = queue->virtio;

	virtio->is_stopping_queue = false;
	forget_queue(virtio, (uint16_t)(queue - virtio->queue));
	reset_next(virtio);
}

static void reset_next(struct pv_virtio_pci *virtio)
{
	for (uint16_t i = 0; i < virtio->device->queues && !virtio->is_stopping_queue; i++) {
		const struct pv_waiter waiter = { queue_stopped, &virtio->queue[i] };

		if (!virtio->queue[i].is_resetting)
			continue;
		/* It may be stopped before this returns. */
		virtio->is_stopping_queue = true;
		if (pv_device_queue_stop(virtio->device, i, waiter)) {
			virtio->is_stopping_queue = false;
			return;
		}
	}
}

void pv_virtio_pci_queue_reset(struct pv_virtio_pci *virtio, uint16_t index)
{
	if (!virtio->queue[index].is_enabled)
		return;
	virtio->queue[index].is_resetting = true;
	reset_next(virtio);
}

/* ---- status ---- */

static void forget(struct pv_virtio_pci *virtio)
{
	virtio->device_feature_select = 0;
	virtio->driver_feature_select = 0;
	virtio->driver_features = 0;
	virtio->config_vector = VIRTIO_MSI_NO_VECTOR;
	virtio->queue_select = 0;
	for (uint16_t i = 0; i < virtio->device->queues; i++)
		forget_queue(virtio, i);
	__atomic_store_n(&virtio->isr, 0, __ATOMIC_SEQ_CST);
}

/* A queue that was stopping is answered before: its waiter finds nothing to be reset any more. */
static void reset_device(struct pv_virtio_pci *virtio)
{
	pv_device_status_set(virtio->device, 0);
	forget(virtio);
}

void pv_virtio_pci_status_set(struct pv_virtio_pci *virtio, uint8_t status)
{
	uint8_t before = pv_device_status(virtio->device);

	if (status == 0) {
		reset_device(virtio);
		return;
	}
	pv_device_status_set(virtio->device, status);
	if (pv_device_status(virtio->device) & ~before & VIRTIO_STATUS_DRIVER_OK)
		start_enabled(virtio);
}

/* ---- the device's configuration ---- */

/* What lies beyond its end reads as zero. */
uint64_t pv_virtio_pci_config_read(const struct pv_virtio_pci *virtio, uint32_t offset,
                                   unsigned int bytes)
{
	uint8_t data[8] = { 0 };

	if (pv_device_config_read(virtio->device, offset, data, bytes))
		for (unsigned int i = 0; i < bytes; i++)
			pv_device_config_read(virtio->device, offset + i, data + i, 1);
	return pv_pci_get(data, bytes);
}

static void config_write(struct pv_virtio_pci *virtio, uint32_t offset, unsigned int bytes,
                         uint64_t value)
{
	uint8_t data[8];

	pv_pci_put(data, value, bytes);
	pv_device_config_write(virtio->device, offset, data, bytes);
}

/* ---- BARs ---- */

static uint64_t modern_read(struct pv_virtio_pci *virtio, uint32_t offset, unsigned int bytes)
{
	uint32_t at = offset % REGION_BYTES;

	switch (offset - at) {
	case COMMON_AT:
		return pv_virtio_pci_common_read(virtio, at, bytes);
	case ISR_AT:
		return at == 0 ? pv_virtio_pci_isr_read(virtio) : 0;
	case DEVICE_AT:
		return pv_virtio_pci_config_read(virtio, at, bytes);
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
		config_write(virtio, at, bytes, value);
		break;
	case NOTIFY_AT:
		pv_virtio_pci_kick(virtio, at / NOTIFY_STRIDE);
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
		                 pv_pci_get(cfg_data(virtio), access.bytes));
}

static void config_about_to_be_read(struct pv_pci_function *function, uint32_t offset,
                                    uint32_t bytes)
{
	struct pv_virtio_pci *virtio = virtio_of(function);
	struct cfg_access access;

	if (cfg_access(virtio, offset, bytes, &access))
		pv_pci_put(cfg_data(virtio),
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
	case VIRTIO_ID_BLOCK:
		return VIRTIO_PCI_DEVICE_BLOCK;
	case VIRTIO_ID_ENTROPY:
		return VIRTIO_PCI_DEVICE_ENTROPY;
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
	return sizeof(struct pv_virtio_pci_queue) * device->queues;
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
	*virtio =
		(struct pv_virtio_pci){ .host = options->host, .device = device, .queue = storage };
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
	forget(virtio);
}

void pv_virtio_pci_reset(struct pv_virtio_pci *virtio)
{
	reset_device(virtio);
	pv_pci_reset(&virtio->function);
}

/* ---- state ---- */

void pv_virtio_pci_save(const struct pv_virtio_pci *virtio, struct pv_state_writer *to)
{
	pv_pci_save(&virtio->function, to);
	pv_state_put_u32(to, __atomic_load_n(&virtio->isr, __ATOMIC_SEQ_CST));
	pv_state_put_u32(to, virtio->device_feature_select);
	pv_state_put_u32(to, virtio->driver_feature_select);
	pv_state_put_u64(to, virtio->driver_features);
	pv_state_put_u16(to, virtio->config_vector);
	pv_state_put_u16(to, virtio->queue_select);
	for (uint16_t i = 0; i < virtio->device->queues; i++) {
		const struct pv_virtio_pci_queue *queue = &virtio->queue[i];

		pv_state_put_u16(to, queue->size);
		pv_state_put_u16(to, queue->vector);
		pv_state_put_u8(to, queue->is_enabled);
		pv_state_put_u8(to, queue->is_resetting);
		pv_state_put_u64(to, queue->desc);
		pv_state_put_u64(to, queue->driver);
		pv_state_put_u64(to, queue->device);
	}
}

static void load_queue(struct pv_virtio_pci_queue *queue, struct pv_state_reader *from)
{
	queue->size = pv_state_get_u16(from);
	queue->vector = pv_virtio_pci_vector_checked(queue->virtio, pv_state_get_u16(from));
	queue->is_enabled = pv_state_get_u8(from) == 1;
	queue->is_resetting = pv_state_get_u8(from) == 1;
	queue->desc = pv_state_get_u64(from);
	queue->driver = pv_state_get_u64(from);
	queue->device = pv_state_get_u64(from);
	pv_state_check(from, queue->size <= queue->virtio->device->queue_size_max);
}

void pv_virtio_pci_load(struct pv_virtio_pci *virtio, struct pv_state_reader *from)
{
	pv_pci_load(&virtio->function, from);
	__atomic_store_n(&virtio->isr, pv_state_get_u32(from), __ATOMIC_SEQ_CST);
	virtio->device_feature_select = pv_state_get_u32(from);
	virtio->driver_feature_select = pv_state_get_u32(from);
	virtio->driver_features = pv_state_get_u64(from);
	virtio->config_vector = pv_virtio_pci_vector_checked(virtio, pv_state_get_u16(from));
	virtio->queue_select = pv_state_get_u16(from);
	for (uint16_t i = 0; i < virtio->device->queues; i++) {
		load_queue(&virtio->queue[i], from);
		route(virtio, i);
	}
	virtio->function.bus->intx_raised(&virtio->function);
	reset_next(virtio);
}
