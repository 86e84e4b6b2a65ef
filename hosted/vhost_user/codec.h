/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user messages: bytes and descriptors in, checked messages out.
 *
 * Pure: no system call is made here.  Whoever owns the socket asks how many bytes to read next,
 * reads at most that many (so that a read never crosses into the next message, and descriptors
 * stay with the message they came with), and feeds them in.  A complete message has a known
 * request, the payload size and the count of descriptors that the request calls for; anything
 * else is an error with a sentence that says what was wrong, and ends the connection.
 */
#ifndef PV_HOSTED_CODEC_H
#define PV_HOSTED_CODEC_H

#include <stdbool.h>

#include "abi/vhost_user.h"

struct pv_vhu_message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	union vhost_user_payload payload;
	/*
	 * Owned by whoever holds the message: taken over (set to -1) or closed. A good message has
	 * at most VHOST_USER_FDS; one that is refused may have come with as many again.
	 */
	int fd[2 * VHOST_USER_FDS];
	uint32_t fds;
};

/* Which end sent what is decoded: it decides which requests are known. */
enum pv_vhu_direction {
	PV_VHU_FROM_FRONTEND, /* requests to a back-end */
	PV_VHU_FROM_BACKEND,  /* requests on the back-end channel */
	PV_VHU_REPLY,         /* answers to requests of either end */
};

struct pv_vhu_decoder {
	enum pv_vhu_direction direction;
	uint32_t have; /* bytes of the message so far */
	struct pv_vhu_message message;
	uint8_t bytes[sizeof(struct vhost_user_header) + sizeof(union vhost_user_payload)];
	char error[112]; /* the sentence, once something was wrong */
};

void pv_vhu_decoder_init(struct pv_vhu_decoder *decoder, enum pv_vhu_direction direction);

/* How many bytes to read next; never 0 (after a complete message, for the next one). */
uint32_t pv_vhu_decoder_wants(const struct pv_vhu_decoder *decoder);

enum pv_vhu_decoded {
	PV_VHU_MORE,    /* the message is not complete */
	PV_VHU_MESSAGE, /* decoder->message is complete: the caller's until the next feed */
	PV_VHU_ERROR,   /* decoder->error says what is wrong; feed no more */
};

/*
 * Takes in `count` bytes (at most as many as it wants) and the `fds` descriptors that came with
 * them. The decoder keeps descriptors it was fed: in message.fd, for the caller to take over or
 * close, on PV_VHU_ERROR too. Descriptors beyond VHOST_USER_FDS must be closed by the caller
 * before, and make the message an error by `fds` alone.
 */
enum pv_vhu_decoded pv_vhu_decoder_feed(struct pv_vhu_decoder *decoder, const void *data,
                                        uint32_t count, const int *fd, uint32_t fds);

/*
 * Writes a message to `to` (room for header and payload). Returns its bytes. Descriptors travel
 * beside it.
 */
uint32_t pv_vhu_encode(void *to, uint32_t request, uint32_t flags, const void *payload,
                       uint32_t bytes);

/*
 * The request's name as in the specification, without its prefix; "unknown" if it is. Replies have
 * the names of the front-end's requests.
 */
const char *pv_vhu_request_name(enum pv_vhu_direction direction, uint32_t request);

#endif
