/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A serial device under a driver that is the test itself: it has the rings (by our own driver's
 * role), and puts on them what it likes.  One thread; lanes run when they are told to, and may be
 * slow to answer.  Include after cmocka.
 */
#ifndef PV_TESTS_SERIAL_RIG_H
#define PV_TESTS_SERIAL_RIG_H

#include "devices/serial/serial.h"
#include "ring/drv_ring.h"
#include "tests/support/memory_line.h"
#include "tests/support/random.h"

#define SERIAL_RIG_SIZE         64u
#define SERIAL_RIG_INDIRECT_MAX 16u
#define SERIAL_RIG_AREA_BYTES   (2u << 20)
#define SERIAL_RIG_CRUMBS       600u /* regions of a byte */
#define SERIAL_RIG_NOWHERE      0x7000000000ull
#define SERIAL_RIG_LINES        4u

/* Queues. */
#define RX(port)   virtio_console_receiveq(port)
#define TX(port)   virtio_console_transmitq(port)
#define CONTROL_RX VIRTIO_CONSOLE_CONTROL_RECEIVEQ
#define CONTROL_TX VIRTIO_CONSOLE_CONTROL_TRANSMITQ

struct serial_rig_queue {
	struct pv_drv_ring ring;
	struct pv_ring_config config;
	uint8_t *areas[3];
	void *private_area;
	bool is_attached, is_detaching, has_event;
	uint32_t interrupts;
};

struct serial_rig {
	struct pv_port port;
	struct pv_serial_options options;
	struct pv_random random;
	void *storage;
	struct pv_device *device;
	uint64_t features;
	struct serial_rig_queue *queue;

	struct pv_mem *mem;
	uint8_t *memory; /* the rings', the tables', and the driver's */
	size_t ring_at;  /* in it */
	struct pv_gpa area, crumbs;
	uint8_t *area_host, *crumbs_host;
	uint32_t area_at; /* what lies behind it was not given out */

	struct pv_memory_line line[SERIAL_RIG_LINES];
	bool is_slow; /* a lane that is to stop does so in its next run */
	uint32_t wakes, config_changes, needs_resets, logs, removals, guest_changes;
	char guest_change[64]; /* the last, as "PORT open" */
	uint64_t rest_runs;    /* queues whose run did nothing */
};

/* What rings can be. */
extern const uint64_t serial_rig_rings[];
extern const uint16_t serial_rig_ring_kinds;

/* Memory, lines and a device without ports, nothing started. Options are what they are zeroed. */
void serial_rig_open(struct serial_rig *rig, const struct pv_serial_options *options);
void serial_rig_close(struct serial_rig *rig);

/* One of the lines as a port; the counter of removals is told when it has gone. */
void serial_rig_add(struct serial_rig *rig, uint16_t index, uint32_t line, const char *name,
                    bool is_console);
void serial_rig_remove(struct serial_rig *rig, uint16_t index);

/* Features of these that are offered, fresh rings, and all queues that there are with them. */
void serial_rig_start(struct serial_rig *rig, uint64_t features);

/* A fresh ring for a queue, which is idle, and its start. */
void serial_rig_start_queue(struct serial_rig *rig, uint16_t index);

/* Stops it; it goes on, with what is on its ring, where it stopped. */
void serial_rig_stop_queue(struct serial_rig *rig, uint16_t index);
void serial_rig_continue_queue(struct serial_rig *rig, uint16_t index);

/* Lets all lanes run until they have nothing to do any more. */
void serial_rig_run(struct serial_rig *rig);

/* Lets each run once. */
bool serial_rig_run_once(struct serial_rig *rig);

/* Pauses it. */
void serial_rig_pause(struct serial_rig *rig);

/* The state of a device that is at rest: to be freed. */
uint8_t *serial_rig_save(struct serial_rig *rig, size_t *bytes);

/*
 * A fresh device in place of this one, which is over, with the ports that `add` adds. The driver's
 * rings are as they were.
 */
void serial_rig_replace(struct serial_rig *rig, void (*add)(struct serial_rig *rig));

/* The device, saved and loaded into a fresh one. */
void serial_rig_move(struct serial_rig *rig, void (*add)(struct serial_rig *rig));

/* ---- what the driver does ---- */

/* Puts a chain on a ring, without running anything. Each token is the address of the chain's. */
void serial_rig_offer(struct serial_rig *rig, uint16_t queue, const struct pv_sg *sg,
                      uint16_t readable, uint16_t writable);

/* Memory of the driver's. */
struct pv_sg serial_rig_alloc(struct serial_rig *rig, uint32_t bytes);
uint8_t *serial_rig_at(const struct serial_rig *rig, struct pv_gpa gpa);

/* A chain that says this, in pieces of so many bytes; or a buffer. */
void serial_rig_send(struct serial_rig *rig, uint16_t queue, const void *data, uint32_t bytes);
void serial_rig_buffer(struct serial_rig *rig, uint16_t queue, uint32_t bytes);

/* Takes a chain that came back: where it was, or NULL, and what was written. */
uint8_t *serial_rig_take(struct serial_rig *rig, uint16_t queue, uint32_t *written_bytes);

/* Expects one that came back, and nothing written. */
void serial_rig_expect_back(struct serial_rig *rig, uint16_t queue);
void serial_rig_expect_none(struct serial_rig *rig, uint16_t queue);

/* Says a control message; and has it heard. */
void serial_rig_post(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value);
void serial_rig_say(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value);

/* Gives buffers for so many control messages, and lets the lanes run. */
void serial_rig_listen(struct serial_rig *rig, uint32_t messages);

/* Expects that this was told, with these bytes behind it; the second listens for it before. */
void serial_rig_expect_message(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value,
                               const void *more, uint32_t bytes);
void serial_rig_expect_told(struct serial_rig *rig, uint32_t id, uint16_t event, uint16_t value,
                            const void *more, uint32_t bytes);
void serial_rig_expect_silence(struct serial_rig *rig);

/* ---- what is counted ---- */

uint64_t serial_rig_count(const struct serial_rig *rig, uint16_t queue, const char *name);
const struct pv_queue_counters *serial_rig_counters(const struct serial_rig *rig, uint16_t queue);

#endif
