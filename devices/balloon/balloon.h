/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio memory balloon (virtio 1.3, section 5.5): the driver gives pages away and takes them
 * back, so that the guest comes to have as much memory as the host wants it to have.
 *
 * Pages are joined to ranges, over all that is available on a queue at once, before the port is
 * asked to give memory back (port->discard). Where the host's pages are larger than the balloon's,
 * those that are given away in part are remembered until they are whole: for a driver that accepts
 * MUST_TELL_HOST, which is always offered, and until a queue stops or the table of memory changes.
 * Reported pages are the guest's free memory: they go back to the host too, and the guest takes
 * them again by touching them.
 *
 * Nothing on the host depends on a page staying: a guest that gives away what it uses loses what
 * was in it, and nothing more.
 *
 * FREE_PAGE_HINT is not offered: hinted pages may be used again while we free them, and only who
 * tracks the guest's writes can know.
 */
#ifndef PV_DEVICES_BALLOON_H
#define PV_DEVICES_BALLOON_H

#include "abi/linkage.h"
#include "abi/virtio_balloon.h"
#include "devices/core/device.h"

PV_PUBLIC_BEGIN

/* Tags beyond those that are known are kept too, so many of them. */
#define PV_BALLOON_STATS_UNKNOWN 16u

struct pv_balloon_stats {
	uint64_t at_ns;                         /* when they came (port->now_ns); 0: never yet */
	uint64_t count;                         /* how often they have */
	uint32_t known;                         /* a bit for each tag that the guest told */
	uint64_t value[VIRTIO_BALLOON_S_KNOWN]; /* of those */
	uint16_t unknown;                       /* tags of others */
	uint16_t unknown_tag[PV_BALLOON_STATS_UNKNOWN];
	uint64_t unknown_value[PV_BALLOON_STATS_UNKNOWN];
};

/* Who is told. Control side; any may be NULL. */
struct pv_balloon_owner {
	/* The driver has written how large the balloon is, or a reset has made an end of it. */
	void (*actual_changed)(void *arg);
	/* Statistics have come. */
	void (*stats_came)(void *arg);
	void *arg;
};

struct pv_balloon_options {
	uint16_t queue_size_max;
	bool is_in_order;    /* offer IN_ORDER */
	bool no_packed;      /* do not offer RING_PACKED */
	bool deflate_on_oom; /* offer DEFLATE_ON_OOM */
	bool reporting;      /* offer PAGE_REPORTING, and PAGE_POISON with it */
	bool no_stats;       /* do not offer STATS_VQ */
	struct pv_balloon_owner owner;
};

/* Of a queue, beside those that every queue has. */
struct pv_balloon_queue_counters {
	/* Of 4 KiB: that the driver named; and of those, that were no memory, or no whole number,
	 * and that were there already in what was worked on at once. */
	pv_counter pages;
	pv_counter bad_pages;
	pv_counter repeated_pages;
	/* That the port was asked to give back. */
	pv_counter ranges;
	/*
	 * That went back; and that did not when they were named: part of a larger page, which may
	 * have gone later, or refused by the port.
	 */
	pv_counter discarded_bytes;
	pv_counter kept_bytes;
	/* Reported, and kept because the guest wants to find its poison there. */
	pv_counter poisoned_bytes;
	/* Buffers of statistics, and those that said more than could be understood, or kept. */
	pv_counter stats;
	pv_counter bad_stats;
};

/* Bytes of storage that pv_balloon_init() needs, cache-line aligned. */
size_t pv_balloon_bytes(void);

/*
 * A balloon on the caller's zeroed storage. `port` must outlive it, have a timer, and `discard`
 * where memory is to come back. Returns the device's common part, which everything else goes
 * through. All queues are to be on one lane.
 */
struct pv_device *pv_balloon_init(void *storage, struct pv_port *port,
                                  const struct pv_balloon_options *options);

/*
 * Control side, any time. How large the balloon should be, in bytes; less than a page is cut off,
 * and more than the driver can be told is -PV_EINVAL. It outlives resets. Returns 0.
 */
int pv_balloon_target_set(struct pv_device *device, uint64_t bytes);
uint64_t pv_balloon_target(const struct pv_device *device);

/* Control side. How large the driver says it is: anything, of a driver that lies. */
uint64_t pv_balloon_actual(const struct pv_device *device);

/*
 * Control side, any time. How often to ask for statistics; 0: never. A period that is another than
 * before is in force at once, and the first answer of it comes as soon as the driver gives it. It
 * outlives resets. At most 2^62.
 */
void pv_balloon_stats_period_set(struct pv_device *device, uint64_t period_ns);
uint64_t pv_balloon_stats_period(const struct pv_device *device);

/* Control side. What the guest told last, and whether it ever will: it has a statistics queue. */
void pv_balloon_stats(const struct pv_device *device, struct pv_balloon_stats *stats);
bool pv_balloon_has_stats(const struct pv_device *device);

PV_PUBLIC_END

#endif
