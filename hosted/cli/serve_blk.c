/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve blk: block devices for vhost-user front-ends. */
#include "hosted/cli/cli.h"
#include "hosted/cli/serve.h"
#include "hosted/control/blk_commands.h"
#include "hosted/control/disk_set.h"

struct start_options {
	const char *config;
	bool must_print_capabilities;
};

/* All that a command line says. */
struct wishes {
	struct pv_disk_plan disk;
	struct pv_service_options service;
	struct start_options start;
	/* Where they came from: with a file they are taken in once more. */
	int argc;
	char **argv;
};

static const struct pv_option start_options[] = {
	{ "config", "FILE", "serve the disks that this file lists, as JSON",
	  PV_OPTION_TEXT_AT(struct start_options, config) },
	PV_SERVE_CAPABILITIES_OPTION(struct start_options, must_print_capabilities),
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

/* ---- serving ---- */

struct served {
	struct pv_disk_set *set;
	struct pv_blk_commands commands;
};

static bool open_disks(void *arg, struct pv_service *service,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct served *served = arg;
	struct pv_disk_set *set = served->set;
	struct pv_qmp *qmp = pv_service_qmp(service);

	if (!pv_disk_set_open(set, service, sentence))
		return false;
	if (qmp) {
		pv_blk_commands_register(&served->commands, qmp, set->disk, set->disks);
		pv_service_set_status(service, pv_blk_commands_status, &served->commands);
	}
	return true;
}

static bool sync_disks(void *arg, char sentence[static PV_SENTENCE_BYTES])
{
	const struct served *served = arg;

	return pv_disk_set_sync(served->set, sentence);
}

static void close_disks(void *arg)
{
	const struct served *served = arg;

	pv_disk_set_close(served->set);
}

static const struct pv_serve_devices devices = { open_disks, sync_disks, close_disks };

static bool serve(struct pv_disk_set *set, const struct pv_service_options *options,
                  char sentence[static PV_SENTENCE_BYTES])
{
	const struct pv_service_extent extent = pv_disk_set_extent(set);
	struct served served = { .set = set };

	return pv_serve_service(&devices, &served, options, &extent, sentence);
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

struct values {
	void *group[4];
};

static struct values values_of(struct wishes *wishes)
{
	return (struct values){ { &wishes->disk.disk, &wishes->disk.export, &wishes->service,
		                  &wishes->start } };
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
	struct values values = values_of(&wishes);
	static const struct pv_option_group *const service[] = { &pv_service_option_group, NULL };
	void *const service_values[] = { &wishes.service };
	const struct pv_json_form form = { service, service_values, "disks" };
	struct pv_config config;
	bool is_good;

	if (!is_all_of_service(argc, argv, sentence) ||
	    !pv_config_read(&config, "--config", path, &form, sentence))
		return false;
	is_good = pv_options_parse(&command, values.group, argc, argv, sentence) ==
	                  PV_OPTIONS_GOOD &&
	          serve_many(&wishes, &config, sentence);
	pv_config_close(&config);
	return is_good;
}

static bool serve_any(void *arg, char sentence[static PV_SENTENCE_BYTES])
{
	const struct wishes *wishes = arg;

	return wishes->start.config
	               ? serve_config(wishes->argc, wishes->argv, wishes->start.config, sentence)
	               : serve_one(wishes, sentence);
}

int pv_cli_serve_blk(int argc, char **argv)
{
	static const struct pv_serve_command serving = {
		.line = &command,
		.capabilities = "{\n"
				"  \"type\": \"block\",\n"
				"  \"features\": [\n"
				"    \"read-only\",\n"
				"    \"blk-file\"\n"
				"  ]\n"
				"}",
		.serve = serve_any,
	};
	struct wishes wishes = { .disk = PV_DISK_PLAN_DEFAULTS,
		                 .service = PV_SERVICE_DEFAULTS,
		                 .argc = argc,
		                 .argv = argv };
	struct values values = values_of(&wishes);

	return pv_serve(&serving, &wishes, values.group, &wishes.start.must_print_capabilities,
	                argc, argv);
}
