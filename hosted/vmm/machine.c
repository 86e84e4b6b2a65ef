/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/machine_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ring/err.h"

#define SERIAL_PORT 0x3f8u
#define SERIAL_IRQ  4u

/* A device that does not come to rest is waited for in steps of this. */
#define WAIT_NS 1000000

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

/* ---- what the platform and processors say ---- */

static void power_off(void *arg)
{
	pv_machine_wish(arg, PV_WISH_OFF);
}

static void reset(void *arg)
{
	pv_machine_wish_reset(arg);
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
	pv_machine_wish(machine, PV_WISH_PANIC);
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
		pv_machine_wish(arg, PV_WISH_FAILED);
}

/* ---- making it ---- */

bool pv_machine_load(struct pv_machine *machine, char sentence[static PV_SENTENCE_BYTES])
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
	       pv_machine_load(machine, sentence);
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
	machine->message.run = pv_machine_grant;
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
	const struct pv_io_range serial = { SERIAL_PORT, PV_SERIAL_PORTS, &pv_uart_io_ops,
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
	pv_service_set_guest(service, &pv_machine_guest_ops, machine);
	pv_service_set_cpus(service, machine->vcpus.stats, machine->vcpus.vcpus);
	error = pv_machine_pci_init(&machine->pci, &pci);
	if (error)
		return pv_sentence_wrong(sentence, "no PCI bus: %s", strerror(-error));
	pv_machine_mmio_init(&machine->mmio_bus, &mmio);
	pv_platform_init(&machine->platform, &machine->ports, &platform_ops, machine);
	machine->serial.set_line = set_serial_line;
	machine->serial.arg = machine;
	error = pv_uart_init(&machine->serial, pv_service_control(service),
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

	if (error == -ENOSPC)
		return pv_sentence_wrong(sentence,
		                         "the PCI bus has room for %u devices, the entropy device "
		                         "among them; put disks on bus=mmio or say --rng off",
		                         PV_PCI_SLOTS - 1);
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

int pv_machine_shared_memory(const struct pv_machine *machine, const uint8_t **base)
{
	*base = machine->memory.host;
	return machine->memory.fd;
}

enum pv_machine_end pv_machine_how_ended(const struct pv_machine *machine)
{
	return machine->end;
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
