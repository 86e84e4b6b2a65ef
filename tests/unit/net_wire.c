/* SPDX-License-Identifier: BSD-2-Clause */
/* Wires that need nobody else: the one that ends in nothing, and the one that gives back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/support/wire_rig.h"

static const struct pv_net_wire_options null_wire = { .kind = PV_NET_WIRE_NULL };
static const struct pv_net_wire_options echo_wire = { .kind = PV_NET_WIRE_ECHO };

static void null_takes_everything_and_gives_nothing(void **state)
{
	uint8_t frame[PV_NET_FRAME_MAX];
	struct wire_rig rig;

	(void)state;
	wire_rig_open(&rig, null_wire);
	assert_true(rig.wire->knows_headers);
	rig.to_send = 1000;
	wire_rig_run(&rig);
	assert_int_equal(wire_rig_receive(&rig, NULL, frame), 0);
	assert_string_equal(pv_net_wire_text(rig.wire), "null network");
	wire_rig_close(&rig);
}

static void echo_gives_back_what_it_takes_in_order_and_intact(void **state)
{
	struct wire_rig rig;

	(void)state;
	wire_rig_open(&rig, echo_wire);
	rig.to_send = rig.to_receive = 10000;
	rig.frame_max = 9014;
	wire_rig_run(&rig);
	assert_int_equal(rig.received, 10000);
	assert_string_equal(pv_net_wire_text(rig.wire), "echo network");
	wire_rig_close(&rig);
}

static void echo_takes_the_longest_frame_and_the_shortest(void **state)
{
	static uint8_t frame[PV_NET_FRAME_MAX], back[PV_NET_FRAME_MAX];
	const uint32_t lengths[] = { PV_NET_FRAME_MAX, PV_NET_FRAME_MIN, PV_NET_FRAME_MAX - 1 };
	struct wire_rig rig;

	(void)state;
	memset(frame, 0x5a, sizeof(frame));
	wire_rig_open(&rig, echo_wire);
	for (size_t i = 0; i < 3; i++) {
		assert_true(wire_rig_send(&rig, NULL, frame, lengths[i]));
		assert_int_equal(wire_rig_receive(&rig, NULL, back), lengths[i]);
		assert_memory_equal(frame, back, lengths[i]);
	}
	wire_rig_close(&rig);
}

/* Fills it, takes a little, fills it again, so that all places come to be its end. */
static void a_full_echo_says_so_and_loses_nothing(void **state)
{
	static uint8_t frame[PV_NET_FRAME_MAX], back[PV_NET_FRAME_MAX];
	uint32_t sent = 0, received = 0, bytes;
	struct wire_rig rig;

	(void)state;
	wire_rig_open(&rig, echo_wire);
	while (sent < 20000) {
		bytes = wire_rig_frame(sent, 5000, frame);
		if (wire_rig_send(&rig, NULL, frame, bytes)) {
			sent++;
			continue;
		}
		assert_true(sent > received);
		for (uint32_t n = 1 + pv_random_below(&rig.random, 40); n && received < sent; n--) {
			bytes = wire_rig_receive(&rig, NULL, back);
			assert_int_equal(bytes, wire_rig_frame(received++, 5000, frame));
			assert_memory_equal(back, frame, bytes);
		}
	}
	for (; received < sent; received++) {
		bytes = wire_rig_receive(&rig, NULL, back);
		assert_int_equal(bytes, wire_rig_frame(received, 5000, frame));
		assert_memory_equal(back, frame, bytes);
	}
	assert_int_equal(wire_rig_receive(&rig, NULL, back), 0);
	wire_rig_close(&rig);
}

static void echo_keeps_pairs_apart(void **state)
{
	struct pv_net_wire_options options = echo_wire;
	uint8_t frame[PV_NET_FRAME_MAX] = { 0 }, back[PV_NET_FRAME_MAX];
	struct wire_rig rig;

	(void)state;
	options.pairs = 3;
	wire_rig_open(&rig, options);
	assert_int_equal(rig.wire->sources, 3);
	for (rig.pair = 0; rig.pair < 3; rig.pair++) {
		frame[0] = (uint8_t)rig.pair;
		assert_true(wire_rig_send(&rig, NULL, frame, 60));
	}
	while (rig.pair-- > 0) {
		assert_int_equal(wire_rig_receive(&rig, NULL, back), 60);
		assert_int_equal(back[0], rig.pair);
		assert_int_equal(wire_rig_receive(&rig, NULL, back), 0);
	}
	wire_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_takes_everything_and_gives_nothing),
		cmocka_unit_test(echo_gives_back_what_it_takes_in_order_and_intact),
		cmocka_unit_test(echo_takes_the_longest_frame_and_the_shortest),
		cmocka_unit_test(a_full_echo_says_so_and_loses_nothing),
		cmocka_unit_test(echo_keeps_pairs_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
