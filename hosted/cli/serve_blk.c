/* SPDX-License-Identifier: BSD-2-Clause */
/* paravane serve blk: a block device for vhost-user front-ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/cli/cli.h"
#include "hosted/control/blk_commands.h"
#include "hosted/control/disk.h"
#include "hosted/control/sandbox.h"
#include "hosted/control/service.h"
#include "hosted/control/stats_commands.h"

static const struct pv_option_group *const groups[] = {
	&pv_disk_option_group,
	&pv_service_option_group,
	NULL,
};

static const struct pv_command_line command = {
	.name = "paravane serve blk",
	.usage = "--socket-path PATH --blk-file PATH [OPTION]...",
	.summary =
		"Serves a disk to virtual machines as a vhost-user device. SIGTERM ends it, with "
		"all that was written on the disk.",
	.groups = groups,
};

/* The device's name in logs and control commands. */
#define NAME "blk0"

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

static bool sync_disk(const struct pv_disk *disk, char sentence[static PV_SENTENCE_BYTES])
{
	int error = pv_store_sync(disk->store);

	return error == 0 ||
	       pv_sentence_wrong(sentence, "what was written last may not be on the disk: %s",
	                         strerror(-error));
}

static bool run(struct pv_service *service, struct pv_disk *disk,
                char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_blk_commands commands;
	struct pv_qmp *qmp = pv_service_qmp(service);
	char text[PV_DISK_TEXT_BYTES];

	if (qmp) {
		pv_blk_commands_register(&commands, qmp, disk, 1);
		pv_service_set_status(service, pv_blk_commands_status, &commands);
	}
	return pv_service_open(service, disk->host, disk->device, sentence) &&
	       pv_service_run(service, pv_disk_text(disk, text), sentence) &&
	       sync_disk(disk, sentence);
}

static bool serve(const struct pv_disk_options *disk_options,
                  const struct pv_service_options *service_options,
                  char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_service *service;
	struct pv_host_options host;
	struct pv_disk disk;
	bool is_good;

	if (!pv_service_create(&service, NAME, service_options, sentence))
		return false;
	host = pv_service_host(service);
	is_good = pv_disk_open(&disk, disk_options, &host, sentence);
	if (is_good) {
		is_good = run(service, &disk, sentence);
		pv_disk_close(&disk);
	}
	pv_service_destroy(service);
	return is_good;
}

int pv_cli_serve_blk(int argc, char **argv)
{
	struct pv_disk_options disk = PV_DISK_DEFAULTS;
	struct pv_service_options service = PV_SERVICE_DEFAULTS;
	void *const values[] = { &disk, &service };
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
	if (service.must_print_capabilities)
		return print_capabilities();
	disk.can_be_resumed = service.qmp != NULL;
	if (pv_sandbox_prepare())
		return fail("cannot give up privileges (no_new_privs)");
	return serve(&disk, &service, sentence) ? EXIT_SUCCESS : fail(sentence);
}
