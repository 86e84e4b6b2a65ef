/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost-user messages: what is taken in, and the sentence for what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "hosted/vhost_user/codec.h"

struct wire {
	uint8_t bytes[2048];
	uint32_t count;
	int fd[16];
	uint32_t fds;
};

static struct wire wire_of(uint32_t request, uint32_t flags, const void *payload, uint32_t bytes,
                           uint32_t fds)
{
	struct wire wire = { .fds = fds };

	for (int i = 0; i < 16; i++)
		wire.fd[i] = 100 + i;
	wire.count = pv_vhu_encode(wire.bytes, request, flags, payload, bytes);
	return wire;
}

/* Feeds as a reader of a socket does, in pieces of at most `piece`. Stops after one message. */
static enum pv_vhu_decoded feed(struct pv_vhu_decoder *decoder, const struct wire *wire,
                                uint32_t piece)
{
	enum pv_vhu_decoded decoded = PV_VHU_MORE;
	uint32_t fds = wire->fds;

	for (uint32_t at = 0; decoded == PV_VHU_MORE && at < wire->count;) {
		uint32_t count = pv_vhu_decoder_wants(decoder);

		assert_true(count > 0);
		count = count < piece ? count : piece;
		count = count < wire->count - at ? count : wire->count - at;
		decoded = pv_vhu_decoder_feed(decoder, wire->bytes + at, count, wire->fd, fds);
		fds = 0;
		at += count;
	}
	return decoded;
}

static void expect_taken(enum pv_vhu_direction direction, const struct wire *wire)
{
	struct pv_vhu_decoder decoder;

	for (uint32_t piece = 1; piece < 400; piece = piece * 2 + 1) {
		pv_vhu_decoder_init(&decoder, direction);
		if (feed(&decoder, wire, piece) != PV_VHU_MESSAGE)
			fail_msg("refused: %s", decoder.error);
		assert_int_equal(decoder.message.fds, wire->fds);
		for (uint32_t i = 0; i < wire->fds; i++)
			assert_int_equal(decoder.message.fd[i], wire->fd[i]);
		assert_memory_equal(&decoder.message.payload,
		                    wire->bytes + sizeof(struct vhost_user_header),
		                    decoder.message.size);
		assert_int_equal(pv_vhu_decoder_wants(&decoder), 12);
	}
}

static void expect_refused(enum pv_vhu_direction direction, const struct wire *wire,
                           const char *sentence)
{
	struct pv_vhu_decoder decoder;

	for (uint32_t piece = 1; piece < 400; piece = piece * 2 + 1) {
		pv_vhu_decoder_init(&decoder, direction);
		assert_int_equal(feed(&decoder, wire, piece), PV_VHU_ERROR);
		assert_string_equal(decoder.error, sentence);
	}
}

/* ---- a table of every request: its payload's size and its descriptors ---- */

struct request {
	uint32_t number;
	uint32_t bytes;
	uint32_t fds;
	const char *name;
};

static const struct request requests[] = {
	{ 1, 0, 0, "GET_FEATURES" },
	{ 2, 8, 0, "SET_FEATURES" },
	{ 3, 0, 0, "SET_OWNER" },
	{ 4, 0, 0, "RESET_OWNER" },
	{ 6, 16, 1, "SET_LOG_BASE" },
	{ 7, 0, 1, "SET_LOG_FD" },
	{ 8, 8, 0, "SET_VRING_NUM" },
	{ 9, 40, 0, "SET_VRING_ADDR" },
	{ 10, 8, 0, "SET_VRING_BASE" },
	{ 11, 8, 0, "GET_VRING_BASE" },
	{ 12, 8, 1, "SET_VRING_KICK" },
	{ 13, 8, 1, "SET_VRING_CALL" },
	{ 14, 8, 1, "SET_VRING_ERR" },
	{ 15, 0, 0, "GET_PROTOCOL_FEATURES" },
	{ 16, 8, 0, "SET_PROTOCOL_FEATURES" },
	{ 17, 0, 0, "GET_QUEUE_NUM" },
	{ 18, 8, 0, "SET_VRING_ENABLE" },
	{ 19, 8, 0, "SEND_RARP" },
	{ 20, 8, 0, "NET_SET_MTU" },
	{ 21, 0, 1, "SET_BACKEND_REQ_FD" },
	{ 34, 0, 0, "RESET_DEVICE" },
	{ 35, 8, 0, "VRING_KICK" },
	{ 36, 0, 0, "GET_MAX_MEM_SLOTS" },
	{ 37, 40, 1, "ADD_MEM_REG" },
	{ 39, 8, 0, "SET_STATUS" },
	{ 40, 0, 0, "GET_STATUS" },
	{ 42, 8, 1, "SET_DEVICE_STATE_FD" },
	{ 43, 0, 0, "CHECK_DEVICE_STATE" },
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

static const uint8_t zeros[1024];

static void each_request_is_taken_with_its_payload_and_descriptors(void **state)
{
	(void)state;
	for (size_t i = 0; i < REQUESTS; i++) {
		const struct request *r = &requests[i];
		struct wire plain = wire_of(r->number, 0, zeros, r->bytes, r->fds);
		struct wire acked =
			wire_of(r->number, VHOST_USER_FLAG_NEED_REPLY, zeros, r->bytes, r->fds);

		expect_taken(PV_VHU_FROM_FRONTEND, &plain);
		expect_taken(PV_VHU_FROM_FRONTEND, &acked);
		assert_string_equal(pv_vhu_request_name(PV_VHU_FROM_FRONTEND, r->number), r->name);
	}
}

static void each_request_is_refused_with_a_byte_more_or_less(void **state)
{
	char sentence[128];

	(void)state;
	for (size_t i = 0; i < REQUESTS; i++) {
		const struct request *r = &requests[i];

		for (uint32_t bytes = r->bytes ? r->bytes - 1 : 1; bytes <= r->bytes + 1;
		     bytes += 2) {
			struct wire wire = wire_of(r->number, 0, zeros, bytes, r->fds);

			snprintf(sentence, sizeof(sentence),
			         "%s with a payload of %u bytes, %u expected", r->name, bytes,
			         r->bytes);
			expect_refused(PV_VHU_FROM_FRONTEND, &wire, sentence);
		}
	}
}

static void each_request_is_refused_with_a_descriptor_more_or_less(void **state)
{
	char sentence[128];

	(void)state;
	for (size_t i = 0; i < REQUESTS; i++) {
		const struct request *r = &requests[i];

		for (uint32_t fds = r->fds ? 0 : 1; fds <= 2; fds += 2) {
			struct wire wire = wire_of(r->number, 0, zeros, r->bytes, fds);

			snprintf(sentence, sizeof(sentence), "%s with %u descriptor%s, %u expected",
			         r->name, fds, fds == 1 ? "" : "s", r->fds);
			expect_refused(PV_VHU_FROM_FRONTEND, &wire, sentence);
		}
	}
}

static void a_region_may_be_removed_with_or_without_its_descriptor(void **state)
{
	struct wire without = wire_of(VHOST_USER_REM_MEM_REG, 0, zeros, 40, 0);
	struct wire with = wire_of(VHOST_USER_REM_MEM_REG, 0, zeros, 40, 1);
	struct wire two = wire_of(VHOST_USER_REM_MEM_REG, 0, zeros, 40, 2);

	(void)state;
	expect_taken(PV_VHU_FROM_FRONTEND, &without);
	expect_taken(PV_VHU_FROM_FRONTEND, &with);
	expect_refused(PV_VHU_FROM_FRONTEND, &two,
	               "REM_MEM_REG with 2 descriptors, at most 1 expected");
}

/* ---- what is in flight ---- */

/* Whether a compiler's padding belongs to the payload, implementations do not agree. */
static void an_in_flight_region_comes_with_or_without_padding(void **state)
{
	(void)state;
	for (uint32_t bytes = 19; bytes <= 25; bytes++) {
		struct wire get = wire_of(VHOST_USER_GET_INFLIGHT_FD, 0, zeros, bytes, 0);
		struct wire set = wire_of(VHOST_USER_SET_INFLIGHT_FD, 0, zeros, bytes, 1);
		char sentence[128];

		if (bytes >= 20 && bytes <= 24) {
			expect_taken(PV_VHU_FROM_FRONTEND, &get);
			expect_taken(PV_VHU_FROM_FRONTEND, &set);
			continue;
		}
		snprintf(sentence, sizeof(sentence),
		         "GET_INFLIGHT_FD with a payload of %u bytes, 20 to 24 expected", bytes);
		expect_refused(PV_VHU_FROM_FRONTEND, &get, sentence);
		snprintf(sentence, sizeof(sentence),
		         "SET_INFLIGHT_FD with a payload of %u bytes, 20 to 24 expected", bytes);
		expect_refused(PV_VHU_FROM_FRONTEND, &set, sentence);
	}
}

static void an_in_flight_region_has_one_descriptor(void **state)
{
	struct wire get = wire_of(VHOST_USER_GET_INFLIGHT_FD, 0, zeros, 24, 1);
	struct wire none = wire_of(VHOST_USER_SET_INFLIGHT_FD, 0, zeros, 24, 0);
	struct wire two = wire_of(VHOST_USER_SET_INFLIGHT_FD, 0, zeros, 24, 2);

	(void)state;
	expect_refused(PV_VHU_FROM_FRONTEND, &get, "GET_INFLIGHT_FD with 1 descriptor, 0 expected");
	expect_refused(PV_VHU_FROM_FRONTEND, &none,
	               "SET_INFLIGHT_FD with 0 descriptors, 1 expected");
	expect_refused(PV_VHU_FROM_FRONTEND, &two,
	               "SET_INFLIGHT_FD with 2 descriptors, 1 expected");
}

static void only_an_in_flight_region_comes_with_an_answer(void **state)
{
	const struct vhost_user_inflight inflight = { .mmap_size = 4096 };
	struct wire with = wire_of(VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_FLAG_REPLY, &inflight,
	                           sizeof(inflight), 1);
	struct wire without = wire_of(VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_FLAG_REPLY, &inflight,
	                              sizeof(inflight), 0);
	struct wire empty = wire_of(VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_FLAG_REPLY, zeros,
	                            sizeof(inflight), 0);
	struct wire empty_with = wire_of(VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_FLAG_REPLY, zeros,
	                                 sizeof(inflight), 1);
	struct wire other = wire_of(VHOST_USER_GET_FEATURES, VHOST_USER_FLAG_REPLY, zeros, 8, 1);

	(void)state;
	expect_taken(PV_VHU_REPLY, &with);
	expect_taken(PV_VHU_REPLY, &empty);
	expect_refused(PV_VHU_REPLY, &without,
	               "reply to GET_INFLIGHT_FD with 0 descriptors, 1 expected");
	expect_refused(PV_VHU_REPLY, &empty_with,
	               "reply to GET_INFLIGHT_FD with 1 descriptor, 0 expected");
	expect_refused(PV_VHU_REPLY, &other, "reply to GET_FEATURES with 1 descriptor, 0 expected");
}

/* ---- memory tables ---- */

static struct wire table_wire(uint32_t regions, uint32_t bytes, uint32_t fds)
{
	struct vhost_user_mem_table table = { .count = regions };
	uint8_t payload[512] = { 0 };

	memcpy(payload, &table, sizeof(table));
	return wire_of(VHOST_USER_SET_MEM_TABLE, 0, payload, bytes, fds);
}

static void a_memory_table_may_have_room_for_more_regions_than_it_lists(void **state)
{
	(void)state;
	for (uint32_t regions = 0; regions <= 8; regions++) {
		for (uint32_t room = regions; room <= 8; room++) {
			struct wire wire = table_wire(regions, 8 + 32 * room, regions);

			expect_taken(PV_VHU_FROM_FRONTEND, &wire);
		}
	}
}

static void a_memory_table_that_is_shorter_than_its_count_is_refused(void **state)
{
	struct wire wire = table_wire(2, 71, 2);

	(void)state;
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "SET_MEM_TABLE of 2 regions with a payload of 71 bytes, 72 expected");
	wire = table_wire(9, 264, 8);
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "SET_MEM_TABLE of 9 regions, at most 8 expected");
	wire = table_wire(UINT32_MAX, 264, 8);
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "SET_MEM_TABLE of 4294967295 regions, at most 8 expected");
	wire = table_wire(0, 7, 0);
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "SET_MEM_TABLE with a payload of 7 bytes, 8 to 264 expected");
	wire = table_wire(8, 265, 8);
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "SET_MEM_TABLE with a payload of 265 bytes, 8 to 264 expected");
}

static void a_memory_table_has_one_descriptor_for_each_region(void **state)
{
	struct wire wire = table_wire(2, 72, 1);

	(void)state;
	expect_refused(PV_VHU_FROM_FRONTEND, &wire, "SET_MEM_TABLE with 1 descriptor, 2 expected");
	wire = table_wire(2, 72, 3);
	expect_refused(PV_VHU_FROM_FRONTEND, &wire, "SET_MEM_TABLE with 3 descriptors, 2 expected");
}

/* ---- configuration ---- */

static struct wire config_wire(uint32_t request, uint32_t flags, uint32_t size, uint32_t bytes)
{
	struct vhost_user_config config = { .offset = 4, .size = size };

	uint8_t payload[512] = { 0 };

	memcpy(payload, &config, sizeof(config));
	return wire_of(request, flags, payload, bytes, 0);
}

static void configuration_is_as_long_as_its_size_says(void **state)
{
	(void)state;
	for (uint32_t request = VHOST_USER_GET_CONFIG; request <= VHOST_USER_SET_CONFIG;
	     request++) {
		struct wire least = config_wire(request, 0, 1, 13);
		struct wire most = config_wire(request, 0, 256, 268);

		expect_taken(PV_VHU_FROM_FRONTEND, &least);
		expect_taken(PV_VHU_FROM_FRONTEND, &most);
	}
}

static void configuration_of_another_length_is_refused(void **state)
{
	struct wire wire = config_wire(VHOST_USER_GET_CONFIG, 0, 8, 19);

	(void)state;
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "GET_CONFIG of 8 bytes of configuration with a payload of 19, 20 expected");
	wire = config_wire(VHOST_USER_SET_CONFIG, 0, UINT32_MAX - 11, 13);
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "SET_CONFIG of 4294967284 bytes of configuration, 1 to 256 expected");
	wire = config_wire(VHOST_USER_SET_CONFIG, 0, 0, 13);
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "SET_CONFIG of 0 bytes of configuration, 1 to 256 expected");
	wire = config_wire(VHOST_USER_SET_CONFIG, 0, 0, 12);
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "SET_CONFIG with a payload of 12 bytes, 13 to 268 expected");
	wire = config_wire(VHOST_USER_GET_CONFIG, 0, 257, 269);
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "GET_CONFIG with a payload of 269 bytes, 13 to 268 expected");
}

/* ---- kick, call and error descriptors ---- */

static void a_queue_without_a_descriptor_says_so(void **state)
{
	(void)state;
	for (uint32_t request = VHOST_USER_SET_VRING_KICK; request <= VHOST_USER_SET_VRING_ERR;
	     request++) {
		uint64_t with = 255;
		uint64_t without = 3 | VHOST_USER_VRING_NO_FD;
		struct wire wire = wire_of(request, 0, &with, 8, 1);
		char sentence[128];

		expect_taken(PV_VHU_FROM_FRONTEND, &wire);
		wire = wire_of(request, 0, &without, 8, 0);
		expect_taken(PV_VHU_FROM_FRONTEND, &wire);
		wire = wire_of(request, 0, &without, 8, 1);
		snprintf(sentence, sizeof(sentence), "%s with 1 descriptor, 0 expected",
		         pv_vhu_request_name(PV_VHU_FROM_FRONTEND, request));
		expect_refused(PV_VHU_FROM_FRONTEND, &wire, sentence);
	}
}

static void a_queue_index_with_unknown_bits_is_refused(void **state)
{
	uint64_t word = 0x200;
	struct wire wire = wire_of(VHOST_USER_SET_VRING_CALL, 0, &word, 8, 1);

	(void)state;
	expect_refused(PV_VHU_FROM_FRONTEND, &wire, "SET_VRING_CALL with unknown bits in 0x200");
}

/* ---- headers ---- */

static void unknown_requests_are_refused_in_every_direction(void **state)
{
	struct wire wire = wire_of(77, 0, zeros, 0, 0);
	struct wire reply = wire_of(77, VHOST_USER_FLAG_REPLY, zeros, 8, 0);

	(void)state;
	expect_refused(PV_VHU_FROM_FRONTEND, &wire, "unknown request 77");
	expect_refused(PV_VHU_FROM_BACKEND, &wire, "unknown request 77");
	expect_refused(PV_VHU_REPLY, &reply, "unknown reply 77");
	wire = wire_of(VHOST_USER_SET_OWNER, 0, zeros, 0, 0);
	expect_refused(PV_VHU_FROM_BACKEND, &wire, "unknown request 3");
	assert_string_equal(pv_vhu_request_name(PV_VHU_FROM_FRONTEND, 77), "unknown");
}

static void another_protocol_version_is_refused(void **state)
{
	struct vhost_user_header header = { VHOST_USER_SET_OWNER, 0, 0 };
	struct wire wire = { .count = sizeof(header) };

	(void)state;
	memcpy(wire.bytes, &header, sizeof(header));
	expect_refused(PV_VHU_FROM_FRONTEND, &wire, "message 3 of protocol version 0, 1 expected");
	header.flags = 2;
	memcpy(wire.bytes, &header, sizeof(header));
	expect_refused(PV_VHU_FROM_FRONTEND, &wire, "message 3 of protocol version 2, 1 expected");
}

static void a_request_is_no_reply_and_a_reply_no_request(void **state)
{
	struct wire reply = wire_of(VHOST_USER_SET_FEATURES, VHOST_USER_FLAG_REPLY, zeros, 8, 0);
	struct wire request = wire_of(VHOST_USER_SET_FEATURES, 0, zeros, 8, 0);

	(void)state;
	expect_taken(PV_VHU_REPLY, &reply);
	expect_refused(PV_VHU_FROM_FRONTEND, &reply, "SET_FEATURES marked as a reply");
	expect_taken(PV_VHU_FROM_FRONTEND, &request);
	expect_refused(PV_VHU_REPLY, &request, "SET_FEATURES where a reply is expected");
}

static void a_giant_size_is_refused_before_a_byte_of_it_is_read(void **state)
{
	struct vhost_user_header header = { VHOST_USER_SET_MEM_TABLE, 1, UINT32_MAX };
	struct wire wire = { .count = sizeof(header) };

	(void)state;
	memcpy(wire.bytes, &header, sizeof(header));
	expect_refused(PV_VHU_FROM_FRONTEND, &wire,
	               "SET_MEM_TABLE with a payload of 4294967295 bytes, 8 to 264 expected");
}

/* ---- replies and the back-end's requests ---- */

static void replies_have_the_payload_of_what_they_answer(void **state)
{
	const uint32_t flag = VHOST_USER_FLAG_REPLY;
	struct wire wire = wire_of(VHOST_USER_GET_FEATURES, flag, zeros, 8, 0);

	(void)state;
	expect_taken(PV_VHU_REPLY, &wire);
	wire = wire_of(VHOST_USER_SET_MEM_TABLE, flag, zeros, 8, 0);
	expect_taken(PV_VHU_REPLY, &wire);
	wire = wire_of(VHOST_USER_GET_VRING_BASE, flag, zeros, 8, 0);
	expect_taken(PV_VHU_REPLY, &wire);
	wire = config_wire(VHOST_USER_GET_CONFIG, flag, 60, 72);
	expect_taken(PV_VHU_REPLY, &wire);
	wire = wire_of(VHOST_USER_GET_CONFIG, flag, zeros, 0, 0);
	expect_taken(PV_VHU_REPLY, &wire);
	wire = wire_of(VHOST_USER_GET_FEATURES, flag, zeros, 4, 0);
	expect_refused(PV_VHU_REPLY, &wire,
	               "reply to GET_FEATURES with a payload of 4 bytes, 8 expected");
	wire = wire_of(VHOST_USER_GET_FEATURES, flag, zeros, 8, 1);
	expect_refused(PV_VHU_REPLY, &wire, "reply to GET_FEATURES with 1 descriptor, 0 expected");
	wire = config_wire(VHOST_USER_GET_CONFIG, flag, 60, 73);
	expect_refused(PV_VHU_REPLY, &wire,
	               "reply to GET_CONFIG of 60 bytes of configuration with a payload of 73, 72 "
	               "expected");
}

static void a_backends_requests_are_known_on_its_own_channel(void **state)
{
	struct wire change = wire_of(VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, zeros, 0, 0);
	struct wire call = wire_of(VHOST_USER_BACKEND_VRING_CALL, 0, zeros, 8, 0);
	struct wire error = wire_of(VHOST_USER_BACKEND_VRING_ERR, 8, zeros, 8, 0);

	(void)state;
	expect_taken(PV_VHU_FROM_BACKEND, &change);
	expect_taken(PV_VHU_FROM_BACKEND, &call);
	expect_taken(PV_VHU_FROM_BACKEND, &error);
	change = wire_of(VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, zeros, 8, 0);
	expect_refused(PV_VHU_FROM_BACKEND, &change,
	               "CONFIG_CHANGE_MSG with a payload of 8 bytes, 0 expected");
}

/* ---- descriptors ---- */

static void too_many_descriptors_are_an_error_and_none_is_lost(void **state)
{
	struct pv_vhu_decoder decoder;
	struct wire wire = table_wire(8, 264, 8);

	(void)state;
	pv_vhu_decoder_init(&decoder, PV_VHU_FROM_FRONTEND);
	assert_int_equal(pv_vhu_decoder_feed(&decoder, wire.bytes, 12, wire.fd, 8), PV_VHU_MORE);
	assert_int_equal(pv_vhu_decoder_feed(&decoder, wire.bytes + 12, 1, wire.fd + 8, 8),
	                 PV_VHU_ERROR);
	assert_string_equal(decoder.error, "more than 8 descriptors with one message");
	assert_int_equal(decoder.message.fds, 16);
	for (int i = 0; i < 16; i++)
		assert_int_equal(decoder.message.fd[i], 100 + i);

	pv_vhu_decoder_init(&decoder, PV_VHU_FROM_FRONTEND);
	assert_int_equal(pv_vhu_decoder_feed(&decoder, wire.bytes, 12, wire.fd, 9), PV_VHU_ERROR);
	assert_int_equal(decoder.message.fds, 8);
}

static void descriptors_are_not_carried_into_the_next_message(void **state)
{
	struct pv_vhu_decoder decoder;
	uint64_t index = 0;
	struct wire kick = wire_of(VHOST_USER_SET_VRING_KICK, 0, &index, 8, 1);
	struct wire owner = wire_of(VHOST_USER_SET_OWNER, 0, zeros, 0, 0);

	(void)state;
	pv_vhu_decoder_init(&decoder, PV_VHU_FROM_FRONTEND);
	assert_int_equal(feed(&decoder, &kick, 400), PV_VHU_MESSAGE);
	assert_int_equal(feed(&decoder, &owner, 400), PV_VHU_MESSAGE);
	assert_int_equal(decoder.message.request, VHOST_USER_SET_OWNER);
	assert_int_equal(decoder.message.fds, 0);
	assert_int_equal(decoder.message.fd[0], -1);
}

/* ---- a stream of anything ---- */

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % bound;
}

static void seed_from_environment(void)
{
	const char *text = getenv("PV_SEED");

	random_state = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
	print_message("PV_SEED=%llu\n", (unsigned long long)random_state);
}

/* A message that is right but for a few bytes. */
static struct wire nearly_right(void)
{
	const struct request *r = &requests[random_below(REQUESTS)];
	struct wire wire = wire_of(r->number, random_below(2) * 8, zeros, r->bytes, r->fds);

	for (uint32_t changes = random_below(4); changes; changes--)
		wire.bytes[random_below(wire.count)] = (uint8_t)random_below(256);
	wire.count -= random_below(8) == 0 ? random_below(wire.count) : 0;
	return wire;
}

static void any_bytes_end_in_a_message_a_wait_or_a_sentence(void **state)
{
	(void)state;
	seed_from_environment();
	for (int round = 0; round < 200000; round++) {
		struct wire wire = nearly_right();
		struct pv_vhu_decoder decoder;
		enum pv_vhu_decoded decoded;

		pv_vhu_decoder_init(&decoder, (enum pv_vhu_direction)random_below(3));
		decoded = feed(&decoder, &wire, 1 + random_below(64));
		assert_int_equal(decoded == PV_VHU_ERROR, decoder.error[0] != '\0');
		assert_true(decoder.message.fds <= wire.fds);
		assert_true(pv_vhu_decoder_wants(&decoder) <= sizeof(decoder.bytes) ||
		            decoded == PV_VHU_ERROR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_taken_with_its_payload_and_descriptors),
		cmocka_unit_test(each_request_is_refused_with_a_byte_more_or_less),
		cmocka_unit_test(each_request_is_refused_with_a_descriptor_more_or_less),
		cmocka_unit_test(a_region_may_be_removed_with_or_without_its_descriptor),
		cmocka_unit_test(an_in_flight_region_comes_with_or_without_padding),
		cmocka_unit_test(an_in_flight_region_has_one_descriptor),
		cmocka_unit_test(only_an_in_flight_region_comes_with_an_answer),
		cmocka_unit_test(a_memory_table_may_have_room_for_more_regions_than_it_lists),
		cmocka_unit_test(a_memory_table_that_is_shorter_than_its_count_is_refused),
		cmocka_unit_test(a_memory_table_has_one_descriptor_for_each_region),
		cmocka_unit_test(configuration_is_as_long_as_its_size_says),
		cmocka_unit_test(configuration_of_another_length_is_refused),
		cmocka_unit_test(a_queue_without_a_descriptor_says_so),
		cmocka_unit_test(a_queue_index_with_unknown_bits_is_refused),
		cmocka_unit_test(unknown_requests_are_refused_in_every_direction),
		cmocka_unit_test(another_protocol_version_is_refused),
		cmocka_unit_test(a_request_is_no_reply_and_a_reply_no_request),
		cmocka_unit_test(a_giant_size_is_refused_before_a_byte_of_it_is_read),
		cmocka_unit_test(replies_have_the_payload_of_what_they_answer),
		cmocka_unit_test(a_backends_requests_are_known_on_its_own_channel),
		cmocka_unit_test(too_many_descriptors_are_an_error_and_none_is_lost),
		cmocka_unit_test(descriptors_are_not_carried_into_the_next_message),
		cmocka_unit_test(any_bytes_end_in_a_message_a_wait_or_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
