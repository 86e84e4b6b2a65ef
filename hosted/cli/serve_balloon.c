/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve balloon: a memory balloon for vhost-user front-ends. */
#include "hosted/cli/cli.h"
#include "hosted/cli/serve.h"
#include "hosted/control/ballast_commands.h"

/* All that a command line says, and what becomes of it. */
struct wishes {
	struct pv_ballast_options balloon;
	struct pv_export_options export;
	struct pv_service_options service;
	struct pv_ballast device;
	struct pv_ballast_commands commands;
};

static const struct pv_option_group *const groups[] = {
	&pv_ballast_option_group,
	&pv_export_option_group,
	&pv_service_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane serve balloon",
	.usage = "--socket-path PATH [OPTION]...",
	.summary = "Serves a memory balloon to virtual machines, as a vhost-user device: memory "
		   "that a guest gives away goes back to the host. The front-end's memory must be "
		   "shared. SIGTERM ends it.",
	.groups = groups,
};

static bool open_device(void *arg, struct pv_service *service,
                        char sentence[static PV_SENTENCE_BYTES])
{
	struct wishes *wishes = arg;

	return pv_ballast_open(&wishes->device, &wishes->balloon, &wishes->export, service,
	                       sentence) &&
	       pv_ballast_commands_init(&wishes->commands, pv_service_qmp(service),
	                                pv_service_control(service), &wishes->device, sentence);
}

static void close_device(void *arg)
{
	struct wishes *wishes = arg;

	pv_ballast_commands_fini(&wishes->commands);
	pv_ballast_close(&wishes->device);
}

static bool serve(void *arg, char sentence[static PV_SENTENCE_BYTES])
{
	static const struct pv_serve_devices devices = { open_device, NULL, close_device };
	struct pv_service_extent extent = { .kind = PV_BALLAST_KIND };
	struct wishes *wishes = arg;

	pv_ballast_extend(&extent, 0);
	return pv_serve_service(&devices, wishes, &wishes->service, &extent, sentence);
}

int pv_cli_serve_balloon(int argc, char **argv)
{
	static const struct pv_serve_command serving = { .line = &command, .serve = serve };
	struct wishes wishes = { .balloon = PV_BALLAST_DEFAULTS,
		                 .export = PV_EXPORT_DEFAULTS,
		                 .service = PV_SERVICE_DEFAULTS };
	void *const values[] = { &wishes.balloon, &wishes.export, &wishes.service };

	return pv_serve(&serving, &wishes, values, NULL, argc, argv);
}
