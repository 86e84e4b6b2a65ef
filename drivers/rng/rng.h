/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of the virtio entropy device (virtio 1.3, section 5.4).
 *
 * A user asks for bytes into a buffer, and polls until they are there:
 *
 *     pv_rngdrv_submit(rng, &request)     any number of times
 *     pv_rngdrv_publish(rng)              the device sees them, and is kicked if it wants to be
 *     pv_rngdrv_poll(rng)                 calls request.done, or sets request.is_done
 *
 * Who would rather sleep turns interrupts on first (pv_rngdrv_interrupts_on), or leaves waiting to
 * pv_rngdrv_do().  A device may fill less than the whole buffer, and may take its time: its host
 * may have limited it.  Nothing is allocated after the start.
 *
 * The device is hostile.  It can say that it wrote less than it did, or more (never more than was
 * asked for), and nobody can tell whether what it wrote is random, or keeps it from changing it
 * until a later reset: copy it out first, and let it be one source among others.  A used entry that
 * it makes up breaks the queue, which then completes nothing any more; pv_rngdrv_recover() begins
 * anew with what is in flight, and pv_rngdrv_fail() ends it.
 *
 * All functions are for one thread at a time.
 */
#ifndef PV_DRIVERS_RNG_H
#define PV_DRIVERS_RNG_H

#include "abi/virtio_rng.h"
#include "drivers/core/driver.h"

struct pv_rngdrv_options {
	uint64_t required;   /* features without which it is of no use; 0: none but VERSION_1 */
	uint64_t wanted;     /* features to accept when offered; 0: PV_DRIVER_FEATURES */
	uint16_t queue_size; /* at most; 0: as the device likes */
	uint64_t timeout_ns; /* for the confirmation of a reset; 0: PV_DRIVER_TIMEOUT_NS */
	uint64_t request_timeout_ns; /* of requests that do not say; 0: they wait for ever */
	/*
	 * What becomes of requests in flight when the device has to be reset: they end with
	 * -PV_EBROKEN, or (false) the device is given them once more.
	 */
	bool fails_on_reset;
};

struct pv_rngdrv;

/* ---- control ---- */

/*
 * Brings the device up. Returns 0, or an error of pv_driver_init() or pv_driver_queue_init(). `bus`
 * and `os` must outlive the driver.
 */
int pv_rngdrv_create(struct pv_rngdrv **rng, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_rngdrv_options *options);

/* Resets the device and frees the driver; requests still in flight end as by pv_rngdrv_fail(). */
void pv_rngdrv_destroy(struct pv_rngdrv *rng);

/* The negotiated features. */
uint64_t pv_rngdrv_features(const struct pv_rngdrv *rng);

/*
 * Is it over with this device: its queue is broken, NEEDS_RESET, or the bus is gone? It reads the
 * status over the bus.
 */
bool pv_rngdrv_is_broken(struct pv_rngdrv *rng);

/*
 * Looks after the device, to be called now and then (pv_rngdrv_deadline_ns says when at the
 * latest): one that asks for a reset, has broken its queue, or has a request for longer than that
 * may take is reset and brought up again, see pv_rngdrv_recover(). It polls. Returns 0 when all is
 * well; 1 when the device was brought up again; or an error, and everything has ended.
 */
int pv_rngdrv_tend(struct pv_rngdrv *rng);

/* When the first of the requests in flight will have taken too long; UINT64_MAX: none ever. */
uint64_t pv_rngdrv_deadline_ns(const struct pv_rngdrv *rng);

/*
 * Resets the device and brings it up again: with the features that it had, and with all that was in
 * flight, none of which ends by that, but for requests whose time is over (-PV_ETIMEDOUT), and all
 * if that was asked for (fails_on_reset: -PV_EBROKEN). Interrupts are off afterwards, and vectors
 * are the bus's to set again. Returns 0; or an error, and everything has ended as by
 * pv_rngdrv_fail(): -PV_EFEATURES, -PV_ETIMEDOUT, or an error of the bus.
 */
int pv_rngdrv_recover(struct pv_rngdrv *rng);

/*
 * Ends it: resets the device, then ends every request in flight with -PV_EBROKEN, as a poll would.
 * What is left to do then is pv_rngdrv_destroy(), or pv_rngdrv_recover(). Returns 0; -PV_ETIMEDOUT
 * or an error of the bus when the device did not confirm: it may then still write to the buffers of
 * those requests.
 */
int pv_rngdrv_fail(struct pv_rngdrv *rng);

/*
 * Takes the queue back from the device and gives it back empty; requests in flight end with
 * -PV_EIO, and what their callbacks submit is refused. Returns 0; -PV_ENOTSUP without
 * VIRTIO_F_RING_RESET; or an error of the bus.
 */
int pv_rngdrv_queue_reset(struct pv_rngdrv *rng);

/* ---- requests ---- */

/*
 * One request, in the caller's storage, which must stay until it is done; zero what is not used.
 * The buffer is the device's until then.
 */
struct pv_rngdrv_request {
	struct pv_driver_request base; /* the driver's */

	/* How many bytes are wanted, and where; of which as many as the device sees in one piece.
	 */
	struct pv_buffer buffer;
	uint64_t timeout_ns; /* until it is overdue, see pv_rngdrv_tend(); 0: as the options say */
	/* Called by the poll that finds it done; may submit, must not poll. NULL: see is_done. */
	void (*done)(struct pv_rngdrv_request *request);
	void *arg; /* the caller's */

	/*
	 * The result: 0; -PV_EIO for a device that gave nothing; -PV_ETIMEDOUT (see
	 * pv_rngdrv_tend); -PV_EBROKEN.
	 */
	int error;
	bool is_done;
	uint32_t random_bytes; /* at the beginning of the buffer, 1 to what was wanted; 0: failed */

	/* The driver's: the buffer as it was mapped. */
	struct pv_sg piece;
};

/*
 * Adds a request to the queue. Returns 0, and it will be done once; or, and it never will:
 * -PV_ENOSPC while the queue is full; -PV_EINVAL for no bytes; -PV_ENOMEM while the port cannot map
 * the buffer; -PV_EBROKEN.
 */
int pv_rngdrv_submit(struct pv_rngdrv *rng, struct pv_rngdrv_request *request);

/* Shows the device what was submitted, and kicks it if it wants to be. */
void pv_rngdrv_publish(struct pv_rngdrv *rng);

/*
 * Ends the requests that the device is done with, at most as many as the queue has places.
 * Returns how many. On a broken queue 0, for good.
 */
uint32_t pv_rngdrv_poll(struct pv_rngdrv *rng);

/*
 * Asks for one interrupt, to be called before each sleep: true if requests are done already that no
 * interrupt will announce (poll instead of sleeping), on a broken queue never. Interrupts are off
 * at the start.
 */
bool pv_rngdrv_interrupts_on(struct pv_rngdrv *rng);
void pv_rngdrv_interrupts_off(struct pv_rngdrv *rng);

/*
 * Polls and sleeps (port: wait) until a submitted request is done, others with it. Returns the
 * request's error; or, with `request->is_done` unset, -PV_ETIMEDOUT after `timeout_ns`, or
 * -PV_EBROKEN when the queue broke: it is then still in flight, until a later poll or
 * pv_rngdrv_fail().
 */
int pv_rngdrv_wait(struct pv_rngdrv *rng, struct pv_rngdrv_request *request, uint64_t timeout_ns);

/*
 * Submit, publish and wait. With `request->is_done` unset, an error of pv_rngdrv_submit() means
 * that nothing was begun, -PV_ETIMEDOUT that it is in flight; after -PV_EBROKEN it may be either,
 * and its storage is free once pv_rngdrv_fail() has returned.
 */
int pv_rngdrv_do(struct pv_rngdrv *rng, struct pv_rngdrv_request *request, uint64_t timeout_ns);

struct pv_rngdrv_counters {
	uint64_t requests;    /* submitted */
	uint64_t completions; /* done, with or without an error */
	uint64_t bytes;       /* that they brought */
	uint64_t empty;       /* of them, without a byte, against the specification */
	uint64_t kicks;       /* sent */
	uint64_t lies;        /* used lengths beyond what could have been written */
	uint64_t repeats;     /* handed to the device once more, after a recovery */
	uint64_t overdue;     /* ended since they took too long */
};

struct pv_rngdrv_counters pv_rngdrv_counters(const struct pv_rngdrv *rng);

/* Places in the queue's ring. */
uint16_t pv_rngdrv_queue_size(const struct pv_rngdrv *rng);

#endif
