/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve rng: an entropy device for vhost-user front-ends. */
#include <stdio.h>
#include <stdlib.h>

#include "hosted/cli/cli.h"
#include "hosted/control/entropy.h"
#include "hosted/control/sandbox.h"

/* All that a command line says. */
struct wishes {
	struct pv_entropy_options entropy;
	struct pv_export_options export;
	struct pv_service_options service;
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

static int fail(const char *sentence)
{
	fprintf(stderr, "%s: %s\n", command.name, sentence);
	return EXIT_FAILURE;
}

static bool serve(const struct wishes *wishes, char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_service_extent extent = { .kind = PV_ENTROPY_KIND,
		                                  .devices = 1,
		                                  .queues = PV_ENTROPY_QUEUES };
	struct pv_service *service;
	struct pv_entropy entropy;
	bool is_good;

	if (!pv_service_create(&service, &wishes->service, &extent, sentence))
		return false;
	is_good = pv_entropy_open(&entropy, &wishes->entropy, &wishes->export, service, sentence);
	is_good = is_good && pv_service_open(service, sentence) &&
	          pv_service_run(service, sentence);
	pv_entropy_close(&entropy);
	pv_service_destroy(service);
	return is_good;
}

int pv_cli_serve_rng(int argc, char **argv)
{
	struct wishes wishes = { .entropy = PV_ENTROPY_DEFAULTS,
		                 .export = PV_EXPORT_DEFAULTS,
		                 .service = PV_SERVICE_DEFAULTS };
	void *const values[] = { &wishes.entropy, &wishes.export, &wishes.service };
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
	if (pv_sandbox_prepare())
		return fail("cannot give up privileges (no_new_privs)");
	return serve(&wishes, sentence) ? EXIT_SUCCESS : fail(sentence);
}
