/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device behind memory-mapped registers (virtio 1.3, section 4.2), version 2 or, for
 * drivers of old, version 1.
 *
 * Whoever has the bus (our monitor, an emulator, a test) shows a window of at least
 * PV_VIRTIO_MMIO_BYTES_MIN and the device's configuration, brings the guest's accesses by their
 * offset, and has an interrupt line.  Every access of any width at any offset is answered: control
 * registers to accesses of 4 bytes, the configuration to 1, 2, 4 and 8; everything else reads as
 * zero, and writes do nothing.
 *
 * A kick is a write of the queue's number to QueueNotify, which a host may listen to by itself; it
 * need not come through here.
 *
 * Version 1 is for guests that are little-endian, as our configuration is.
 */
#ifndef PV_DEVICES_MMIO_VIRTIO_H
#define PV_DEVICES_MMIO_VIRTIO_H

#include "abi/linkage.h"
#include "abi/virtio_mmio.h"
#include "devices/transport/transport.h"

PV_PUBLIC_BEGIN

struct pv_virtio_mmio;

/* What the transport asks of whoever hosts it. */
struct pv_virtio_mmio_host_ops {
	/*
	 * Any thread. The line may have to be another: ask pv_virtio_mmio_has_interrupt(), under
	 * the lock that the line is set under, or raise it only (an edge), where it is true.
	 */
	void (*interrupt_changed)(struct pv_virtio_mmio *mmio);

	/* Control side. A kick that came as an access to a register. */
	void (*kick)(struct pv_virtio_mmio *mmio, uint16_t queue);

	/*
	 * Control side. Drivers take a reset, or a queue's end, for done when they have written it:
	 * lets some time pass, until something has happened on the control side. Called again while
	 * it is not done, but not for ever. A host with one thread runs the device's lanes here.
	 */
	void (*wait)(struct pv_virtio_mmio *mmio);
};

struct pv_virtio_mmio {
	struct pv_transport transport; /* a queue's own is its QueueAlign */
	const struct pv_virtio_mmio_host_ops *host;
	uint32_t vendor_id;
	bool is_legacy;
	uint32_t page_bytes; /* GuestPageSize; 0: not known yet */
};

struct pv_virtio_mmio_options {
	const struct pv_virtio_mmio_host_ops *host;
	struct pv_device *device;
	uint32_t vendor_id; /* to show in VendorID; any */
	bool is_legacy;     /* version 1 */
	/*
	 * NOTIFICATION_DATA is offered: a kick's upper half tells where the driver's next buffers
	 * will be. A host that matches kicks by their whole value does not want it.
	 */
	bool has_notification_data;
};

/* Of registers, without the device's configuration. */
#define PV_VIRTIO_MMIO_BYTES_MIN VIRTIO_MMIO_CONFIG

/*
 * `storage` is the caller's, zeroed, 64-aligned, and stays with it, as do `options->host` and the
 * device, to whose port the rest is: its `interrupt` is to call pv_virtio_mmio_call(), its
 * `config_changed` pv_virtio_mmio_config_changed(). Control side, as is all that does not say
 * otherwise.
 */
size_t pv_virtio_mmio_storage_bytes(const struct pv_device *device);
void pv_virtio_mmio_init(struct pv_virtio_mmio *mmio, const struct pv_virtio_mmio_options *options,
                         void *storage);

/* The guest's accesses, `offset` and `bytes` as they came; a value of `bytes` bytes. */
uint64_t pv_virtio_mmio_read(struct pv_virtio_mmio *mmio, uint64_t offset, unsigned int bytes);
void pv_virtio_mmio_write(struct pv_virtio_mmio *mmio, uint64_t offset, unsigned int bytes,
                          uint64_t value);

/* Any thread. A queue has used buffers and wants to interrupt. */
void pv_virtio_mmio_call(struct pv_virtio_mmio *mmio);

/* The device's configuration or NEEDS_RESET changed. */
void pv_virtio_mmio_config_changed(struct pv_virtio_mmio *mmio);

/* Any thread. Is the line to be asserted? It is, from an event to its acknowledgement. */
bool pv_virtio_mmio_has_interrupt(const struct pv_virtio_mmio *mmio);

/* Registers and device as when the power came on. */
void pv_virtio_mmio_reset(struct pv_virtio_mmio *mmio);

/*
 * The registers; the device's own state is pv_device_save()'s, which is loaded first. Loading marks
 * a state bad that cannot be.
 */
void pv_virtio_mmio_save(const struct pv_virtio_mmio *mmio, struct pv_state_writer *to);
void pv_virtio_mmio_load(struct pv_virtio_mmio *mmio, struct pv_state_reader *from);

PV_PUBLIC_END

#endif
