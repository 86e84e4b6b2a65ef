/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "devices/blk/blk.h"
#include "hosted/control/blk_commands.h"
#include "hosted/control/json_add.h"

static struct json_object *image_of(const struct pv_disk *disk)
{
	struct json_object *image = json_object_new_object();

	pv_json_add_text(image, "filename", pv_store_path(disk->store));
	pv_json_add_text(image, "format", "raw");
	pv_json_add_number(image, "virtual-size", pv_store_blk(disk->store)->capacity_bytes);
	pv_json_add_bool(image, "dirty-flag", false);
	return image;
}

static struct json_object *cache_of(const struct pv_disk *disk)
{
	struct json_object *cache = json_object_new_object();

	pv_json_add_bool(cache, "writeback", disk->has_write_cache);
	pv_json_add_bool(cache, "direct", disk->is_direct);
	pv_json_add_bool(cache, "no-flush", false);
	return cache;
}

/* The members that QEMU's schema has as mandatory are there even where there is no such thing. */
static struct json_object *inserted_of(const struct pv_disk *disk)
{
	static const char *const limits[] = { "bps",  "bps_rd",  "bps_wr",
		                              "iops", "iops_rd", "iops_wr" };
	struct json_object *inserted = json_object_new_object();

	pv_json_add_text(inserted, "file", pv_store_path(disk->store));
	pv_json_add_text(inserted, "node-name", disk->name);
	pv_json_add_text(inserted, "drv", "raw");
	pv_json_add_bool(inserted, "ro", pv_store_blk(disk->store)->limits.is_read_only);
	pv_json_add_bool(inserted, "encrypted", false);
	pv_json_add_number(inserted, "backing_file_depth", 0);
	pv_json_add_text(inserted, "detect_zeroes", "off");
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		pv_json_add_number(inserted, limits[i], 0);
	pv_json_add_number(inserted, "write_threshold", 0);
	json_object_object_add(inserted, "image", image_of(disk));
	json_object_object_add(inserted, "cache", cache_of(disk));
	return inserted;
}

static const char *io_status(const struct pv_disk *disk)
{
	if (!pv_blk_is_stopped(disk->device))
		return "ok";
	return disk->has_no_space ? "nospace" : "failed";
}

static void query_block(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const struct pv_blk_commands *commands = arg;
	struct json_object *list = json_object_new_array();

	(void)arguments;
	for (unsigned int i = 0; i < commands->disks; i++) {
		struct json_object *disk = json_object_new_object();

		pv_json_add_text(disk, "device", commands->disk[i].name);
		pv_json_add_text(disk, "type", "unknown");
		pv_json_add_text(disk, "io-status", io_status(&commands->disk[i]));
		pv_json_add_bool(disk, "removable", false);
		pv_json_add_bool(disk, "locked", false);
		json_object_object_add(disk, "inserted", inserted_of(&commands->disk[i]));
		json_object_array_add(list, disk);
	}
	pv_qmp_return(request, list);
}

/* By `device` or `node-name`, which are the same here; the only disk needs no name. */
static struct pv_disk *find(const struct pv_blk_commands *commands, const char *name)
{
	for (unsigned int i = 0; i < commands->disks; i++)
		if (name ? strcmp(commands->disk[i].name, name) == 0 : commands->disks == 1)
			return &commands->disk[i];
	return NULL;
}

/*
 * The device never believes in more than the store has: it shrinks before the store and grows after
 * it.
 */
static int resize(struct pv_disk *disk, uint64_t bytes)
{
	uint64_t before = pv_store_blk(disk->store)->capacity_bytes;
	int error;

	if (bytes < before && pv_blk_resized(disk->device, bytes))
		return -EINVAL;
	error = pv_store_resize(disk->store, bytes);
	if (error) {
		if (bytes < before)
			pv_blk_resized(disk->device, before);
		return error;
	}
	return bytes > before && pv_blk_resized(disk->device, bytes) ? -EINVAL : 0;
}

static void block_resize(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	const char *device = pv_json_text_of(arguments, "device");
	const char *node = pv_json_text_of(arguments, "node-name");
	struct pv_disk *disk = find(arg, device ? device : node);
	int64_t bytes = json_object_get_int64(json_object_object_get(arguments, "size"));
	uint32_t block;
	int error;

	if (device && node) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "Parameters 'device' and 'node-name' exclude each other");
		return;
	}
	if (!disk && !device && !node) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "there are several disks: give 'device', which query-block lists");
		return;
	}
	if (!disk) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "there is no such disk; query-block lists them");
		return;
	}
	block = pv_store_blk(disk->store)->limits.logical_block_bytes;
	if (bytes <= 0 || bytes % block) {
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "Parameter 'size' must be a positive multiple of %u, the logical block "
		            "size",
		            block);
		return;
	}
	error = resize(disk, (uint64_t)bytes);
	if (error == -EAGAIN)
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR,
		            "cannot resize '%s': somebody else uses its image", disk->name);
	else if (error)
		pv_qmp_fail(request, PV_QMP_GENERIC_ERROR, "cannot resize '%s': %s", disk->name,
		            strerror(-error));
	else
		pv_qmp_return(request, NULL);
}

/* ---- disks that stop, and go on ---- */

static bool is_any_stopped(const struct pv_blk_commands *commands)
{
	for (unsigned int i = 0; i < commands->disks; i++)
		if (pv_blk_is_stopped(commands->disk[i].device))
			return true;
	return false;
}

const char *pv_blk_commands_status(void *arg)
{
	return is_any_stopped(arg) ? "io-error" : "running";
}

void pv_blk_commands_resume(struct pv_blk_commands *commands)
{
	for (unsigned int i = 0; i < commands->disks; i++)
		pv_blk_resume(commands->disk[i].device);
}

/* Disks that have stopped since the question was asked are told of again, and wait again. */
static void cont(struct pv_qmp_request *request, void *arg, struct json_object *arguments)
{
	struct pv_blk_commands *commands = arg;

	(void)arguments;
	if (is_any_stopped(commands))
		pv_qmp_event(commands->qmp, "RESUME", NULL);
	pv_blk_commands_resume(commands);
	pv_qmp_return(request, NULL);
}

static void tell_of_failure(const struct pv_blk_commands *commands, const struct pv_disk *disk,
                            const struct pv_blk_failure *failure)
{
	static const char *const action[] = {
		[PV_BLK_REPORT] = "report", [PV_BLK_IGNORE] = "ignore", [PV_BLK_STOP] = "stop"
	};
	struct json_object *data = json_object_new_object();

	pv_json_add_text(data, "device", disk->name);
	pv_json_add_text(data, "node-name", disk->name);
	pv_json_add_text(data, "operation", failure->is_write ? "write" : "read");
	pv_json_add_text(data, "action", action[failure->action]);
	pv_json_add_bool(data, "nospace", failure->is_no_space);
	pv_json_add_text(data, "reason", strerror(failure->is_no_space ? ENOSPC : EIO));
	pv_qmp_event(commands->qmp, "BLOCK_IO_ERROR", data);
}

static void failed(void *arg, struct pv_disk *disk, const struct pv_blk_failure *failure)
{
	struct pv_blk_commands *commands = arg;

	tell_of_failure(commands, disk, failure);
	if (failure->action != PV_BLK_STOP)
		return;
	if (!commands->stop_machine)
		pv_qmp_event(commands->qmp, "STOP", NULL);
	else if (pv_blk_is_stopped(disk->device))
		commands->stop_machine(commands->machine);
}

/* RESUME has no device: it says that all go on. A machine goes on when it is told to. */
static void resumed(void *arg)
{
	struct pv_blk_commands *commands = arg;

	if (!commands->stop_machine && !is_any_stopped(commands))
		pv_qmp_event(commands->qmp, "RESUME", NULL);
}

static const struct pv_qmp_parameter resize_parameters[] = {
	{ "device", PV_QMP_TEXT, false },
	{ "node-name", PV_QMP_TEXT, false },
	{ "size", PV_QMP_INTEGER, true },
	{ 0 },
};

static const struct pv_qmp_command command_table[] = {
	{ "block_resize", resize_parameters, block_resize },
	{ "query-block", NULL, query_block },
	{ 0 },
};

static const struct pv_qmp_command cont_table[] = {
	{ "cont", NULL, cont },
	{ 0 },
};

static void listen_to(struct pv_blk_commands *commands)
{
	for (unsigned int i = 0; i < commands->disks; i++) {
		commands->disk[i].failed = failed;
		commands->disk[i].resumed = resumed;
		commands->disk[i].failed_arg = commands;
	}
}

void pv_blk_commands_register(struct pv_blk_commands *commands, struct pv_qmp *qmp,
                              struct pv_disk *disk, unsigned int disks)
{
	*commands = (struct pv_blk_commands){ .disk = disk, .disks = disks, .qmp = qmp };
	listen_to(commands);
	pv_qmp_register(qmp, command_table, commands);
	pv_qmp_register(qmp, cont_table, commands);
}

void pv_blk_commands_register_for_machine(struct pv_blk_commands *commands, struct pv_qmp *qmp,
                                          struct pv_disk *disk, unsigned int disks,
                                          void (*stop)(void *machine), void *machine)
{
	*commands = (struct pv_blk_commands){
		.disk = disk,
		.disks = disks,
		.qmp = qmp,
		.stop_machine = stop,
		.machine = machine,
	};
	listen_to(commands);
	pv_qmp_register(qmp, command_table, commands);
}
