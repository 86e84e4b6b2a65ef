/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/vcpu_counters.h"

const struct pv_counter_name pv_vcpu_counter_names[] = {
	{ "exits", offsetof(struct pv_vcpu_counters, exits) },
	{ "port-reads", offsetof(struct pv_vcpu_counters, port_reads) },
	{ "port-writes", offsetof(struct pv_vcpu_counters, port_writes) },
	{ "mmio-reads", offsetof(struct pv_vcpu_counters, mmio_reads) },
	{ "mmio-writes", offsetof(struct pv_vcpu_counters, mmio_writes) },
	{ "interruptions", offsetof(struct pv_vcpu_counters, interruptions) },
	{ "other-exits", offsetof(struct pv_vcpu_counters, other_exits) },
	{ 0 },
};

void pv_vcpu_count(struct pv_vcpu_counters *counters, const struct kvm_run *run, uint32_t reason)
{
	pv_count(&counters->exits);
	switch (reason) {
	case KVM_EXIT_IO:
		pv_count(run->io.direction == KVM_EXIT_IO_OUT ? &counters->port_writes
		                                              : &counters->port_reads);
		break;
	case KVM_EXIT_MMIO:
		pv_count(run->mmio.is_write ? &counters->mmio_writes : &counters->mmio_reads);
		break;
	case KVM_EXIT_INTR:
		pv_count(&counters->interruptions);
		break;
	default:
		pv_count(&counters->other_exits);
		break;
	}
}
