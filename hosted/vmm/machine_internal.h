/* SPDX-License-Identifier: BSD-2-Clause */
/* What machine.c, which makes a machine, and machine_fate.c, which ends it, have in common. */
#ifndef PV_HOSTED_VMM_MACHINE_INTERNAL_H
#define PV_HOSTED_VMM_MACHINE_INTERNAL_H

#include <pthread.h>

#include "hosted/vmm/machine.h"
#include "hosted/vmm/mmio_bus.h"
#include "hosted/vmm/pci_bus.h"
#include "hosted/vmm/platform.h"
#include "hosted/vmm/uart.h"
#include "hosted/vmm/vcpu.h"

/* What the guest asked for, for the control loop to do: of several what comes later here. */
enum pv_machine_wish { PV_WISH_NOTHING, PV_WISH_RESET, PV_WISH_PANIC, PV_WISH_OFF, PV_WISH_FAILED };

struct pv_machine {
	struct pv_loop_lock loop_lock;
	pthread_mutex_t mutex;
	pthread_cond_t progress; /* the control loop has done something */
	struct pv_machine_options options;
	struct pv_service *service;
	struct pv_kvm kvm;
	struct pv_machine_memory memory;
	struct pv_boot boot;
	struct pv_io_space ports, mmio;
	struct pv_platform platform;
	struct pv_uart serial;
	struct pv_machine_pci pci;
	struct pv_machine_mmio mmio_bus;
	struct pv_vcpus vcpus;
	struct pv_device *device[PV_PCI_SLOTS + PV_MMIO_SLOTS];
	unsigned int devices;

	struct pv_loop_message message; /* there is a wish */
	enum pv_machine_wish wish;
	bool is_resetting, is_ending;
	/* By its user, who may change his mind before all devices are at rest. */
	bool is_stopping, is_stopped, goes_on_once_stopped;
	bool has_crash_kernel, is_panicked;
	/* Devices that a reset, a stop and the end wait for; one more until all have been asked. */
	unsigned int resetting, pausing, ending;
	enum pv_machine_end end;
	bool is_reset_by_host;
	const struct pv_machine_listener *listener; /* may be NULL */
	void *listener_arg;
};

/* The kernel into its memory, and all processors to its entry. False with a sentence. */
bool pv_machine_load(struct pv_machine *machine, char sentence[static PV_SENTENCE_BYTES]);

/* From processors' threads, with the lock: several may wish before all wait. */
void pv_machine_wish(struct pv_machine *machine, enum pv_machine_wish wish);
/* A reset, or what its user has in its place. The same. */
void pv_machine_wish_reset(struct pv_machine *machine);
/* Does the one that counts: what the message of the machine runs. */
void pv_machine_grant(struct pv_loop_message *message);

extern const struct pv_service_guest_ops pv_machine_guest_ops;

#endif
