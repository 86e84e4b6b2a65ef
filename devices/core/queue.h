/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of a device: a ring, and who runs it.
 *
 * The control side configures, starts and stops queues; the queue's lane (one thread, chosen by
 * the host) runs it in between.  At any time exactly one of the two may touch a queue: the control
 * side while it is idle, the lane from queue_attach until the host reports it stopped.
 */
#ifndef PV_DEVICES_QUEUE_H
#define PV_DEVICES_QUEUE_H

#include "abi/linkage.h"
#include "devices/core/counters.h"
#include "devices/core/state.h"
#include "ring/dev_ring.h"

PV_PUBLIC_BEGIN

struct pv_device;
struct pv_queue;

enum pv_queue_state {
	PV_QUEUE_IDLE,
	PV_QUEUE_RUNNING,
	PV_QUEUE_STOPPING, /* the lane was asked to stop and has not answered */
	PV_QUEUE_PAUSED,   /* quiet, with what it holds; it can go on, be saved, or be stopped */
};

struct pv_queue_counters {
	pv_counter requests;    /* chains taken, and not put back */
	pv_counter completions; /* chains returned */
	pv_counter bursts;      /* runs that took at least one chain */
	pv_counter kicks;       /* kicks that reached us */
	pv_counter interrupts;  /* sent */
	pv_counter bad_chains;  /* failed: not memory, too many pieces, or no request at all */
	pv_counter ring_faults; /* times the driver broke the ring */
};

extern const struct pv_counter_name pv_queue_counter_names[];

struct pv_queue {
	/* Cache lines of its own: neighbours belong to other threads. */
	struct pv_dev_ring ring __attribute__((aligned(64)));
	struct pv_device *device;
	void *own;  /* the device's own part, from its queue_start */
	void *lane; /* the host's: where the I/O of its requests belongs */
	uint16_t index;
	/*
	 * The device's, from its creation on: another process or the kernel works on the ring, and
	 * there is none here. The control side starts and stops it as any other; its host says by
	 * `position` where it stopped. What is for lanes is not for it, nor is pv_queue_mem_switch.
	 */
	bool is_elsewhere;

	/* Lane. */
	uint16_t held;    /* chains in flight that nothing is working on */
	bool is_draining; /* take nothing more */
	bool is_stalled;  /* nothing is taken until a queue_wake or its timer: a lane may sleep */
	bool is_woken;    /* ... and the device will do the former: its host need not look */
	bool is_broke_reported;
	bool is_bad_chain_reported;
	bool is_quiet;         /* something was published whose interrupt is not decided yet */
	bool is_muted;         /* the device's: nor will it be before this is taken back */
	bool is_interrupt_due; /* for what was published by whoever ran the ring before */
	struct pv_queue_counters counters;

	/* Control side. */
	enum pv_queue_state state;
	bool is_finishing; /* when it stops it is for good */
	bool is_asked;     /* its lane was asked to stop */
	struct pv_ring_config config;
	struct pv_ring_position position; /* where to start, and where it stopped */
	struct pv_ring_logging logging;   /* as it is to be; the ring has it from pv_queue_log() */
	void *ring_storage;
	size_t ring_storage_bytes;
};

/*
 * Lane. Takes and works on what is available, and publishes what came to an end. Returns whether
 * there was anything to do: a lane that polls goes on while there is.
 */
bool pv_queue_run(struct pv_queue *queue);

/*
 * Lane. To be called before each sleep: asks the driver for a kick, where it is the driver that the
 * queue waits for. Returns false if there is work already that no kick will announce: it is to be
 * run once more then.
 */
bool pv_queue_may_sleep(struct pv_queue *queue);

/*
 * Lane. Publishes returned chains and interrupts if the driver wants it and the device has not
 * muted the queue. Returns whether there was anything new.
 */
bool pv_queue_publish(struct pv_queue *queue);

/*
 * Lane. Publishes returned chains for a driver that looks for itself; one that sleeps is left to
 * until the next pv_queue_publish(), at the latest at the end of the run.
 */
void pv_queue_publish_quietly(struct pv_queue *queue);

/* Lane. Take nothing more from here on; withdraw what can be withdrawn. */
void pv_queue_drain(struct pv_queue *queue);

/* Lane. What it writes is marked, from here on, as pv_device_queue_log_set() said last. */
void pv_queue_log(struct pv_queue *queue);

/*
 * Lane. Nothing is being worked on: what is in flight, if anything, is held, or waits behind what
 * is held for its turn to return.
 */
static inline bool pv_queue_is_quiet(const struct pv_queue *queue)
{
	return queue->ring.in_flight == queue->held + queue->ring.waiting;
}

/* Lane. A kick arrived. Counting is all there is to it: pv_queue_run() does the work. */
static inline void pv_queue_kicked(struct pv_queue *queue)
{
	pv_count(&queue->counters.kicks);
}

/*
 * Whoever runs it. Changes to another table of memory; what the queue holds comes along. The old
 * table is in use until `queue->ring.in_flight_before` is 0. A ring that is not in the new memory
 * breaks: the next run reports it.
 */
void pv_queue_mem_switch(struct pv_queue *queue, const struct pv_mem *mem);

/*
 * For devices, on the lane: takes a chain, counting what there is to count. False when there is
 * none, when the queue drains, or when it is broken (which is reported once).
 */
bool pv_queue_take(struct pv_queue *queue, struct pv_chain *chain);

/* The same of as many chains as there are, and there is room for. Returns how many. */
uint16_t pv_queue_take_run(struct pv_queue *queue, const struct pv_chain_room *room);

/*
 * For devices, on the lane: a chain that no device of the kind can work on. Counts it, and says
 * `why` once for each start of the queue; the chain is still to be returned. A chain that is
 * incomplete was counted when it was taken.
 */
void pv_queue_bad_chain(struct pv_queue *queue, const char *why);

/*
 * For devices: a chain in saved state, as guest addresses. Loading sets the pieces in
 * `chain->iov` (of `chain->capacity`) to where this device's memory has them; a chain that cannot
 * be marks the state bad.
 */
void pv_queue_chain_save(const struct pv_queue *queue, const struct pv_chain *chain,
                         struct pv_state_writer *to);
void pv_queue_chain_load(struct pv_queue *queue, struct pv_chain *chain,
                         struct pv_state_reader *from);

/*
 * For devices: a chain that is held, or about to be, and points into an earlier table of memory
 * comes to point into the one in force. `from` is a copy of its pieces. Memory that is not there
 * any more makes it incomplete.
 */
void pv_queue_chain_move(struct pv_queue *queue, struct pv_chain *chain, const struct pv_iov *from);

/*
 * For devices, control side: will chains that are held when the queue stops be taken again, at its
 * next start, here or by whoever comes after us? What is in flight is written down outside the
 * process then (struct pv_ring_config), and they are not failed but forgotten. While the guest is
 * being moved, which is when there is a dirty log, the journal is left behind: they fail.
 */
static inline bool pv_queue_keeps_held(const struct pv_queue *queue)
{
	return queue->config.inflight && !queue->logging.log;
}

/*
 * For devices, on the lane: the chain was not taken after all (pv_dev_ring_put_back): the last one
 * taken of those that the device has.
 */
void pv_queue_put_back(struct pv_queue *queue, const struct pv_chain *chain);

/* For devices, on the lane: gives a chain back. */
void pv_queue_return(struct pv_queue *queue, const struct pv_chain *chain, uint32_t written_bytes);

/* The same of a run of chains (pv_dev_ring_return_run). */
void pv_queue_return_run(struct pv_queue *queue, const struct pv_chain *chain,
                         const uint32_t *written_bytes, uint16_t count);

PV_PUBLIC_END

#endif
