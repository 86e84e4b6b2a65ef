/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve blk: block devices for vhost-user front-ends. */
#include <stdio.h>
#include <stdlib.h>

#include "hosted/cli/cli.h"
#include "hosted/control/blk_commands.h"
#include "hosted/control/disk_set.h"
#include "hosted/control/sandbox.h"

struct start_options {
	const char *config;
	bool must_print_capabilities;
};

/* All that a command line says. */
struct wishes {
	struct pv_disk_plan disk;
	struct pv_service_options service;
	struct start_options start;
};

static const struct pv_option start_options[] = {
	{ "config", "FILE", "serve the disks that this file lists, as JSON",
	  PV_OPTION_TEXT_AT(struct start_options, config) },
	{ "print-capabilities", NULL, "print what this back-end can do, as JSON, and end",
	  PV_OPTION_FLAG_AT(struct start_options, must_print_capabilities) },
	{ 0 },
};

static const struct pv_option_group start_option_group = { "Start", start_options };

static const struct pv_option_group *const groups[] = {
	&pv_disk_option_group,
	&pv_export_option_group,
	&pv_service_option_group,
	&start_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane serve blk",
	.usage = "--socket-path PATH --blk-file PATH [OPTION]...\n"
		 "       paravane serve blk --config FILE [OPTION]...",
	.summary = "Serves disks to virtual machines as vhost-user devices. SIGTERM ends it, with "
		   "all that was written on the disks.",
	.groups = groups,
};

static int fail(const char *sentence)
{
	fprintf(stderr, "%s: %s\n", command.name, sentence);
	return EXIT_FAILURE;
}

/* QEMU's vhost-user.json: what a management program asks before it starts a back-end. */
static int print_capabilities(void)
{
	puts("{\n"
	     "  \"type\": \"block\",\n"
	     "  \"features\": [\n"
	     "    \"read-only\",\n"
	     "    \"blk-file\"\n"
	     "  ]\n"
	     "}");
	return EXIT_SUCCESS;
}

/* ---- serving ---- */

static bool run(struct pv_service *service, struct pv_disk_set *set,
                char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_blk_commands commands;
	struct pv_qmp *qmp = pv_service_qmp(service);

	if (!pv_disk_set_open(set, service, sentence))
		return false;
	if (qmp) {
		pv_blk_commands_register(&commands, qmp, set->disk, set->disks);
		pv_service_set_status(service, pv_blk_commands_status, &commands);
	}
	return pv_service_open(service, sentence) && pv_service_run(service, sentence) &&
	       pv_disk_set_sync(set, sentence);
}

static bool serve(struct pv_disk_set *set, const struct pv_service_options *options,
                  char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_service_extent extent = pv_disk_set_extent(set);
	struct pv_service *service;
	bool is_good, is_made;

	is_made = pv_service_create(&service, options, &extent, sentence);

	is_good = is_made && run(service, set, sentence);
	pv_disk_set_close(set);
	if (is_made)
		pv_service_destroy(service);
	return is_good;
}

static bool serve_one(const struct wishes *wishes, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_disk_set set;

	return pv_disk_set_one(&set, &wishes->disk, sentence) &&
	       serve(&set, &wishes->service, sentence);
}

static bool serve_many(const struct wishes *wishes, const struct pv_config *config,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_disk_set set;

	return pv_disk_set_many(&set, config, sentence) && serve(&set, &wishes->service, sentence);
}

/* ---- wishes ---- */

static enum pv_options_outcome parse(struct wishes *wishes, int argc, char **argv,
                                     char sentence[static PV_SENTENCE_BYTES])
{
	void *const values[] = { &wishes->disk.disk, &wishes->disk.export, &wishes->service,
		                 &wishes->start };

	return pv_options_parse(&command, values, argc, argv, sentence);
}

/* What a disk is stands in the file, or on the command line. */
static bool is_all_of_service(int argc, char **argv, char sentence[static PV_SENTENCE_BYTES])
{
	const char *name = pv_options_first_of(&command, &pv_disk_option_group, argc, argv);

	if (!name)
		name = pv_options_first_of(&command, &pv_export_option_group, argc, argv);
	return !name ||
	       pv_sentence_wrong(sentence,
	                         "options '--config' and '--%s' exclude each other; write '%s' "
	                         "into the file, for each disk",
	                         name, name);
}

/* The file's options of the service first, then those of the command line over them. */
static bool serve_config(int argc, char **argv, const char *path,
                         char sentence[static PV_SENTENCE_BYTES])
{
	struct wishes wishes = { .service = PV_SERVICE_DEFAULTS };
	struct pv_config config;
	bool is_good;

	if (!is_all_of_service(argc, argv, sentence) ||
	    !pv_config_read(&config, path, "disks", &wishes.service, sentence))
		return false;
	is_good = parse(&wishes, argc, argv, sentence) == PV_OPTIONS_GOOD &&
	          serve_many(&wishes, &config, sentence);
	pv_config_close(&config);
	return is_good;
}

int pv_cli_serve_blk(int argc, char **argv)
{
	struct wishes wishes = { .disk = PV_DISK_PLAN_DEFAULTS, .service = PV_SERVICE_DEFAULTS };
	char sentence[PV_SENTENCE_BYTES];
	bool is_good;

	switch (parse(&wishes, argc, argv, sentence)) {
	case PV_OPTIONS_HELP:
		pv_options_help(&command, stdout);
		return EXIT_SUCCESS;
	case PV_OPTIONS_WRONG:
		return fail(sentence);
	case PV_OPTIONS_GOOD:
		break;
	}
	if (wishes.start.must_print_capabilities)
		return print_capabilities();
	if (pv_sandbox_prepare())
		return fail("cannot give up privileges (no_new_privs)");
	is_good = wishes.start.config ? serve_config(argc, argv, wishes.start.config, sentence)
	                              : serve_one(&wishes, sentence);
	return is_good ? EXIT_SUCCESS : fail(sentence);
}
