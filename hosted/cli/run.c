/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane run: a virtual machine, with its devices in this process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/cli/cli.h"
#include "hosted/cli/command.h"
#include "hosted/cli/run.h"
#include "hosted/control/ballast_commands.h"
#include "hosted/control/net_commands.h"
#include "hosted/control/port_commands.h"
#include "hosted/control/sandbox.h"
#include "hosted/vmm/machine_commands.h"

#define MEMORY_MIN      (32ull << 20)
#define MEMORY_DEFAULT  (512ull << 20)
#define MEMORY_MAX      (1ull << 40)
#define CPUS_MAX        255u
#define EXIT_KVM_FAILED 3
#define EXIT_PANICKED   4

/* As enum pv_machine_action has them. */
static const char *const on_reboots[] = { "reset", "exit", NULL };
static const char *const on_panics[] = { "reset", "exit", "pause", "ignore", NULL };

struct machine_options {
	const char *kernel, *initrd, *append, *console, *memory, *name, *rng, *serial_device,
		*balloon;
	uint64_t cpus;
	unsigned int on_panic, on_reboot;
	struct pv_option_texts devices, disks, nets, serials;
};

#define MACHINE struct machine_options
static const struct pv_option machine_options[] = {
	{ "kernel", "FILE", "a Linux bzImage, or an ELF image with a PVH entry",
	  PV_OPTION_TEXT_AT(MACHINE, kernel) },
	{ "initrd", "FILE", "its initial ramdisk", PV_OPTION_TEXT_AT(MACHINE, initrd) },
	{ "append", "TEXT", "its command line", PV_OPTION_TEXT_AT(MACHINE, append) },
	{ "cpus", "N", "virtual processors (default 1)",
	  PV_OPTION_NUMBER_AT(MACHINE, cpus, 1, CPUS_MAX) },
	{ "memory", "SIZE[,KEY=VALUE,...]",
	  "guest memory (default 512M); with shared=on other processes can be given it, with "
	  "hugepages=on it is of the host's pool of huge pages",
	  PV_OPTION_TEXT_AT(MACHINE, memory) },
	{ "name", "TEXT", "its name, for query-name", PV_OPTION_TEXT_AT(MACHINE, name) },
	{ "balloon", "on|off[,KEY=VALUE...]",
	  "a memory balloon (default off): target=SIZE is what the guest is to have at the "
	  "beginning; with deflate-on-oom=off, free-page-reporting=off, stats-interval=SECONDS, "
	  "id=NAME, bus=pci|mmio, or any of the options of 'serve balloon'",
	  PV_OPTION_TEXT_AT(MACHINE, balloon) },
	{ "console", "stdio|pty|file=PATH|off",
	  "where the serial port COM1 leads to (default stdio, or off where --serial has it); a "
	  "pty's path is said on stderr",
	  PV_OPTION_TEXT_AT(MACHINE, console) },
	{ "on-panic", "exit|pause|reset|ignore",
	  "what becomes of a guest whose kernel says that it has panicked (default exit)",
	  PV_OPTION_CHOICE_AT(MACHINE, on_panic, on_panics) },
	{ "on-reboot", "reset|exit", "what becomes of a guest that reboots (default reset)",
	  PV_OPTION_CHOICE_AT(MACHINE, on_reboot, on_reboots) },
	{ "device", "vhost-user,type=rng|blk|net,path=SOCKET[,KEY=VALUE...]",
	  "a device that a back-end in another process serves, or with vhost-kernel,type=net the "
	  "kernel; with id=NAME, bus=pci|mmio, queues=N, queue-size=N, reconnect=off, and of a "
	  "network device mac=ADDRESS, mtu=N and ifname=NAME; may be given more than once",
	  PV_OPTION_TEXTS_AT(MACHINE, devices) },
	{ "disk", "KEY=VALUE,...",
	  "a disk: path=FILE, and id=NAME, bus=pci|mmio, readonly=on, queues=N, iothreads=N for "
	  "event loops of its own, or any of the options of a disk that 'serve blk' has; may be "
	  "given more than once",
	  PV_OPTION_TEXTS_AT(MACHINE, disks) },
	{ "net", "KIND[,KEY=VALUE...]",
	  "a network device: user, tap, stream, dgram, null or echo, with id=NAME, bus=pci|mmio, "
	  "iothreads=N for event loops of its own, or any of the keys of 'serve net'; or "
	  "vhost-user "
	  "with path=SOCKET, or vhost-kernel with ifname=NAME, and the keys of --device; may be "
	  "given more than once",
	  PV_OPTION_TEXTS_AT(MACHINE, nets) },
	{ "rng", "on|off[,KEY=VALUE...]",
	  "an entropy device (default on); max-bytes=SIZE,period=MILLISECONDS limit it",
	  PV_OPTION_TEXT_AT(MACHINE, rng) },
	{ "serial", "console|name=NAME,LINE[,KEY=VALUE...]",
	  "a port of a serial device (virtio-serial), and where its bytes go: pty, stdio, "
	  "socket=PATH and so on, with any of the keys of 'serve serial'; may be given more than "
	  "once",
	  PV_OPTION_TEXTS_AT(MACHINE, serials) },
	{ "serial-device", "KEY=VALUE,...",
	  "the device of these ports: ports-max=N (default 31), bus=pci|mmio, id=NAME, "
	  "iothreads=1 for an event loop of its own, queue-size=N, and hot-plug=on to let "
	  "chardev-add open files, terminals and sockets",
	  PV_OPTION_TEXT_AT(MACHINE, serial_device) },
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

/* ---- memory ---- */

#define MEMORY struct pv_machine_memory_options
static const struct pv_option memory_keys[] = {
	{ "size", "SIZE", "how much", PV_OPTION_SIZE_AT(MEMORY, bytes, MEMORY_MIN, MEMORY_MAX) },
	{ "shared", NULL, "behind a descriptor", PV_OPTION_FLAG_AT(MEMORY, is_shared) },
	{ "hugepages", NULL, "of the pool", PV_OPTION_FLAG_AT(MEMORY, has_huge_pages) },
	{ 0 },
};

static bool plan_memory(MEMORY *memory, const char *text, char sentence[static PV_SENTENCE_BYTES])
{
	*memory = (MEMORY){ .bytes = MEMORY_DEFAULT };
	/* It is in argv, which is ours to write to. */
	if (text && !pv_options_parse_value_and_keys("memory", memory_keys, memory,
	                                             (char *)(uintptr_t)text, sentence))
		return false;
	memory->bytes &= ~4095ull;
	return true;
}

/* ---- running ---- */

/* All that a command line says. */
struct wishes {
	struct machine_options machine;
	struct pv_service_options service;
};

/*
 * The devices, in the order of their slots: guests name disks and networks after these, so those
 * keep them whatever else there is.
 */
struct board {
	struct pv_disk_set disks;
	struct pv_run_nics nics;
	struct pv_run_remotes remotes;
	struct pv_run_rng rng;
	struct pv_run_serial serial;
	struct pv_run_balloon balloon;
};

static void clear_board(struct board *board)
{
	pv_ballast_close(&board->balloon.ballast);
	pv_run_close_serial(&board->serial);
	pv_entropy_close(&board->rng.entropy);
	pv_run_close_remotes(&board->remotes);
	pv_run_close_nics(&board->nics);
	pv_disk_set_close(&board->disks);
}

static bool fill_board(struct board *board, struct pv_machine *machine, struct pv_service *service,
                       char sentence[static PV_SENTENCE_BYTES])
{
	return pv_disk_set_open(&board->disks, service, sentence) &&
	       pv_run_add_disks(machine, &board->disks, sentence) &&
	       pv_run_add_nics(machine, &board->nics, service, sentence) &&
	       pv_run_add_remotes(machine, &board->remotes, service, sentence) &&
	       pv_run_add_rng(machine, &board->rng, service, sentence) &&
	       pv_run_add_serial(machine, &board->serial, service, sentence) &&
	       pv_run_add_balloon(machine, &board->balloon, service, sentence);
}

struct commands {
	struct pv_machine_commands of_machine;
	struct pv_net_commands of_nets;
	struct pv_port_commands of_ports;
	struct pv_ballast_commands of_balloon;
};

static bool register_commands(struct commands *commands, struct pv_service *service,
                              struct pv_machine *machine, const char *name, struct board *board,
                              char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_loop *control = pv_service_control(service);
	struct pv_qmp *qmp = pv_service_qmp(service);

	if (!pv_net_commands_init(&commands->of_nets, qmp, control, board->nics.nic,
	                          board->nics.count, sentence) ||
	    !pv_port_commands_init(&commands->of_ports, board->serial.is_on ? qmp : NULL, control,
	                           &board->serial.ports, sentence) ||
	    !pv_ballast_commands_init(&commands->of_balloon, board->balloon.is_on ? qmp : NULL,
	                              control, &board->balloon.ballast, sentence))
		return false;
	pv_net_commands_add_remotes(&commands->of_nets, board->remotes.device,
	                            board->remotes.count);
	if (!qmp)
		return true;
	pv_machine_commands_register(&commands->of_machine, qmp, machine, name, &board->disks);
	pv_service_set_status(service, pv_machine_commands_status, &commands->of_machine);
	return true;
}

static void end_commands(struct commands *commands)
{
	pv_ballast_commands_fini(&commands->of_balloon);
	pv_port_commands_fini(&commands->of_ports);
	pv_net_commands_fini(&commands->of_nets);
}

static bool run_service(struct pv_service *service, struct pv_machine *machine, const char *name,
                        struct board *board, char sentence[static PV_SENTENCE_BYTES])
{
	struct commands commands = { 0 };
	bool is_good = pv_machine_join(machine, service, sentence) &&
	               fill_board(board, machine, service, sentence) &&
	               register_commands(&commands, service, machine, name, board, sentence) &&
	               pv_service_open(service, sentence) && pv_service_run(service, sentence) &&
	               pv_disk_set_sync(&board->disks, sentence);

	end_commands(&commands);
	return is_good;
}

static bool run_machine(struct pv_machine *machine, const struct wishes *wishes,
                        struct board *board, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_service_extent extent = pv_disk_set_extent(&board->disks);
	struct pv_service *service;
	bool is_good, is_made;

	pv_run_extend_by_nics(&extent, &board->nics);
	pv_run_extend_by_remotes(&extent, &board->remotes);
	pv_run_extend_by_rng(&extent, &board->rng);
	pv_run_extend_by_serial(&extent, &board->serial);
	pv_run_extend_by_balloon(&extent, &board->balloon);
	extent.is_for_guest = true;
	extent.lock = pv_machine_lock(machine);
	is_made = pv_service_create(&service, &wishes->service, &extent, sentence);
	is_good = is_made && run_service(service, machine, wishes->machine.name, board, sentence);
	clear_board(board);
	if (is_made)
		pv_service_destroy(service);
	return is_good;
}

static const int statuses[] = {
	[PV_MACHINE_OFF] = EXIT_SUCCESS,
	[PV_MACHINE_PANICKED] = EXIT_PANICKED,
	[PV_MACHINE_FAILED] = EXIT_KVM_FAILED,
};

static int run_on(const struct pv_console *console, const struct wishes *wishes,
                  struct board *board, char sentence[static PV_SENTENCE_BYTES])
{
	const struct machine_options *options = &wishes->machine;
	struct pv_machine_options wanted = {
		.boot = { options->kernel, options->initrd, options->append,
		          (unsigned int)options->cpus },
		.on_reset = (enum pv_machine_action)options->on_reboot,
		.on_panic = (enum pv_machine_action)options->on_panic,
		.console = console,
	};
	bool is_planned = plan_memory(&wanted.memory, options->memory, sentence);
	struct pv_machine *machine;
	bool is_good;
	int status;

	wanted.memory.is_shared |= pv_run_remotes_share_memory(&board->remotes) ||
	                           pv_run_balloon_wants_file(&board->balloon, &wanted.memory);
	if (!is_planned || !pv_machine_create(&machine, &wanted, sentence)) {
		clear_board(board);
		return pv_cli_fail(&command, sentence);
	}
	if (console->pty.path[0])
		fprintf(stderr, "%s: the console is %s\n", command.name, console->pty.path);
	is_good = run_machine(machine, wishes, board, sentence);
	status = statuses[pv_machine_how_ended(machine)];
	pv_machine_destroy(machine);
	if (!is_good)
		return pv_cli_fail(&command, sentence);
	return status;
}

static bool plan_board(struct board *board, const struct machine_options *options,
                       char sentence[static PV_SENTENCE_BYTES])
{
	if (!pv_run_plan_rng(&board->rng, options->rng, sentence) ||
	    !pv_run_plan_balloon(&board->balloon, options->balloon, sentence) ||
	    !pv_run_plan_serial(&board->serial, &options->serials, options->serial_device,
	                        sentence))
		return false;
	board->nics = (struct pv_run_nics){ 0 };
	board->remotes = (struct pv_run_remotes){ 0 };
	if (pv_run_plan_remotes(&board->remotes, &options->devices, &options->nets, sentence) &&
	    pv_run_plan_nics(&board->nics, &options->nets, options->name, sentence) &&
	    pv_run_plan_disks(&board->disks, &options->disks, options->cpus, sentence))
		return true;
	pv_run_close_nics(&board->nics);
	pv_run_close_remotes(&board->remotes);
	pv_run_close_serial(&board->serial);
	return false;
}

/* There is one terminal: it is COM1's unless a port has it. */
static bool open_console(struct pv_console *console, const char *wanted,
                         const struct pv_run_serial *serial,
                         char sentence[static PV_SENTENCE_BYTES])
{
	bool is_taken = pv_run_serial_has_stdio(serial);

	if (is_taken && wanted && strcmp(wanted, "stdio") == 0)
		return pv_sentence_wrong(sentence,
		                         "'--console stdio' and '--serial' with stdio want the "
		                         "same terminal; leave '--console' out");
	if (!wanted)
		wanted = is_taken ? "off" : "stdio";
	return pv_console_open(console, wanted, sentence);
}

static int run(const struct wishes *wishes, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_console console;
	struct board board;
	int status;

	if (!plan_board(&board, &wishes->machine, sentence))
		return pv_cli_fail(&command, sentence);
	if (!open_console(&console, wishes->machine.console, &board.serial, sentence)) {
		clear_board(&board);
		return pv_cli_fail(&command, sentence);
	}
	status = run_on(&console, wishes, &board, sentence);
	pv_console_close(&console);
	return status;
}

int pv_cli_run(int argc, char **argv)
{
	struct wishes wishes = { .machine = { .cpus = 1, .on_panic = PV_MACHINE_ENDS },
		                 .service = PV_SERVICE_DEFAULTS };
	void *const values[] = { &wishes.machine, &wishes.service };
	char sentence[PV_SENTENCE_BYTES];
	int status;

	if (!pv_cli_take(&command, values, argc, argv, &status))
		return status;
	if (!wishes.machine.kernel)
		return pv_cli_fail(&command, "no kernel: give --kernel FILE");
	if (pv_sandbox_prepare())
		return pv_cli_fail(&command, "cannot give up privileges (no_new_privs)");
	return run(&wishes, sentence);
}
