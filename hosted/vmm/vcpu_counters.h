/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What brings a processor out of KVM, to the monitor, counted by kind.  What KVM answers itself
 * is not among it: its own statistics tell that.
 */
#ifndef PV_HOSTED_VMM_VCPU_COUNTERS_H
#define PV_HOSTED_VMM_VCPU_COUNTERS_H

#include <linux/kvm.h>

#include "devices/core/counters.h"

struct pv_vcpu_counters {
	pv_counter exits;
	pv_counter port_reads, port_writes;
	pv_counter mmio_reads, mmio_writes;
	pv_counter interruptions; /* by the monitor's signals */
	pv_counter other_exits;
};

extern const struct pv_counter_name pv_vcpu_counter_names[];

/* An exit for `reason` (KVM_EXIT_...), which `run` describes. The processor's thread. */
void pv_vcpu_count(struct pv_vcpu_counters *counters, const struct kvm_run *run, uint32_t reason);

#endif
