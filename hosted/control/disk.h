/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device with its store and its host, built from command-line options: what `serve blk`
 * puts behind a socket, and a machine on a bus.
 */
#ifndef PV_HOSTED_DISK_H
#define PV_HOSTED_DISK_H

#include "devices/blk/blk.h"
#include "hosted/backends/store.h"
#include "hosted/control/options.h"
#include "hosted/loop/host.h"

/* What the options write. Start with PV_DISK_DEFAULTS. */
struct pv_disk_options {
	const char *blk_file;
	uint64_t null_bytes;   /* PV_OPTION_UNSET: no such disk */
	uint64_t memory_bytes; /* the same */
	const char *serial;
	const char *geometry; /* "C,H,S" */
	uint64_t queues;
	uint64_t queue_size_max;
	uint64_t logical_block_bytes;  /* 0: the store's own */
	uint64_t physical_block_bytes; /* 0: the store's own */
	unsigned int write_cache;      /* 0: off, 1: on */
	unsigned int read_error;       /* choices of their tables; 0: automatic */
	unsigned int write_error;
	unsigned int locking;      /* 0: automatic, 1: off */
	unsigned int secure_erase; /* enum pv_store_erase */
	bool can_be_resumed;       /* no option: there is a control socket, which has `cont` */
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

/* Kinds of failures: read or write, no space or not, and what is done about it. */
#define PV_DISK_FAILURES 12

struct pv_disk {
	const char *name; /* in control commands */
	struct pv_store *store;
	struct pv_host *host;
	struct pv_device *device;
	void *storage; /* the device's */
	bool is_direct;
	bool has_write_cache;
	bool has_no_space;                  /* why it is stopped, if it is */
	uint32_t stops_told;                /* of pv_blk_stops() */
	uint64_t told_ns[PV_DISK_FAILURES]; /* when each kind of failure was told last */

	/*
	 * Control side: I/O has failed. Each time that this stops the disk is told, and every other
	 * kind of failure at most once a second. For the caller to set; may be NULL.
	 */
	void (*failed)(void *arg, struct pv_disk *disk, const struct pv_blk_failure *failure);
	/* Control side: it had stopped, and a reset has it go on. The same. */
	void (*resumed)(void *arg);
	void *failed_arg; /* of both */
};

/*
 * Opens the store and makes the device, on the loops of `host` (whose `queues` is set here).
 * `disk` stays where it is until it is closed. Returns false with a sentence that names the option
 * at fault; nothing is left then.
 */
bool pv_disk_open(struct pv_disk *disk, const struct pv_disk_options *options,
                  struct pv_host_options *host, char sentence[static PV_SENTENCE_BYTES]);

/* The device's queues are stopped; the loops may have gone. */
void pv_disk_close(struct pv_disk *disk);

/* What it stands on, in a few words for a log: "/srv/disk.img (512 MiB, read-only)". */
#define PV_DISK_TEXT_BYTES 512
const char *pv_disk_text(const struct pv_disk *disk, char text[static PV_DISK_TEXT_BYTES]);

#endif
