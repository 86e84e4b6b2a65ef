/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every program needs to go on and to end: the C library's own calls.
 *
 * #syscalls brk mmap munmap mremap mprotect madvise futex restart_syscall rt_sigreturn
 * #syscalls clock_gettime clock_nanosleep sched_yield sched_getaffinity getrandom
 * #syscalls write writev fstat lseek exit exit_group
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_tun.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hosted/control/sandbox.h"
#include "syscalls_net.h"
#include "syscalls_remote.h"
#include "syscalls_serve.h"

/* A call that is allowed only if one of its arguments is as it should be, in one of these ways. */
struct condition {
	int call;
	struct scmp_arg_cmp argument;
};

/* Of memory files: they can be sealed, and go when the program goes. */
#define MEMFD_FLAGS (MFD_CLOEXEC | MFD_ALLOW_SEALING)

/* The types of requests to a block device (linux/fs.h) and to KVM: not to a terminal. */
#define IOCTL_TYPE_MASK  0xff00u
#define IOCTL_TYPE_BLK   0x1200u
#define IOCTL_TYPE_KVM   0xae00u
#define IOCTL_TYPE_VHOST 0xaf00u

static int allow(scmp_filter_ctx filter, int call)
{
	const struct condition conditions[] = {
		{ SCMP_SYS(ioctl), { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, IOCTL_TYPE_BLK } },
		{ SCMP_SYS(ioctl), { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, IOCTL_TYPE_KVM } },
		{ SCMP_SYS(ioctl), { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, IOCTL_TYPE_VHOST } },
		{ SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TUNSETOFFLOAD, 0 } },
		{ SCMP_SYS(memfd_create), { 1, SCMP_CMP_EQ, MEMFD_FLAGS, 0 } },
		{ SCMP_SYS(mmap), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ SCMP_SYS(mprotect), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ SCMP_SYS(prctl), { 0, SCMP_CMP_EQ, PR_SET_NAME, 0 } },
		{ SCMP_SYS(tgkill), { 0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0 } },
	};

	bool is_conditional = false;
	int error = 0;

	for (size_t i = 0; !error && i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		if (conditions[i].call != call)
			continue;
		is_conditional = true;
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1,
		                               &conditions[i].argument);
	}
	return is_conditional ? error : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
}

#define CALL(name) SCMP_SYS(name),
static const int calls_always[] = { PV_SYSCALLS_SERVE(CALL) };
static const int calls_of_networks[] = { PV_SYSCALLS_NET(CALL) };
static const int calls_of_remotes[] = { PV_SYSCALLS_REMOTE(CALL) };
#undef CALL

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
	int error = 0;

	for (size_t i = 0; !error && i < count; i++)
		error = allow(filter, calls[i]);
	return error;
}

static int fill(scmp_filter_ctx filter, bool has_network, bool has_remote)
{
	int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	/* To be had only with newer kernels and libraries, and not necessary. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!error)
		error = allow_all(filter, calls_always, COUNT(calls_always));
	if (!error && has_network)
		error = allow_all(filter, calls_of_networks, COUNT(calls_of_networks));
	if (!error && has_remote)
		error = allow_all(filter, calls_of_remotes, COUNT(calls_of_remotes));
	return error;
}

bool pv_sandbox_is_built_in(void)
{
	return !PV_IS_SANITIZED;
}

int pv_sandbox_prepare(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (!PV_IS_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int pv_sandbox_enter(bool has_network, bool has_remote)
{
	scmp_filter_ctx filter;
	int error;

	if (PV_IS_SANITIZED)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	error = fill(filter, has_network, has_remote);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
