/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's subcommands, one file each.  argv[0] is the program's name, what follows are the
 * subcommand's options; the result is the exit status.
 */
#ifndef PV_HOSTED_CLI_H
#define PV_HOSTED_CLI_H

int pv_cli_serve_balloon(int argc, char **argv);
int pv_cli_serve_blk(int argc, char **argv);
int pv_cli_serve_net(int argc, char **argv);
int pv_cli_serve_rng(int argc, char **argv);
int pv_cli_serve_serial(int argc, char **argv);
int pv_cli_bench_blk(int argc, char **argv);
int pv_cli_bench_net(int argc, char **argv);
int pv_cli_bench_serial(int argc, char **argv);
int pv_cli_balance(int argc, char **argv);
int pv_cli_attach(int argc, char **argv);
int pv_cli_ctl(int argc, char **argv);
int pv_cli_doctor(int argc, char **argv);
int pv_cli_top(int argc, char **argv);
int pv_cli_run(int argc, char **argv);

#endif
