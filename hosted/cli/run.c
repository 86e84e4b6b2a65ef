/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane run: a virtual machine, with its devices in this process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "abi/pci.h"
#include "hosted/cli/cli.h"
#include "hosted/control/disk_set.h"
#include "hosted/control/sandbox.h"
#include "hosted/vmm/machine_commands.h"

#define MEMORY_MIN      (32ull << 20)
#define MEMORY_MAX      (1ull << 40)
#define CPUS_MAX        255u
#define QUEUES_DEFAULT  16u
#define QUEUE_SIZE      256u
#define EXIT_KVM_FAILED 3

enum console { CONSOLE_STDIO, CONSOLE_OFF };
enum on_reboot { ON_REBOOT_RESET, ON_REBOOT_EXIT };

static const char *const consoles[] = { "stdio", "off", NULL };
static const char *const on_reboots[] = { "reset", "exit", NULL };

struct machine_options {
	const char *kernel, *initrd, *append;
	uint64_t cpus, memory_bytes;
	unsigned int console, on_reboot;
	struct pv_option_texts disks;
};

#define MACHINE struct machine_options
static const struct pv_option machine_options[] = {
	{ "kernel", "FILE", "a Linux bzImage, or an ELF image with a PVH entry",
	  PV_OPTION_TEXT_AT(MACHINE, kernel) },
	{ "initrd", "FILE", "its initial ramdisk", PV_OPTION_TEXT_AT(MACHINE, initrd) },
	{ "append", "TEXT", "its command line", PV_OPTION_TEXT_AT(MACHINE, append) },
	{ "cpus", "N", "virtual processors (default 1)",
	  PV_OPTION_NUMBER_AT(MACHINE, cpus, 1, CPUS_MAX) },
	{ "memory", "SIZE", "guest memory (default 512M)",
	  PV_OPTION_SIZE_AT(MACHINE, memory_bytes, MEMORY_MIN, MEMORY_MAX) },
	{ "console", "stdio|off", "where the serial port COM1 leads to (default stdio)",
	  PV_OPTION_CHOICE_AT(MACHINE, console, consoles) },
	{ "on-reboot", "reset|exit", "what becomes of a guest that reboots (default reset)",
	  PV_OPTION_CHOICE_AT(MACHINE, on_reboot, on_reboots) },
	{ "disk", "KEY=VALUE,...",
	  "a disk: path=FILE, and id=NAME, readonly=on, queues=N, or any of the options of a disk "
	  "that 'serve blk' has; may be given more than once",
	  PV_OPTION_TEXTS_AT(MACHINE, disks) },
	{ 0 },
};

static const struct pv_option_group machine_option_group = { "Machine", machine_options };

static const struct pv_option_group *const groups[] = {
	&machine_option_group,
	&pv_service_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane run",
	.usage = "--kernel FILE [OPTION]...",
	.summary = "Runs a virtual machine. It ends when the guest switches itself off; SIGTERM "
		   "presses its power button, and once more ends it at once, with all that was "
		   "written on its disks.",
	.groups = groups,
};

static int fail(const char *sentence)
{
	fprintf(stderr, "%s: %s\n", command.name, sentence);
	return EXIT_FAILURE;
}

/* ---- disks ---- */

#define KEYS_MAX 64u

/* What a key is called here, and in the table of disks. */
static const struct {
	const char *key, *option;
} aliases[] = { { "path", "blk-file" }, { "readonly", "read-only" }, { "queues", "num-queues" } };

#define ALIASES (sizeof(aliases) / sizeof(aliases[0]))

static const struct pv_option *disk_option(const char *name)
{
	const struct pv_option *o = pv_disk_option_group.options;

	while (strcmp(o->name, name) != 0)
		o++;
	return o;
}

/* Offsets are those of a plan: a disk's options are at its beginning. */
static void list_keys(struct pv_option keys[KEYS_MAX])
{
	unsigned int count = 0;

	_Static_assert(offsetof(struct pv_disk_plan, disk) == 0, "the disk is not first");
	for (size_t i = 0; i < ALIASES; i++) {
		keys[count] = *disk_option(aliases[i].option);
		keys[count++].name = aliases[i].key;
	}
	keys[count++] = (struct pv_option){ "id", "NAME", "its name",
		                            PV_OPTION_TEXT_AT(struct pv_disk_plan, export.name) };
	for (const struct pv_option *o = pv_disk_option_group.options;
	     o->name && count < KEYS_MAX - 1; o++)
		keys[count++] = *o;
	keys[count] = (struct pv_option){ 0 };
}

static bool plan_disks(struct pv_disk_set *set, const struct machine_options *options,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_option keys[KEYS_MAX];

	list_keys(keys);
	if (!pv_disk_set_empty(set, options->disks.count, sentence))
		return false;
	for (unsigned int i = 0; i < set->disks; i++) {
		struct pv_disk_plan *plan = &set->plan[i];
		/* It is in argv, which is ours to write to. */
		char *text = (char *)(uintptr_t)options->disks.text[i];

		plan->disk.queues = options->cpus < QUEUES_DEFAULT ? options->cpus : QUEUES_DEFAULT;
		plan->disk.queue_size_max = QUEUE_SIZE;
		if (!pv_options_parse_keys("disk", keys, plan, text, sentence)) {
			pv_disk_set_close(set);
			return false;
		}
	}
	return true;
}

static bool add_disks(struct pv_machine *machine, const struct pv_disk_set *set,
                      char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < set->opened; i++)
		if (!pv_machine_add(machine, set->disk[i].device, set->disk[i].host,
		                    PCI_CLASS_STORAGE_SCSI, sentence))
			return false;
	return true;
}

/* ---- the console ---- */

struct terminal {
	bool is_raw;
	int in_flags, out_flags;
	struct termios before;
};

/* A terminal's keys are the guest's, all of them but what the program's own signals need. */
static void terminal_take(struct terminal *terminal)
{
	struct termios raw;

	terminal->in_flags = fcntl(STDIN_FILENO, F_GETFL);
	terminal->out_flags = fcntl(STDOUT_FILENO, F_GETFL);
	fcntl(STDIN_FILENO, F_SETFL, terminal->in_flags | O_NONBLOCK);
	fcntl(STDOUT_FILENO, F_SETFL, terminal->out_flags | O_NONBLOCK);
	if (tcgetattr(STDIN_FILENO, &terminal->before) < 0)
		return;
	raw = terminal->before;
	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	raw.c_iflag &= (tcflag_t)~ICRNL;
	terminal->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void terminal_give_back(const struct terminal *terminal)
{
	if (terminal->is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
	fcntl(STDIN_FILENO, F_SETFL, terminal->in_flags);
	fcntl(STDOUT_FILENO, F_SETFL, terminal->out_flags);
}

/* ---- running ---- */

/* All that a command line says. */
struct wishes {
	struct machine_options machine;
	struct pv_service_options service;
};

static bool run_service(struct pv_service *service, struct pv_machine *machine,
                        struct pv_disk_set *set, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_machine_commands commands;
	struct pv_qmp *qmp = pv_service_qmp(service);

	if (!pv_machine_join(machine, service, sentence) ||
	    !pv_disk_set_open(set, service, sentence) || !add_disks(machine, set, sentence))
		return false;
	if (qmp) {
		pv_machine_commands_register(&commands, qmp, machine, set->disk, set->disks);
		pv_service_set_status(service, pv_machine_commands_status, &commands);
	}
	return pv_service_open(service, sentence) && pv_service_run(service, sentence) &&
	       pv_disk_set_sync(set, sentence);
}

static bool run_machine(struct pv_machine *machine, const struct pv_service_options *options,
                        struct pv_disk_set *set, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_service_extent extent = pv_disk_set_extent(set);
	struct pv_service *service;
	bool is_good, is_made;

	extent.is_for_guest = true;
	extent.lock = pv_machine_lock(machine);
	is_made = pv_service_create(&service, options, &extent, sentence);
	is_good = is_made && run_service(service, machine, set, sentence);
	pv_disk_set_close(set);
	if (is_made)
		pv_service_destroy(service);
	return is_good;
}

static int run(const struct wishes *wishes, char sentence[static PV_SENTENCE_BYTES])
{
	const struct machine_options *options = &wishes->machine;
	bool has_console = options->console == CONSOLE_STDIO;
	const struct pv_machine_options wanted = {
		.boot = { options->kernel, options->initrd, options->append,
		          (unsigned int)options->cpus },
		.memory_bytes = options->memory_bytes & ~4095ull,
		.on_reset = options->on_reboot == ON_REBOOT_EXIT ? PV_MACHINE_ENDS
		                                                 : PV_MACHINE_RESETS,
		.console_in = has_console ? STDIN_FILENO : -1,
		.console_out = has_console ? STDOUT_FILENO : -1,
	};
	struct pv_machine *machine;
	struct pv_disk_set set;
	struct terminal terminal = { 0 };
	bool is_good, has_failed;

	if (!plan_disks(&set, options, sentence))
		return fail(sentence);
	if (!pv_machine_create(&machine, &wanted, sentence)) {
		pv_disk_set_close(&set);
		return fail(sentence);
	}
	if (has_console)
		terminal_take(&terminal);
	is_good = run_machine(machine, &wishes->service, &set, sentence);
	has_failed = pv_machine_how_ended(machine) == PV_MACHINE_FAILED;
	pv_machine_destroy(machine);
	if (has_console)
		terminal_give_back(&terminal);
	if (!is_good)
		return fail(sentence);
	return has_failed ? EXIT_KVM_FAILED : EXIT_SUCCESS;
}

int pv_cli_run(int argc, char **argv)
{
	struct wishes wishes = { .machine = { .cpus = 1, .memory_bytes = 512ull << 20 },
		                 .service = PV_SERVICE_DEFAULTS };
	void *const values[] = { &wishes.machine, &wishes.service };
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
	if (!wishes.machine.kernel)
		return fail("no kernel: give --kernel FILE");
	if (pv_sandbox_prepare())
		return fail("cannot give up privileges (no_new_privs)");
	return run(&wishes, sentence);
}
