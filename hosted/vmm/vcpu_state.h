/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that a virtual processor is in the kernel: what a reset has to put back, where KVM does not
 * do it itself.  That is registers, the local APIC, and the model-specific registers, among them
 * those that have the kernel write to the guest's memory (its clock, its interrupts' ends), which
 * must stop.
 */
#ifndef PV_HOSTED_VMM_VCPU_STATE_H
#define PV_HOSTED_VMM_VCPU_STATE_H

#include "hosted/vmm/kvm.h"

struct pv_vcpu_state;

/* Reads what a processor is now. NULL without memory, or if KVM refuses. */
struct pv_vcpu_state *pv_vcpu_state_get(const struct pv_kvm *kvm, int vcpu_fd);
void pv_vcpu_state_free(struct pv_vcpu_state *state);

/* Makes a processor that again, but for its time stamp counter, which goes on. Returns 0 or -errno.
 */
int pv_vcpu_state_put(const struct pv_vcpu_state *state, int vcpu_fd);

#endif
