/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls ioctl
 */
#include "hosted/vmm/vcpu_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define MSRS_MAX 1024u
#define MSR_TSC  0x10u

/* A list of one: KVM stops at the first that it does not know the value of. */
struct one_msr {
	uint32_t count, padding;
	struct kvm_msr_entry entry;
};
_Static_assert(offsetof(struct one_msr, entry) == offsetof(struct kvm_msrs, entries),
               "a list of one is no list");

struct pv_vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	uint32_t msrs;
	struct kvm_msr_entry msr[MSRS_MAX];
};

static int result(int value)
{
	return value < 0 ? -errno : 0;
}

static struct kvm_msr_list *list_msrs(const struct pv_kvm *kvm)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSRS_MAX * sizeof(list->indices[0]));

	if (!list)
		return NULL;
	list->nmsrs = MSRS_MAX;
	if (ioctl(kvm->fd, KVM_GET_MSR_INDEX_LIST, list) == 0)
		return list;
	free(list);
	return NULL;
}

static bool get_msr(int vcpu_fd, uint32_t index, struct kvm_msr_entry *entry)
{
	struct one_msr one = { .count = 1, .entry.index = index };

	if (index == MSR_TSC || ioctl(vcpu_fd, KVM_GET_MSRS, &one) != 1)
		return false;
	*entry = one.entry;
	return true;
}

static int get_msrs(struct pv_vcpu_state *state, const struct pv_kvm *kvm, int vcpu_fd)
{
	struct kvm_msr_list *list = list_msrs(kvm);

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < list->nmsrs; i++)
		if (get_msr(vcpu_fd, list->indices[i], &state->msr[state->msrs]))
			state->msrs++;
	free(list);
	return 0;
}

/* Some can be read and not be written, or not to what they were. */
static void put_msrs(const struct pv_vcpu_state *state, int vcpu_fd)
{
	for (uint32_t i = 0; i < state->msrs; i++) {
		struct one_msr one = { .count = 1, .entry = state->msr[i] };

		(void)!ioctl(vcpu_fd, KVM_SET_MSRS, &one);
	}
}

static int get(struct pv_vcpu_state *state, const struct pv_kvm *kvm, int vcpu_fd)
{
	int error = result(ioctl(vcpu_fd, KVM_GET_REGS, &state->regs));

	if (!error)
		error = result(ioctl(vcpu_fd, KVM_GET_SREGS, &state->sregs));
	if (!error)
		error = result(ioctl(vcpu_fd, KVM_GET_FPU, &state->fpu));
	if (!error)
		error = result(ioctl(vcpu_fd, KVM_GET_LAPIC, &state->lapic));
	if (!error)
		error = result(ioctl(vcpu_fd, KVM_GET_VCPU_EVENTS, &state->events));
	if (!error)
		error = result(ioctl(vcpu_fd, KVM_GET_MP_STATE, &state->mp_state));
	return error ? error : get_msrs(state, kvm, vcpu_fd);
}

struct pv_vcpu_state *pv_vcpu_state_get(const struct pv_kvm *kvm, int vcpu_fd)
{
	struct pv_vcpu_state *state = calloc(1, sizeof(*state));

	if (state && get(state, kvm, vcpu_fd) == 0)
		return state;
	free(state);
	return NULL;
}

void pv_vcpu_state_free(struct pv_vcpu_state *state)
{
	free(state);
}

/* Special registers first: they say which mode the local APIC is in, and it what its registers are.
 */
int pv_vcpu_state_put(const struct pv_vcpu_state *state, int vcpu_fd)
{
	int error = result(ioctl(vcpu_fd, KVM_SET_SREGS, &state->sregs));

	if (!error)
		error = result(ioctl(vcpu_fd, KVM_SET_REGS, &state->regs));
	if (!error)
		error = result(ioctl(vcpu_fd, KVM_SET_FPU, &state->fpu));
	put_msrs(state, vcpu_fd);
	if (!error)
		error = result(ioctl(vcpu_fd, KVM_SET_LAPIC, &state->lapic));
	if (!error)
		error = result(ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &state->events));
	return error ? error : result(ioctl(vcpu_fd, KVM_SET_MP_STATE, &state->mp_state));
}
