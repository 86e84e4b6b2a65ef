/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/machine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hosted/loop/log.h"
#include "hosted/vmm/mmio_bus.h"
#include "hosted/vmm/pci_bus.h"
#include "hosted/vmm/platform.h"
#include "hosted/vmm/serial.h"
#include "hosted/vmm/vcpu.h"
#include "ring/err.h"

#define SERIAL_PORT 0x3f8u
#define SERIAL_IRQ  4u

/* A device that does not come to rest is waited for in steps of this. */
#define WAIT_NS 1000000

/* What the guest asked for, for the control loop to do: of several what comes later here. */
enum wish { WISH_NOTHING, WISH_RESET, WISH_PANIC, WISH_OFF, WISH_FAILED };

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
	struct pv_serial serial;
	struct pv_machine_pci pci;
	struct pv_machine_mmio mmio_bus;
	struct pv_vcpus vcpus;
	struct pv_device *device[PV_PCI_SLOTS + PV_MMIO_SLOTS];
	unsigned int devices;

	struct pv_loop_message message; /* there is a wish */
	enum wish wish;
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

/* ---- the lock ---- */

static struct pv_machine *of_lock(struct pv_loop_lock *lock)
{
	return (struct pv_machine *)lock;
}

static void lock_take(struct pv_loop_lock *lock)
{
	pthread_mutex_lock(&of_lock(lock)->mutex);
}

static void lock_leave(struct pv_loop_lock *lock)
{
	pthread_cond_broadcast(&of_lock(lock)->progress);
	pthread_mutex_unlock(&of_lock(lock)->mutex);
}

/* On a processor's thread, with the lock: leaves it to the control loop for a moment. */
static void wait_for_progress(void *arg)
{
	struct pv_machine *machine = arg;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAIT_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&machine->progress, &machine->mutex, &until);
}

/* ---- wishes ---- */

/* From processors' threads, with the lock: several may wish before all wait. */
static void wish(struct pv_machine *machine, enum wish wish)
{
	bool is_posted = machine->wish != WISH_NOTHING;

	if (machine->is_ending || wish <= machine->wish)
		return;
	machine->wish = wish;
	/* The one that wished waits with the others; until then nobody goes on. */
	machine->vcpus.is_paused = true;
	if (!is_posted)
		pv_loop_post(pv_service_control(machine->service), &machine->message);
}

static void power_off(void *arg)
{
	wish(arg, WISH_OFF);
}

static void reset(void *arg)
{
	struct pv_machine *machine = arg;

	wish(machine, machine->options.on_reset == PV_MACHINE_ENDS ? WISH_OFF : WISH_RESET);
}

static void set_sci(void *arg, bool is_high)
{
	struct pv_machine *machine = arg;

	pv_kvm_irq_line(&machine->kvm, PV_SCI_IRQ, is_high);
}

static void panicked(void *arg, bool has_crash_kernel)
{
	struct pv_machine *machine = arg;

	machine->has_crash_kernel = has_crash_kernel;
	wish(machine, WISH_PANIC);
}

static const struct pv_platform_ops platform_ops = { power_off, reset, set_sci, panicked };

static void set_serial_line(void *arg, bool is_high)
{
	struct pv_machine *machine = arg;

	pv_kvm_irq_line(&machine->kvm, SERIAL_IRQ, is_high);
}

static void vcpu_ended(void *arg, enum pv_vcpu_end end)
{
	if (end == PV_VCPU_SHUTDOWN)
		reset(arg);
	else
		wish(arg, WISH_FAILED);
}

/* ---- what is done about them ---- */

static bool load(struct pv_machine *machine, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_boot_entry entry;
	int error;

	if (!pv_boot_load(&machine->boot, &machine->memory, &entry, sentence))
		return false;
	error = pv_kvm_reset(&machine->kvm);
	if (!error)
		error = pv_vcpus_reset(&machine->vcpus, &entry);
	return !error ||
	       pv_sentence_wrong(sentence, "KVM takes no processor state: %s", strerror(-error));
}

static void end_devices(struct pv_machine *machine);

static void restart(struct pv_machine *machine)
{
	char sentence[PV_SENTENCE_BYTES];

	if (!load(machine, sentence)) {
		pv_log("vm", PV_LOG_ERROR, sentence);
		machine->end = PV_MACHINE_FAILED;
		pv_service_end(machine->service, "guest-reset");
		return;
	}
	if (machine->listener)
		machine->listener->was_reset(machine->listener_arg, !machine->is_reset_by_host);
	machine->is_reset_by_host = machine->is_panicked = false;
	if (!machine->is_stopped)
		pv_vcpus_resume(&machine->vcpus);
}

static void device_was_reset(void *arg)
{
	struct pv_machine *machine = arg;

	if (--machine->resetting > 0)
		return;
	machine->is_resetting = false;
	if (machine->is_ending)
		end_devices(machine);
	else
		restart(machine);
}

/* The bus has begun the reset of each device: what remains is to wait for its end. */
static void reset_machine(struct pv_machine *machine)
{
	const struct pv_waiter waiter = { device_was_reset, machine };

	machine->is_resetting = true;
	pv_platform_reset(&machine->platform);
	pv_serial_reset(&machine->serial);
	pv_machine_pci_reset(&machine->pci);
	pv_machine_mmio_reset(&machine->mmio_bus);
	machine->resetting = machine->devices + 1;
	for (unsigned int i = 0; i < machine->devices; i++)
		pv_bug_on(pv_device_reset(machine->device[i], waiter) != 0);
	device_was_reset(machine);
}

/* ---- the service's guest ---- */

static void begin(void *arg)
{
	struct pv_machine *machine = arg;

	pv_vcpus_resume(&machine->vcpus);
}

static void device_stopped(void *arg)
{
	struct pv_machine *machine = arg;

	if (--machine->ending > 0)
		return;
	pv_serial_flush(&machine->serial);
	pv_service_guest_ended(machine->service);
}

static void end_devices(struct pv_machine *machine)
{
	const struct pv_waiter waiter = { device_stopped, machine };

	machine->ending = machine->devices + 1;
	for (unsigned int i = 0; i < machine->devices; i++)
		pv_bug_on(pv_device_reset(machine->device[i], waiter) != 0);
	device_stopped(machine);
}

/* A reset that is under way has its own waiters: the last of them goes on here. */
static void end(void *arg, const char *reason)
{
	struct pv_machine *machine = arg;

	(void)reason;
	machine->is_ending = true;
	pv_vcpus_pause(&machine->vcpus);
	pv_vcpus_end(&machine->vcpus);
	if (!machine->is_resetting)
		end_devices(machine);
}

/* A guest that is asked to end and does not listen is ended by who asks twice. */
static void asked_to_end(void *arg)
{
	pv_machine_press_power(arg);
}

static const struct pv_service_guest_ops guest_ops = { begin, asked_to_end, end };

/* ---- stop and go on ---- */

static void go_on(struct pv_machine *machine)
{
	machine->is_stopped = machine->goes_on_once_stopped = machine->is_panicked = false;
	for (unsigned int i = 0; i < machine->devices; i++)
		pv_device_resume(machine->device[i]);
	if (machine->listener)
		machine->listener->goes_on(machine->listener_arg);
	/* A reset that is under way has them go on when it is done. */
	if (machine->is_resetting)
		return;
	pv_vcpus_mark_stopped(&machine->vcpus);
	pv_vcpus_resume(&machine->vcpus);
}

static void device_paused(void *arg)
{
	struct pv_machine *machine = arg;

	if (--machine->pausing > 0)
		return;
	machine->is_stopping = false;
	if (machine->listener)
		machine->listener->has_stopped(machine->listener_arg);
	if (machine->goes_on_once_stopped && !machine->is_ending)
		go_on(machine);
}

static void stop_machine(struct pv_machine *machine)
{
	const struct pv_waiter waiter = { device_paused, machine };

	machine->is_stopping = machine->is_stopped = true;
	pv_vcpus_pause(&machine->vcpus);
	machine->pausing = machine->devices + 1;
	for (unsigned int i = 0; i < machine->devices; i++)
		pv_bug_on(pv_device_pause(machine->device[i], waiter) != 0);
	device_paused(machine);
}

bool pv_machine_stop(struct pv_machine *machine)
{
	bool is_at_rest = machine->is_ending || (machine->is_stopped && !machine->is_stopping);

	machine->goes_on_once_stopped = false;
	if (!is_at_rest && !machine->is_stopping)
		stop_machine(machine);
	return is_at_rest;
}

void pv_machine_cont(struct pv_machine *machine)
{
	if (machine->is_ending)
		return;
	machine->goes_on_once_stopped = machine->is_stopping;
	if (machine->is_stopped && !machine->is_stopping)
		go_on(machine);
}

bool pv_machine_is_stopped(const struct pv_machine *machine)
{
	return machine->is_stopped && !machine->goes_on_once_stopped;
}

bool pv_machine_is_panicked(const struct pv_machine *machine)
{
	return machine->is_panicked;
}

/* ---- granting wishes ---- */

static void end_machine(struct pv_machine *machine, enum pv_machine_end end, const char *reason)
{
	machine->end = end;
	pv_service_end(machine->service, reason);
}

static void grant_panic(struct pv_machine *machine)
{
	enum pv_machine_action action = machine->options.on_panic;

	if (machine->has_crash_kernel)
		action = PV_MACHINE_RUNS;
	if (machine->listener)
		machine->listener->has_panicked(machine->listener_arg, action,
		                                machine->has_crash_kernel);
	switch (action) {
	case PV_MACHINE_RESETS:
		reset_machine(machine);
		break;
	case PV_MACHINE_ENDS:
		pv_log("vm", PV_LOG_ERROR, "the guest has panicked");
		end_machine(machine, PV_MACHINE_PANICKED, "guest-panic");
		break;
	case PV_MACHINE_STOPS:
		machine->is_panicked = true;
		pv_machine_stop(machine);
		break;
	case PV_MACHINE_RUNS:
		break;
	}
}

static void grant(struct pv_loop_message *message)
{
	struct pv_machine *machine =
		(struct pv_machine *)((char *)message - offsetof(struct pv_machine, message));
	enum wish granted = machine->wish;

	machine->wish = WISH_NOTHING;
	/* A reset that is under way is as good as another, or as what it puts an end to. */
	if (machine->is_ending ||
	    (machine->is_resetting && (granted == WISH_RESET || granted == WISH_PANIC)))
		return;
	pv_vcpus_pause(&machine->vcpus);
	if (granted == WISH_RESET)
		reset_machine(machine);
	else if (granted == WISH_PANIC)
		grant_panic(machine);
	else if (granted == WISH_FAILED)
		end_machine(machine, PV_MACHINE_FAILED, "host-error");
	else
		end_machine(machine, PV_MACHINE_OFF, "guest-shutdown");
	if (!machine->is_ending && !machine->is_resetting && !machine->is_stopped)
		pv_vcpus_resume(&machine->vcpus);
}

/* ---- buttons ---- */

void pv_machine_press_power(struct pv_machine *machine)
{
	pv_platform_press_button(&machine->platform);
}

void pv_machine_press_reset(struct pv_machine *machine)
{
	machine->is_reset_by_host = true;
	wish(machine, WISH_RESET);
}

int pv_machine_cpu_thread(const struct pv_machine *machine, unsigned int cpu)
{
	return cpu < machine->vcpus.vcpus ? machine->vcpus.vcpu[cpu].thread_id : 0;
}

void pv_machine_set_listener(struct pv_machine *machine, const struct pv_machine_listener *listener,
                             void *arg)
{
	machine->listener = listener;
	machine->listener_arg = arg;
}

/* ---- making it ---- */

static bool out_of_memory(char sentence[static PV_SENTENCE_BYTES])
{
	return pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
}

static bool make(struct pv_machine *machine, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_machine_options *options = &machine->options;
	int error;

	if (!pv_boot_open(&machine->boot, &options->boot, sentence))
		return false;
	if (!pv_machine_memory_create(&machine->memory, &options->memory, sentence))
		return false;
	if (!pv_kvm_open(&machine->kvm, sentence))
		return pv_sentence_more(sentence, "'paravane doctor' tells more");
	error = pv_machine_memory_show(&machine->memory, &machine->kvm);
	if (error)
		return pv_sentence_wrong(sentence, "KVM takes no memory: %s", strerror(-error));
	machine->vcpus.kvm = &machine->kvm;
	machine->vcpus.ports = &machine->ports;
	machine->vcpus.memory = &machine->mmio;
	machine->vcpus.lock = &machine->mutex;
	machine->vcpus.ended = vcpu_ended;
	machine->vcpus.arg = machine;
	return pv_vcpus_init(&machine->vcpus, options->boot.cpus, sentence) &&
	       load(machine, sentence);
}

bool pv_machine_create(struct pv_machine **created, const struct pv_machine_options *options,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_machine *machine = calloc(1, sizeof(*machine));
	int error;

	if (!machine)
		return out_of_memory(sentence);
	machine->options = *options;
	machine->loop_lock = (struct pv_loop_lock){ lock_take, lock_leave };
	machine->message.run = grant;
	machine->kvm.fd = machine->kvm.vm_fd = machine->memory.fd = -1;
	pthread_mutex_init(&machine->mutex, NULL);
	pthread_cond_init(&machine->progress, NULL);
	if (!make(machine, sentence)) {
		pv_machine_destroy(machine);
		return false;
	}
	error = pv_vcpus_start(&machine->vcpus);
	if (error) {
		pv_machine_destroy(machine);
		return pv_sentence_wrong(sentence, "no threads for processors: %s",
		                         strerror(-error));
	}
	*created = machine;
	return true;
}

/* Threads that never came to run the guest. */
static void end_threads(struct pv_machine *machine)
{
	if (machine->vcpus.is_ending || !machine->vcpus.vcpu)
		return;
	pthread_mutex_lock(&machine->mutex);
	pv_vcpus_end(&machine->vcpus);
	pthread_mutex_unlock(&machine->mutex);
}

void pv_machine_destroy(struct pv_machine *machine)
{
	end_threads(machine);
	pv_vcpus_fini(&machine->vcpus);
	pv_machine_pci_fini(&machine->pci);
	pv_machine_mmio_fini(&machine->mmio_bus);
	pv_kvm_close(&machine->kvm);
	pv_boot_close(&machine->boot);
	pv_machine_memory_destroy(&machine->memory);
	pthread_cond_destroy(&machine->progress);
	pthread_mutex_destroy(&machine->mutex);
	free(machine);
}

struct pv_loop_lock *pv_machine_lock(struct pv_machine *machine)
{
	return &machine->loop_lock;
}

bool pv_machine_join(struct pv_machine *machine, struct pv_service *service,
                     char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_io_range serial = { SERIAL_PORT, PV_SERIAL_PORTS, &pv_serial_io_ops,
		                            &machine->serial };
	const struct pv_pci_bus_options pci = {
		.kvm = &machine->kvm,
		.ports = &machine->ports,
		.memory = &machine->mmio,
		.control = pv_service_control(service),
		.wait = wait_for_progress,
		.arg = machine,
	};
	const struct pv_mmio_bus_options mmio = {
		.kvm = &machine->kvm,
		.memory = &machine->mmio,
		.wait = wait_for_progress,
		.arg = machine,
	};
	int error;

	machine->service = service;
	pv_service_set_guest(service, &guest_ops, machine);
	pv_service_set_cpus(service, machine->vcpus.stats, machine->vcpus.vcpus);
	error = pv_machine_pci_init(&machine->pci, &pci);
	if (error)
		return pv_sentence_wrong(sentence, "no PCI bus: %s", strerror(-error));
	pv_machine_mmio_init(&machine->mmio_bus, &mmio);
	pv_platform_init(&machine->platform, &machine->ports, &platform_ops, machine);
	machine->serial.set_line = set_serial_line;
	machine->serial.arg = machine;
	error = pv_serial_init(&machine->serial, pv_service_control(service),
	                       machine->options.console);
	if (error)
		return pv_sentence_wrong(sentence, "no console: %s", strerror(-error));
	pv_bug_on(!pv_io_add(&machine->ports, &serial));
	return true;
}

static bool has_device(struct pv_machine *machine, struct pv_device *device)
{
	pv_device_mem_set(device, machine->memory.table);
	machine->device[machine->devices++] = device;
	return true;
}

bool pv_machine_add(struct pv_machine *machine, struct pv_device *device, struct pv_host *host,
                    uint16_t class_code, char sentence[static PV_SENTENCE_BYTES])
{
	int error = pv_machine_pci_add(&machine->pci, device, host, class_code);

	if (error)
		return pv_sentence_wrong(sentence, "no place on the PCI bus: %s", strerror(-error));
	return has_device(machine, device);
}

_Static_assert(PV_MACHINE_MMIO_DEVICES == PV_MMIO_SLOTS, "as many as there are places");

bool pv_machine_add_mmio(struct pv_machine *machine, struct pv_device *device, struct pv_host *host,
                         char sentence[static PV_SENTENCE_BYTES])
{
	int error = pv_machine_mmio_add(&machine->mmio_bus, device, host);

	if (error)
		return pv_sentence_wrong(sentence, "no place on MMIO: %s", strerror(-error));
	pv_boot_set_mmio_devices(&machine->boot, &machine->memory, machine->mmio_bus.slots);
	return has_device(machine, device);
}

enum pv_machine_end pv_machine_how_ended(const struct pv_machine *machine)
{
	return machine->end;
}
