/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost-user messages, in pieces of any length and with any number of descriptors. */
#include <string.h>

#include "hosted/vhost_user/codec.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define FDS 24

/* A message that was taken for good is the same after another journey. */
static void send_again(enum pv_vhu_direction direction, const struct pv_vhu_message *message)
{
	uint8_t bytes[sizeof(struct vhost_user_header) + sizeof(union vhost_user_payload)];
	uint32_t count = pv_vhu_encode(bytes, message->request, message->flags, &message->payload,
	                               message->size);
	enum pv_vhu_decoded decoded = PV_VHU_MORE;
	struct pv_vhu_decoder decoder;

	pv_vhu_decoder_init(&decoder, direction);
	for (uint32_t at = 0; at < count;) {
		uint32_t some = pv_vhu_decoder_wants(&decoder);

		decoded = pv_vhu_decoder_feed(&decoder, bytes + at, some, message->fd,
		                              at == 0 ? message->fds : 0);
		at += some;
	}
	pv_bug_on(decoded != PV_VHU_MESSAGE || decoder.message.size != message->size);
	pv_bug_on(memcmp(&decoder.message.payload, &message->payload, message->size) != 0);
}

static void check(enum pv_vhu_direction direction, const struct pv_vhu_message *message)
{
	pv_bug_on(message->size > sizeof(message->payload) || message->fds > VHOST_USER_FDS);
	pv_bug_on(strcmp(pv_vhu_request_name(direction, message->request), "unknown") == 0);
	for (uint32_t i = 0; i < message->fds; i++)
		pv_bug_on(message->fd[i] < 0);
	send_again(direction, message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	enum pv_vhu_direction direction = fuzz_u8(&input) % 3;
	struct pv_vhu_decoder decoder;
	int fd[FDS];

	for (int i = 0; i < FDS; i++)
		fd[i] = 1000 + i; /* nobody's: nothing here makes a system call */
	pv_vhu_decoder_init(&decoder, direction);
	while (input.bytes > 0) {
		uint8_t how = fuzz_u8(&input);
		uint32_t wants = pv_vhu_decoder_wants(&decoder);
		uint32_t count = how & 0x80 ? 1 + (how & 7u) : wants;
		uint32_t fds = how >> 3 & 15;
		enum pv_vhu_decoded decoded;

		pv_bug_on(wants == 0);
		if (count > wants)
			count = wants;
		if (count > input.bytes)
			break;
		decoded = pv_vhu_decoder_feed(&decoder, input.data, count, fd, fds);
		input.data += count;
		input.bytes -= count;
		if (decoded == PV_VHU_ERROR) {
			pv_bug_on(decoder.error[0] == '\0');
			break;
		}
		if (decoded == PV_VHU_MESSAGE)
			check(direction, &decoder.message);
	}
	return 0;
}
