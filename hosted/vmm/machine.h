/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine: processors, memory, buses and platform, and what becomes of them.
 *
 * It is the guest of a service (service.h), whose control side it is part of.  That side is not
 * only a thread here but a lock: the control loop holds it except while it sleeps, and a processor
 * whose guest touched a register takes it for as long as the answer takes.  Queues run on data
 * loops, which never take it.
 */
#ifndef PV_HOSTED_VMM_MACHINE_H
#define PV_HOSTED_VMM_MACHINE_H

#include "hosted/control/disk.h"
#include "hosted/control/service.h"
#include "hosted/vmm/boot.h"
#include "hosted/vmm/console.h"

struct pv_machine;

/* What becomes of a machine that asks for a reset, or whose guest has panicked. */
enum pv_machine_action { PV_MACHINE_RESETS, PV_MACHINE_ENDS, PV_MACHINE_STOPS, PV_MACHINE_RUNS };

struct pv_machine_options {
	struct pv_boot_options boot;
	struct pv_machine_memory_options memory;
	enum pv_machine_action on_reset; /* one of the first two */
	enum pv_machine_action on_panic;
	const struct pv_console *console; /* outlives it */
};

/* How it ended. */
enum pv_machine_end {
	PV_MACHINE_OFF, /* the guest, or who was asked to end it, switched it off */
	PV_MACHINE_PANICKED,
	PV_MACHINE_FAILED, /* KVM could not go on */
};

/*
 * Makes it, with its processors' threads, and puts the kernel into its memory. False with a
 * sentence; nothing is left then.
 */
bool pv_machine_create(struct pv_machine **machine, const struct pv_machine_options *options,
                       char sentence[static PV_SENTENCE_BYTES]);

/* When the service has gone. */
void pv_machine_destroy(struct pv_machine *machine);

/* For the service's extent. */
struct pv_loop_lock *pv_machine_lock(struct pv_machine *machine);

/*
 * Puts it onto the service that will run it: before devices are added, and before the service runs.
 * False with a sentence.
 */
bool pv_machine_join(struct pv_machine *machine, struct pv_service *service,
                     char sentence[static PV_SENTENCE_BYTES]);

/* A device of the service's, in the next slot of the PCI bus. The same. */
bool pv_machine_add(struct pv_machine *machine, struct pv_device *device, struct pv_host *host,
                    uint16_t class_code, char sentence[static PV_SENTENCE_BYTES]);

/* The same on MMIO, in one of a few places. */
#define PV_MACHINE_MMIO_DEVICES 8u
bool pv_machine_add_mmio(struct pv_machine *machine, struct pv_device *device, struct pv_host *host,
                         char sentence[static PV_SENTENCE_BYTES]);

/*
 * The file that its memory lies in, and where its first byte is mapped; the machine's. -1 where it
 * is not shared.
 */
int pv_machine_shared_memory(const struct pv_machine *machine, const uint8_t **base);

/* The power button, and the reset button. Control side. */
void pv_machine_press_power(struct pv_machine *machine);
void pv_machine_press_reset(struct pv_machine *machine);

/*
 * Has processors wait and devices come to rest: what was begun is finished or kept, and nothing
 * moves until pv_machine_cont(). Returns true if it is so already; otherwise the listener is told,
 * perhaps from within the call. The guest's clock goes on meanwhile, and its watchdogs are told
 * that it is not to blame. Control side.
 */
bool pv_machine_stop(struct pv_machine *machine);
void pv_machine_cont(struct pv_machine *machine);

/* From the call of pv_machine_stop() to that of pv_machine_cont(). Control side. */
bool pv_machine_is_stopped(const struct pv_machine *machine);

/* Was it stopped because its guest had panicked? Until it goes on or is reset. Control side. */
bool pv_machine_is_panicked(const struct pv_machine *machine);

/* The thread ids of its processors, 0 for those beyond. */
int pv_machine_cpu_thread(const struct pv_machine *machine, unsigned int cpu);

/* What becomes of it, for one who wants to know. Control side. */
struct pv_machine_listener {
	void (*was_reset)(void *arg, bool by_guest); /* or by its button */
	void (*has_stopped)(void *arg);
	void (*goes_on)(void *arg);
	/* The action comes next; with a crash kernel the guest helps itself, and runs. */
	void (*has_panicked)(void *arg, enum pv_machine_action action, bool has_crash_kernel);
};

void pv_machine_set_listener(struct pv_machine *machine, const struct pv_machine_listener *listener,
                             void *arg);

enum pv_machine_end pv_machine_how_ended(const struct pv_machine *machine);

#endif
