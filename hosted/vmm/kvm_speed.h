/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a guest's kernel runs.
 *
 * A KVM that is made of software runs a guest's programs at full speed and emulates its kernel, a
 * hundred times slower: it opens like any other, and a stock kernel does not boot in useful time.
 * So a loop is run in a guest's ring 0, with paging on, and here; both take the same time on
 * hardware.
 */
#ifndef PV_HOSTED_VMM_KVM_SPEED_H
#define PV_HOSTED_VMM_KVM_SPEED_H

#include "hosted/vmm/kvm.h"

/*
 * Measures, in the machine `kvm`, which gets a page of memory and a processor by that and is good
 * for nothing else then. Returns true with how many times slower a guest's kernel is than this
 * program; or false with a sentence. Takes a third of a second at most, and SIGALRM for as long:
 * for the main thread of a program that has no other.
 */
bool pv_kvm_speed(struct pv_kvm *kvm, double *times_slower,
                  char sentence[static PV_SENTENCE_BYTES]);

#endif
