/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network driver on a device played by hand (fake_bus), on split rings: the test says what
 * comes in and how, and looks at what went out.  Commands are served while the driver waits.
 * Include after cmocka.
 */
#ifndef PV_TESTS_NETDRV_RIG_H
#define PV_TESTS_NETDRV_RIG_H

#include "drivers/net/net.h"
#include "tests/support/fake_bus.h"

#define NETDRV_RIG_BUFFERS       16u
#define NETDRV_RIG_BUFFER_BYTES  1536u
#define NETDRV_RIG_COMMANDS      64u
#define NETDRV_RIG_COMMAND_BYTES 1024u

/* Of the network device: all but what a test takes out. */
#define NETDRV_RIG_FEATURES (PV_NETDRV_FEATURES & ~PV_DRIVER_FEATURES & ~VIRTIO_F_ANY_LAYOUT)

struct netdrv_rig_command {
	uint8_t class;
	uint8_t command;
	uint8_t data[NETDRV_RIG_COMMAND_BYTES];
	uint32_t bytes;
	uint16_t data_buffers; /* that the data came in */
};

struct netdrv_rig {
	struct pv_fake_bus fake;
	struct pv_netdrv *net;
	struct pv_netdrv_queue *rx, *tx; /* of pair 0 */
	struct pv_netdrv_buffer buffer[NETDRV_RIG_BUFFERS];
	uint8_t memory[NETDRV_RIG_BUFFERS][NETDRV_RIG_BUFFER_BYTES];

	/* How it answers commands: not at all, so, and with this. */
	bool is_silent;
	uint8_t ack;
	uint8_t answer[256];
	uint32_t answer_bytes;
	uint32_t says_more; /* bytes beyond what it wrote */

	/* What it was told, in order. */
	struct netdrv_rig_command command[NETDRV_RIG_COMMANDS];
	uint32_t commands;

	/* What the driver handed on: how many, and the last one. */
	uint32_t received;
	struct pv_netdrv_received last;
	uint8_t frame[PV_NETDRV_FRAME_MAX];
	uint32_t returned;
	int return_error;
	bool posts_again; /* what came in, at once */
};

/*
 * A device that has these features beside VERSION_1, and a sane configuration, which a test may
 * change before netdrv_rig_start().
 */
void netdrv_rig_open(struct netdrv_rig *rig, uint64_t offered);
struct virtio_net_config *netdrv_rig_config(struct netdrv_rig *rig);

/* Brings up the driver: what pv_netdrv_create() returns. `options`: NULL for none. */
int netdrv_rig_start(struct netdrv_rig *rig, const struct pv_netdrv_options *options);

/* Both, which must succeed. */
void netdrv_rig_up(struct netdrv_rig *rig, uint64_t offered,
                   const struct pv_netdrv_options *options);

/* The driver goes; nothing may be left of it. */
void netdrv_rig_close(struct netdrv_rig *rig);

/* Posts and publishes the first buffers, of so many bytes each. */
void netdrv_rig_post(struct netdrv_rig *rig, uint32_t buffers, uint32_t bytes);

/*
 * The device writes a header and a frame to as many buffers of a receiving queue as it takes, and
 * says that it wrote so. Returns how many it were; the header says the same, but for 0 in it.
 */
uint16_t netdrv_rig_give(struct netdrv_rig *rig, uint16_t queue,
                         const struct virtio_net_hdr_hash *header, const uint8_t *frame,
                         uint32_t bytes);

/*
 * The next packet on a sending queue: its header, and its frame into rig->frame. Returns the bytes
 * of it; 0: there is none. `*buffers`: that it came in.
 */
uint32_t netdrv_rig_sent(struct netdrv_rig *rig, uint16_t queue, struct virtio_net_hdr_hash *header,
                         uint16_t *buffers);

#endif
