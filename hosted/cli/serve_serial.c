/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve serial: a serial device with many ports for vhost-user front-ends. */
#include <stdlib.h>

#include "hosted/cli/cli.h"
#include "hosted/cli/serve.h"
#include "hosted/control/port_commands.h"
#include "hosted/control/ports.h"

struct start_options {
	struct pv_option_texts ports;
	bool must_print_capabilities;
};

/* All that a command line says, and what becomes of it. */
struct wishes {
	struct start_options start;
	struct pv_ports_options ports;
	struct pv_export_options export;
	struct pv_service_options service;
	struct pv_ports_plan *plan;
	struct pv_ports device;
	struct pv_port_commands commands;
};

static const struct pv_option start_options[] = {
	{ "port", "console|name=NAME,LINE[,KEY=VALUE...]",
	  "a port, and where its bytes go, with the keys below; may be given more than once",
	  PV_OPTION_TEXTS_AT(struct start_options, ports) },
	PV_SERVE_CAPABILITIES_OPTION(struct start_options, must_print_capabilities),
	{ 0 },
};

static const struct pv_option_group start_option_group = { "Ports", start_options };

static const struct pv_option_group *const groups[] = {
	&start_option_group,
	&pv_ports_option_group,
	&pv_export_option_group,
	&pv_service_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane serve serial",
	.usage = "--socket-path PATH --port console|name=NAME,LINE...\n"
		 "                             [OPTION]...",
	.summary = "Serves consoles and named ports to virtual machines, as a vhost-user device "
		   "(virtio-serial). SIGTERM ends it.",
	.groups = groups,
	.keys = pv_ports_key_groups,
};

static bool open_device(void *arg, struct pv_service *service,
                        char sentence[static PV_SENTENCE_BYTES])
{
	struct wishes *wishes = arg;

	return pv_ports_open(&wishes->device, &wishes->ports, wishes->plan,
	                     wishes->start.ports.count, &wishes->export, service, sentence) &&
	       pv_port_commands_init(&wishes->commands, pv_service_qmp(service),
	                             pv_service_control(service), &wishes->device, sentence);
}

static void close_device(void *arg)
{
	struct wishes *wishes = arg;

	pv_port_commands_fini(&wishes->commands);
	pv_ports_close(&wishes->device);
}

static bool serve(struct wishes *wishes, char sentence[static PV_SENTENCE_BYTES])
{
	static const struct pv_serve_devices devices = { open_device, NULL, close_device };
	struct pv_service_extent extent = { .kind = PV_PORTS_KIND };

	pv_ports_extend(&extent, &wishes->ports, 0);
	return pv_serve_service(&devices, wishes, &wishes->service, &extent, sentence);
}

static bool plan_and_serve(void *arg, char sentence[static PV_SENTENCE_BYTES])
{
	struct wishes *wishes = arg;
	bool is_good;

	if (!pv_ports_options_check(&wishes->ports, sentence))
		return false;
	if (wishes->start.ports.count == 0 && !wishes->service.qmp)
		return pv_sentence_wrong(sentence,
		                         "no port: give --port console,pty, or --port "
		                         "name=NAME,socket=PATH, or --qmp to add some later");
	wishes->plan = pv_ports_parse_all("port", &wishes->start.ports, sentence);
	if (!wishes->plan)
		return false;
	is_good = serve(wishes, sentence);
	free(wishes->plan);
	return is_good;
}

int pv_cli_serve_serial(int argc, char **argv)
{
	static const struct pv_serve_command serving = {
		.line = &command,
		.capabilities = "{\n"
				"  \"type\": \"console\"\n"
				"}",
		.serve = plan_and_serve,
	};
	struct wishes wishes = { .ports = PV_PORTS_DEFAULTS,
		                 .export = PV_EXPORT_DEFAULTS,
		                 .service = PV_SERVICE_DEFAULTS };
	void *const values[] = { &wishes.start, &wishes.ports, &wishes.export, &wishes.service };

	return pv_serve(&serving, &wishes, values, &wishes.start.must_print_capabilities, argc,
	                argv);
}
