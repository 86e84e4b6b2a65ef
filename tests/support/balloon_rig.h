/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A balloon under a driver that is the test itself: it has the rings (by our own driver's role),
 * and puts on them what it likes.  One thread, with a clock of its own; a lane runs when it was
 * kicked or woken, when its timer goes off, and while it has work.  Include after cmocka.
 */
#ifndef PV_TESTS_BALLOON_RIG_H
#define PV_TESTS_BALLOON_RIG_H

#include "devices/balloon/balloon.h"
#include "tests/support/counter.h"
#include "tests/support/device_rig.h"

#define BALLOON_RIG_AREA_BYTES (8u << 20)
#define BALLOON_RIG_CRUMBS     1024u /* regions of a byte */
#define BALLOON_RIG_REGIONS    3u    /* of pages to give away */

/*
 * Pages to give away, by number: region A, then B behind it for the guest but not on the host, a
 * hole, and C.
 */
#define PAGE        VIRTIO_BALLOON_PAGE_BYTES
#define PAGES       64u
#define PAGE_A      0x10000u
#define PAGE_B      (PAGE_A + PAGES)
#define PAGE_HOLE   (PAGE_B + PAGES)
#define PAGE_C      (PAGE_HOLE + PAGES)
#define PAGE_BEHIND (PAGE_C + PAGES)

#define INFLATE VIRTIO_BALLOON_INFLATEQ
#define DEFLATE VIRTIO_BALLOON_DEFLATEQ
#define STATS   VIRTIO_BALLOON_STATSQ

/* Memory that went back, in the order in which it did, by the guest's address. */
struct balloon_rig_range {
	uint64_t gpa, bytes;
};

#define BALLOON_RIG_RANGES 8192u

struct balloon_rig {
	struct device_rig base;
	struct pv_balloon_options options;
	struct pv_device *device; /* base.device */
	struct pv_mem *other_mem; /* pages may be of it too, unless it is NULL */
	uint8_t *pages[BALLOON_RIG_REGIONS];

	int refusal;          /* of the port, to give anything back, ... */
	uint64_t refused_gpa; /* ... or what begins here alone */
	uint32_t ranges;
	struct balloon_rig_range range[BALLOON_RIG_RANGES];
	uint32_t actual_changes, stats_came;
};

/* Memory whose pages have so many bytes on the host, and a device, nothing started. */
void balloon_rig_open(struct balloon_rig *rig, const struct pv_balloon_options *options,
                      uint64_t page_bytes);
void balloon_rig_close(struct balloon_rig *rig);

/* Features of these that are offered, and all the queues that the driver counts then. */
void balloon_rig_start(struct balloon_rig *rig, uint64_t features);

/* The same, but for queues from the third on. */
void balloon_rig_negotiate(struct balloon_rig *rig, uint64_t features);

/* Lets lanes run as long as they have a reason to. */
void balloon_rig_run(struct balloon_rig *rig);

/* One run of one. */
bool balloon_rig_run_once(struct balloon_rig *rig, uint16_t index);

/* Time passes: timers go off. */
void balloon_rig_pass(struct balloon_rig *rig, uint64_t ns);

/*
 * Another table of memory, for all queues: of the same regions, where the last is there only if it
 * is to.
 */
void balloon_rig_switch(struct balloon_rig *rig, bool has_last);

/* A fresh device in place of this one, which is over; and with its state. */
void balloon_rig_replace(struct balloon_rig *rig);
void balloon_rig_move(struct balloon_rig *rig);

/* ---- what the driver does ---- */

/* Bytes to read, in pieces of so many; a list of pages; and a run of them. */
void balloon_rig_send(struct balloon_rig *rig, uint16_t queue, const void *data, uint32_t bytes,
                      uint32_t piece_bytes);
void balloon_rig_list(struct balloon_rig *rig, uint16_t queue, const uint32_t *number,
                      uint32_t count);
void balloon_rig_row(struct balloon_rig *rig, uint16_t queue, uint32_t first, uint32_t count);

/* Free pages, to be reported. */
struct pv_sg balloon_rig_free(uint32_t first, uint32_t bytes);

/* A chain has come back, with nothing written; so many have, and no more. */
bool balloon_rig_take(struct balloon_rig *rig, uint16_t queue);
void balloon_rig_expect_back(struct balloon_rig *rig, uint16_t queue, uint32_t count);

/* These pages went back, in one range, as the next that did; and that is all that did. */
void balloon_rig_expect_gone(struct balloon_rig *rig, uint32_t first, uint32_t count);
void balloon_rig_expect_no_more(struct balloon_rig *rig);

#endif
