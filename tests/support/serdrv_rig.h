/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial driver on a device played by hand (fake_bus), on split rings: the test says what comes
 * in, on ports and as messages, and looks at what went out.  Include after cmocka.
 */
#ifndef PV_TESTS_SERDRV_RIG_H
#define PV_TESTS_SERDRV_RIG_H

#include "drivers/serial/serial.h"
#include "tests/support/fake_bus.h"

#define SERDRV_RIG_PORTS    3u
#define SERDRV_RIG_MESSAGES 256u
#define SERDRV_RIG_CHANGES  64u
#define SERDRV_RIG_BYTES    4096u

struct serdrv_rig_message {
	uint32_t id;
	uint16_t event;
	uint16_t value;
};

struct serdrv_rig_change {
	uint16_t port;
	uint32_t what;
};

struct serdrv_rig {
	struct pv_fake_bus fake;
	struct pv_serdrv *serial;

	/* While the driver waits: messages are read, and a driver that is ready is told of these
	 * ports, a bit for each. */
	bool is_silent;
	uint32_t announces;

	/* What it was told, in order, and how far the test has looked. */
	struct serdrv_rig_message message[SERDRV_RIG_MESSAGES];
	uint32_t messages, looked;

	/* What the driver handed on. */
	struct serdrv_rig_change change[SERDRV_RIG_CHANGES];
	uint32_t changes;
	uint8_t received[SERDRV_RIG_BYTES]; /* of all ports, in order */
	uint32_t received_bytes;
	uint32_t takes; /* bytes that are taken in a call */
	bool opens_all; /* ports, as they come */

	uint8_t text[SERDRV_RIG_BYTES]; /* to send: each byte another one than its neighbours */
};

/* Options of a driver with two small buffers of its own for each port. */
extern const struct pv_serdrv_options serdrv_rig_own;

/* A device that has these features beside VERSION_1, room for three ports, 80 columns, 25 rows. */
void serdrv_rig_open(struct serdrv_rig *rig, uint64_t offered);
struct virtio_console_config *serdrv_rig_config(struct serdrv_rig *rig);

/* Brings up the driver: what pv_serdrv_create() returns. `options`: NULL for three ports. */
int serdrv_rig_start(struct serdrv_rig *rig, const struct pv_serdrv_options *options);

/* With MULTIPORT, and port 1 added and open. */
void serdrv_rig_up(struct serdrv_rig *rig, uint64_t offered,
                   const struct pv_serdrv_options *options);

/* The driver goes; nothing may be left of it. */
void serdrv_rig_close(struct serdrv_rig *rig);

struct pv_serdrv_port *serdrv_rig_port(struct serdrv_rig *rig, uint32_t number);
const struct pv_serdrv_state *serdrv_rig_state(struct serdrv_rig *rig, uint32_t number);

/* What the driver handed on as number `at` of its changes. */
void serdrv_rig_expect_change(const struct serdrv_rig *rig, uint32_t at, uint16_t port,
                              uint32_t what);

/* The device writes a message, the driver is to read it. False: there is no buffer for it. */
bool serdrv_rig_say(struct serdrv_rig *rig, uint32_t id, uint16_t event, uint16_t value);
bool serdrv_rig_say_more(struct serdrv_rig *rig, uint32_t id, uint16_t event, uint16_t value,
                         const void *data, uint32_t bytes);

/* Exactly these bytes, as a message. */
bool serdrv_rig_say_raw(struct serdrv_rig *rig, const void *message, uint32_t bytes);

/* The device reads messages; the next one must be this, and after it there must be no more. */
void serdrv_rig_read_messages(struct serdrv_rig *rig);
void serdrv_rig_expect_told(struct serdrv_rig *rig, uint32_t id, uint16_t event, uint16_t value);
void serdrv_rig_expect_told_no_more(struct serdrv_rig *rig);

/* Bytes into the next buffer of a port. Returns how many went in. */
uint32_t serdrv_rig_give(struct serdrv_rig *rig, uint16_t port, const void *data, uint32_t bytes);

/* The next bytes out of a port. Returns how many; 0: none. */
uint32_t serdrv_rig_sent(struct serdrv_rig *rig, uint16_t port, void *to);

#endif
