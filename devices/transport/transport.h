/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the registers of every transport do to a device (virtio 1.3, section 4).
 *
 * The registers are a front for the device's operations of devices/core: what the driver writes
 * about queues is collected here, and when it says DRIVER_OK, or enables a queue later, the queues
 * start.  Where registers lie and how wide they are is the transport's (pci/, mmio/), as is how a
 * device interrupts; the part of it that drivers ask about, the interrupt status, is here.
 *
 *   transport.c         the device's status, its queues, the interrupt status, state
 *   transport_modern.c  negotiation and queues as drivers since virtio 1.0 have them
 *   transport_legacy.c  as those before had them
 *
 * All of it is for the control side, except where stated.
 */
#ifndef PV_DEVICES_TRANSPORT_H
#define PV_DEVICES_TRANSPORT_H

#include "abi/linkage.h"
#include "devices/core/device.h"
#include "devices/transport/access.h"

PV_PUBLIC_BEGIN

struct pv_transport;

/* What a transport does about what happens here. */
struct pv_transport_ops {
	/* A kick that came as an access to a register; the queue exists. */
	void (*kick)(struct pv_transport *transport, uint16_t queue);

	/*
	 * A driver that takes what it wrote for done waits for it: lets some time pass, until
	 * something has happened on the control side. Called again while it is not done, but not
	 * for ever. Others may touch the registers meanwhile.
	 */
	void (*wait)(struct pv_transport *transport);

	/* A queue, or all registers, are as at the beginning: the transport's own of it follow. */
	void (*queue_forgotten)(struct pv_transport *transport, uint16_t queue);
	void (*forgotten)(struct pv_transport *transport);
};

/* The areas of a queue, in the order of the registers. */
enum { PV_TRANSPORT_DESC, PV_TRANSPORT_DRIVER, PV_TRANSPORT_DEVICE, PV_TRANSPORT_AREAS };

struct pv_transport_queue {
	struct pv_transport *transport;
	uint16_t size;
	bool is_enabled;
	bool is_resetting;
	uint64_t area[PV_TRANSPORT_AREAS];
	uint32_t own; /* the transport's: a vector (PCI), an alignment (legacy MMIO) */
};

struct pv_transport {
	const struct pv_transport_ops *ops;
	struct pv_device *device;
	uint32_t isr; /* any thread, atomic */

	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint64_t own_features; /* what the transport offers beside the device's */
	uint64_t driver_features;
	uint32_t queue_select;
	bool is_stopping_queue;
	struct pv_transport_queue *queue;
};

/* `queue` is the caller's, one for each queue of the device, and stays with it. */
void pv_transport_init(struct pv_transport *transport, const struct pv_transport_ops *ops,
                       struct pv_device *device, struct pv_transport_queue *queue);

/* The device and all registers as when the power came on. */
void pv_transport_reset(struct pv_transport *transport);

/* ---- the interrupt status: bit 0 a used buffer, bit 1 a change of the configuration ---- */

#define PV_TRANSPORT_ISR_QUEUE  1u
#define PV_TRANSPORT_ISR_CONFIG 2u

/*
 * Any thread. Each is seen by whoever asks later, also when it is another thread: who raises and
 * then tells somebody can be sure that it is found.
 */
void pv_transport_isr_raise(struct pv_transport *transport, uint32_t bits);
void pv_transport_isr_clear(struct pv_transport *transport, uint32_t bits);
uint32_t pv_transport_isr_take(struct pv_transport *transport);
uint32_t pv_transport_isr(const struct pv_transport *transport);

/* ---- status ---- */

/*
 * A driver since virtio 1.0 writes it: FEATURES_OK does not stay where the features cannot be had.
 * Zero resets the device and all registers; it is over when the status reads zero.
 */
void pv_transport_status_write(struct pv_transport *transport, uint8_t status);

/* The same for one that cannot be told. */
void pv_transport_legacy_status_write(struct pv_transport *transport, uint8_t status);

/* A driver takes a reset for done when it has written it: waits, if not for ever. */
void pv_transport_wait_for_reset(struct pv_transport *transport);

/* ---- features ---- */

/* The half of them that is selected. */
uint32_t pv_transport_device_features(const struct pv_transport *transport);
uint32_t pv_transport_driver_features(const struct pv_transport *transport);
void pv_transport_driver_features_write(struct pv_transport *transport, uint32_t value);

/* What was not offered is not taken: these drivers cannot be told. */
void pv_transport_legacy_features_write(struct pv_transport *transport, uint32_t value);

/* ---- the selected queue; without one reads give zero and writes do nothing ---- */

/* NULL where there is none. */
struct pv_transport_queue *pv_transport_selected(const struct pv_transport *transport);

/* One half of the address of an area, `is_high` the upper one. */
uint32_t pv_transport_area(const struct pv_transport *transport, unsigned int area, bool is_high);
void pv_transport_area_write(struct pv_transport *transport, unsigned int area, bool is_high,
                             uint32_t value);

void pv_transport_size_write(struct pv_transport *transport, uint64_t size);
void pv_transport_enable(struct pv_transport *transport);

/* Section 2.6.1, where it was negotiated. The queue reads as resetting until it is over. */
void pv_transport_queue_reset_write(struct pv_transport *transport);

/* The queue goes back to the beginning; `is_resetting` until it is there. */
void pv_transport_queue_reset(struct pv_transport *transport);

/* The same for a driver that takes it for done when it has written it: waits, if not for ever. */
void pv_transport_queue_end(struct pv_transport *transport);

/*
 * Section 2.7.2: the queue, of the size that it has, lies at one address, the used ring at the next
 * multiple of `align`, a power of two. It starts at once: some kick before they say DRIVER_OK.
 */
void pv_transport_legacy_place(struct pv_transport *transport, uint64_t address, uint32_t align);

/* Any queue's number, whether there is such a queue or not. */
void pv_transport_kick(struct pv_transport *transport, uint32_t queue);

/* ---- the device's configuration ---- */

/* `bytes` is at most 8. What lies beyond its end reads as zero; a write across it does nothing. */
uint64_t pv_transport_config_read(const struct pv_transport *transport, uint32_t offset,
                                  unsigned int bytes);
void pv_transport_config_write(struct pv_transport *transport, uint32_t offset, unsigned int bytes,
                               uint64_t value);

/* ---- state ---- */

/* The registers; the device's own state is loaded first. Loading marks a state bad that cannot be.
 */
void pv_transport_save(const struct pv_transport *transport, struct pv_state_writer *to);
void pv_transport_load(struct pv_transport *transport, struct pv_state_reader *from);

PV_PUBLIC_END

#endif
