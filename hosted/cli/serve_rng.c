/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve rng: an entropy device for vhost-user front-ends. */
#include "hosted/cli/cli.h"
#include "hosted/cli/serve.h"
#include "hosted/control/entropy.h"

/* All that a command line says, and what becomes of it. */
struct wishes {
	struct pv_entropy_options entropy;
	struct pv_export_options export;
	struct pv_service_options service;
	struct pv_entropy device;
};

static const struct pv_option_group *const groups[] = {
	&pv_entropy_option_group,
	&pv_export_option_group,
	&pv_service_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane serve rng",
	.usage = "--socket-path PATH [OPTION]...",
	.summary = "Serves random bytes of the host's kernel to virtual machines, as a vhost-user "
		   "entropy device. SIGTERM ends it.",
	.groups = groups,
};

static bool open_device(void *arg, struct pv_service *service,
                        char sentence[static PV_SENTENCE_BYTES])
{
	struct wishes *wishes = arg;

	return pv_entropy_open(&wishes->device, &wishes->entropy, &wishes->export, service,
	                       sentence);
}

static void close_device(void *arg)
{
	struct wishes *wishes = arg;

	pv_entropy_close(&wishes->device);
}

static bool serve(void *arg, char sentence[static PV_SENTENCE_BYTES])
{
	static const struct pv_serve_devices devices = { open_device, NULL, close_device };
	const struct pv_service_extent extent = { .kind = PV_ENTROPY_KIND,
		                                  .devices = 1,
		                                  .queues = PV_ENTROPY_QUEUES };
	struct wishes *wishes = arg;

	return pv_serve_service(&devices, wishes, &wishes->service, &extent, sentence);
}

int pv_cli_serve_rng(int argc, char **argv)
{
	static const struct pv_serve_command serving = { .line = &command, .serve = serve };
	struct wishes wishes = { .entropy = PV_ENTROPY_DEFAULTS,
		                 .export = PV_EXPORT_DEFAULTS,
		                 .service = PV_SERVICE_DEFAULTS };
	void *const values[] = { &wishes.entropy, &wishes.export, &wishes.service };

	return pv_serve(&serving, &wishes, values, NULL, argc, argv);
}
