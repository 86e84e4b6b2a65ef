/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/serve.h"

#include <stdio.h>
#include <stdlib.h>

#include "hosted/cli/command.h"
#include "hosted/control/sandbox.h"

int pv_serve(const struct pv_serve_command *command, void *wishes, void *const *values,
             const bool *must_print_capabilities, int argc, char **argv)
{
	char sentence[PV_SENTENCE_BYTES];
	int status;

	if (!pv_cli_take(command->line, values, argc, argv, &status))
		return status;
	if (must_print_capabilities && *must_print_capabilities) {
		puts(command->capabilities);
		return EXIT_SUCCESS;
	}
	if (pv_sandbox_prepare())
		return pv_cli_fail(command->line, "cannot give up privileges (no_new_privs)");
	return command->serve(wishes, sentence) ? EXIT_SUCCESS
	                                        : pv_cli_fail(command->line, sentence);
}

bool pv_serve_service(const struct pv_serve_devices *devices, void *arg,
                      const struct pv_service_options *options,
                      const struct pv_service_extent *extent,
                      char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_service *service;
	bool is_made = pv_service_create(&service, options, extent, sentence);
	bool is_good = is_made && devices->open(arg, service, sentence) &&
	               pv_service_open(service, sentence) && pv_service_run(service, sentence) &&
	               (!devices->settle || devices->settle(arg, sentence));

	devices->close(arg);
	if (is_made)
		pv_service_destroy(service);
	return is_good;
}
