/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/machine_commands.h"

#include <string.h>

#include <json-c/json.h>

static void system_powerdown(struct pv_qmp_request *request, void *arg,
                             struct json_object *arguments)
{
	struct pv_machine_commands *commands = arg;

	(void)arguments;
	pv_qmp_return(request, NULL);
	pv_machine_press_power(commands->machine);
	pv_qmp_event(commands->qmp, "POWERDOWN", NULL);
}

static void system_reset(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	struct pv_machine_commands *commands = arg;

	(void)arguments;
	pv_qmp_return(request, NULL);
	pv_machine_press_reset(commands->machine);
}

static void query_cpus_fast(struct pv_qmp_request *request, void *arg,
                            struct json_object *arguments)
{
	const struct pv_machine_commands *commands = arg;
	struct json_object *list = json_object_new_array();
	int thread;

	(void)arguments;
	for (unsigned int i = 0; (thread = pv_machine_cpu_thread(commands->machine, i)) != 0; i++) {
		struct json_object *cpu = json_object_new_object();

		json_object_object_add(cpu, "cpu-index", json_object_new_int((int)i));
		json_object_object_add(cpu, "thread-id", json_object_new_int(thread));
		json_object_object_add(cpu, "target", json_object_new_string("x86_64"));
		json_object_array_add(list, cpu);
	}
	pv_qmp_return(request, list);
}

static void was_reset(void *arg, bool by_guest)
{
	struct pv_machine_commands *commands = arg;
	struct json_object *data = json_object_new_object();

	json_object_object_add(data, "guest", json_object_new_boolean(by_guest));
	json_object_object_add(data, "reason",
	                       json_object_new_string(by_guest ? "guest-reset"
	                                                       : "host-qmp-system-reset"));
	pv_qmp_event(commands->qmp, "RESET", data);
}

/* ---- stop and go on ---- */

static void stop(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	struct pv_machine_commands *commands = arg;

	(void)arguments;
	if (commands->stop) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "the machine is being stopped already");
		return;
	}
	commands->stop = request;
	if (!pv_machine_stop(commands->machine))
		return;
	commands->stop = NULL;
	pv_qmp_return(request, NULL);
}

static void has_stopped(void *arg)
{
	struct pv_machine_commands *commands = arg;
	struct pv_qmp_request *request = commands->stop;

	pv_qmp_event(commands->qmp, "STOP", NULL);
	commands->stop = NULL;
	if (request)
		pv_qmp_return(request, NULL);
}

/* Disks that fail again have it stopped again. */
static void cont(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	struct pv_machine_commands *commands = arg;

	(void)arguments;
	pv_machine_cont(commands->machine);
	pv_qmp_return(request, NULL);
}

static void goes_on(void *arg)
{
	struct pv_machine_commands *commands = arg;

	pv_qmp_event(commands->qmp, "RESUME", NULL);
	pv_blk_commands_resume(&commands->blk);
}

static void has_panicked(void *arg, enum pv_machine_action action, bool has_crash_kernel)
{
	static const char *const names[] = {
		[PV_MACHINE_RESETS] = "reset",
		[PV_MACHINE_ENDS] = "poweroff",
		[PV_MACHINE_STOPS] = "pause",
		[PV_MACHINE_RUNS] = "run",
	};
	struct pv_machine_commands *commands = arg;
	struct json_object *data = json_object_new_object();

	json_object_object_add(data, "action", json_object_new_string(names[action]));
	pv_qmp_event(commands->qmp, has_crash_kernel ? "GUEST_CRASHLOADED" : "GUEST_PANICKED",
	             data);
}

static void stop_for_disk(void *arg)
{
	pv_machine_stop(arg);
}

const char *pv_machine_commands_status(void *arg)
{
	struct pv_machine_commands *commands = arg;
	const char *of_disks = pv_blk_commands_status(&commands->blk);

	if (!pv_machine_is_stopped(commands->machine))
		return "running";
	if (pv_machine_is_panicked(commands->machine))
		return "guest-panicked";
	return strcmp(of_disks, "running") == 0 ? "paused" : of_disks;
}

static void query_kvm(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	struct json_object *kvm = json_object_new_object();

	(void)arg;
	(void)arguments;
	json_object_object_add(kvm, "enabled", json_object_new_boolean(true));
	json_object_object_add(kvm, "present", json_object_new_boolean(true));
	pv_qmp_return(request, kvm);
}

static void query_name(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_machine_commands *commands = arg;
	struct json_object *result = json_object_new_object();

	(void)arguments;
	if (commands->name)
		json_object_object_add(result, "name", json_object_new_string(commands->name));
	pv_qmp_return(request, result);
}

static const struct pv_qmp_command command_table[] = {
	{ "cont", NULL, cont },
	{ "query-cpus-fast", NULL, query_cpus_fast },
	{ "query-kvm", NULL, query_kvm },
	{ "query-name", NULL, query_name },
	{ "stop", NULL, stop },
	{ "system_powerdown", NULL, system_powerdown },
	{ "system_reset", NULL, system_reset },
	{ 0 },
};

void pv_machine_commands_register(struct pv_machine_commands *commands, struct pv_qmp *qmp,
                                  struct pv_machine *machine, const char *name,
                                  const struct pv_disk_set *set)
{
	static const struct pv_machine_listener listener = { was_reset, has_stopped, goes_on,
		                                             has_panicked };

	*commands = (struct pv_machine_commands){ .machine = machine, .qmp = qmp, .name = name };
	pv_blk_commands_register_for_machine(&commands->blk, qmp, set->disk, set->disks,
	                                     stop_for_disk, machine);
	pv_machine_set_listener(machine, &listener, commands);
	pv_qmp_register(qmp, command_table, commands);
}
