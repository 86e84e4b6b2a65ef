/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's side of a machine: /dev/kvm, the machine's descriptor, memory slots, interrupts.
 *
 * Interrupt controllers are the kernel's (PIC, IOAPIC, local APICs, PIT).  What devices have to say
 * comes by irqfds: a descriptor that raises a pin or sends a message without any thread of ours in
 * between.
 */
#ifndef PV_HOSTED_VMM_KVM_H
#define PV_HOSTED_VMM_KVM_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#include "hosted/control/sentence.h"

/* The two PICs and the IOAPIC. */
#define PV_KVM_CHIPS 3u

struct pv_kvm {
	int fd;
	int vm_fd;
	size_t run_bytes; /* of a vCPU's shared page */
	unsigned int cpus_max;
	unsigned int slots;
	struct kvm_irq_routing *routes;
	unsigned int routes_max;
	unsigned int gsis;                     /* the next that is free */
	struct kvm_irqchip chip[PV_KVM_CHIPS]; /* as the kernel made them */
	struct kvm_pit_state2 pit;
};

#define PV_KVM_GSI_NONE UINT32_MAX

/* Opens /dev/kvm and makes a machine with its interrupt controllers. False with a sentence, and
 * nothing to close. */
bool pv_kvm_open(struct pv_kvm *kvm, char sentence[static PV_SENTENCE_BYTES]);
void pv_kvm_close(struct pv_kvm *kvm);

/* Interrupt controllers and the PIT as when the power came on. Processors are vcpu.h's. 0 or
 * -errno. */
int pv_kvm_reset(struct pv_kvm *kvm);

/* Each returns 0 or -errno. */
int pv_kvm_add_memory(struct pv_kvm *kvm, uint64_t gpa, void *host, uint64_t bytes);

/* A GSI of its own for messages; PV_KVM_GSI_NONE when there are no more. */
uint32_t pv_kvm_gsi_alloc(struct pv_kvm *kvm);
int pv_kvm_gsi_set_message(struct pv_kvm *kvm, uint32_t gsi, uint64_t address, uint32_t data);

/*
 * A write to `fd` raises the GSI; with `resample_fd` (-1: none) it is level-triggered: the kernel
 * lowers it when the guest has handled it, and says so there.
 */
int pv_kvm_irqfd(struct pv_kvm *kvm, uint32_t gsi, int fd, int resample_fd);
int pv_kvm_irqfd_end(struct pv_kvm *kvm, uint32_t gsi, int fd);

/* A pin of the PIC and IOAPIC by hand. */
void pv_kvm_irq_line(struct pv_kvm *kvm, uint32_t irq, bool is_high);

/* A write of `bytes` (0: any) at the address signals `fd`; only of `value`, if not NULL. */
struct pv_kvm_doorbell {
	uint64_t address;
	uint32_t bytes;
	bool is_io;
	const uint16_t *value;
	int fd;
};

int pv_kvm_doorbell_add(struct pv_kvm *kvm, const struct pv_kvm_doorbell *doorbell);
int pv_kvm_doorbell_remove(struct pv_kvm *kvm, const struct pv_kvm_doorbell *doorbell);

#endif
