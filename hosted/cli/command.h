/* SPDX-License-Identifier: BSD-2-Clause */
/* How every subcommand begins, and how it says why it could not go on. */
#ifndef PV_HOSTED_CLI_COMMAND_H
#define PV_HOSTED_CLI_COMMAND_H

#include "hosted/control/options.h"

/*
 * Takes in the command line, `values` being what its groups go to (pv_options_parse). True: the
 * subcommand goes on. False: it is over, with exit status `*status`; either help was asked for, and
 * printed, or a sentence said on standard error what is wrong.
 */
bool pv_cli_take(const struct pv_command_line *line, void *const *values, int argc, char **argv,
                 int *status);

/* Says on standard error why not, behind the command's name. Returns EXIT_FAILURE. */
int pv_cli_fail(const struct pv_command_line *line, const char *sentence);

#endif
