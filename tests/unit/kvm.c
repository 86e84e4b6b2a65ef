/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * KVMs that this machine does not have: forbidden, broken, old, and one that emulates kernels.
 * open() and ioctl() are the test's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/loop/clock.h"
#include "hosted/vmm/kvm_device.h"
#include "hosted/vmm/kvm_speed.h"

static struct {
	int open_error;
	int version_error, version;
	int missing; /* an extension */

	/* A processor. */
	struct kvm_run *run;
	uint32_t exit_reason; /* 0: the loop does not end, and is interrupted */
	uint64_t turns_done;
	struct kvm_regs regs;
} kvm;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_open64(const char *path, int flags, ...)
{
	if (strcmp(path, "/dev/kvm") != 0)
		return __real_open64(path, flags, 0);
	if (!kvm.open_error)
		return __real_open64("/dev/null", flags);
	errno = kvm.open_error;
	return -1;
}

static int fails(int error)
{
	errno = error;
	return error ? -1 : 0;
}

/* Computes, and rests often enough to notice a signal. */
static int run_for_long(void)
{
	const struct timespec rest = { .tv_nsec = 1000000 };

	kvm.regs.rcx -= kvm.turns_done;
	for (int i = 0; i < 5000; i++) {
		uint64_t end = pv_clock_ns(CLOCK_MONOTONIC) + 300000;

		while (pv_clock_ns(CLOCK_MONOTONIC) < end)
			;
		if (nanosleep(&rest, NULL) < 0)
			return -1;
	}
	fail_msg("nothing stops the processor");
	return 0;
}

static int run(void)
{
	if (!kvm.exit_reason)
		return run_for_long();
	kvm.run->exit_reason = kvm.exit_reason;
	kvm.regs.rcx -= kvm.turns_done;
	return 0;
}

static int create_vcpu(void)
{
	int fd = memfd_create("vcpu", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 4096), 0);
	kvm.run = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(kvm.run, MAP_FAILED);
	return fd;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	(void)fd;
	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	switch (request) {
	case KVM_GET_API_VERSION:
		return kvm.version_error ? fails(kvm.version_error) : kvm.version;
	case KVM_CHECK_EXTENSION:
		return (int)(intptr_t)argument != kvm.missing;
	case KVM_CREATE_VCPU:
		return create_vcpu();
	case KVM_GET_SREGS:
		memset(argument, 0, sizeof(struct kvm_sregs));
		return 0;
	case KVM_SET_REGS:
		memcpy(&kvm.regs, argument, sizeof(kvm.regs));
		return 0;
	case KVM_GET_REGS:
		memcpy(argument, &kvm.regs, sizeof(kvm.regs));
		return 0;
	case KVM_RUN:
		return run();
	case KVM_SET_SREGS:
	case KVM_SET_USER_MEMORY_REGION:
		return 0;
	}
	return fails(ENOTTY);
}

/* ---- the device ---- */

static int begin(void **state)
{
	(void)state;
	memset(&kvm, 0, sizeof(kvm));
	kvm.version = KVM_API_VERSION;
	kvm.missing = -1;
	return 0;
}

static void assert_lacks(const char *what, const char *remedy)
{
	struct pv_kvm_lack lack = { 0 };

	assert_int_equal(pv_kvm_device_open(&lack), -1);
	assert_string_equal(lack.what, what);
	if (!strstr(lack.remedy, remedy))
		fail_msg("'%s' is not in '%s'", remedy, lack.remedy);
}

static void a_whole_kvm_is_opened(void **state)
{
	struct pv_kvm_lack lack;
	int fd = pv_kvm_device_open(&lack);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
}

static void one_that_does_not_open_has_a_remedy(void **state)
{
	(void)state;
	kvm.open_error = EPERM;
	assert_lacks("/dev/kvm may not be opened here", "container");
	kvm.open_error = ENODEV;
	assert_lacks("there is nothing behind /dev/kvm", "");
	kvm.open_error = EMFILE;
	assert_lacks("/dev/kvm cannot be opened", strerror(EMFILE));
}

static void one_that_is_not_right_has_a_remedy(void **state)
{
	(void)state;
	kvm.missing = KVM_CAP_IRQFD_RESAMPLE;
	assert_lacks("/dev/kvm cannot do what a machine needs", "KVM_CAP_IRQFD_RESAMPLE");
	kvm.missing = KVM_CAP_IMMEDIATE_EXIT;
	assert_lacks("/dev/kvm cannot do what a machine needs", "KVM_CAP_IMMEDIATE_EXIT");
	kvm.version = 11;
	assert_lacks("/dev/kvm is too old a KVM", "its version is 11, not 12");
	kvm.version_error = ENOTTY;
	assert_lacks("/dev/kvm is no KVM", "remove");
}

/* ---- the speed ---- */

static bool measure(double *times, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_kvm machine = { .run_bytes = 4096 };
	bool is_good = pv_kvm_speed(&machine, times, sentence);

	munmap(kvm.run, 4096);
	return is_good;
}

static void a_kvm_that_emulates_kernels_is_slow_and_holds_nobody_up(void **state)
{
	uint64_t start = pv_clock_ns(CLOCK_MONOTONIC), taken_ns;
	char sentence[PV_SENTENCE_BYTES];
	double times = 0;

	(void)state;
	kvm.turns_done = 1000;
	assert_true(measure(&times, sentence));
	taken_ns = pv_clock_ns(CLOCK_MONOTONIC) - start;
	assert_true(times > 100);
	/* Less than the two seconds and more for which the processor would go on. */
	assert_in_range(taken_ns, 250000000, 2000000000);
}

static void a_guest_that_ends_at_once_is_fast(void **state)
{
	char sentence[PV_SENTENCE_BYTES];
	double times = 0;

	(void)state;
	kvm.exit_reason = KVM_EXIT_IO;
	kvm.turns_done = 1000000;
	assert_true(measure(&times, sentence));
	assert_true(times < 1);
}

static void a_guest_that_does_not_run_is_a_sentence(void **state)
{
	char sentence[PV_SENTENCE_BYTES];
	double times;

	(void)state;
	kvm.exit_reason = KVM_EXIT_FAIL_ENTRY;
	assert_false(measure(&times, sentence));
	assert_string_equal(sentence, "a guest's kernel does not run: KVM says 9");
	kvm.exit_reason = KVM_EXIT_IO;
	assert_false(measure(&times, sentence));
	assert_string_equal(sentence, "a guest's kernel does not get on at all");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_whole_kvm_is_opened, begin),
		cmocka_unit_test_setup(one_that_does_not_open_has_a_remedy, begin),
		cmocka_unit_test_setup(one_that_is_not_right_has_a_remedy, begin),
		cmocka_unit_test_setup(a_kvm_that_emulates_kernels_is_slow_and_holds_nobody_up,
		                       begin),
		cmocka_unit_test_setup(a_guest_that_ends_at_once_is_fast, begin),
		cmocka_unit_test_setup(a_guest_that_does_not_run_is_a_sentence, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
