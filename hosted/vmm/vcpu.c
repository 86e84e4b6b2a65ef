/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls ioctl futex tgkill gettid getpid rt_sigreturn
 */
#define _GNU_SOURCE
#include "hosted/vmm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hosted/loop/log.h"
#include "hosted/loop/thread.h"
#include "hosted/vmm/vcpu_state.h"

#define KICK_SIGNAL   SIGUSR1
#define CPUID_ENTRIES 256u

static int result(int value)
{
	return value < 0 ? -errno : 0;
}

/* ---- what the processor is ---- */

#define LEAF_FEATURES     0x1u
#define LEAF_CACHE        0x4u
#define LEAF_TOPOLOGY     0xbu
#define LEAF_AMD_SIZES    0x80000008u
#define LEAF_AMD_TOPOLOGY 0x8000001eu

#define FEATURES_X2APIC       (1u << 21)
#define FEATURES_TSC_DEADLINE (1u << 24)
#define FEATURES_HYPERVISOR   (1u << 31)

/* One socket, whose cores have one thread each. */
static void describe(struct kvm_cpuid_entry2 *entry, unsigned int index, unsigned int count)
{
	switch (entry->function) {
	case LEAF_FEATURES:
		entry->ebx = (entry->ebx & 0xffffu) | index << 24 | (count & 0xff) << 16;
		entry->ecx |= FEATURES_HYPERVISOR | FEATURES_X2APIC | FEATURES_TSC_DEADLINE;
		break;
	case LEAF_CACHE:
		entry->eax = (entry->eax & ~0xfc000000u) | ((count - 1) & 0x3f) << 26;
		break;
	case LEAF_TOPOLOGY:
		entry->eax = entry->index == 0 ? 0 : 8;
		entry->ebx = entry->index == 0 ? 1 : count;
		entry->ecx = entry->index | (entry->index == 0 ? 1u : 2u) << 8;
		entry->edx = index;
		break;
	case LEAF_AMD_SIZES:
		entry->ecx = (entry->ecx & ~0xf0ffu) | (count - 1) | 8u << 12;
		break;
	case LEAF_AMD_TOPOLOGY:
		entry->eax = index;
		entry->ebx = index & 0xff;
		entry->ecx = 0;
		break;
	default:
		break;
	}
}

static struct kvm_cpuid2 *supported(const struct pv_kvm *kvm)
{
	struct kvm_cpuid2 *list =
		calloc(1, sizeof(*list) + CPUID_ENTRIES * sizeof(list->entries[0]));

	if (!list)
		return NULL;
	list->nent = CPUID_ENTRIES;
	if (ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, list) == 0)
		return list;
	free(list);
	return NULL;
}

static int set_cpuid(struct pv_vcpu *vcpu)
{
	struct kvm_cpuid2 *list = supported(vcpu->all->kvm);
	int error;

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < list->nent; i++)
		describe(&list->entries[i], vcpu->index, vcpu->all->vcpus);
	error = result(ioctl(vcpu->fd, KVM_SET_CPUID2, list));
	free(list);
	return error;
}

/* ---- where it begins ---- */

static struct kvm_segment code_segment(const struct pv_boot_entry *entry)
{
	return (struct kvm_segment){
		.base = 0,
		.limit = UINT32_MAX,
		.selector = entry->is_64_bit ? 0x10 : 0x20,
		.type = 0xb,
		.present = 1,
		.db = !entry->is_64_bit,
		.s = 1,
		.l = entry->is_64_bit,
		.g = 1,
	};
}

#define CR0_PROTECTED 0x11u /* and the coprocessor's extension type, always set */
#define CR0_PAGING    0x80000000u
#define CR4_PAE       0x20u
#define EFER_LONG     0x500u /* enabled, active */

static void set_segments(struct kvm_sregs *sregs, const struct pv_boot_entry *entry)
{
	const struct kvm_segment data = {
		.limit = UINT32_MAX,
		.selector = 0x18,
		.type = 3,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};

	sregs->cs = code_segment(entry);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->tr = (struct kvm_segment){ .limit = 0x67, .type = 0xb, .present = 1 };
	sregs->gdt = (struct kvm_dtable){ .base = PV_BOOT_GDT, .limit = 5 * 8 - 1 };
	sregs->idt = (struct kvm_dtable){ 0 };
	sregs->cr0 = CR0_PROTECTED;
	sregs->cr3 = sregs->cr4 = sregs->efer = 0;
	if (!entry->is_64_bit)
		return;
	sregs->cr0 |= CR0_PAGING;
	sregs->cr3 = PV_BOOT_PAGE_TABLE;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LONG;
}

static int set_entry(struct pv_vcpu *vcpu, const struct pv_boot_entry *entry)
{
	struct kvm_regs regs = {
		.rip = entry->address,
		.rsi = entry->is_64_bit ? entry->argument : 0,
		.rbx = entry->is_64_bit ? 0 : entry->argument,
		.rflags = 2,
	};
	struct kvm_sregs sregs;
	int error = result(ioctl(vcpu->fd, KVM_GET_SREGS, &sregs));

	if (error)
		return error;
	set_segments(&sregs, entry);
	error = result(ioctl(vcpu->fd, KVM_SET_SREGS, &sregs));
	return error ? error : result(ioctl(vcpu->fd, KVM_SET_REGS, &regs));
}

int pv_vcpus_reset(struct pv_vcpus *vcpus, const struct pv_boot_entry *entry)
{
	int error = 0;

	for (unsigned int i = 0; !error && i < vcpus->vcpus; i++)
		error = pv_vcpu_state_put(vcpus->vcpu[i].initial, vcpus->vcpu[i].fd);
	return error ? error : set_entry(&vcpus->vcpu[0], entry);
}

/* ---- making them ---- */

static void on_kick(int signal)
{
	(void)signal; /* that it interrupts is all */
}

static int catch_kicks(void)
{
	struct sigaction action = { .sa_handler = on_kick };

	sigemptyset(&action.sa_mask);
	return result(sigaction(KICK_SIGNAL, &action, NULL));
}

static int make(struct pv_vcpu *vcpu)
{
	const struct pv_kvm *kvm = vcpu->all->kvm;
	int error;

	vcpu->fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, (unsigned long)vcpu->index);
	if (vcpu->fd < 0)
		return -errno;
	vcpu->run = mmap(NULL, kvm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return -errno;
	}
	error = set_cpuid(vcpu);
	if (error)
		return error;
	vcpu->initial = pv_vcpu_state_get(kvm, vcpu->fd);
	return vcpu->initial ? 0 : -ENOMEM;
}

static void begin(struct pv_vcpus *vcpus, unsigned int index)
{
	struct pv_vcpu *vcpu = &vcpus->vcpu[index];

	*vcpu = (struct pv_vcpu){ .all = vcpus, .index = index, .fd = -1 };
	snprintf(vcpu->name, sizeof(vcpu->name), "cpu%u", index);
	vcpus->stats[index] =
		(struct pv_stats_cpu){ vcpu->name, pv_vcpu_counter_names, &vcpu->counters };
}

bool pv_vcpus_init(struct pv_vcpus *vcpus, unsigned int count,
                   char sentence[static PV_SENTENCE_BYTES])
{
	int error = catch_kicks();

	pthread_cond_init(&vcpus->changed, NULL);
	if (count > vcpus->kvm->cpus_max)
		return pv_sentence_wrong(
			sentence,
			"option '--cpus': %u are more than the %u that KVM gives a "
			"machine here",
			count, vcpus->kvm->cpus_max);
	vcpus->vcpu = calloc(count, sizeof(*vcpus->vcpu));
	vcpus->stats = calloc(count, sizeof(*vcpus->stats));
	if (!vcpus->vcpu || !vcpus->stats)
		error = -ENOMEM;
	else
		vcpus->vcpus = count;
	for (unsigned int i = 0; i < vcpus->vcpus; i++)
		begin(vcpus, i);
	for (unsigned int i = 0; !error && i < vcpus->vcpus; i++)
		error = make(&vcpus->vcpu[i]);
	return !error ||
	       pv_sentence_wrong(sentence, "KVM makes no processor: %s", strerror(-error));
}

void pv_vcpus_fini(struct pv_vcpus *vcpus)
{
	for (unsigned int i = 0; i < vcpus->vcpus; i++) {
		if (vcpus->vcpu[i].run)
			munmap(vcpus->vcpu[i].run, vcpus->kvm->run_bytes);
		if (vcpus->vcpu[i].fd >= 0)
			close(vcpus->vcpu[i].fd);
		pv_vcpu_state_free(vcpus->vcpu[i].initial);
	}
	free(vcpus->vcpu);
	free(vcpus->stats);
	pthread_cond_destroy(&vcpus->changed);
}

/* ---- running ---- */

static void io(struct pv_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		pv_io_access(vcpu->all->ports, run->io.port, data, run->io.size,
		             run->io.direction == KVM_EXIT_IO_OUT);
}

static void print_registers(const struct pv_vcpu *vcpu)
{
	struct kvm_regs r;
	struct kvm_sregs s;
	char line[256];

	if (ioctl(vcpu->fd, KVM_GET_REGS, &r) < 0 || ioctl(vcpu->fd, KVM_GET_SREGS, &s) < 0)
		return;
	snprintf(line, sizeof(line),
	         "cpu%u: rip %llx rsp %llx rflags %llx cr0 %llx cr2 %llx cr3 %llx cr4 %llx "
	         "efer %llx",
	         vcpu->index, r.rip, r.rsp, r.rflags, s.cr0, s.cr2, s.cr3, s.cr4, s.efer);
	pv_log("vm", PV_LOG_ERROR, line);
	snprintf(line, sizeof(line),
	         "cpu%u: rax %llx rbx %llx rcx %llx rdx %llx rsi %llx rdi %llx rbp %llx",
	         vcpu->index, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp);
	pv_log("vm", PV_LOG_ERROR, line);
}

static void failed(struct pv_vcpu *vcpu, const char *how, uint64_t detail)
{
	char line[128];

	snprintf(line, sizeof(line), "cpu%u: KVM cannot go on: %s %llu", vcpu->index, how,
	         (unsigned long long)detail);
	pv_log("vm", PV_LOG_ERROR, line);
	print_registers(vcpu);
	vcpu->all->ended(vcpu->all->arg, PV_VCPU_FAILED);
}

static void answer(struct pv_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		io(vcpu);
		break;
	case KVM_EXIT_MMIO:
		pv_io_access(vcpu->all->memory, run->mmio.phys_addr, run->mmio.data, run->mmio.len,
		             run->mmio.is_write);
		break;
	case KVM_EXIT_SHUTDOWN:
		vcpu->all->ended(vcpu->all->arg, PV_VCPU_SHUTDOWN);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		failed(vcpu, "internal error", run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		failed(vcpu, "the processor refuses its state, reason",
		       run->fail_entry.hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTR:
		break;
	default:
		failed(vcpu, "unknown exit", run->exit_reason);
		break;
	}
}

/* Of a string instruction, all of which may be one access to the kernel: it looks up this often. */
#define ACCESS_PARTS_MAX 4096u

/*
 * An access that left the guest is finished in the kernel at the next run, also if that ends at
 * once. Without this it would be finished after a reset, in the middle of what comes then. One that
 * has several parts, because it crosses a page or is a string's, leaves the guest for each of them.
 */
static void finish_access(struct pv_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < ACCESS_PARTS_MAX && ioctl(vcpu->fd, KVM_RUN, 0) == 0; i++)
		answer(vcpu);
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
}

/* With the lock. False: the end. */
static bool wait_while_paused(struct pv_vcpu *vcpu)
{
	struct pv_vcpus *all = vcpu->all;

	if (!all->is_paused && !all->is_ending)
		return true;
	if (vcpu->has_run)
		finish_access(vcpu);
	all->running--;
	pthread_cond_broadcast(&all->changed);
	while (all->is_paused && !all->is_ending)
		pthread_cond_wait(&all->changed, all->lock);
	all->running++;
	return !all->is_ending;
}

static void run_once(struct pv_vcpu *vcpu)
{
	int error = result(ioctl(vcpu->fd, KVM_RUN, 0));

	pthread_mutex_lock(vcpu->all->lock);
	vcpu->has_run = true;
	if (error == -EINTR || error == -EAGAIN) {
		__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELAXED);
		pv_vcpu_count(&vcpu->counters, vcpu->run, KVM_EXIT_INTR);
		return;
	}
	if (error) {
		failed(vcpu, "KVM_RUN, error", (uint64_t)-error);
		return;
	}
	pv_vcpu_count(&vcpu->counters, vcpu->run, vcpu->run->exit_reason);
	answer(vcpu);
}

static void *thread_main(void *arg)
{
	struct pv_vcpu *vcpu = arg;
	sigset_t kick;

	prctl(PR_SET_NAME, vcpu->name);
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	pthread_mutex_lock(vcpu->all->lock);
	vcpu->thread_id = gettid();
	vcpu->all->running++;
	while (wait_while_paused(vcpu)) {
		pthread_mutex_unlock(vcpu->all->lock);
		run_once(vcpu);
	}
	vcpu->all->running--;
	pthread_mutex_unlock(vcpu->all->lock);
	return NULL;
}

int pv_vcpus_start(struct pv_vcpus *vcpus)
{
	int error = 0;

	vcpus->is_paused = true;
	for (unsigned int i = 0; !error && i < vcpus->vcpus; i++) {
		error = pv_thread_start(&vcpus->vcpu[i].thread, thread_main, &vcpus->vcpu[i]);
		vcpus->vcpu[i].is_started = !error;
	}
	return error;
}

/* Whether it is in the guest, on its way there, or elsewhere: it comes out, or does not go in. */
static void kick(struct pv_vcpu *vcpu)
{
	if (!vcpu->is_started)
		return;
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELAXED);
	pthread_kill(vcpu->thread, KICK_SIGNAL);
}

static void kick_all(struct pv_vcpus *vcpus)
{
	for (unsigned int i = 0; i < vcpus->vcpus; i++)
		kick(&vcpus->vcpu[i]);
}

void pv_vcpus_pause(struct pv_vcpus *vcpus)
{
	vcpus->is_paused = true;
	kick_all(vcpus);
	while (vcpus->running > 0)
		pthread_cond_wait(&vcpus->changed, vcpus->lock);
}

void pv_vcpus_resume(struct pv_vcpus *vcpus)
{
	vcpus->is_paused = false;
	pthread_cond_broadcast(&vcpus->changed);
}

/* A guest that does not use KVM's clock has no place for the mark. */
void pv_vcpus_mark_stopped(struct pv_vcpus *vcpus)
{
	for (unsigned int i = 0; i < vcpus->vcpus; i++)
		(void)!ioctl(vcpus->vcpu[i].fd, KVM_KVMCLOCK_CTRL, 0);
}

void pv_vcpus_end(struct pv_vcpus *vcpus)
{
	vcpus->is_ending = true;
	pthread_cond_broadcast(&vcpus->changed);
	kick_all(vcpus);
	pthread_mutex_unlock(vcpus->lock);
	for (unsigned int i = 0; i < vcpus->vcpus; i++)
		if (vcpus->vcpu[i].is_started)
			pthread_join(vcpus->vcpu[i].thread, NULL);
	pthread_mutex_lock(vcpus->lock);
}
