/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within devices/serial.
 *
 * What is known of a port is in its slot.  The lane has the slots while any queue of the device
 * runs, and the control side while none does; what both may look at meanwhile is atomic.  A port
 * that is to come or go is a request in its slot, which the lane finds in its next run and answers
 * by an event; where no queue runs the control side carries it out itself, as the lane would.
 */
#ifndef PV_DEVICES_SERIAL_INTERNAL_H
#define PV_DEVICES_SERIAL_INTERNAL_H

#include "devices/serial/serial.h"

/* ---- counters of a queue ---- */

struct pv_serial_counters {
	pv_counter bytes;        /* passed on, to the line or to the driver */
	pv_counter dropped;      /* bytes sent to a port that is not there */
	pv_counter stalls;       /* times that it began to wait for its line */
	pv_counter messages;     /* control: told to the driver, or heard from it */
	pv_counter bad_messages; /* control: heard and ignored */
};

extern const struct pv_counter_name pv_serial_counter_names[];

/* ---- what the driver is to be told ---- */

/* In the order in which they are told. */
#define PV_MARK_REMOVE  0x01u
#define PV_MARK_ADD     0x02u
#define PV_MARK_CONSOLE 0x04u
#define PV_MARK_NAME    0x08u
#define PV_MARK_RESIZE  0x10u
#define PV_MARK_OPEN    0x20u
#define PV_MARKS        0x3fu

/* ---- a port ---- */

enum pv_serial_presence {
	PV_SERIAL_ABSENT,
	PV_SERIAL_PRESENT, /* or about to be */
	PV_SERIAL_LEAVING, /* the lane may use the line still */
};

enum pv_serial_request {
	PV_SERIAL_NOTHING,
	PV_SERIAL_ADD,
	PV_SERIAL_REMOVE,
	PV_SERIAL_REMOVED, /* the lane's answer */
};

/*
 * How much of the chain that the transmitq will take next has gone to the line.  Where the queue
 * stops in between this goes for the chain at the place where it stopped, and for no other.
 */
struct pv_serial_progress {
	uint64_t gone_bytes;
	uint64_t chain_bytes;
	uint16_t avail; /* while the queue is idle: the place */
	bool avail_wrap;
};

struct pv_serial_slot {
	struct pv_serial *serial;

	/* Written by the control side while the lane does not have the port. */
	struct pv_line *line;
	bool is_console;
	bool has_legacy_resize;
	uint8_t name_bytes;
	char name[PV_SERIAL_NAME_MAX];

	/* Control side. */
	enum pv_serial_presence presence;
	struct pv_waiter removed;
	bool told_guest_open; /* the user */

	/* Both. */
	enum pv_serial_request request;
	bool has_line_changed;
	bool is_guest_open; /* the driver has opened it */

	/* Lane. */
	bool is_there;  /* the line may be used */
	bool is_known;  /* the driver was told of a port of this number, or has it from before */
	bool is_ready;  /* the driver has set it up */
	bool is_stale;  /* what it sends may be meant for the port that was here before */
	bool told_open; /* the driver, as next two */
	uint8_t marks;  /* PV_MARK_* */
	uint16_t burst; /* buffers that the next input will probably fill */
	uint32_t told_size;
	struct pv_serial_progress progress;
};

/* ---- chains of a run ---- */

/*
 * At most so many, or as many as have so many bytes; and so many with so many bytes are enough:
 * while the next ones are at work the driver has these again, and fills them.
 */
#define PV_SERIAL_BURST        64u
#define PV_SERIAL_BURST_BYTES  (1u << 20)
#define PV_SERIAL_ENOUGH       8u
#define PV_SERIAL_ENOUGH_BYTES (64u << 10)
#define PV_SERIAL_CHAIN_PIECES 512u

struct pv_serial_burst {
	uint16_t taken;
	bool ends_bad; /* the last of them is nothing to work on */
	uint16_t pieces;
	uint64_t bytes;
	struct pv_chain chain[PV_SERIAL_BURST];
	struct pv_iov iov[2 * PV_SERIAL_CHAIN_PIECES];
};

/* ---- the device ---- */

#define PV_SERIAL_WORD_BITS 32u
#define PV_SERIAL_WORDS     ((VIRTIO_CONSOLE_PORTS_MAX + PV_SERIAL_WORD_BITS - 1) / PV_SERIAL_WORD_BITS)

struct pv_serial {
	struct pv_device device;
	struct pv_serial_options options;

	/* Both: there is something to follow; the size of port 0. */
	bool has_news;
	uint32_t size;

	/* Control side: the size that the configuration shows. */
	uint32_t shown_size;

	/* Lane. */
	bool is_driver_ready;             /* it can be told of ports */
	bool was_ready_said;              /* ... because it said so */
	bool has_to_tell;                 /* the control side, at the end of what is done */
	struct pv_queue *hearing;         /* the control transmitq, while it runs; or NULL */
	uint16_t turn;                    /* of the slot that is looked at first */
	uint32_t marked[PV_SERIAL_WORDS]; /* the slots that have marks */
	struct pv_serial_burst burst;     /* for all queues: they run one after the other */

	struct pv_serial_slot *slot;         /* ports_max of them */
	struct pv_serial_counters *counters; /* for each queue */
	struct pv_queue *queue;
};

static inline struct pv_serial *pv_serial_of(struct pv_device *device)
{
	return (struct pv_serial *)device;
}

static inline const struct pv_serial *pv_serial_of_const(const struct pv_device *device)
{
	return (const struct pv_serial *)device;
}

static inline bool pv_serial_is_multiport(const struct pv_serial *serial)
{
	return serial->device.features & VIRTIO_CONSOLE_F_MULTIPORT;
}

/* ---- roles (serial.c) ---- */

enum pv_serial_role {
	PV_SERIAL_RECEIVES, /* from a line, for the driver */
	PV_SERIAL_TRANSMITS,
	PV_SERIAL_TELLS, /* control receiveq */
	PV_SERIAL_HEARS, /* control transmitq */
	PV_SERIAL_UNUSED,
};

enum pv_serial_role pv_serial_role(const struct pv_serial *serial, uint16_t index);

/* The port of a queue that has one. */
static inline uint16_t pv_serial_port_of(uint16_t index)
{
	return index < VIRTIO_CONSOLE_CONTROL_RECEIVEQ ? 0 : (uint16_t)(index / 2 - 1);
}

static inline struct pv_serial_slot *pv_serial_slot_of(const struct pv_queue *queue)
{
	return &pv_serial_of(queue->device)->slot[pv_serial_port_of(queue->index)];
}

static inline struct pv_serial_counters *pv_serial_counters_of(const struct pv_queue *queue)
{
	return &pv_serial_of(queue->device)->counters[queue->index];
}

/* The queue waits for its line from here on. */
static inline void pv_serial_stall(struct pv_queue *queue)
{
	if (!queue->is_stalled)
		pv_count(&pv_serial_counters_of(queue)->stalls);
	queue->is_stalled = true;
}

/* ---- ports (ports.c) ---- */

/* Any thread: something waits in a slot, or has changed for the control side. */
void pv_serial_raise_news(struct pv_serial *serial);

/*
 * Carries out what waits in the slots. Whoever has them. Returns whether there was anything, which
 * may be work for any queue.
 */
bool pv_serial_follow(struct pv_serial *serial);

/* Has the control side hear of what has changed for it, if anything has. */
void pv_serial_tell_control(struct pv_serial *serial, struct pv_queue *queue);

/* Control side: hears of it. */
void pv_serial_heard(struct pv_serial *serial);

/* Control side: a queue has come to rest. */
void pv_serial_rested(struct pv_serial *serial);

/* Looks at what the line says about itself, and marks what the driver is to be told. */
void pv_serial_look_at_line(struct pv_serial_slot *slot);

void pv_serial_set_guest_open(struct pv_serial_slot *slot, bool is_open);

/* There is no driver any more that would know of ports. */
void pv_serial_forget_driver(struct pv_serial *serial);

/* The same, and what there was on its rings: the next has others. */
void pv_serial_begin_anew(struct pv_serial *serial);

/* The port for which the driver has written a byte without a queue, or NULL. Control side. */
struct pv_line *pv_serial_emergency_line(const struct pv_serial *serial);

/* ---- marks (tell.c) ---- */

void pv_serial_mark(struct pv_serial_slot *slot, uint8_t marks);
void pv_serial_unmark(struct pv_serial_slot *slot, uint8_t marks);

/* The driver can use the port: all that there is to say about it is to be said. */
void pv_serial_mark_all(struct pv_serial_slot *slot);

bool pv_serial_tell(struct pv_queue *queue);

/* ---- the other queues ---- */

/* hear.c */
bool pv_serial_hear(struct pv_queue *queue);
/* It takes nothing any more. */
void pv_serial_hear_drain(struct pv_queue *queue);

/* receive.c */
bool pv_serial_receive(struct pv_queue *queue);

/* transmit.c */
void pv_serial_transmit_start(struct pv_queue *queue);
void pv_serial_transmit_stop(struct pv_queue *queue);
bool pv_serial_transmit(struct pv_queue *queue);

/* burst.c */

/* What of so many bytes is for one run: others on the loop have their turn too. */
static inline uint64_t pv_serial_turn_of(uint64_t bytes)
{
	return bytes < PV_SERIAL_BURST_BYTES ? bytes : PV_SERIAL_BURST_BYTES;
}

/*
 * Takes up to `chains` chains, all whose pieces may be written, or read. The pieces of all of them
 * lie one after the other. A chain that is no such thing ends the burst, as its last.
 */
void pv_serial_burst_take(struct pv_queue *queue, uint16_t chains, bool is_writable);

/*
 * Returns the chains that so many bytes fill, from the first on, or, `is_partial`, the one that
 * they end in too; and the bad one behind them. The rest is put back. Returns the bytes that belong
 * to the first of those.
 */
uint64_t pv_serial_burst_end(struct pv_queue *queue, uint64_t bytes, bool is_writable);

/* state.c */
void pv_serial_save(const struct pv_device *device, struct pv_state_writer *to);
int pv_serial_load(struct pv_device *device, struct pv_state_reader *from, uint16_t version);

#endif
