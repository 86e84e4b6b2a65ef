/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls ioctl
 */
#include "hosted/vmm/vcpu_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSRS_MAX 1024u
#define MSR_TSC  0x10u

/* KVM takes fewer than 256 at once. */
#define LIST_MAX 128u

/* A struct kvm_msrs with room for as many. */
struct msr_list {
	uint32_t count, padding;
	struct kvm_msr_entry entry[LIST_MAX];
};
_Static_assert(offsetof(struct msr_list, entry) == offsetof(struct kvm_msrs, entries),
               "a list is laid out otherwise");

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

/*
 * Some of a state's registers, from `from` on: as far as the first that KVM will not read or write,
 * at which it stops and says how many came before. Returns these, and in `next` where to go on.
 */
static uint32_t take_msrs(struct msr_list *list, const struct pv_vcpu_state *state, uint32_t from,
                          uint32_t end, int vcpu_fd, unsigned long request, uint32_t *next)
{
	uint32_t count = end - from < LIST_MAX ? end - from : LIST_MAX, done;
	int taken;

	list->count = count;
	memcpy(list->entry, state->msr + from, count * sizeof(state->msr[0]));
	taken = ioctl(vcpu_fd, request, list);
	done = taken < 0 ? 0 : (uint32_t)taken;
	*next = from + done + (done < count ? 1 : 0);
	return done;
}

/* The registers that are listed in `state`, but for those that have no value. */
static void read_msrs(struct pv_vcpu_state *state, int vcpu_fd)
{
	struct msr_list list;
	uint32_t listed = state->msrs, next;

	state->msrs = 0;
	for (uint32_t i = 0; i < listed; i = next) {
		uint32_t done = take_msrs(&list, state, i, listed, vcpu_fd, KVM_GET_MSRS, &next);

		memcpy(state->msr + state->msrs, list.entry, done * sizeof(state->msr[0]));
		state->msrs += done;
	}
}

static int get_msrs(struct pv_vcpu_state *state, const struct pv_kvm *kvm, int vcpu_fd)
{
	struct kvm_msr_list *list = list_msrs(kvm);

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < list->nmsrs; i++)
		if (list->indices[i] != MSR_TSC)
			state->msr[state->msrs++].index = list->indices[i];
	free(list);
	read_msrs(state, vcpu_fd);
	return 0;
}

/* Some can be read and not be written, or not to what they were. */
static void put_msrs(const struct pv_vcpu_state *state, int vcpu_fd)
{
	struct msr_list list;
	uint32_t next;

	for (uint32_t i = 0; i < state->msrs; i = next)
		take_msrs(&list, state, i, state->msrs, vcpu_fd, KVM_SET_MSRS, &next);
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
