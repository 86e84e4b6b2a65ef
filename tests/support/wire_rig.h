/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wire on a loop of its own, and what plays the device on it: a poller that receives all that
 * there is and sends what is left to send, and lets the loop sleep otherwise.  Whatever has to
 * happen then must be woken by the wire.
 *
 * Frames are made from their numbers, so that they can be compared without having been kept.
 * Include after cmocka.
 */
#ifndef PV_TESTS_WIRE_RIG_H
#define PV_TESTS_WIRE_RIG_H

#include "hosted/backends/net_wire.h"
#include "tests/support/random.h"

struct wire_rig {
	struct pv_net_wire *wire;
	struct pv_loop *loop;
	struct pv_poller poller;
	struct pv_watch *watchdog;
	int watchdog_fd;
	bool is_late;
	uint16_t pair;
	struct pv_random random;

	uint32_t frame_max; /* bytes of the longest frame that is made */
	uint32_t to_send;   /* frames; they have the numbers from 0 on */
	uint32_t sent;
	uint32_t burst_max; /* frames sent at a time, at most */
	uint32_t to_receive;
	uint32_t received;
	uint32_t next;        /* number of the frame that is to come */
	uint32_t receive_max; /* do not take more than so many */
	bool may_skip;        /* numbers may be left out, but not go back */

	/* Called in each round, before it; may be NULL. Returns whether it did something. */
	bool (*also)(struct wire_rig *rig);
	void *arg;
};

/* Opens the wire; `options` has no loop yet. Fails the test if that fails. */
void wire_rig_open(struct wire_rig *rig, struct pv_net_wire_options options);
void wire_rig_close(struct wire_rig *rig);

/* Runs until all was sent and received; fails the test after some seconds. */
void wire_rig_run(struct wire_rig *rig);

/* Runs for so long. */
void wire_rig_run_ms(struct wire_rig *rig, uint32_t ms);

/*
 * Makes the frame of this number. `frame` has room for PV_NET_FRAME_MAX. Returns its bytes, at most
 * `max`. Bytes 12 and 13 are no protocol that anyone knows, and the number is behind them if there
 * is room.
 */
uint32_t wire_rig_frame(uint32_t number, uint32_t max, uint8_t *frame);

/* Sends one frame as one piece. Returns whether it was taken. */
bool wire_rig_send(struct wire_rig *rig, const struct virtio_net_hdr *hdr, const void *frame,
                   uint32_t bytes);

/* Receives one frame. Returns its bytes. */
uint32_t wire_rig_receive(struct wire_rig *rig, struct virtio_net_hdr *hdr, void *frame);

#endif
