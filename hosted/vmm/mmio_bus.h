/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio devices behind memory-mapped registers: places with an interrupt each, which the ACPI
 * tables tell the guest of (LNRO0005).
 *
 * Each queue has a doorbell in the kernel, by its number, at the one notification register.  The
 * interrupt is an edge: each event raises it anew, and a status bit that was not acknowledged with
 * the others does too, so that nothing is lost and no thread has to lower it.  It needs a pin of
 * its own for that.
 */
#ifndef PV_HOSTED_VMM_MMIO_BUS_H
#define PV_HOSTED_VMM_MMIO_BUS_H

#include "devices/transport/mmio/virtio.h"
#include "hosted/loop/host.h"
#include "hosted/vmm/io.h"
#include "hosted/vmm/kvm.h"

#define PV_MMIO_SLOTS 8u

struct pv_mmio_bus_options {
	struct pv_kvm *kvm;
	struct pv_io_space *memory;
	/* Waits, if not for ever, until something has happened on the control side. */
	void (*wait)(void *arg);
	void *arg;
};

struct pv_mmio_slot;

struct pv_machine_mmio {
	struct pv_mmio_bus_options options;
	struct pv_mmio_slot *slot[PV_MMIO_SLOTS]; /* of these the first `slots` are there */
	unsigned int slots;
};

/* Where a place is, and the pin of the IOAPIC that it raises. */
uint32_t pv_mmio_slot_address(unsigned int slot);
uint32_t pv_mmio_slot_gsi(unsigned int slot);

void pv_machine_mmio_init(struct pv_machine_mmio *mmio, const struct pv_mmio_bus_options *options);
/* When the control loop has gone. */
void pv_machine_mmio_fini(struct pv_machine_mmio *mmio);

/* Puts a device into the next place. Returns 0, -errno, or -ENOSPC when all are taken. */
int pv_machine_mmio_add(struct pv_machine_mmio *mmio, struct pv_device *device,
                        struct pv_host *host);

/* As when the power came on; devices may still have to come to rest. */
void pv_machine_mmio_reset(struct pv_machine_mmio *mmio);

#endif
