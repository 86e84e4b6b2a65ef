/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/command.h"

#include <stdio.h>
#include <stdlib.h>

int pv_cli_fail(const struct pv_command_line *line, const char *sentence)
{
	fprintf(stderr, "%s: %s\n", line->name, sentence);
	return EXIT_FAILURE;
}

bool pv_cli_take(const struct pv_command_line *line, void *const *values, int argc, char **argv,
                 int *status)
{
	char sentence[PV_SENTENCE_BYTES];

	switch (pv_options_parse(line, values, argc, argv, sentence)) {
	case PV_OPTIONS_HELP:
		pv_options_help(line, stdout);
		*status = EXIT_SUCCESS;
		return false;
	case PV_OPTIONS_WRONG:
		*status = pv_cli_fail(line, sentence);
		return false;
	case PV_OPTIONS_GOOD:
		break;
	}
	return true;
}
