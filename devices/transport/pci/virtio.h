/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio device as a PCI function (virtio 1.3, section 4.1), modern or transitional.
 *
 * What the registers do to the device is the same for all transports (transport.h); here are where
 * they lie, and the vectors.  Kicks and interrupts are not this file's way as a rule: the host
 * listens at the notification address of each queue (pv_virtio_pci_notify_offset) and lets queues
 * send their own vectors (`route`).
 *
 * A transitional device has the legacy registers in BAR 0 besides; a driver uses one set or the
 * other.
 *
 *   virtio.c         the function and its interrupts
 *   virtio_common.c  the modern registers
 *   virtio_legacy.c  the legacy ones
 */
#ifndef PV_DEVICES_PCI_VIRTIO_H
#define PV_DEVICES_PCI_VIRTIO_H

#include "abi/linkage.h"
#include "abi/virtio_pci.h"
#include "devices/transport/pci/msix.h"
#include "devices/transport/transport.h"

PV_PUBLIC_BEGIN

struct pv_virtio_pci;

/* Instead of a vector: the queue calls pv_virtio_pci_call(), or nobody. */
#define PV_VIRTIO_PCI_BY_CALL 0xfffeu
#define PV_VIRTIO_PCI_BY_NONE 0xffffu

/* What the transport asks of whoever hosts it, beside the bus. Control side. */
struct pv_virtio_pci_host_ops {
	/* How a queue interrupts from here on: by a vector, or one of the two above. */
	void (*route)(struct pv_virtio_pci *virtio, uint16_t queue, uint16_t vector);

	/* Sends a vector; it stays pending while it is masked. */
	void (*send)(struct pv_virtio_pci *virtio, uint16_t vector);

	/* A kick that came as an access to a register. */
	void (*kick)(struct pv_virtio_pci *virtio, uint16_t queue);

	/*
	 * A legacy driver takes a reset for done when it has written it: lets some time pass, until
	 * something has happened on the control side. Called again while it is not done, but not
	 * for ever.
	 */
	void (*wait)(struct pv_virtio_pci *virtio);
};

struct pv_virtio_pci {
	struct pv_pci_function function;
	struct pv_transport transport; /* a queue's own is its vector */
	struct pv_msix msix;
	const struct pv_virtio_pci_host_ops *host;
	uint16_t config_vector;
	uint16_t pci_cfg; /* the offset of that capability */
};

struct pv_virtio_pci_options {
	const struct pv_pci_bus_ops *bus;
	const struct pv_virtio_pci_host_ops *host;
	struct pv_device *device;
	uint16_t class_code;
	bool is_transitional;       /* the device has a legacy interface and a transitional id */
	bool has_notification_data; /* NOTIFICATION_DATA is offered: kicks of four bytes */
};

/* BARs. */
#define PV_VIRTIO_PCI_BAR_LEGACY 0u
#define PV_VIRTIO_PCI_BAR_MSIX   1u
#define PV_VIRTIO_PCI_BAR_MODERN 4u

/* `storage` is the caller's, zeroed, 64-aligned, and stays with it. At most 256 queues. */
size_t pv_virtio_pci_storage_bytes(const struct pv_device *device);
void pv_virtio_pci_init(struct pv_virtio_pci *virtio, const struct pv_virtio_pci_options *options,
                        void *storage);

/* Where in BAR MODERN a write of any width kicks this queue. */
uint32_t pv_virtio_pci_notify_offset(uint16_t queue);

/* Any thread. A queue without a vector calls: INTx, unless MSI-X is on. */
void pv_virtio_pci_call(struct pv_virtio_pci *virtio);

/* The device's configuration or NEEDS_RESET changed. */
void pv_virtio_pci_config_changed(struct pv_virtio_pci *virtio);

/* The function's registers and the device, as when the power came on. */
void pv_virtio_pci_reset(struct pv_virtio_pci *virtio);

/*
 * The registers, of function and transport; the device's own state is pv_device_save()'s, which is
 * loaded first. Loading marks a state bad that cannot be.
 */
void pv_virtio_pci_save(const struct pv_virtio_pci *virtio, struct pv_state_writer *to);
void pv_virtio_pci_load(struct pv_virtio_pci *virtio, struct pv_state_reader *from);

PV_PUBLIC_END

#endif
