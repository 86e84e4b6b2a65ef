/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of a machine: it is reset, stopped and ended as its guest and its user wish. */
#include <string.h>

#include "hosted/loop/log.h"
#include "hosted/vmm/machine_internal.h"
#include "ring/err.h"

/* ---- wishes ---- */

void pv_machine_wish(struct pv_machine *machine, enum pv_machine_wish wish)
{
	bool is_posted = machine->wish != PV_WISH_NOTHING;

	if (machine->is_ending || wish <= machine->wish)
		return;
	machine->wish = wish;
	/* The one that wished waits with the others; until then nobody goes on. */
	machine->vcpus.is_paused = true;
	if (!is_posted)
		pv_loop_post(pv_service_control(machine->service), &machine->message);
}

void pv_machine_wish_reset(struct pv_machine *machine)
{
	pv_machine_wish(machine,
	                machine->options.on_reset == PV_MACHINE_ENDS ? PV_WISH_OFF : PV_WISH_RESET);
}

/* ---- reset ---- */

static void end_devices(struct pv_machine *machine);

static void restart(struct pv_machine *machine)
{
	char sentence[PV_SENTENCE_BYTES];

	if (!pv_machine_load(machine, sentence)) {
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
	pv_uart_reset(&machine->serial);
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
	pv_uart_flush(&machine->serial);
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

const struct pv_service_guest_ops pv_machine_guest_ops = { begin, asked_to_end, end };

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

void pv_machine_grant(struct pv_loop_message *message)
{
	struct pv_machine *machine =
		(struct pv_machine *)((char *)message - offsetof(struct pv_machine, message));
	enum pv_machine_wish granted = machine->wish;

	machine->wish = PV_WISH_NOTHING;
	/* A reset that is under way is as good as another, or as what it puts an end to. */
	if (machine->is_ending ||
	    (machine->is_resetting && (granted == PV_WISH_RESET || granted == PV_WISH_PANIC)))
		return;
	pv_vcpus_pause(&machine->vcpus);
	if (granted == PV_WISH_RESET)
		reset_machine(machine);
	else if (granted == PV_WISH_PANIC)
		grant_panic(machine);
	else if (granted == PV_WISH_FAILED)
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
	pv_machine_wish(machine, PV_WISH_RESET);
}
