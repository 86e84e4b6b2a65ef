/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of a device, and the world around it: a small device on lanes, with a real driver's
 * rings, on threads of their own or on the control side's.  Include after cmocka.
 */
#ifndef PV_TESTS_HOST_WORLD_H
#define PV_TESTS_HOST_WORLD_H

#include <pthread.h>

#include "hosted/loop/host.h"
#include "ring/drv_ring.h"

#define WORLD_QUEUES       2
#define WORLD_QUEUE_SIZE   16
#define WORLD_MEMORY_BYTES 0x10000u
#define WORLD_CHAINS       WORLD_QUEUE_SIZE
#define WORLD_FEATURES     (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX)

/* Do lanes and control side share one loop? */
extern bool world_is_one_loop;

/* May lanes rest? Only if they do. */
extern bool world_may_rest;

/*
 * A request is one byte of command and one of answer. 'k' is kept until the back-end, a message to
 * the lane, ends all that is kept; 't' until toy.timer_ns have passed, with a timer, and the
 * queue is stalled meanwhile; everything else is answered with the byte after it.
 */
#define WORLD_TIMER_NS 30000000u

struct kept {
	struct pv_loop_message end;
	struct pv_queue *queue;
	struct pv_chain chain[WORLD_CHAINS];
	struct pv_iov iov[WORLD_CHAINS][2];
	uint16_t count;
	bool is_held_when_draining;
	uint64_t until_ns; /* the timer is set; 0: it is not */
};

struct toy {
	struct pv_device device;
	struct pv_queue queue[WORLD_QUEUES];
	struct kept kept[WORLD_QUEUES];
	unsigned int runs[WORLD_QUEUES]; /* atomic */
	uint64_t timer_ns;               /* WORLD_TIMER_NS, for the test to change before it asks */
};

struct world {
	struct pv_loop *control, *lane[WORLD_QUEUES];
	struct pv_host *host;
	struct toy toy;
	struct pv_loop_message end; /* of a short run of the control loop */

	/* Guest memory, which the driver and two tables see at three addresses. */
	int memfd;
	uint8_t *memory, *seen_at[2];
	struct pv_mem *table[2];

	struct pv_drv_ring ring[WORLD_QUEUES];
	void *private_area[WORLD_QUEUES];
	int kick[WORLD_QUEUES], call[WORLD_QUEUES];
	int called[WORLD_QUEUES]; /* the end to read */
	bool kicks_by_message;

	int stopped, resets, switches, config_changes;
	int calls;        /* by function; atomic */
	pthread_t caller; /* of the last of them */
};

/* A world with memory, loops, host and device, and no queue started. */
struct world *world_open(void);

/* One whose queues run, with an eventfd for each direction. */
struct world *world_open_running(void);

void world_close(struct world *world);

void world_by_eventfd(struct world *world, uint16_t queue, int flags);
void world_start_queue(struct world *world, uint16_t queue);

/* For whoever wants to be told: counts in the `int` at `arg`. */
void world_count(void *arg);

uint64_t world_now_us(void);

void world_run_control(struct world *world);

/* Lets the control side go on until the counter has reached `wanted`. */
void world_run_until(struct world *world, const int *counter, int wanted);

/* Time enough for something to happen that must not. */
void world_run_in_vain(struct world *world);

/* ---- the driver ---- */

void world_kick(struct world *world, uint16_t queue);

/* Asks for an interrupt, then sends a command; its answer will be at the pointer. */
volatile char *world_send(struct world *world, uint16_t queue, unsigned int slot, char command);

/* Takes what came back. Returns how many. */
int world_take(struct world *world, uint16_t queue);
void world_take_until(struct world *world, uint16_t queue, int wanted);

/* A blocking driver: it looks at the ring only after an interrupt. */
void world_wait_for_interrupt(struct world *world, int fd);
void world_ask_and_wait(struct world *world, uint16_t queue, char command);

/* ---- the back-end ---- */

void world_end_all_kept(struct world *world, uint16_t queue);

/* Until the first queue has taken so many requests, ever. */
void world_wait_until_taken(struct world *world, uint64_t requests);

#endif
