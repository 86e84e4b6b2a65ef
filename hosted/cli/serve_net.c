/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve net: a network device for vhost-user front-ends. */
#include <stdio.h>
#include <stdlib.h>

#include "hosted/cli/cli.h"
#include "hosted/control/net_commands.h"
#include "hosted/control/nic.h"
#include "hosted/control/sandbox.h"

struct start_options {
	const char *backend;
	bool must_print_capabilities;
};

/* All that a command line says. */
struct wishes {
	struct start_options start;
	struct pv_nic_options nic;
	struct pv_export_options export;
	struct pv_service_options service;
};

static const struct pv_option start_options[] = {
	{ "backend", "KIND[,KEY=VALUE...]",
	  "what the device stands on: user, tap, stream, dgram, null or echo, with the keys below",
	  PV_OPTION_TEXT_AT(struct start_options, backend) },
	{ "print-capabilities", NULL, "print what this back-end can do, as JSON, and end",
	  PV_OPTION_FLAG_AT(struct start_options, must_print_capabilities) },
	{ 0 },
};

static const struct pv_option_group start_option_group = { "Network", start_options };

static const struct pv_option_group *const groups[] = {
	&start_option_group,
	&pv_export_option_group,
	&pv_service_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane serve net",
	.usage = "--socket-path PATH --backend KIND[,KEY=VALUE...]\n"
		 "                           [OPTION]...",
	.summary = "Serves a network device to virtual machines, as a vhost-user device. SIGTERM "
		   "ends it.",
	.groups = groups,
	.keys = pv_nic_key_groups,
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
	     "  \"type\": \"net\"\n"
	     "}");
	return EXIT_SUCCESS;
}

static bool run(struct pv_service *service, struct pv_nic *nic,
                char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_net_commands commands;
	struct pv_qmp *qmp = pv_service_qmp(service);
	bool is_good;

	if (!pv_net_commands_init(&commands, qmp, pv_service_control(service), nic, 1, sentence))
		return false;
	is_good = pv_service_open(service, sentence) && pv_service_run(service, sentence);
	pv_net_commands_fini(&commands);
	return is_good;
}

static bool serve(const struct wishes *wishes, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_service_extent extent = { .kind = PV_NIC_KIND };
	struct pv_service *service;
	struct pv_nic nic;
	bool is_good;

	pv_nic_extend(&extent, &wishes->nic, 0);
	if (!pv_service_create(&service, &wishes->service, &extent, sentence))
		return false;
	is_good = pv_nic_open(&nic, &wishes->nic, &wishes->export, service, sentence) &&
	          run(service, &nic, sentence);
	pv_nic_close(&nic);
	pv_service_destroy(service);
	return is_good;
}

static bool plan(struct wishes *wishes, char sentence[static PV_SENTENCE_BYTES])
{
	/* It is in argv, which is ours to write to. */
	char *text = (char *)(uintptr_t)wishes->start.backend;

	if (!text)
		return pv_sentence_wrong(
			sentence, "no back-end: give --backend user, tap, stream, dgram, null or "
				  "echo");
	wishes->nic.identity = wishes->export.socket_path;
	return pv_nic_parse("backend", NULL, &wishes->nic, text, sentence);
}

int pv_cli_serve_net(int argc, char **argv)
{
	struct wishes wishes = { .nic = pv_nic_defaults(),
		                 .export = PV_EXPORT_DEFAULTS,
		                 .service = PV_SERVICE_DEFAULTS };
	void *const values[] = { &wishes.start, &wishes.export, &wishes.service };
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
	return plan(&wishes, sentence) && serve(&wishes, sentence) ? EXIT_SUCCESS : fail(sentence);
}
