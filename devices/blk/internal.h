/* SPDX-License-Identifier: BSD-2-Clause */
/* Within devices/blk. */
#ifndef PV_DEVICES_BLK_INTERNAL_H
#define PV_DEVICES_BLK_INTERNAL_H

#include "abi/virtio_blk.h"
#include "devices/blk/blk.h"

/* What we tell drivers. */
#define PV_BLK_SEG_MAX       126u
#define PV_BLK_SIZE_MAX      (1u << 20)
#define PV_BLK_RANGES_MAX    32u
#define PV_BLK_RANGE_SECTORS (1u << 22)

/*
 * Pieces of one request: its data, a header cut into single bytes, the status, and the rest for
 * buffers that cross from one region of memory into the next.
 */
#define PV_BLK_PIECES 192u

struct pv_blk_counters {
	pv_counter reads;
	pv_counter writes;
	pv_counter flushes;
	pv_counter discards;
	pv_counter write_zeroes;
	pv_counter secure_erases;
	pv_counter get_ids;
	pv_counter get_lifetimes;
	pv_counter bytes_read;
	pv_counter bytes_written;
	pv_counter errors;      /* ended with IOERR */
	pv_counter ignored;     /* failures that the driver did not hear of */
	pv_counter kept;        /* times that a failure made a request wait */
	pv_counter unsupported; /* ended with UNSUPP */
};

extern const struct pv_counter_name pv_blk_counter_names[];

struct pv_blk_lane;

struct pv_blk {
	struct pv_device device;
	struct pv_blk_store *store;
	struct pv_blk_options options;
	char serial[VIRTIO_BLK_ID_BYTES];

	/* Written by the control side, read by lanes: whole, and in no order with anything else. */
	uint64_t capacity_bytes __attribute__((aligned(8))); /* as a counter is */
	bool is_write_back;
	bool is_stopped; /* by an error policy; written by lanes too, as is ... */
	uint32_t stops;  /* ... the count of times that it was */
	uint32_t resumes;

	uint16_t started; /* queues; control side */

	struct pv_blk_counters *counters; /* one for each queue */
};

static inline struct pv_blk *pv_blk_of(struct pv_device *device)
{
	return (struct pv_blk *)device;
}

static inline const struct pv_blk *pv_blk_of_const(const struct pv_device *device)
{
	return (const struct pv_blk *)device;
}

enum pv_blk_request_state {
	PV_BLK_FREE,
	PV_BLK_WORKED_ON, /* with the store */
	PV_BLK_HELD,
};

struct pv_blk_request {
	struct pv_blk_io io;
	struct pv_chain chain;
	struct pv_queue *queue;
	struct pv_blk_request *next;
	enum pv_blk_request_state state;
	uint32_t resumes;        /* of the disk, when its I/O was given to the store */
	pv_counter *count;       /* of its kind, NULL: of none; counted when it ends */
	uint32_t written_bytes;  /* to its data, once it succeeds */
	struct pv_cursor ranges; /* discard, write zeroes, secure erase: those still to do */
	struct pv_iov iov[PV_BLK_PIECES];
	/* The data, where it shares a piece with the header or the status. */
	struct pv_iov data[PV_BLK_PIECES];
};

/* The device's part of a running queue. */
struct pv_blk_lane {
	struct pv_blk_request *free;
	struct pv_blk_request *held; /* the oldest first */
	struct pv_blk_request **held_end;
	uint32_t requests; /* more than the ring can hold ... */
	uint32_t touched;  /* ... of which so many were ever in use */
	uint32_t failures; /* kinds that the control side has not heard of: bits, see errors.c */
	struct pv_blk_request request[];
};

/* request.c, for whoever has the queue. Before the first use of a request's place: */
void pv_blk_request_init(struct pv_blk_request *request, struct pv_queue *queue);
/* Begins one that was taken, or has waited: it ends or is held, now or when the store answers. */
void pv_blk_request_begin(struct pv_blk_request *request);
/* Puts it behind those that wait. */
void pv_blk_request_hold(struct pv_blk_request *request);
/* The pieces of a chain from before a change of memory come along to the memory in force. */
void pv_blk_request_move(struct pv_blk_request *request);
/* Gives it back to the driver with this status, and its place to the lane. */
void pv_blk_request_end(struct pv_blk_request *request, uint8_t status);
/* Only its place: it was not begun. */
void pv_blk_request_free(struct pv_blk_lane *lane, struct pv_blk_request *request);

/* queue.c: the operations of a queue. */
int pv_blk_queue_start(struct pv_queue *queue);
bool pv_blk_queue_run(struct pv_queue *queue);
void pv_blk_queue_drain(struct pv_queue *queue);
void pv_blk_queue_stop(struct pv_queue *queue);
void pv_blk_queue_save(const struct pv_queue *queue, struct pv_state_writer *to);
void pv_blk_queue_load(struct pv_queue *queue, struct pv_state_reader *from);
void pv_blk_queue_move(struct pv_queue *queue);

/*
 * errors.c. Lane: the store has failed at the request's I/O. Counts, has the control side told, and
 * stops the disk if that is the policy.
 */
enum pv_blk_action pv_blk_io_failed(struct pv_blk_request *request, int error);
void pv_blk_queue_event(struct pv_queue *queue);

/* Any thread. */
static inline bool pv_blk_has_stopped(const struct pv_blk *blk)
{
	return __atomic_load_n(&blk->is_stopped, __ATOMIC_RELAXED);
}

static inline uint32_t pv_blk_resumes(const struct pv_blk *blk)
{
	return __atomic_load_n(&blk->resumes, __ATOMIC_RELAXED);
}

#endif
