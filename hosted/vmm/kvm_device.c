/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/kvm_device.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE    "/dev/kvm"
#define FORBIDDEN DEVICE " may not be opened by this user"
#define GROUP_MAY (S_IRGRP | S_IWGRP)

/* What the monitor uses and the interface of KVM leaves open. */
#define EXTENSION(name)                                                                            \
	{                                                                                          \
		KVM_CAP_##name, #name                                                              \
	}
static const struct {
	int number;
	const char *name;
} extensions[] = {
	EXTENSION(IRQCHIP),        EXTENSION(USER_MEMORY),
	EXTENSION(SET_TSS_ADDR),   EXTENSION(SET_IDENTITY_MAP_ADDR),
	EXTENSION(EXT_CPUID),      EXTENSION(MP_STATE),
	EXTENSION(VCPU_EVENTS),    EXTENSION(PIT2),
	EXTENSION(PIT_STATE2),     EXTENSION(IRQ_ROUTING),
	EXTENSION(IRQFD),          EXTENSION(IRQFD_RESAMPLE),
	EXTENSION(IOEVENTFD),      EXTENSION(IOEVENTFD_ANY_LENGTH),
	EXTENSION(IMMEDIATE_EXIT),
};

#define CPUID_1_ECX_VMX          (1u << 5)
#define CPUID_80000001_ECX_SVM   (1u << 2)
#define CPUID_EXTENDED_FUNCTIONS 0x80000001u

__attribute__((format(printf, 3, 4))) static int lacks(struct pv_kvm_lack *lack, const char *what,
                                                       const char *remedy, ...)
{
	va_list arguments;

	snprintf(lack->what, sizeof(lack->what), "%s", what);
	va_start(arguments, remedy);
	vsnprintf(lack->remedy, sizeof(lack->remedy), remedy, arguments);
	va_end(arguments);
	return -1;
}

/* The module that would drive this processor; NULL: it does not show that it could. */
static const char *module(void)
{
	unsigned int eax, ebx, ecx = 0, edx;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & CPUID_1_ECX_VMX)
		return "kvm_intel";
	if (__get_cpuid(CPUID_EXTENDED_FUNCTIONS, &eax, &ebx, &ecx, &edx) &&
	    ecx & CPUID_80000001_ECX_SVM)
		return "kvm_amd";
	return NULL;
}

static int is_not_driven(struct pv_kvm_lack *lack, const char *what)
{
	if (module())
		return lacks(lack, what,
		             "load its module (modprobe %s), or pass " DEVICE " into the container",
		             module());
	return lacks(
		lack, what,
		"the processor shows no hardware virtualization: switch it on in the firmware, "
		"or where this is a virtual machine have its host nest it");
}

static int is_forbidden(struct pv_kvm_lack *lack)
{
	struct stat node;
	const struct group *group = stat(DEVICE, &node) == 0 ? getgrgid(node.st_gid) : NULL;

	if (!group || node.st_gid == 0 || (node.st_mode & GROUP_MAY) != GROUP_MAY)
		return lacks(lack, FORBIDDEN,
		             "as root, give it to a group of those who may: chgrp kvm " DEVICE
		             "; chmod 660 " DEVICE);
	return lacks(lack, FORBIDDEN, "add the user to the group '%s' and log in again",
	             group->gr_name);
}

static int cannot_open(struct pv_kvm_lack *lack)
{
	switch (errno) {
	case ENOENT:
		return is_not_driven(lack, "there is no " DEVICE);
	case ENODEV:
	case ENXIO:
		return is_not_driven(lack, "there is nothing behind " DEVICE);
	case EACCES:
		return is_forbidden(lack);
	case EPERM:
		return lacks(lack, DEVICE " may not be opened here",
		             "allow the device to the container that this runs in");
	}
	return lacks(lack, DEVICE " cannot be opened", "the system says: %s", strerror(errno));
}

/* Anything can lie at a path. */
static bool is_kvm(int fd, struct pv_kvm_lack *lack)
{
	int version = ioctl(fd, KVM_GET_API_VERSION, 0);

	if (version == KVM_API_VERSION)
		return true;
	if (version < 0)
		lacks(lack, DEVICE " is no KVM",
		      "remove what lies at that path, and load KVM anew");
	else
		lacks(lack, DEVICE " is too old a KVM",
		      "boot a newer Linux: its version is %d, not %d", version, KVM_API_VERSION);
	return false;
}

static bool has_extensions(int fd, struct pv_kvm_lack *lack)
{
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, extensions[i].number) > 0)
			continue;
		lacks(lack, DEVICE " cannot do what a machine needs",
		      "boot a newer Linux, one whose KVM has KVM_CAP_%s", extensions[i].name);
		return false;
	}
	return true;
}

int pv_kvm_device_open(struct pv_kvm_lack *lack)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return cannot_open(lack);
	if (is_kvm(fd, lack) && has_extensions(fd, lack))
		return fd;
	close(fd);
	return -1;
}
