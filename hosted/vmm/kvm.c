/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls ioctl close
 */
#include "hosted/vmm/kvm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hosted/vmm/kvm_device.h"

#define IOAPIC_PINS 24u
#define PIC_PINS    16u
#define ROUTES_MAX  1024u

/* Three pages that the kernel needs on Intel, in the hole below 4 GiB. */
#define TSS_ADDRESS      0xfffbd000u
#define IDENTITY_ADDRESS 0xfffbc000ull

static int result(int value)
{
	return value < 0 ? -errno : 0;
}

/* ---- routes ---- */

static void add_pin(struct pv_kvm *kvm, uint32_t gsi, uint32_t chip, uint32_t pin)
{
	kvm->routes->entries[kvm->routes->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static int commit(const struct pv_kvm *kvm)
{
	return result(ioctl(kvm->vm_fd, KVM_SET_GSI_ROUTING, kvm->routes));
}

/* As the board has it: the timer is on pin 2 of the IOAPIC, which has no other use. */
static int route_pins(struct pv_kvm *kvm)
{
	kvm->routes_max = ROUTES_MAX;
	kvm->routes =
		calloc(1, sizeof(*kvm->routes) + ROUTES_MAX * sizeof(kvm->routes->entries[0]));
	if (!kvm->routes)
		return -ENOMEM;
	for (uint32_t i = 0; i < PIC_PINS; i++)
		if (i != 2)
			add_pin(kvm, i, i < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
			        i % 8);
	for (uint32_t i = 0; i < IOAPIC_PINS; i++)
		if (i != 2)
			add_pin(kvm, i, KVM_IRQCHIP_IOAPIC, i == 0 ? 2 : i);
	kvm->gsis = IOAPIC_PINS;
	return commit(kvm);
}

uint32_t pv_kvm_gsi_alloc(struct pv_kvm *kvm)
{
	return kvm->routes->nr + (kvm->gsis - IOAPIC_PINS) < kvm->routes_max ? kvm->gsis++
	                                                                     : PV_KVM_GSI_NONE;
}

int pv_kvm_gsi_set_message(struct pv_kvm *kvm, uint32_t gsi, uint64_t address, uint32_t data)
{
	struct kvm_irq_routing_entry entry = {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)address,
		           .address_hi = (uint32_t)(address >> 32),
		           .data = data },
	};
	struct kvm_irq_routing_entry *place = &kvm->routes->entries[0];
	const struct kvm_irq_routing_entry *end = place + kvm->routes->nr;

	while (place < end && place->gsi != gsi)
		place++;
	if (place < end && memcmp(place, &entry, sizeof(entry)) == 0)
		return 0;
	if (place == end)
		kvm->routes->nr++;
	*place = entry;
	return commit(kvm);
}

int pv_kvm_irqfd(struct pv_kvm *kvm, uint32_t gsi, int fd, int resample_fd)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = gsi };

	if (resample_fd >= 0) {
		irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = (uint32_t)resample_fd;
	}
	return result(ioctl(kvm->vm_fd, KVM_IRQFD, &irqfd));
}

int pv_kvm_irqfd_end(struct pv_kvm *kvm, uint32_t gsi, int fd)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd,
		                   .gsi = gsi,
		                   .flags = KVM_IRQFD_FLAG_DEASSIGN };

	return result(ioctl(kvm->vm_fd, KVM_IRQFD, &irqfd));
}

void pv_kvm_irq_line(struct pv_kvm *kvm, uint32_t irq, bool is_high)
{
	struct kvm_irq_level level = { .irq = irq, .level = is_high };

	(void)!ioctl(kvm->vm_fd, KVM_IRQ_LINE, &level);
}

/* ---- doorbells ---- */

static int doorbell_set(struct pv_kvm *kvm, const struct pv_kvm_doorbell *doorbell, uint32_t flags)
{
	struct kvm_ioeventfd eventfd = {
		.addr = doorbell->address,
		.len = doorbell->bytes,
		.fd = doorbell->fd,
		.flags = flags | (doorbell->is_io ? KVM_IOEVENTFD_FLAG_PIO : 0),
	};

	if (doorbell->value) {
		eventfd.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
		eventfd.datamatch = *doorbell->value;
	}
	return result(ioctl(kvm->vm_fd, KVM_IOEVENTFD, &eventfd));
}

int pv_kvm_doorbell_add(struct pv_kvm *kvm, const struct pv_kvm_doorbell *doorbell)
{
	return doorbell_set(kvm, doorbell, 0);
}

int pv_kvm_doorbell_remove(struct pv_kvm *kvm, const struct pv_kvm_doorbell *doorbell)
{
	return doorbell_set(kvm, doorbell, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

/* ---- memory ---- */

int pv_kvm_add_memory(struct pv_kvm *kvm, uint64_t gpa, void *host, uint64_t bytes)
{
	struct kvm_userspace_memory_region region = {
		.slot = kvm->slots,
		.guest_phys_addr = gpa,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)host,
	};
	int error = result(ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region));

	if (!error)
		kvm->slots++;
	return error;
}

/* ---- opening ---- */

static bool open_device(struct pv_kvm *kvm, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_kvm_lack lack;

	kvm->fd = pv_kvm_device_open(&lack);
	return kvm->fd >= 0 || pv_sentence_wrong(sentence, "%s: %s", lack.what, lack.remedy);
}

static int remember(struct pv_kvm *kvm)
{
	int error = 0;

	for (uint32_t i = 0; !error && i < PV_KVM_CHIPS; i++) {
		kvm->chip[i].chip_id = i;
		error = result(ioctl(kvm->vm_fd, KVM_GET_IRQCHIP, &kvm->chip[i]));
	}
	return error ? error : result(ioctl(kvm->vm_fd, KVM_GET_PIT2, &kvm->pit));
}

int pv_kvm_reset(struct pv_kvm *kvm)
{
	int error = 0;

	for (uint32_t i = 0; !error && i < PV_KVM_CHIPS; i++)
		error = result(ioctl(kvm->vm_fd, KVM_SET_IRQCHIP, &kvm->chip[i]));
	return error ? error : result(ioctl(kvm->vm_fd, KVM_SET_PIT2, &kvm->pit));
}

static int make_machine(struct pv_kvm *kvm)
{
	const uint64_t identity = IDENTITY_ADDRESS;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int error;

	kvm->vm_fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
	if (kvm->vm_fd < 0)
		return -errno;
	error = result(ioctl(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity));
	if (!error)
		error = result(ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS));
	if (!error)
		error = result(ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0));
	if (!error)
		error = result(ioctl(kvm->vm_fd, KVM_CREATE_PIT2, &pit));
	if (!error)
		error = remember(kvm);
	return error ? error : route_pins(kvm);
}

bool pv_kvm_open(struct pv_kvm *kvm, char sentence[static PV_SENTENCE_BYTES])
{
	int error;

	*kvm = (struct pv_kvm){ .fd = -1, .vm_fd = -1 };
	if (!open_device(kvm, sentence))
		return false;
	kvm->run_bytes = (size_t)ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	kvm->cpus_max = (unsigned int)ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	error = make_machine(kvm);
	if (!error)
		return true;
	pv_kvm_close(kvm);
	return pv_sentence_wrong(sentence, "/dev/kvm makes no machine: %s", strerror(-error));
}

void pv_kvm_close(struct pv_kvm *kvm)
{
	free(kvm->routes);
	kvm->routes = NULL;
	if (kvm->vm_fd >= 0)
		close(kvm->vm_fd);
	if (kvm->fd >= 0)
		close(kvm->fd);
	kvm->fd = kvm->vm_fd = -1;
}
