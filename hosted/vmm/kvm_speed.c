/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "hosted/vmm/kvm_speed.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "hosted/loop/clock.h"

#define TURNS       1000000u
#define ROUNDS      8
#define LIMIT_US    300000
#define KICK_US     10000 /* again, for a signal that came just before the guest was entered */
#define PAGE_BYTES  4096u
#define GUEST_PAGES 4u

/* The guest's memory: its page tables, which map the first 2 MiB, and the loop. */
enum { PAGE_PML4, PAGE_PDPT, PAGE_PD, PAGE_CODE };

#define ENTRY_TABLE 0x3u  /* present, writable */
#define ENTRY_LARGE 0x83u /* and a page of 2 MiB */

#define CR0_LONG  0x80000011u /* protected, paging */
#define CR4_PAE   0x20u
#define EFER_LONG 0x500u

/* dec %ecx; jnz back; out %al, $0x80 */
static const uint8_t loop_code[] = { 0xff, 0xc9, 0x75, 0xfc, 0xe6, 0x80 };

struct guest {
	uint8_t *memory;
	int fd;
	struct kvm_run *run;
	size_t run_bytes;
};

static bool fails_at(const char *what, char sentence[static PV_SENTENCE_BYTES])
{
	return pv_sentence_wrong(sentence, "%s: %s", what, strerror(errno));
}

/* ---- the guest ---- */

static void put_entry(const struct guest *guest, unsigned int page, uint64_t entry)
{
	memcpy(guest->memory + page * PAGE_BYTES, &entry, sizeof(entry));
}

static void fill_memory(const struct guest *guest)
{
	put_entry(guest, PAGE_PML4, PAGE_PDPT * PAGE_BYTES | ENTRY_TABLE);
	put_entry(guest, PAGE_PDPT, PAGE_PD * PAGE_BYTES | ENTRY_TABLE);
	put_entry(guest, PAGE_PD, ENTRY_LARGE);
	memcpy(guest->memory + PAGE_CODE * PAGE_BYTES, loop_code, sizeof(loop_code));
}

static void enter_long_mode(struct kvm_sregs *sregs)
{
	struct kvm_segment data = { .limit = UINT32_MAX,
		                    .selector = 0x18,
		                    .type = 3,
		                    .present = 1,
		                    .s = 1,
		                    .g = 1,
		                    .db = 1 };

	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->cs = data;
	sregs->cs.selector = 0x10;
	sregs->cs.type = 0xb;
	sregs->cs.db = 0;
	sregs->cs.l = 1;
	sregs->cr0 = CR0_LONG;
	sregs->cr3 = PAGE_PML4 * PAGE_BYTES;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LONG;
}

static bool set_registers(const struct guest *guest, char sentence[static PV_SENTENCE_BYTES])
{
	const struct kvm_regs regs = { .rip = PAGE_CODE * PAGE_BYTES, .rcx = TURNS, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(guest->fd, KVM_GET_SREGS, &sregs) < 0)
		return fails_at("KVM_GET_SREGS", sentence);
	enter_long_mode(&sregs);
	if (ioctl(guest->fd, KVM_SET_SREGS, &sregs) < 0)
		return fails_at("KVM_SET_SREGS", sentence);
	return ioctl(guest->fd, KVM_SET_REGS, &regs) == 0 || fails_at("KVM_SET_REGS", sentence);
}

static bool make_guest(struct guest *guest, struct pv_kvm *kvm,
                       char sentence[static PV_SENTENCE_BYTES])
{
	void *memory = mmap(NULL, GUEST_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void *run;

	*guest = (struct guest){ .fd = -1, .run_bytes = kvm->run_bytes };
	if (memory == MAP_FAILED)
		return fails_at("memory", sentence);
	guest->memory = memory;
	fill_memory(guest);
	errno = -pv_kvm_add_memory(kvm, 0, memory, GUEST_PAGES * PAGE_BYTES);
	if (errno)
		return fails_at("KVM_SET_USER_MEMORY_REGION", sentence);
	guest->fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, 0);
	if (guest->fd < 0)
		return fails_at("KVM_CREATE_VCPU", sentence);
	run = mmap(NULL, guest->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, guest->fd, 0);
	if (run == MAP_FAILED)
		return fails_at("memory of the processor", sentence);
	guest->run = run;
	return true;
}

static void end_guest(const struct guest *guest)
{
	if (guest->run)
		munmap(guest->run, guest->run_bytes);
	if (guest->fd >= 0)
		close(guest->fd);
	if (guest->memory)
		munmap(guest->memory, GUEST_PAGES * PAGE_BYTES);
}

/* ---- running, for so long at most ---- */

static void nothing(int number)
{
	(void)number;
}

/* Comes out at the deadline, for the kicks that begin then, if the loop does not end before. */
static bool run_guest(const struct guest *guest, uint64_t end_ns,
                      char sentence[static PV_SENTENCE_BYTES])
{
	int got;

	do
		got = ioctl(guest->fd, KVM_RUN, 0);
	while (got < 0 && errno == EINTR && pv_clock_ns(CLOCK_MONOTONIC) < end_ns);
	if (got < 0 && errno != EINTR)
		return fails_at("KVM_RUN", sentence);
	return got < 0 || guest->run->exit_reason == KVM_EXIT_IO ||
	       pv_sentence_wrong(sentence, "a guest's kernel does not run: KVM says %u",
	                         guest->run->exit_reason);
}

/* ---- measuring ---- */

/*
 * Time of this thread: the guest's is part of it, and so is what a kernel does to emulate; that of
 * other programs is not.
 */
static double now_s(void)
{
	return (double)pv_clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1e9;
}

/* The seconds that a turn of the loop takes. */
static double native_turn_s(void)
{
	uint32_t turns = TURNS;
	double begin = now_s();

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(turns) : : "cc");
	return (now_s() - begin) / TURNS;
}

/* The same in the guest. Of a loop that was cut short the part counts that was done. */
static bool guest_turn_s(const struct guest *guest, uint64_t end_ns, double *turn_s,
                         char sentence[static PV_SENTENCE_BYTES])
{
	struct kvm_regs regs;
	double begin;

	if (!set_registers(guest, sentence))
		return false;
	begin = now_s();
	if (!run_guest(guest, end_ns, sentence))
		return false;
	*turn_s = now_s() - begin;
	if (ioctl(guest->fd, KVM_GET_REGS, &regs) < 0)
		return fails_at("KVM_GET_REGS", sentence);
	if (regs.rcx >= TURNS)
		return pv_sentence_wrong(sentence, "a guest's kernel does not get on at all");
	*turn_s /= (double)(TURNS - regs.rcx);
	return true;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* The best of several, each in turn: what is in the way of one is not in the way of all. */
static bool measure(const struct guest *guest, double *times_slower,
                    char sentence[static PV_SENTENCE_BYTES])
{
	const uint64_t end_ns = pv_clock_ns(CLOCK_MONOTONIC) + LIMIT_US * UINT64_C(1000);
	double native = 1e9, slowed = 1e9;

	for (int i = 0; i < ROUNDS && (i == 0 || pv_clock_ns(CLOCK_MONOTONIC) < end_ns); i++) {
		double turn_s;

		native = least(native, native_turn_s());
		if (!guest_turn_s(guest, end_ns, &turn_s, sentence))
			return i > 0;
		slowed = least(slowed, turn_s);
		*times_slower = slowed / native;
	}
	return true;
}

static bool measure_bounded(const struct guest *guest, double *times_slower,
                            char sentence[static PV_SENTENCE_BYTES])
{
	const struct itimerval kicks = { { 0, KICK_US }, { 0, LIMIT_US } }, none = { 0 };
	struct sigaction action = { .sa_handler = nothing }, before;
	bool is_good;

	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &kicks, NULL);
	is_good = measure(guest, times_slower, sentence);
	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &before, NULL);
	return is_good;
}

bool pv_kvm_speed(struct pv_kvm *kvm, double *times_slower, char sentence[static PV_SENTENCE_BYTES])
{
	struct guest guest;
	bool is_good = make_guest(&guest, kvm, sentence) &&
	               measure_bounded(&guest, times_slower, sentence);

	end_guest(&guest);
	return is_good;
}
