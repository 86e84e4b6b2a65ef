/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane top: what several virtual machines have of memory, and use. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "hosted/cli/cli.h"
#include "hosted/cli/command.h"
#include "hosted/cli/top_vm.h"
#include "hosted/control/options.h"

#define TIMEOUT_S_MAX   3600u
#define INTERVAL_MIN_MS 100u
#define INTERVAL_MAX_MS 3600000u
#define MIB             (1u << 20)
#define CLEAR           "\033[H\033[J"

struct top_options {
	struct pv_option_texts sockets;
	uint64_t interval_ms, timeout_s;
	bool is_once;
};

static const struct pv_option top_options[] = {
	{ "interval", "SECONDS", "how long to wait between two looks (default 2)",
	  PV_OPTION_SECONDS_AT(struct top_options, interval_ms, INTERVAL_MIN_MS, INTERVAL_MAX_MS) },
	{ "once", NULL, "look once, and end", PV_OPTION_FLAG_AT(struct top_options, is_once) },
	{ "timeout", "SECONDS", "how long each may take to answer (default 2)",
	  PV_OPTION_NUMBER_AT(struct top_options, timeout_s, 1, TIMEOUT_S_MAX) },
	{ 0 },
};

static const struct pv_option top_words = { "sockets", NULL, NULL,
	                                    PV_OPTION_TEXTS_AT(struct top_options, sockets) };

static const struct pv_option_group top_option_group = { "View", top_options };

static const struct pv_option_group *const groups[] = {
	&top_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane top",
	.usage = "SOCKET... [OPTION]...",
	.summary = "Shows the memory of running virtual machines, one for each control socket, in "
		   "MiB: what there is, what the guest has of it, is to have, has given away and "
		   "cannot do without, and what the host has in it.",
	.groups = groups,
	.words = &top_words,
};

static void print_number(uint64_t bytes)
{
	if (bytes == PV_TOP_UNKNOWN)
		printf(" %9s", "-");
	else
		printf(" %9llu", (unsigned long long)(bytes / MIB));
}

static void print_heads(void)
{
	printf("%-20s %-12s %9s %9s %9s %9s %9s %9s\n", "NAME", "STATUS", "MEMORY", "HAS", "TARGET",
	       "BALLOON", "USED", "RESIDENT");
}

static void print_vm(const struct pv_top_vm *vm)
{
	bool has_balloon = vm->memory != PV_TOP_UNKNOWN && vm->actual <= vm->memory;

	printf("%-20s %-12s", vm->name, vm->status);
	print_number(vm->memory);
	print_number(vm->actual);
	print_number(vm->target);
	print_number(has_balloon ? vm->memory - vm->actual : PV_TOP_UNKNOWN);
	print_number(vm->used);
	print_number(vm->resident);
	putchar('\n');
}

/* Returns whether all have answered; who has not is a line too. */
static bool look(const struct top_options *options)
{
	const struct pv_option_texts *sockets = &options->sockets;
	bool is_good = true;

	for (unsigned int i = 0; i < sockets->count; i++) {
		char sentence[PV_SENTENCE_BYTES];
		struct pv_top_vm vm;

		if (pv_top_ask(&vm, sockets->text[i], (unsigned int)options->timeout_s, sentence)) {
			print_vm(&vm);
			continue;
		}
		is_good = false;
		printf("%-20s %s\n", vm.name, sentence);
	}
	fflush(stdout);
	return is_good;
}

static void wait_ms(uint64_t ms)
{
	const struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) };

	nanosleep(&time, NULL);
}

/* What is no terminal gets lines, one after the other. */
static bool follow(const struct top_options *options)
{
	bool is_screen = isatty(STDOUT_FILENO), is_good;

	if (!is_screen || options->is_once)
		print_heads();
	for (;;) {
		if (is_screen && !options->is_once) {
			fputs(CLEAR, stdout);
			print_heads();
		}
		is_good = look(options);
		if (options->is_once || ferror(stdout))
			return is_good;
		wait_ms(options->interval_ms);
	}
}

int pv_cli_top(int argc, char **argv)
{
	struct top_options options = { .interval_ms = 2000, .timeout_s = 2 };
	void *const values[] = { &options };
	int status;

	if (!pv_cli_take(&command, values, argc, argv, &status))
		return status;
	if (options.sockets.count == 0)
		return pv_cli_fail(&command, "no socket given: paravane top SOCKET...");
	return follow(&options) ? EXIT_SUCCESS : EXIT_FAILURE;
}
