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
#include <fcntl.h>
#include <linux/if_tun.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosted/control/sandbox.h"
#include "syscalls_serve.h"

/* A call that is allowed only if one of its arguments is as it should be, in one of these ways. */
struct condition {
	unsigned int part;
	int call;
	struct scmp_arg_cmp argument;
};

/* Of those that only some devices need. */
static unsigned int parts;

/* A file that is there, to read. */
#define OPEN_NOT_TO_READ (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | O_TMPFILE)

/* Of memory files: they can be sealed, and go when the program goes. */
#define MEMFD_FLAGS (MFD_CLOEXEC | MFD_ALLOW_SEALING)

/*
 * The types of requests to a block device (linux/fs.h), to KVM and to vhost: not to a terminal,
 * to which one can write what its user did not type, and whose type a tap interface has too, so
 * that of these two the very requests are named.
 */
#define IOCTL_TYPE_MASK  0xff00u
#define IOCTL_TYPE_BLK   0x1200u
#define IOCTL_TYPE_KVM   0xae00u
#define IOCTL_TYPE_VHOST 0xaf00u

/* `part` is 0 for what is always allowed. */
static int allow(scmp_filter_ctx filter, int call, unsigned int part)
{
	const struct condition conditions[] = {
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, IOCTL_TYPE_BLK } },
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, IOCTL_TYPE_KVM } },
		{ 0,
		  SCMP_SYS(ioctl),
		  { 1, SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, IOCTL_TYPE_VHOST } },
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TCGETS, 0 } },
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TCSETS, 0 } },
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TCFLSH, 0 } },
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TIOCGPGRP, 0 } },
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TIOCGWINSZ, 0 } },
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TUNSETOFFLOAD, 0 } },
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TUNSETQUEUE, 0 } },
		{ 0, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TUNSETSTEERINGEBPF, 0 } },
		{ 0, SCMP_SYS(madvise), { 2, SCMP_CMP_EQ, MADV_DONTNEED, 0 } },
		{ PV_SANDBOX_BALLOON, SCMP_SYS(madvise), { 2, SCMP_CMP_EQ, MADV_REMOVE, 0 } },
		{ 0, SCMP_SYS(memfd_create), { 1, SCMP_CMP_EQ, MEMFD_FLAGS, 0 } },
		{ 0, SCMP_SYS(mmap), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ 0, SCMP_SYS(mprotect), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ 0, SCMP_SYS(prctl), { 0, SCMP_CMP_EQ, PR_SET_NAME, 0 } },
		{ PV_SANDBOX_BALLOON,
		  SCMP_SYS(process_madvise),
		  { 3, SCMP_CMP_EQ, MADV_DONTNEED, 0 } },
		{ 0, SCMP_SYS(tgkill), { 0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0 } },
		{ PV_SANDBOX_DIAL, SCMP_SYS(socket), { 0, SCMP_CMP_EQ, AF_UNIX, 0 } },
		{ PV_SANDBOX_PLUG, SCMP_SYS(socket), { 0, SCMP_CMP_EQ, AF_UNIX, 0 } },
		{ PV_SANDBOX_PLUG, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TIOCGPTN, 0 } },
		{ PV_SANDBOX_PLUG, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TIOCSPTLCK, 0 } },
		{ PV_SANDBOX_INTERNET, SCMP_SYS(socket), { 0, SCMP_CMP_EQ, AF_INET, 0 } },
		{ PV_SANDBOX_INTERNET, SCMP_SYS(socket), { 0, SCMP_CMP_EQ, AF_INET6, 0 } },
		{ PV_SANDBOX_INTERNET, SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, FIONREAD, 0 } },
		{ PV_SANDBOX_INTERNET,
		  SCMP_SYS(openat),
		  { 2, SCMP_CMP_MASKED_EQ, OPEN_NOT_TO_READ, 0 } },
	};

	bool is_conditional = false;
	int error = 0;

	for (size_t i = 0; !error && i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		if (conditions[i].call != call || conditions[i].part != part)
			continue;
		is_conditional = true;
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1,
		                               &conditions[i].argument);
	}
	return is_conditional ? error : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
}

static int allow_all(scmp_filter_ctx filter, const int *call, size_t calls, unsigned int part)
{
	int error = 0;

	for (size_t i = 0; !error && i < calls; i++)
		error = allow(filter, call[i], part);
	return error;
}

static int fill(scmp_filter_ctx filter)
{
#define CALL(name)            SCMP_SYS(name),
#define ALLOW_ALL(call, part) allow_all(filter, call, sizeof(call) / sizeof((call)[0]), part)
	static const int always[] = { PV_SYSCALLS_SERVE(CALL) };
	static const int balloon[] = { PV_SYSCALLS_SERVE_BALLOON(CALL) };
	static const int dial[] = { PV_SYSCALLS_SERVE_DIAL(CALL) };
	static const int internet[] = { PV_SYSCALLS_SERVE_INTERNET(CALL) };
	static const int plug[] = { PV_SYSCALLS_SERVE_PLUG(CALL) };
	int error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	/* To be had only with newer kernels and libraries, and not necessary. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!error)
		error = ALLOW_ALL(always, 0);
	if (!error && parts & PV_SANDBOX_BALLOON)
		error = ALLOW_ALL(balloon, PV_SANDBOX_BALLOON);
	if (!error && parts & PV_SANDBOX_DIAL)
		error = ALLOW_ALL(dial, PV_SANDBOX_DIAL);
	if (!error && parts & PV_SANDBOX_INTERNET)
		error = ALLOW_ALL(internet, PV_SANDBOX_INTERNET);
	if (!error && parts & PV_SANDBOX_PLUG)
		error = ALLOW_ALL(plug, PV_SANDBOX_PLUG);
	return error;
#undef ALLOW_ALL
#undef CALL
}

void pv_sandbox_allow(enum pv_sandbox_part part)
{
	parts |= part;
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

int pv_sandbox_enter(void)
{
	scmp_filter_ctx filter;
	int error;

	if (PV_IS_SANITIZED)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	error = fill(filter);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}
