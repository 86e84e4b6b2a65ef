/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of the virtio block device (virtio 1.3, section 5.2).
 *
 * A user fills in a request, submits it to a queue, publishes (once for many), and polls the queue
 * until the request is done:
 *
 *     pv_blkdrv_submit(queue, &request)     any number of times
 *     pv_blkdrv_publish(queue)              the device sees them, and is kicked if it wants to be
 *     pv_blkdrv_poll(queue)                 calls request.done, or sets request.is_done
 *
 * Who would rather sleep turns interrupts on first (pv_blkdrv_interrupts_on), or leaves waiting to
 * pv_blkdrv_do().  Nothing is allocated after the start: headers and status bytes lie in shared
 * memory that each queue has from the beginning.
 *
 * The device is hostile.  Its configuration is copied and checked before it is believed, status
 * bytes are read once, and a used entry it makes up breaks the queue.  A broken queue, a device
 * that asks for a reset, or one that never answers: pv_blkdrv_tend(), called now and then, resets
 * it and begins anew with what is in flight; pv_blkdrv_fail() ends it.
 *
 * Control functions are for one thread; each queue is for one thread at a time.
 */
#ifndef PV_DRIVERS_BLK_H
#define PV_DRIVERS_BLK_H

#include "abi/virtio_blk.h"
#include "drivers/core/driver.h"

/* All feature bits that this driver can make use of. */
#define PV_BLKDRV_FEATURES                                                                         \
	(PV_DRIVER_FEATURES | VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_RO |     \
	 VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY |                      \
	 VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD |                        \
	 VIRTIO_BLK_F_WRITE_ZEROES | VIRTIO_BLK_F_GEOMETRY | VIRTIO_BLK_F_LIFETIME |               \
	 VIRTIO_BLK_F_SECURE_ERASE)

struct pv_blkdrv_options {
	uint64_t required;     /* features without which it is of no use; 0: none but VERSION_1 */
	uint64_t wanted;       /* features to accept when offered; 0: PV_BLKDRV_FEATURES */
	uint16_t queues;       /* at most; 0: one. More than one needs MQ */
	uint16_t queue_size;   /* at most; 0: as the device likes */
	uint16_t segments_max; /* pieces that a request's data is in, at most; 0: 16 */
	uint64_t timeout_ns;   /* for the confirmation of a reset; 0: PV_DRIVER_TIMEOUT_NS */
	uint64_t request_timeout_ns; /* of requests that do not say; 0: they wait for ever */
	/*
	 * What becomes of requests in flight when the device has to be reset: they end with
	 * -PV_EBROKEN, or (false) the device is given them once more.
	 */
	bool fails_on_reset;
};

/* What the disk is, checked, in bytes and 512-byte sectors. Fixed from the start on. */
struct pv_blkdrv_disk {
	uint64_t features;    /* negotiated */
	uint32_t block_bytes; /* logical block: power of two, 512 at least */
	uint32_t physical_block_bytes;
	uint32_t alignment_offset_bytes; /* first aligned logical block */
	uint64_t min_io_bytes;           /* advice; 0: none */
	uint64_t opt_io_bytes;
	uint16_t segments_max;        /* pieces of one request's data, as the device sees it */
	uint32_t segment_bytes_max;   /* bytes of one of them; what is longer becomes several */
	uint32_t discard_sectors_max; /* of one request; 0: cannot discard */
	uint32_t discard_alignment_sectors;
	uint32_t write_zeroes_sectors_max; /* of one request; 0: cannot write zeroes */
	uint32_t secure_erase_sectors_max; /* of one request; 0: cannot erase for good */
	uint32_t secure_erase_alignment_sectors;
	/* As a disk of old would have been made; no cylinders: it does not say. */
	struct {
		uint16_t cylinders;
		uint8_t heads;
		uint8_t sectors;
	} geometry;
	bool has_lifetime; /* PV_BLKDRV_GET_LIFETIME */
	bool can_unmap;    /* writing zeroes may give space back */
	bool is_read_only;
	bool has_flush;        /* writes are not stable before a flush, and it exists */
	bool has_cache_switch; /* pv_blkdrv_set_write_cache() */
	uint16_t queues;
};

struct pv_blkdrv;
struct pv_blkdrv_queue;

/* ---- control ---- */

/*
 * Brings the device up. Returns 0; -PV_EBROKEN for a configuration that makes no sense; or an
 * error of pv_driver_init() or pv_driver_queue_init(). `bus` and `os` must outlive the driver.
 */
int pv_blkdrv_create(struct pv_blkdrv **blk, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_blkdrv_options *options);

/*
 * Resets the device and frees the driver, once no thread uses it; requests still in flight end
 * as by pv_blkdrv_fail().
 */
void pv_blkdrv_destroy(struct pv_blkdrv *blk);

const struct pv_blkdrv_disk *pv_blkdrv_disk(const struct pv_blkdrv *blk);

/* Queues are numbered from 0 to disk.queues - 1; NULL beyond. */
struct pv_blkdrv_queue *pv_blkdrv_queue(struct pv_blkdrv *blk, uint16_t index);

/* Any thread. The size of the disk in sectors, as last read. */
uint64_t pv_blkdrv_capacity(const struct pv_blkdrv *blk);

/*
 * The bus said that the configuration changed: reads the capacity anew. Returns 0; -PV_EBROKEN when
 * the device asks for a reset or the new size makes no sense; or an error of the bus.
 */
int pv_blkdrv_config_changed(struct pv_blkdrv *blk);

/* The state of the device's write cache. Returns 0; -PV_ENOTSUP without CONFIG_WCE; bus errors. */
int pv_blkdrv_set_write_cache(struct pv_blkdrv *blk, bool is_on);
int pv_blkdrv_write_cache(struct pv_blkdrv *blk, bool *is_on);

/*
 * Is it over with this device: a queue is broken, NEEDS_RESET, or the bus is gone? To be asked now
 * and then by who waits for requests; it reads the status over the bus.
 */
bool pv_blkdrv_is_broken(struct pv_blkdrv *blk);

/*
 * Looks after the device, to be called now and then (pv_blkdrv_deadline_ns says when at the
 * latest): one that asks for a reset, has broken a queue, or has a request for longer than that may
 * take is reset and brought up again, see pv_blkdrv_recover().  Control, while no other thread uses
 * a queue; it polls. Returns 0 when all is well; 1 when the device was brought up again; or an
 * error, and everything has ended.
 */
int pv_blkdrv_tend(struct pv_blkdrv *blk);

/* When the first of the requests in flight will have taken too long; UINT64_MAX: none ever. */
uint64_t pv_blkdrv_deadline_ns(const struct pv_blkdrv *blk);

/*
 * Resets the device, negotiates what was negotiated before, and hands it all that was in flight
 * once more; nobody's request ends by that. A device may have carried out some of it already, and
 * does so again. Requests whose time is over end with -PV_ETIMEDOUT instead, and all end with
 * -PV_EBROKEN if that was asked for (fails_on_reset). The lists of buffers must still be there,
 * unlike otherwise. Control, while no other thread uses a queue; interrupts are off and vectors are
 * the bus's to set again afterwards. Returns 0; or an error, and everything has ended as by
 * pv_blkdrv_fail(): -PV_EFEATURES, -PV_EBROKEN when it is not the same disk any more,
 * -PV_ETIMEDOUT, or an error of the bus.
 */
int pv_blkdrv_recover(struct pv_blkdrv *blk);

/*
 * Ends it: resets the device, then ends every request in flight with -PV_EBROKEN, as a poll would.
 * Control, while no other thread uses a queue. What is left to do then is pv_blkdrv_destroy(), or
 * pv_blkdrv_recover(). Returns 0; -PV_ETIMEDOUT or an error of the bus when the device did not
 * confirm: it may then still write to the buffers of those requests.
 */
int pv_blkdrv_fail(struct pv_blkdrv *blk);

/* ---- requests ---- */

enum pv_blkdrv_op {
	PV_BLKDRV_READ,
	PV_BLKDRV_WRITE,
	PV_BLKDRV_FLUSH,
	PV_BLKDRV_DISCARD,
	PV_BLKDRV_WRITE_ZEROES,
	PV_BLKDRV_GET_ID,
	PV_BLKDRV_SECURE_ERASE,
	PV_BLKDRV_GET_LIFETIME, /* struct virtio_blk_lifetime; what it says is the device's word */
};

/*
 * One request, in the caller's storage, which must stay until it is done; zero what is not used.
 * The list of buffers is needed at submission, and by pv_blkdrv_recover(); the buffers are the
 * device's until it is done.
 */
struct pv_blkdrv_request {
	struct pv_driver_request base; /* the driver's */

	enum pv_blkdrv_op op;
	bool may_unmap; /* write zeroes: space may be given back */
	uint64_t sector;
	uint32_t sectors; /* discard, write zeroes, secure erase */
	/*
	 * Data: read, write: whole sectors in total; get id: VIRTIO_BLK_ID_BYTES; get lifetime: a
	 * struct virtio_blk_lifetime.
	 */
	uint16_t buffers;
	const struct pv_buffer *buffer;
	uint64_t timeout_ns; /* until it is overdue, see pv_blkdrv_tend(); 0: as the options say */
	/* Called by the poll that finds it done; may submit, must not poll. NULL: see is_done. */
	void (*done)(struct pv_blkdrv_request *request);
	void *arg; /* the caller's */

	/*
	 * The result: 0; -PV_EIO; -PV_ENOTSUP when the device does not know the operation;
	 * -PV_ETIMEDOUT (see pv_blkdrv_tend); -PV_EBROKEN (see pv_blkdrv_fail).
	 */
	int error;
	bool is_done;
	/*
	 * What reads: data bytes that the device says it wrote. It may say less than it did; who
	 * hands buffers on to somebody else must not show more.
	 */
	uint32_t written_bytes;

	/* The driver's. */
	uint32_t inward_bytes; /* data that the device is to write */
	uint16_t slot;
	uint16_t pieces; /* that its data was mapped in */
};

/*
 * Adds a request to a queue. Returns 0, and it will be done once; or, and it never will:
 * -PV_ENOSPC while the queue is full; -PV_EINVAL for one that goes past the end of the disk or
 * beyond the limits of `struct pv_blkdrv_disk`; -PV_ENOTSUP for an operation that this disk does
 * not have (a write to a read-only one too); -PV_ENOMEM while the port cannot map its data;
 * -PV_EBROKEN.
 */
int pv_blkdrv_submit(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request);

/* Shows the device what was submitted, and kicks it if it wants to be. */
void pv_blkdrv_publish(struct pv_blkdrv_queue *queue);

/*
 * Ends the requests that the device is done with, at most as many as the queue has places.
 * Returns how many. On a broken queue 0, for good.
 */
uint32_t pv_blkdrv_poll(struct pv_blkdrv_queue *queue);

bool pv_blkdrv_queue_is_broken(const struct pv_blkdrv_queue *queue);

/*
 * Asks for one interrupt, to be called before each sleep: true if requests are done already that no
 * interrupt will announce (poll instead of sleeping), on a broken queue never. Interrupts are off
 * at the start.
 */
bool pv_blkdrv_interrupts_on(struct pv_blkdrv_queue *queue);
void pv_blkdrv_interrupts_off(struct pv_blkdrv_queue *queue);

/*
 * Polls and sleeps (port: wait) until a submitted request is done, other requests of the queue with
 * it. Returns the request's error; -PV_ETIMEDOUT after `timeout_ns`, or -PV_EBROKEN with
 * `request->is_done` unset when the queue broke: it is then still in flight, until a later poll or
 * pv_blkdrv_fail().
 */
int pv_blkdrv_wait(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request,
                   uint64_t timeout_ns);

/*
 * Submit, publish and wait. With `request->is_done` unset, an error of pv_blkdrv_submit() means
 * that nothing was begun, -PV_ETIMEDOUT that it is in flight; after -PV_EBROKEN it may be either,
 * and its storage is free once pv_blkdrv_fail() has returned.
 */
int pv_blkdrv_do(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request,
                 uint64_t timeout_ns);

/*
 * Asks the disk for its serial number: a string of at most VIRTIO_BLK_ID_BYTES bytes. Returns as
 * pv_blkdrv_do(), and -PV_EBUSY while an earlier one that timed out is still in flight.
 */
int pv_blkdrv_id(struct pv_blkdrv_queue *queue, char id[VIRTIO_BLK_ID_BYTES + 1],
                 uint64_t timeout_ns);

/*
 * Control, while no thread uses the queue. Takes the queue back from the device and gives it back
 * empty; requests in flight end with -PV_EIO, and what their callbacks submit is refused. Returns
 * 0; -PV_ENOTSUP without VIRTIO_F_RING_RESET; or an error of the bus.
 */
int pv_blkdrv_queue_reset(struct pv_blkdrv_queue *queue);

/* Written by the queue's thread. */
struct pv_blkdrv_counters {
	uint64_t requests;    /* submitted */
	uint64_t completions; /* done, with or without an error */
	uint64_t errors;      /* of them, with one */
	uint64_t kicks;       /* sent */
	uint64_t lies;        /* used lengths beyond what could have been written */
	uint64_t repeats;     /* handed to the device once more, after a recovery */
	uint64_t overdue;     /* ended since they took too long */
};

struct pv_blkdrv_counters pv_blkdrv_queue_counters(const struct pv_blkdrv_queue *queue);

/* Places in the queue's ring. */
uint16_t pv_blkdrv_queue_size(const struct pv_blkdrv_queue *queue);

#endif
