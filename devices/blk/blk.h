/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtio block device (virtio 1.3, section 5.2) on a store. */
#ifndef PV_DEVICES_BLK_H
#define PV_DEVICES_BLK_H

#include "abi/linkage.h"
#include "devices/blk/store.h"
#include "devices/core/device.h"

PV_PUBLIC_BEGIN

/* What becomes of an I/O that the store failed at. */
enum pv_blk_action {
	PV_BLK_REPORT, /* the driver hears of it */
	PV_BLK_IGNORE, /* the driver hears that all went well */
	PV_BLK_STOP,   /* the request is kept, and the disk stops: see pv_blk_resume() */
};

enum pv_blk_policy {
	PV_BLK_ALWAYS_REPORT,
	PV_BLK_ALWAYS_IGNORE,
	PV_BLK_ALWAYS_STOP,
	PV_BLK_STOP_WITHOUT_SPACE, /* -PV_ENOSPC stops, everything else is reported */
};

struct pv_blk_failure {
	bool is_write; /* or a flush, a discard, ...: anything but a read */
	bool is_no_space;
	enum pv_blk_action action;
};

struct pv_blk_options {
	const char *serial; /* at most VIRTIO_BLK_ID_BYTES are shown; NULL: none */
	uint16_t queues;
	uint16_t queue_size_max;
	/* What the driver is told of cylinders, heads and sectors; no cylinders: nothing. */
	struct {
		uint16_t cylinders;
		uint8_t heads;
		uint8_t sectors;
	} geometry;
	bool is_read_only;
	bool has_write_cache; /* the state of `writeback` after a reset */
	bool is_in_order;     /* offer IN_ORDER: a slow request then holds the rest */
	bool no_packed;       /* do not offer RING_PACKED */

	enum pv_blk_policy read_policy;
	enum pv_blk_policy write_policy;
	/*
	 * Control side, or NULL. Told soon after failures, once for each kind that occurred since
	 * the last time: a disk that fails a thousand times a second does not tell a thousand
	 * times.
	 */
	void (*failed)(void *arg, const struct pv_blk_failure *failure);
	/* Control side, or NULL. A reset has had the disk go on that a policy had stopped. */
	void (*resumed)(void *arg);
	void *failed_arg; /* of both */
};

struct pv_blk;

/* Bytes of storage that pv_blk_init() needs, cache-line aligned. */
size_t pv_blk_bytes(uint16_t queues);

/*
 * A block device on the caller's zeroed storage. `port` and `store` must outlive it. Returns the
 * device's common part, which everything else goes through.
 */
struct pv_device *pv_blk_init(void *storage, struct pv_port *port, struct pv_blk_store *store,
                              const struct pv_blk_options *options);

/*
 * Control side. The store has another size now; the driver is told. Requests past a new end fail
 * from here on, but those that are with the store already are not waited for. Returns 0, or
 * -PV_EINVAL for a size that is no multiple of the logical block.
 */
int pv_blk_resized(struct pv_device *device, uint64_t capacity_bytes);

/*
 * Control side. A disk that a policy has stopped takes no requests and keeps those that failed.
 * Resuming issues them again and goes on. A reset resumes too, and drops what was kept.
 */
bool pv_blk_is_stopped(const struct pv_device *device);

/* Control side. How many times it was stopped, ever; comes round after 2^32. */
uint32_t pv_blk_stops(const struct pv_device *device);
void pv_blk_resume(struct pv_device *device);

PV_PUBLIC_END

#endif
