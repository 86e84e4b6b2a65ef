/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/virtio_blk.h"
#include "devices/blk/blk.h"
#include "hosted/control/device_storage.h"
#include "hosted/control/disk.h"
#include "hosted/control/guard.h"
#include "hosted/loop/clock.h"
#include "hosted/loop/log.h"

#define DISK_BYTES_MAX (UINT64_C(1) << 50)
/* vhost-user names a queue in eight bits. */
#define QUEUES_MAX     256
#define QUEUE_SIZE_MAX 32768

static const char *const off_on[] = { "off", "on", NULL };
static const char *const auto_off[] = { "auto", "off", NULL };
static const char *const erasing[] = { [PV_STORE_ERASE_AUTO] = "auto",
	                               [PV_STORE_ERASE_OFF] = "off",
	                               [PV_STORE_ERASE_OVERWRITE] = "overwrite",
	                               NULL };

/* In the order of the words: what is not the option's own choice depends on who could go on. */
enum { ERROR_AUTO, ERROR_REPORT, ERROR_IGNORE, ERROR_STOP, ERROR_ENOSPC };
static const char *const read_errors[] = { "auto", "report", "ignore", "stop", NULL };
static const char *const write_errors[] = { "auto", "report", "ignore", "stop", "enospc", NULL };

#define DISK struct pv_disk_options
static const struct pv_option disk_options[] = {
	{ "blk-file", "PATH", "the disk is this file or block device",
	  PV_OPTION_TEXT_AT(DISK, blk_file) },
	{ "memory", "SIZE", "the disk is memory, gone when the program ends (4096, 512M, 1G)",
	  PV_OPTION_SIZE_AT(DISK, memory_bytes, 512, DISK_BYTES_MAX) },
	{ "null", "SIZE", "the disk holds nothing: reads and writes succeed and do nothing",
	  PV_OPTION_SIZE_AT(DISK, null_bytes, 512, DISK_BYTES_MAX) },
	{ "read-only", NULL, "refuse writes", PV_OPTION_FLAG_AT(DISK, is_read_only) },
	{ "direct", NULL, "go past the host's page cache (O_DIRECT)",
	  PV_OPTION_FLAG_AT(DISK, is_direct) },
	{ "write-cache", "on|off",
	  "off: a write ends when it is stable; a driver can change this (default on)",
	  PV_OPTION_CHOICE_AT(DISK, write_cache, off_on) },
	{ "rerror", "auto|report|ignore|stop",
	  "when a read fails: tell the driver, pretend it went well, or keep it and stop until "
	  "QMP cont (auto, the default, is report)",
	  PV_OPTION_CHOICE_AT(DISK, read_error, read_errors) },
	{ "werror", "auto|report|ignore|stop|enospc",
	  "the same for all but reads; enospc: stop when there is no space, otherwise report "
	  "(auto, the default, is enospc with --qmp and report without)",
	  PV_OPTION_CHOICE_AT(DISK, write_error, write_errors) },
	{ "locking", "auto|off",
	  "auto: lock the image while a guest uses it, as QEMU does (default auto)",
	  PV_OPTION_CHOICE_AT(DISK, locking, auto_off) },
	{ "num-queues", "N", "queues to offer (default 16)",
	  PV_OPTION_NUMBER_AT(DISK, queues, 1, QUEUES_MAX) },
	{ "queue-size", "N", "largest size of a queue; the front-end decides (default 1024)",
	  PV_OPTION_NUMBER_AT(DISK, queue_size_max, 2, QUEUE_SIZE_MAX) },
	{ "logical-block-size", "SIZE", "smallest unit of I/O (default: the disk's own)",
	  PV_OPTION_SIZE_AT(DISK, logical_block_bytes, 512, 65536) },
	{ "physical-block-size", "SIZE",
	  "unit that is best written whole (default: the disk's own)",
	  PV_OPTION_SIZE_AT(DISK, physical_block_bytes, 512, 2 << 20) },
	{ "geometry", "C,H,S",
	  "cylinders, heads and sectors to tell a driver that asks (default: none)",
	  PV_OPTION_TEXT_AT(DISK, geometry) },
	{ "secure-erase", "auto|overwrite|off",
	  "auto: what a block device has for it; overwrite: write zeros, then give the space "
	  "back (default auto)",
	  PV_OPTION_CHOICE_AT(DISK, secure_erase, erasing) },
	{ "serial", "TEXT", "serial number, at most 20 bytes", PV_OPTION_TEXT_AT(DISK, serial) },
	{ "in-order", NULL, "offer IN_ORDER: one slow request then holds the rest",
	  PV_OPTION_FLAG_AT(DISK, is_in_order) },
	{ "no-packed", NULL, "do not offer packed queues", PV_OPTION_FLAG_AT(DISK, no_packed) },
	{ 0 },
};

const struct pv_option_group pv_disk_option_group = { "Disk", disk_options };

static bool is_power_of_two(uint64_t number)
{
	return (number & (number - 1)) == 0;
}

/* A disk that stops goes on by a control command: without any it would stand for ever. */
static bool can_go_on(const struct pv_disk_options *o, char sentence[static PV_SENTENCE_BYTES])
{
	const char *option = o->read_error == ERROR_STOP    ? "rerror"
	                     : o->write_error >= ERROR_STOP ? "werror"
	                                                    : NULL;

	if (o->can_be_resumed || !option)
		return true;
	return pv_sentence_wrong(
		sentence, "option '--%s %s' needs --qmp, whose command cont goes on", option,
		option[0] == 'r' ? read_errors[o->read_error] : write_errors[o->write_error]);
}

static bool parse_geometry(const char *text, struct pv_blk_options *options,
                           char sentence[static PV_SENTENCE_BYTES])
{
	unsigned int c, h, s;
	char rest;

	if (sscanf(text, "%5u,%3u,%3u%c", &c, &h, &s, &rest) != 3 || c < 1 || c > UINT16_MAX ||
	    h < 1 || h > UINT8_MAX || s < 1 || s > UINT8_MAX)
		return pv_sentence_wrong(sentence,
		                         "option '--geometry' takes cylinders (1 to 65535), heads "
		                         "and sectors (1 to 255), like 1024,16,63, not '%s'",
		                         text);
	options->geometry.cylinders = (uint16_t)c;
	options->geometry.heads = (uint8_t)h;
	options->geometry.sectors = (uint8_t)s;
	return true;
}

static bool are_good(const struct pv_disk_options *o, char sentence[static PV_SENTENCE_BYTES])
{
	int disks = (o->blk_file != NULL) + (o->null_bytes != PV_OPTION_UNSET) +
	            (o->memory_bytes != PV_OPTION_UNSET);

	if (disks == 0)
		return pv_sentence_wrong(
			sentence, "no disk: give --blk-file PATH, --memory SIZE or --null SIZE");
	if (disks > 1)
		return pv_sentence_wrong(
			sentence, "more than one disk: give only one of --blk-file, --memory "
				  "and --null");
	if (o->is_direct && !o->blk_file)
		return pv_sentence_wrong(sentence, "option '--direct' goes with --blk-file only");
	if (o->secure_erase == PV_STORE_ERASE_OVERWRITE && !o->blk_file)
		return pv_sentence_wrong(
			sentence, "option '--secure-erase overwrite' goes with --blk-file only");
	if (!is_power_of_two(o->logical_block_bytes))
		return pv_sentence_wrong(
			sentence, "option '--logical-block-size' takes a power of two, not %llu",
			(unsigned long long)o->logical_block_bytes);
	if (!is_power_of_two(o->physical_block_bytes))
		return pv_sentence_wrong(
			sentence, "option '--physical-block-size' takes a power of two, not %llu",
			(unsigned long long)o->physical_block_bytes);
	if (o->serial && strlen(o->serial) > VIRTIO_BLK_ID_BYTES)
		return pv_sentence_wrong(
			sentence,
			"option '--serial': a serial number has at most %u bytes, this one has "
			"%zu",
			VIRTIO_BLK_ID_BYTES, strlen(o->serial));
	return can_go_on(o, sentence);
}

static int64_t bytes_or_unused(uint64_t bytes)
{
	return bytes == PV_OPTION_UNSET ? -1 : (int64_t)bytes;
}

static const struct pv_store_guard guard = { pv_guard_mapped, pv_guard_unmapped, pv_guard_trip_of };

static bool open_store(struct pv_disk *disk, const struct pv_disk_options *o,
                       char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_store_options options = {
		.path = o->blk_file,
		.null_bytes = bytes_or_unused(o->null_bytes),
		.memory_bytes = bytes_or_unused(o->memory_bytes),
		.is_read_only = o->is_read_only,
		.is_direct = o->is_direct,
		.has_no_locks = o->locking != 0,
		.erase = (enum pv_store_erase)o->secure_erase,
		.logical_block_bytes = (uint32_t)o->logical_block_bytes,
		.physical_block_bytes = (uint32_t)o->physical_block_bytes,
		.guard = &guard,
	};

	return pv_store_open(&disk->store, &options, sentence, PV_SENTENCE_BYTES) == 0;
}

static enum pv_blk_policy policy_of(unsigned int choice, enum pv_blk_policy automatic)
{
	static const enum pv_blk_policy policies[] = {
		[ERROR_REPORT] = PV_BLK_ALWAYS_REPORT,
		[ERROR_IGNORE] = PV_BLK_ALWAYS_IGNORE,
		[ERROR_STOP] = PV_BLK_ALWAYS_STOP,
		[ERROR_ENOSPC] = PV_BLK_STOP_WITHOUT_SPACE,
	};

	return choice == ERROR_AUTO ? automatic : policies[choice];
}

/* A disk may fail thousands of times a second: each kind is told at most so often, as in QEMU. */
#define TELL_EVERY_NS 1000000000u

static bool is_due(struct pv_disk *disk, const struct pv_blk_failure *failure)
{
	uint64_t *told_ns = &disk->told_ns[failure->action * 4u + failure->is_no_space * 2u +
	                                   failure->is_write];
	uint64_t now_ns = pv_clock_ns(CLOCK_MONOTONIC);

	if (*told_ns > 0 && now_ns - *told_ns < TELL_EVERY_NS)
		return false;
	*told_ns = now_ns;
	return true;
}

/* Several requests may fail at one stop. */
static bool is_new_stop(struct pv_disk *disk)
{
	uint32_t stops = pv_blk_stops(disk->device);
	bool is_new = disk->stops_told != stops;

	disk->stops_told = stops;
	return is_new;
}

static void log_failure(const struct pv_disk *disk, const struct pv_blk_failure *failure)
{
	static const char *const action[] = {
		[PV_BLK_REPORT] = "the driver is told",
		[PV_BLK_IGNORE] = "the driver is told that it went well",
		[PV_BLK_STOP] = "the disk has stopped, until QMP cont",
	};
	char line[160];

	snprintf(line, sizeof(line), "%s has failed (%s): %s",
	         failure->is_write ? "writing" : "reading",
	         strerror(failure->is_no_space ? ENOSPC : EIO), action[failure->action]);
	pv_log(disk->name, PV_LOG_ERROR, line);
}

/* A guest can have its disk stop again and again, by resets, which is not to fill a log. */
static void io_failed(void *arg, const struct pv_blk_failure *failure)
{
	struct pv_disk *disk = arg;
	bool is_stop = failure->action == PV_BLK_STOP;

	if (is_stop)
		disk->has_no_space = failure->is_no_space;
	if (is_stop && !is_new_stop(disk))
		return;
	if (is_due(disk, failure))
		log_failure(disk, failure);
	else if (!is_stop)
		return;
	if (disk->failed)
		disk->failed(disk->failed_arg, disk, failure);
}

static void resumed(void *arg)
{
	const struct pv_disk *disk = arg;

	if (disk->resumed)
		disk->resumed(disk->failed_arg);
}

static bool make_device(struct pv_disk *disk, const struct pv_disk_options *o,
                        char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_blk_options options = {
		.serial = o->serial,
		.queues = (uint16_t)o->queues,
		.queue_size_max = (uint16_t)o->queue_size_max,
		.is_read_only = pv_store_blk(disk->store)->limits.is_read_only,
		.has_write_cache = o->write_cache != 0,
		.is_in_order = o->is_in_order,
		.no_packed = o->no_packed,
		.read_policy = policy_of(o->read_error, PV_BLK_ALWAYS_REPORT),
		.write_policy = policy_of(o->write_error, o->can_be_resumed
		                                                  ? PV_BLK_STOP_WITHOUT_SPACE
		                                                  : PV_BLK_ALWAYS_REPORT),
		.failed = io_failed,
		.resumed = resumed,
		.failed_arg = disk,
	};

	if (o->geometry && !parse_geometry(o->geometry, &options, sentence))
		return false;
	disk->storage = pv_device_storage(pv_blk_bytes(options.queues));
	if (!disk->storage)
		return pv_sentence_wrong(sentence, "cannot make the device: %s", strerror(ENOMEM));
	disk->device = pv_blk_init(disk->storage, pv_host_port(disk->host),
	                           pv_store_blk(disk->store), &options);
	return true;
}

bool pv_disk_open(struct pv_disk *disk, const struct pv_disk_options *options,
                  struct pv_host_options *host, char sentence[static PV_SENTENCE_BYTES])
{
	int error;

	*disk = (struct pv_disk){ .name = host->name,
		                  .is_direct = options->is_direct,
		                  .has_write_cache = options->write_cache != 0 };
	if (!are_good(options, sentence) || !open_store(disk, options, sentence))
		return false;
	host->queues = (uint16_t)options->queues;
	error = pv_host_create(&disk->host, host);
	if (error)
		pv_sentence_wrong(sentence, "cannot make the device: %s", strerror(-error));
	else if (make_device(disk, options, sentence))
		return true;
	pv_disk_close(disk);
	return false;
}

void pv_disk_close(struct pv_disk *disk)
{
	if (disk->host)
		pv_host_destroy(disk->host);
	free(disk->storage);
	pv_store_close(disk->store);
	*disk = (struct pv_disk){ 0 };
}

const char *pv_disk_text(const struct pv_disk *disk, char text[static PV_DISK_TEXT_BYTES])
{
	const struct pv_blk_store *store = pv_store_blk(disk->store);
	const char *path = pv_store_path(disk->store);
	char size[PV_SIZE_TEXT_BYTES];

	snprintf(text, PV_DISK_TEXT_BYTES, "%s (%s%s)", *path ? path : pv_store_kind(disk->store),
	         pv_size_text(store->capacity_bytes, size),
	         store->limits.is_read_only ? ", read-only" : "");
	return text;
}
