/* SPDX-License-Identifier: BSD-2-Clause */
/* The options of `paravane bench blk`, for comparing them with the manual page. */
#ifndef PV_CLI_BENCH_BLK_H
#define PV_CLI_BENCH_BLK_H

#include "hosted/control/options.h"

extern const struct pv_command_line pv_cli_bench_blk_command;

#endif
