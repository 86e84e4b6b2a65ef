/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/machine_commands.h"

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

static const struct pv_qmp_command command_table[] = {
	{ "query-cpus-fast", NULL, query_cpus_fast },
	{ "system_powerdown", NULL, system_powerdown },
	{ "system_reset", NULL, system_reset },
	{ 0 },
};

void pv_machine_commands_register(struct pv_machine_commands *commands, struct pv_qmp *qmp,
                                  struct pv_machine *machine)
{
	*commands = (struct pv_machine_commands){ machine, qmp };
	pv_machine_set_reset_listener(machine, was_reset, commands);
	pv_qmp_register(qmp, command_table, commands);
}
