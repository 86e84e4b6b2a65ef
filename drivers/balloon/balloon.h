/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of the virtio memory balloon (virtio 1.3, section 5.5): pages that a kernel does
 * without for as long as the host wants them.
 *
 * The kernel decides which; the driver tells the device:
 *
 *     pv_baldrv_target(balloon, &pages)       how many the host wants
 *     pv_baldrv_inflate(balloon, &request)    these are not used any more
 *     pv_baldrv_deflate(balloon, &request)    these are to be used again: when it is done, not
 * before pv_baldrv_report(balloon, &report)      these are free for now: used again without a word
 *     pv_baldrv_poll(balloon)                 calls request.done, or sets request.is_done
 *
 * A request has any number of ranges, which go to the device as lists of page numbers in the
 * driver's own memory, several on the way at once.  There is one request to inflate at a time, and
 * one to deflate.  Statistics are a callback's, called when the device asks.
 *
 * Addresses are those of the guest's memory; what stands between it and the device's other memory
 * (an IOMMU) does not change the number of a page.
 *
 * The device is hostile, but all it can do is to take what was given away, to want too much or too
 * little, and to be silent.  A used entry it makes up breaks the queue.  A broken queue, a device
 * that asks for a reset, or one that does not answer in time: pv_baldrv_tend(), called now and
 * then, resets it and goes on with what is in flight; pv_baldrv_fail() ends it.  What is in the
 * balloon stays there, whatever happens to the device, until it is deflated.
 *
 * All functions are for one thread at a time.
 */
#ifndef PV_DRIVERS_BALLOON_H
#define PV_DRIVERS_BALLOON_H

#include "abi/virtio_balloon.h"
#include "drivers/core/driver.h"

/* All feature bits that this driver can make use of. */
#define PV_BALDRV_FEATURES                                                                         \
	(PV_DRIVER_FEATURES | VIRTIO_BALLOON_F_MUST_TELL_HOST | VIRTIO_BALLOON_F_STATS_VQ |        \
	 VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_PAGE_POISON |                          \
	 VIRTIO_BALLOON_F_PAGE_REPORTING)

/* Statistics that there is room for. */
#define PV_BALDRV_STATS 32u

/* Ranges of a report. */
#define PV_BALDRV_REPORT_RANGES 32u

struct pv_baldrv;

struct pv_baldrv_options {
	uint64_t required;   /* features without which it is of no use; 0: none but VERSION_1 */
	uint64_t wanted;     /* features to accept when offered; 0: PV_BALDRV_FEATURES */
	uint16_t queue_size; /* of each queue, at most; 0: 16 */
	uint64_t timeout_ns; /* for the confirmation of a reset; 0: PV_DRIVER_TIMEOUT_NS */
	uint64_t request_timeout_ns; /* of requests that do not say; 0: they wait for ever */
	/* What becomes of requests in flight when the device has to be reset: they end with
	 * -PV_EBROKEN, or (false) go on. */
	bool fails_on_reset;

	/*
	 * Free pages are filled with this, and what is reported must be found so again: then
	 * PAGE_REPORTING is accepted with PAGE_POISON only.
	 */
	bool has_poison;
	uint32_t poison;

	/*
	 * Fills in up to `max` statistics (pv_le..._of()), and returns how many: at the start, and
	 * in the poll that finds that the device asks. NULL: STATS_VQ is not accepted.
	 */
	uint32_t (*stats)(struct virtio_balloon_stat *stat, uint32_t max, void *arg);
	void *arg;
};

/* ---- control ---- */

/*
 * Brings the device up. Returns 0, or an error of pv_driver_init() or pv_driver_queue_init(). `bus`
 * and `os` must outlive the driver.
 */
int pv_baldrv_create(struct pv_baldrv **balloon, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_baldrv_options *options);

/* Resets the device and frees the driver; requests still in flight end as by pv_baldrv_fail(). */
void pv_baldrv_destroy(struct pv_baldrv *balloon);

/*
 * The negotiated features. With DEFLATE_ON_OOM pages may be taken out though the device wants them,
 * when memory is short; with PAGE_REPORTING there is pv_baldrv_report().
 */
uint64_t pv_baldrv_features(const struct pv_baldrv *balloon);

/*
 * How many pages the device wants in the balloon: its word, which may be more than there are. To be
 * called at the start and when the bus says that the configuration changed. Returns 0; -PV_EBROKEN
 * for a device that needs a reset; or an error of the bus.
 */
int pv_baldrv_target(struct pv_baldrv *balloon, uint32_t *pages);

/* How many are there, as the device was told. */
uint32_t pv_baldrv_actual(const struct pv_baldrv *balloon);

/*
 * Is it over with this device: a queue is broken, NEEDS_RESET, or the bus is gone? It reads the
 * status over the bus.
 */
bool pv_baldrv_is_broken(struct pv_baldrv *balloon);

/*
 * Looks after the device, to be called now and then (pv_baldrv_deadline_ns says when at the
 * latest): one that asks for a reset, has broken a queue, or has a request for longer than that may
 * take is reset and brought up again, see pv_baldrv_recover(). It polls. Returns 0 when all is
 * well; 1 when the device was brought up again; or an error, and everything has ended.
 */
int pv_baldrv_tend(struct pv_baldrv *balloon);

/* When the first of the requests in flight will have taken too long; UINT64_MAX: none ever. */
uint64_t pv_baldrv_deadline_ns(const struct pv_baldrv *balloon);

/*
 * Resets the device and brings it up again, with the features that it had: it is told how large the
 * balloon is, and given what was in flight once more, none of which ends by that, but for requests
 * whose time is over (-PV_ETIMEDOUT), and all if that was asked for (fails_on_reset: -PV_EBROKEN).
 * Interrupts are off afterwards, and vectors are the bus's to set again. Returns 0; or an error,
 * and everything has ended as by pv_baldrv_fail(): -PV_EFEATURES, -PV_ETIMEDOUT, or an error of the
 * bus.
 */
int pv_baldrv_recover(struct pv_baldrv *balloon);

/*
 * Ends it: resets the device, then ends every request in flight with -PV_EBROKEN, as a poll would.
 * What is left to do then is pv_baldrv_destroy(), or pv_baldrv_recover(). Returns 0; -PV_ETIMEDOUT
 * or an error of the bus when the device did not confirm.
 */
int pv_baldrv_fail(struct pv_baldrv *balloon);

/* ---- pages ---- */

/* Pages of 4 KiB, side by side. */
struct pv_baldrv_range {
	uint64_t address; /* a multiple of 4096, below 2^44 */
	uint32_t pages;
};

/*
 * One request, in the caller's storage, which must stay until it is done, as must its ranges; zero
 * what is not used.
 */
struct pv_baldrv_request {
	struct pv_driver_request base; /* the driver's */

	const struct pv_baldrv_range *range;
	uint32_t ranges;
	uint64_t timeout_ns; /* until it is overdue, see pv_baldrv_tend(); 0: as the options say */
	/* Called by the poll that finds it done; may begin the next, must not poll. NULL: is_done.
	 */
	void (*done)(struct pv_baldrv_request *request);
	void *arg; /* the caller's */

	/*
	 * The result: 0; -PV_ETIMEDOUT (see pv_baldrv_tend); -PV_EBROKEN; and of how many pages the
	 * device has confirmed it, which are all where there is no error. Of the others nobody
	 * knows: inflated, they are as good as given away; deflated, they must not be used yet.
	 */
	int error;
	bool is_done;
	uint64_t pages;

	/* The driver's: the page that is listed next, and lists on the way. */
	uint32_t range_at, page_at, lists_out;
};

/*
 * Gives pages away, or takes pages back that were. The device sees them at once. Returns 0, and it
 * will be done once; or, and it never will: -PV_EBUSY while the one before is not done; -PV_EINVAL
 * for no pages, or such as have no number; -PV_EBROKEN.
 */
int pv_baldrv_inflate(struct pv_baldrv *balloon, struct pv_baldrv_request *request);
int pv_baldrv_deflate(struct pv_baldrv *balloon, struct pv_baldrv_request *request);

/* Free pages, by addresses as the device sees memory; storage as that of a request. */
struct pv_baldrv_report {
	struct pv_driver_request base; /* the driver's */

	const struct pv_sg
		*range;  /* not needed any more when pv_baldrv_report() has returned 0 ... */
	uint16_t ranges; /* 1 to PV_BALDRV_REPORT_RANGES of them, but the queue's size at most */
	uint64_t timeout_ns;
	void (*done)(struct pv_baldrv_report *report);
	void *arg;

	/* 0, and the pages may be used again; -PV_ETIMEDOUT; -PV_EBROKEN. */
	int error;
	bool is_done;

	struct pv_sg piece[PV_BALDRV_REPORT_RANGES]; /* ... since the driver has them */
};

/*
 * Says which pages are free; they are not to be touched before it is done. The device sees them at
 * once. Returns 0, and it will be done once; or, and it never will: -PV_ENOTSUP without
 * PAGE_REPORTING; -PV_EINVAL; -PV_ENOSPC while the queue is full; -PV_EBROKEN.
 */
int pv_baldrv_report(struct pv_baldrv *balloon, struct pv_baldrv_report *report);

/*
 * Ends what the device is done with, goes on with what it is not, and answers it when it asks for
 * statistics; at most as much as the queues have places. Returns how many lists, reports and
 * questions there were. On a broken queue 0, for good.
 */
uint32_t pv_baldrv_poll(struct pv_baldrv *balloon);

/*
 * Asks for one interrupt of each queue, to be called before each sleep: true if there is something
 * to poll for already that no interrupt will announce. Interrupts are off at the start.
 */
bool pv_baldrv_interrupts_on(struct pv_baldrv *balloon);
void pv_baldrv_interrupts_off(struct pv_baldrv *balloon);

/*
 * Polls and sleeps (port: wait) until `*is_done`, which a callback sets, or is that of a request.
 * Returns 0; -PV_ETIMEDOUT after `timeout_ns`; -PV_EBROKEN when a queue broke.
 */
int pv_baldrv_wait(struct pv_baldrv *balloon, const bool *is_done, uint64_t timeout_ns);

struct pv_baldrv_counters {
	uint64_t inflated; /* pages that the device has confirmed */
	uint64_t deflated;
	uint64_t reports; /* ended without an error */
	uint64_t stats;   /* times that the device was told */
	uint64_t errors;  /* requests and reports that ended with one */
	uint64_t kicks;   /* sent */
	uint64_t lies;    /* used lengths beyond what could have been written */
	uint64_t repeats; /* lists and reports handed to the device once more */
	uint64_t overdue; /* ended since they took too long */
};

struct pv_baldrv_counters pv_baldrv_counters(const struct pv_baldrv *balloon);

/* The number of a queue, as interrupts and vectors go by; -PV_ENOTSUP: there is none. */
enum pv_baldrv_queue {
	PV_BALDRV_INFLATE,
	PV_BALDRV_DEFLATE,
	PV_BALDRV_STATSQ,
	PV_BALDRV_REPORTING,
	PV_BALDRV_QUEUES,
};

int pv_baldrv_queue_number(const struct pv_baldrv *balloon, enum pv_baldrv_queue which);

#endif
