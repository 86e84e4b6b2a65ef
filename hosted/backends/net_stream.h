/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: the wire of a stream; net_stream.c connects and sends, net_stream_in.c
 * receives.
 */
#ifndef PV_HOSTED_NET_STREAM_H
#define PV_HOSTED_NET_STREAM_H

#include <pthread.h>

#include "hosted/backends/net_wire_internal.h"
#include "hosted/loop/log.h"

/* What is read ahead: some of the longest frames, with their lengths. */
#define PV_STREAM_IN_BYTES 0x40000u

struct pv_stream {
	struct pv_wire wire;
	uint16_t pairs;
	struct pv_gate *gate;

	/* Under the lock, which pair 0's loop may read without. */
	pthread_mutex_t lock;
	int fd;                          /* -1: there is no peer */
	bool is_deaf;                    /* it takes no more */
	uint32_t rest_first, rest_bytes; /* of a frame that went in part */
	uint8_t rest[sizeof(uint32_t) + PV_NET_FRAME_MAX];

	/* Pair 0's loop. */
	struct pv_loop *loop;
	struct pv_watch *watch;
	bool is_readable;
	bool is_ending; /* the peer will send no more than it did */
	uint8_t *in;
	uint32_t in_first, in_next; /* what was read and not yet given */

	struct pv_log_pace log_pace;

	char *path;
	struct pv_socket_place place; /* of a server: what it made there */
	int listen_fd;                /* of a server, or -1 */
	struct pv_watch *listen_watch;
	uint32_t reconnect_ms; /* of a client; 0: never */
	uint32_t delay_ms;
	struct pv_timer timer;
};

uint32_t pv_stream_receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                           uint16_t pieces, struct virtio_net_hdr *hdr);

/*
 * Pair 0's loop. Reads what has come, as far as there is room; hangs up where the peer has. Returns
 * whether there was room.
 */
bool pv_stream_fill(struct pv_stream *stream);

/* Pair 0's loop. Ends the connection that there is, and sees to it that there will be another. */
void pv_stream_hang_up(struct pv_stream *stream);

#endif
