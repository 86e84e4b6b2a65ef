/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/kvm: is it there, may it be opened, and is what is behind it a KVM that a machine can be
 * made with?
 */
#ifndef PV_HOSTED_VMM_KVM_DEVICE_H
#define PV_HOSTED_VMM_KVM_DEVICE_H

/* What is in the way, and what to do about it: two parts of a sentence. */
struct pv_kvm_lack {
	char what[128];
	char remedy[256];
};

/*
 * Opens it, and asks for everything that a machine needs. Returns the descriptor, which is the
 * caller's, or -1 with what is lacking. Any thread, before the sandbox.
 */
int pv_kvm_device_open(struct pv_kvm_lack *lack);

#endif
