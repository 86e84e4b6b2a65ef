/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's PCI bus: a host bridge, and virtio devices in slots.
 *
 * Configuration space is reached by ports and in memory (ECAM).  BARs get their places before the
 * guest runs, since there is no firmware to do it, and follow what the guest makes of that.  Each
 * queue has a doorbell in the kernel at its notification address, and each vector an irqfd, so that
 * neither kicks nor interrupts wake a thread on their way.  Whatever else happens here happens with
 * the machine's lock.
 */
#ifndef PV_HOSTED_VMM_PCI_BUS_H
#define PV_HOSTED_VMM_PCI_BUS_H

#include "devices/transport/pci/virtio.h"
#include "hosted/loop/host.h"
#include "hosted/vmm/io.h"
#include "hosted/vmm/kvm.h"

#define PV_PCI_SLOTS 32u

struct pv_pci_bus_options {
	struct pv_kvm *kvm;
	struct pv_io_space *ports, *memory;
	struct pv_loop *control;
	/* Waits, if not for ever, until something has happened on the control side. */
	void (*wait)(void *arg);
	void *arg;
};

struct pv_pci_slot;

struct pv_machine_pci {
	struct pv_pci_bus_options options;
	struct pv_pci_function bridge;
	struct pv_pci_slot *slot[PV_PCI_SLOTS]; /* the first is the bridge's: NULL */
	uint32_t address;                       /* of the port */
	uint32_t next_memory, next_io;          /* places for BARs */
};

/* Returns 0 or -errno. */
int pv_machine_pci_init(struct pv_machine_pci *pci, const struct pv_pci_bus_options *options);
/* When the control loop has gone. */
void pv_machine_pci_fini(struct pv_machine_pci *pci);

/* Puts a device into the next slot. Returns 0, -errno, or -ENOSPC when all are taken. */
int pv_machine_pci_add(struct pv_machine_pci *pci, struct pv_device *device, struct pv_host *host,
                       uint16_t class_code);

/* As when the power came on; devices may still have to come to rest. */
void pv_machine_pci_reset(struct pv_machine_pci *pci);

#endif
