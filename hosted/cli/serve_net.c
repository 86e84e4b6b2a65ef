/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve net: a network device for vhost-user front-ends. */
#include "hosted/cli/cli.h"
#include "hosted/cli/serve.h"
#include "hosted/control/net_commands.h"
#include "hosted/control/nic.h"

struct start_options {
	const char *backend;
	bool must_print_capabilities;
};

/* All that a command line says, and what becomes of it. */
struct wishes {
	struct start_options start;
	struct pv_nic_options nic;
	struct pv_export_options export;
	struct pv_service_options service;
	struct pv_nic device;
	struct pv_net_commands commands;
};

static const struct pv_option start_options[] = {
	{ "backend", "KIND[,KEY=VALUE...]",
	  "what the device stands on: user, tap, stream, dgram, null or echo, with the keys below",
	  PV_OPTION_TEXT_AT(struct start_options, backend) },
	PV_SERVE_CAPABILITIES_OPTION(struct start_options, must_print_capabilities),
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

static bool open_device(void *arg, struct pv_service *service,
                        char sentence[static PV_SENTENCE_BYTES])
{
	struct wishes *wishes = arg;

	return pv_nic_open(&wishes->device, &wishes->nic, &wishes->export, service, sentence) &&
	       pv_net_commands_init(&wishes->commands, pv_service_qmp(service),
	                            pv_service_control(service), &wishes->device, 1, sentence);
}

static void close_device(void *arg)
{
	struct wishes *wishes = arg;

	pv_net_commands_fini(&wishes->commands);
	pv_nic_close(&wishes->device);
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

static bool serve(void *arg, char sentence[static PV_SENTENCE_BYTES])
{
	static const struct pv_serve_devices devices = { open_device, NULL, close_device };
	struct pv_service_extent extent = { .kind = PV_NIC_KIND };
	struct wishes *wishes = arg;

	if (!plan(wishes, sentence))
		return false;
	pv_nic_extend(&extent, &wishes->nic, 0);
	return pv_serve_service(&devices, wishes, &wishes->service, &extent, sentence);
}

int pv_cli_serve_net(int argc, char **argv)
{
	static const struct pv_serve_command serving = {
		.line = &command,
		.capabilities = "{\n"
				"  \"type\": \"net\"\n"
				"}",
		.serve = serve,
	};
	struct wishes wishes = { .nic = pv_nic_defaults(),
		                 .export = PV_EXPORT_DEFAULTS,
		                 .service = PV_SERVICE_DEFAULTS };
	void *const values[] = { &wishes.start, &wishes.export, &wishes.service };

	return pv_serve(&serving, &wishes, values, &wishes.start.must_print_capabilities, argc,
	                argv);
}
