/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device with its store and its host, built from command-line options: what `serve blk`
 * puts behind a socket, and a machine on a bus.
 */
#ifndef PV_HOSTED_DISK_H
#define PV_HOSTED_DISK_H

#include "devices/core/device.h"
#include "hosted/backends/store.h"
#include "hosted/control/options.h"
#include "hosted/loop/host.h"

/* What the options write. Start with PV_DISK_DEFAULTS. */
struct pv_disk_options {
	const char *blk_file;
	uint64_t null_bytes;   /* PV_OPTION_UNSET: no such disk */
	uint64_t memory_bytes; /* the same */
	const char *serial;
	uint64_t queues;
	uint64_t queue_size_max;
	uint64_t logical_block_bytes;  /* 0: the store's own */
	uint64_t physical_block_bytes; /* 0: the store's own */
	unsigned int write_cache;      /* 0: off, 1: on */
	bool is_read_only;
	bool is_direct;
	bool is_in_order;
	bool no_packed;
};

#define PV_DISK_DEFAULTS                                                                           \
	{                                                                                          \
		.null_bytes = PV_OPTION_UNSET, .memory_bytes = PV_OPTION_UNSET, .queues = 16,      \
		.queue_size_max = 1024, .write_cache = 1                                           \
	}

extern const struct pv_option_group pv_disk_option_group;

struct pv_disk {
	const char *name; /* in control commands */
	struct pv_store *store;
	struct pv_host *host;
	struct pv_device *device;
	void *storage; /* the device's */
	bool is_direct;
	bool has_write_cache;
};

/*
 * Opens the store and makes the device, on the loops of `host` (whose `queues` is set here).
 * Returns false with a sentence that names the option at fault; nothing is left then.
 */
bool pv_disk_open(struct pv_disk *disk, const struct pv_disk_options *options,
                  struct pv_host_options *host, char sentence[static PV_SENTENCE_BYTES]);

/* The device's queues are stopped; the loops may have gone. */
void pv_disk_close(struct pv_disk *disk);

/* What it stands on, in a few words for a log: "/srv/disk.img (512 MiB, read-only)". */
#define PV_DISK_TEXT_BYTES 512
const char *pv_disk_text(const struct pv_disk *disk, char text[static PV_DISK_TEXT_BYTES]);

#endif
