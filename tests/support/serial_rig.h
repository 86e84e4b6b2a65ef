/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A serial device under a driver that is the test itself: it has the rings (by our own driver's
 * role), and puts on them what it likes.  One thread; lanes run when they are told to, and may be
 * slow to answer.  Include after cmocka.
 */
#ifndef PV_TESTS_SERIAL_RIG_H
#define PV_TESTS_SERIAL_RIG_H

#include "devices/serial/serial.h"
#include "tests/support/counter.h"
#include "tests/support/device_rig.h"
#include "tests/support/memory_line.h"
#include "tests/support/random.h"

#define SERIAL_RIG_AREA_BYTES (2u << 20)
#define SERIAL_RIG_CRUMBS     600u /* regions of a byte */
#define SERIAL_RIG_LINES      4u

/* Queues. */
#define RX(port)   virtio_console_receiveq(port)
#define TX(port)   virtio_console_transmitq(port)
#define CONTROL_RX VIRTIO_CONSOLE_CONTROL_RECEIVEQ
#define CONTROL_TX VIRTIO_CONSOLE_CONTROL_TRANSMITQ

struct serial_rig {
	struct device_rig base;
	struct pv_serial_options options;
	struct pv_random random;
	struct pv_device *device; /* base.device */

	struct pv_memory_line line[SERIAL_RIG_LINES];
	uint32_t removals, guest_changes;
	char guest_change[64]; /* the last, as "PORT open" */
};

/* Memory, lines and a device without ports, nothing started. Options are what they are zeroed. */
void serial_rig_open(struct serial_rig *rig, const struct pv_serial_options *options);
void serial_rig_close(struct serial_rig *rig);

/* One of the lines as a port; the counter of removals is told when it has gone. */
void serial_rig_add(struct serial_rig *rig, uint16_t index, uint32_t line, const char *name,
                    bool is_console);
void serial_rig_remove(struct serial_rig *rig, uint16_t index);

/* Features of these that are offered, fresh rings, and all queues that there are with them. */
void serial_rig_start(struct serial_rig *rig, uint64_t features);

/* Lanes that were to stop say that they have, without a run. */
void serial_rig_answer(struct serial_rig *rig);

/* Lets all lanes run until they have nothing to do any more. */
void serial_rig_run(struct serial_rig *rig);

/* Lets each run once. */
bool serial_rig_run_once(struct serial_rig *rig);

/*
 * A fresh device in place of this one, which is over, with the ports that `add` adds. The driver's
 * rings are as they were.
 */
void serial_rig_replace(struct serial_rig *rig, void (*add)(struct serial_rig *rig));

/* The device, saved and loaded into a fresh one. */
void serial_rig_move(struct serial_rig *rig, void (*add)(struct serial_rig *rig));

/* ---- what the driver does ---- */

/* A chain that says this, in pieces of so many bytes; or a buffer. */
void serial_rig_send(struct serial_rig *rig, uint16_t queue, const void *data, uint32_t bytes);
void serial_rig_buffer(struct serial_rig *rig, uint16_t queue, uint32_t bytes);

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

const struct pv_queue_counters *serial_rig_counters(const struct serial_rig *rig, uint16_t queue);

#endif
