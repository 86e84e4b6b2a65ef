/* SPDX-License-Identifier: BSD-2-Clause */
/* The program: finds the subcommand. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosted/cli/cli.h"
#include "hosted/control/options.h"

#define PROGRAM "paravane "

/* A name of the program that begins so goes on with a device, and is the command that serves it. */
#define PROGRAM_OF_DEVICE "paravane-"

struct command {
	const char *name; /* with the program's: it becomes argv[0] */
	const char *summary;
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
	{ PROGRAM "attach", "connect the terminal to a serial port", pv_cli_attach },
	{ PROGRAM "balance", "distribute memory among virtual machines", pv_cli_balance },
	{ PROGRAM "bench blk", "measure a vhost-user block device", pv_cli_bench_blk },
	{ PROGRAM "bench net", "measure a vhost-user network device", pv_cli_bench_net },
	{ PROGRAM "bench serial", "measure a vhost-user serial device", pv_cli_bench_serial },
	{ PROGRAM "ctl", "give a running program a command", pv_cli_ctl },
	{ PROGRAM "doctor", "say what this host can do", pv_cli_doctor },
	{ PROGRAM "run", "run a virtual machine", pv_cli_run },
	{ PROGRAM "serve balloon", "take back memory of virtual machines", pv_cli_serve_balloon },
	{ PROGRAM "serve blk", "serve a disk to virtual machines", pv_cli_serve_blk },
	{ PROGRAM "serve net", "serve a network to virtual machines", pv_cli_serve_net },
	{ PROGRAM "serve rng", "serve random bytes to virtual machines", pv_cli_serve_rng },
	{ PROGRAM "serve serial", "serve consoles and named ports", pv_cli_serve_serial },
	{ PROGRAM "top", "show the memory of virtual machines", pv_cli_top },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char *own_name(const struct command *command)
{
	return command->name + strlen(PROGRAM);
}

/* Does it consist of this word and another? */
static bool begins_with(const struct command *command, const char *word)
{
	size_t chars = strlen(word);

	return strncmp(own_name(command), word, chars) == 0 && own_name(command)[chars] == ' ';
}

/* Those that begin with a word; NULL: all. */
static void list_commands(const char *word)
{
	printf("\nCommands:\n");
	for (size_t i = 0; i < COMMANDS; i++)
		if (!word || begins_with(&commands[i], word))
			printf("  %-28s%s\n", own_name(&commands[i]), commands[i].summary);
}

static void print_help(void)
{
	printf("usage: paravane COMMAND [OPTION]...\n\n"
	       "Paravirtualized devices for virtual machines.\n");
	list_commands(NULL);
	printf("\nOptions:\n"
	       "  --help                      print this text and end\n"
	       "  --version                   print the version and end\n"
	       "\n'paravane COMMAND --help' lists a command's options; paravane(1) explains "
	       "them.\n");
}

static int fail(const char *what, const char *word, const char *near)
{
	fprintf(stderr,
	        near ? "paravane: %s '%s'; did you mean '%s'?\n"
	             : "paravane: %s '%s'; --help lists what there is\n",
	        what, word, near);
	return EXIT_FAILURE;
}

static const struct command *find(const char *words)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(own_name(&commands[i]), words) == 0)
			return &commands[i];
	return NULL;
}

/* NULL: the program is not called by a link of that kind. */
static const struct command *find_by_link(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;
	char words[64];

	if (strncmp(name, PROGRAM_OF_DEVICE, strlen(PROGRAM_OF_DEVICE)) != 0)
		return NULL;
	snprintf(words, sizeof(words), "serve %s", name + strlen(PROGRAM_OF_DEVICE));
	return find(words);
}

static int fail_command(const char *words)
{
	struct pv_nearest nearest = { .word = words };

	for (size_t i = 0; i < COMMANDS; i++)
		pv_nearest_offer(&nearest, own_name(&commands[i]));
	return fail("unknown command", words, nearest.best);
}

static size_t count_of(const char *word)
{
	size_t count = 0;

	for (size_t i = 0; i < COMMANDS; i++)
		count += begins_with(&commands[i], word);
	return count;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* The first word of commands, without the device that follows it. */
static int half_a_command(const char *word, const char *next)
{
	size_t left = count_of(word);

	if (next && is_help(next)) {
		printf("usage: paravane %s DEVICE [OPTION]...\n", word);
		list_commands(word);
		printf("\n'paravane %s DEVICE --help' lists a command's options.\n", word);
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "paravane: '%s' is followed by a device:", word);
	for (size_t i = 0; i < COMMANDS; i++)
		if (begins_with(&commands[i], word)) {
			left--;
			fprintf(stderr, " %s%s", own_name(&commands[i]) + strlen(word) + 1,
			        left > 1    ? ","
			        : left == 1 ? " or"
			                    : "\n");
		}
	return EXIT_FAILURE;
}

static int top_level_option(const char *word)
{
	struct pv_nearest nearest = { .word = word };

	if (is_help(word)) {
		print_help();
		return EXIT_SUCCESS;
	}
	if (strcmp(word, "--version") == 0) {
		printf("paravane %s\n", PV_VERSION);
		return EXIT_SUCCESS;
	}
	pv_nearest_offer(&nearest, "--help");
	pv_nearest_offer(&nearest, "--version");
	return fail("unknown option", word, nearest.best);
}

/* What is opened first would get the number of a stream that is closed, and be written to. */
static void fill_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int run_command(const struct command *command, int argc, char **argv)
{
	char name[32];

	snprintf(name, sizeof(name), "%s", command->name);
	argv[0] = name;
	return command->run(argc, argv);
}

static int run(int argc, char **argv)
{
	const struct command *command = argc > 0 ? find_by_link(argv[0]) : NULL;
	char words[128];
	bool has_device;

	if (command)
		return run_command(command, argc, argv);
	if (argc < 2) {
		fprintf(stderr, "paravane: no command given; --help lists what there is\n");
		return EXIT_FAILURE;
	}
	if (argv[1][0] == '-')
		return top_level_option(argv[1]);
	command = find(argv[1]);
	has_device = !command && argc > 2 && argv[2][0] != '-';
	snprintf(words, sizeof(words), "%s%s%s", argv[1], has_device ? " " : "",
	         has_device ? argv[2] : "");
	if (has_device)
		command = find(words);
	else if (!command && count_of(words) > 0)
		return half_a_command(words, argv[2]);
	if (!command)
		return fail_command(words);
	return run_command(command, argc - 1 - has_device, argv + 1 + has_device);
}

int main(int argc, char **argv)
{
	int status;

	fill_standard_streams();
	status = run(argc, argv);
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "paravane: cannot print: %s\n", strerror(errno));
	return EXIT_FAILURE;
}
