/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded: a KVM that gives a machine two processors and no more. */
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	uintptr_t argument;

	va_start(list, request);
	argument = va_arg(list, uintptr_t);
	va_end(list);
	if (request == KVM_CHECK_EXTENSION && argument == KVM_CAP_MAX_VCPUS)
		return 2;
	return (int)syscall(SYS_ioctl, fd, request, argument);
}
