/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user messages on a socket: the system calls around the codec, for either end.
 *
 * Nothing here blocks, whether the socket would or not, and nothing raises SIGPIPE.
 */
#ifndef PV_HOSTED_WIRE_H
#define PV_HOSTED_WIRE_H

#include <stddef.h>

#include "hosted/vhost_user/codec.h"

enum pv_vhu_received {
	PV_VHU_RECEIVED, /* decoder->message is complete; its descriptors are the caller's */
	PV_VHU_NOT_YET,  /* there is nothing more to read for now */
	PV_VHU_CLOSED,   /* the peer has left, in the middle of a message or between two */
	PV_VHU_BAD,      /* the peer or the socket is at fault: decoder->error */
};

/*
 * Reads until a message is complete or there is nothing more to read. Never reads beyond the end of
 * a message. On all but PV_VHU_RECEIVED no descriptor is left with the caller.
 */
enum pv_vhu_received pv_vhu_receive(int socket, struct pv_vhu_decoder *decoder);

/*
 * Sends what is left of an encoded message, with descriptors if it is its beginning (`fds` 0
 * otherwise). Returns the bytes that went out (fewer than `bytes`: send the rest later, without
 * descriptors), -EAGAIN, or another -errno.
 */
int pv_vhu_send(int socket, const void *data, size_t bytes, const int *fd, uint32_t fds);

/* Closes the descriptors of a message that nobody took over. */
void pv_vhu_message_close(struct pv_vhu_message *message);

#endif
