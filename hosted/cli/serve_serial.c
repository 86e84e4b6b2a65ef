/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve serial: a serial device with many ports for vhost-user front-ends. */
#include <stdio.h>
#include <stdlib.h>

#include "hosted/cli/cli.h"
#include "hosted/control/port_commands.h"
#include "hosted/control/ports.h"
#include "hosted/control/sandbox.h"

struct start_options {
	struct pv_option_texts ports;
	bool must_print_capabilities;
};

/* All that a command line says. */
struct wishes {
	struct start_options start;
	struct pv_ports_options ports;
	struct pv_export_options export;
	struct pv_service_options service;
};

static const struct pv_option start_options[] = {
	{ "port", "console|name=NAME,LINE[,KEY=VALUE...]",
	  "a port, and where its bytes go, with the keys below; may be given more than once",
	  PV_OPTION_TEXTS_AT(struct start_options, ports) },
	{ "print-capabilities", NULL, "print what this back-end can do, as JSON, and end",
	  PV_OPTION_FLAG_AT(struct start_options, must_print_capabilities) },
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

static int fail(const char *sentence)
{
	fprintf(stderr, "%s: %s\n", command.name, sentence);
	return EXIT_FAILURE;
}

/* QEMU's vhost-user.json: what a management program asks before it starts a back-end. */
static int print_capabilities(void)
{
	puts("{\n"
	     "  \"type\": \"console\"\n"
	     "}");
	return EXIT_SUCCESS;
}

static bool run(struct pv_service *service, struct pv_ports *ports,
                char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_port_commands commands;
	struct pv_qmp *qmp = pv_service_qmp(service);
	bool is_good;

	if (!pv_port_commands_init(&commands, qmp, pv_service_control(service), ports, sentence))
		return false;
	is_good = pv_service_open(service, sentence) && pv_service_run(service, sentence);
	pv_port_commands_fini(&commands);
	return is_good;
}

static bool serve(const struct wishes *wishes, const struct pv_ports_plan *plan,
                  char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_service_extent extent = { .kind = PV_PORTS_KIND };
	struct pv_service *service;
	struct pv_ports ports;
	bool is_good;

	pv_ports_extend(&extent, &wishes->ports, 0);
	if (!pv_service_create(&service, &wishes->service, &extent, sentence))
		return false;
	is_good = pv_ports_open(&ports, &wishes->ports, plan, wishes->start.ports.count,
	                        &wishes->export, service, sentence) &&
	          run(service, &ports, sentence);
	pv_ports_close(&ports);
	pv_service_destroy(service);
	return is_good;
}

static bool plan_and_serve(const struct wishes *wishes, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_ports_plan *plan;
	bool is_good;

	if (!pv_ports_options_check(&wishes->ports, sentence))
		return false;
	if (wishes->start.ports.count == 0 && !wishes->service.qmp)
		return pv_sentence_wrong(sentence,
		                         "no port: give --port console,pty, or --port "
		                         "name=NAME,socket=PATH, or --qmp to add some later");
	plan = pv_ports_parse_all("port", &wishes->start.ports, sentence);
	if (!plan)
		return false;
	is_good = serve(wishes, plan, sentence);
	free(plan);
	return is_good;
}

int pv_cli_serve_serial(int argc, char **argv)
{
	struct wishes wishes = { .ports = PV_PORTS_DEFAULTS,
		                 .export = PV_EXPORT_DEFAULTS,
		                 .service = PV_SERVICE_DEFAULTS };
	void *const values[] = { &wishes.start, &wishes.ports, &wishes.export, &wishes.service };
	char sentence[PV_SENTENCE_BYTES];

	switch (pv_options_parse(&command, values, argc, argv, sentence)) {
	case PV_OPTIONS_HELP:
		pv_options_help(&command, stdout);
		return EXIT_SUCCESS;
	case PV_OPTIONS_WRONG:
		return fail(sentence);
	case PV_OPTIONS_GOOD:
		break;
	}
	if (wishes.start.must_print_capabilities)
		return print_capabilities();
	if (pv_sandbox_prepare())
		return fail("cannot give up privileges (no_new_privs)");
	return plan_and_serve(&wishes, sentence) ? EXIT_SUCCESS : fail(sentence);
}
