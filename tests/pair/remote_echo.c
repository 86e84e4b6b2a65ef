/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network device that another process of ours serves, on a wire that gives back what it takes,
 * behind our transports, with our driver in front.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/net/net.h"
#include "tests/support/remote_rig.h"
#include "tests/support/server.h"

#define PAIRS       2u
#define FRAMES      16u
#define FRAME_BYTES 1200u
#define TURNS_MAX   20000

static struct server server;
static struct remote_rig rig;
static struct pv_netdrv *net;
static uint8_t *memory[FRAMES];
static struct pv_buffer buffer[FRAMES];
static struct pv_netdrv_packet packet[FRAMES];
static uint32_t came[PAIRS], right[PAIRS];
static uint8_t salt;

/* ---- from the beginning to the end ---- */

static void received(struct pv_netdrv_queue *rx, const struct pv_netdrv_received *frame, void *arg)
{
	const uint8_t *bytes = (const uint8_t *)frame->buffer->memory.memory + frame->buffer->at;
	uint16_t pair = rx == pv_netdrv_rx(net, 0) ? 0 : 1;

	(void)arg;
	came[pair]++;
	right[pair] += frame->bytes == FRAME_BYTES && frame->buffer->bytes == FRAME_BYTES &&
	               bytes[FRAME_BYTES - 1] == salt && bytes[20] == salt;
}

static void open_all(enum remote_bus kind, uint64_t without)
{
	const struct pv_netdrv_options options = {
		.wanted = PV_NETDRV_FEATURES & ~without,
		.pairs = PAIRS,
		.queue_size = 32,
		.own_buffer_bytes = 2048,
		.received = received,
	};
	struct pv_gpa gpa;

	remote_rig_init(&rig, PV_REMOTE_NET, kind);
	rig.path = server.socket;
	rig.options.net.pairs = PAIRS;
	rig.options.net.mac[5] = 2;
	rig.options.reconnects = true;
	if (remote_rig_open(&rig))
		fail_msg("%s", rig.sentence);
	assert_int_equal(pv_netdrv_create(&net, rig.bus, &rig.guest.base.os, &options), 0);
	assert_int_equal(pv_netdrv_info(net)->pairs, PAIRS);
	assert_true(pv_netdrv_link(net).is_up);
	assert_int_equal(pv_netdrv_set_pairs(net, PAIRS), 0);
	remote_rig_set_vectors(&rig);
	for (uint32_t i = 0; i < FRAMES; i++) {
		memory[i] = rig.guest.base.os.ops->shared_alloc(&rig.guest.base.os, FRAME_BYTES, 64,
		                                                &gpa);
		assert_non_null(memory[i]);
	}
}

static void close_all(void)
{
	pv_netdrv_destroy(net);
	remote_rig_close(&rig);
}

/* ---- a load ---- */

static void send_all(void)
{
	salt++;
	for (uint32_t i = 0; i < FRAMES; i++) {
		memset(memory[i], salt, FRAME_BYTES);
		buffer[i] = (struct pv_buffer){ .memory = memory[i], .bytes = FRAME_BYTES };
		packet[i] = (struct pv_netdrv_packet){ .buffer = &buffer[i], .buffers = 1 };
		assert_int_equal(
			pv_netdrv_send(pv_netdrv_tx(net, (uint16_t)(i % PAIRS)), &packet[i]), 0);
	}
	for (uint16_t pair = 0; pair < PAIRS; pair++)
		pv_netdrv_publish(pv_netdrv_tx(net, pair));
}

static void poll_all(void)
{
	for (uint16_t pair = 0; pair < PAIRS; pair++) {
		pv_netdrv_poll(pv_netdrv_tx(net, pair), 0);
		pv_netdrv_poll(pv_netdrv_rx(net, pair), 0);
	}
	rig.guest.base.os.ops->wait(&rig.guest.base.os, 0);
}

static bool are_all_sent(void)
{
	for (uint32_t i = 0; i < FRAMES; i++)
		if (!packet[i].is_done)
			return false;
	return true;
}

/* Each pair gives back what it took. */
static void round_trip(void)
{
	memset(came, 0, sizeof(came));
	memset(right, 0, sizeof(right));
	send_all();
	for (int i = 0; came[0] + came[1] < FRAMES || !are_all_sent(); i++) {
		assert_in_range(i, 0, TURNS_MAX);
		poll_all();
	}
	for (uint16_t pair = 0; pair < PAIRS; pair++) {
		assert_int_equal(came[pair], FRAMES / PAIRS);
		assert_int_equal(right[pair], FRAMES / PAIRS);
	}
}

/* ---- the tests ---- */

static void frames_come_back_on_every_bus_and_ring(void **state)
{
	static const uint64_t without[] = { 0, VIRTIO_F_RING_PACKED,
		                            VIRTIO_F_RING_PACKED | VIRTIO_NET_F_MRG_RXBUF };

	(void)state;
	for (int kind = 0; kind < REMOTE_BUSES; kind++)
		for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
			open_all((enum remote_bus)kind, without[i]);
			for (int turn = 0; turn < 20; turn++)
				round_trip();
			close_all();
		}
}

static void a_queue_is_reset_and_works_again(void **state)
{
	(void)state;
	open_all(REMOTE_ON_PCI, 0);
	for (int i = 0; i < 3; i++) {
		round_trip();
		assert_int_equal(pv_netdrv_queue_reset(pv_netdrv_rx(net, 1)), 0);
		assert_int_equal(pv_netdrv_queue_reset(pv_netdrv_tx(net, 1)), 0);
		round_trip();
	}
	close_all();
}

/* Frames that were with it may be lost; the driver is not told, and the pairs are still two. */
static void a_back_end_that_was_killed_is_followed_by_another(void **state)
{
	(void)state;
	open_all(REMOTE_ON_PCI, 0);
	for (int i = 0; i < 3; i++) {
		round_trip();
		send_all();
		server_kill(&server);
		server_start_again(&server);
		for (int turn = 0; !pv_remote_is_connected(rig.remote) || !are_all_sent(); turn++) {
			assert_in_range(turn, 0, TURNS_MAX);
			poll_all();
		}
		/* What is still under way, so that it is not taken for the next ones. */
		for (int turn = 0; turn < 50; turn++)
			poll_all();
		round_trip();
	}
	assert_false(pv_netdrv_is_broken(net));
	close_all();
}

static int setup(void **state)
{
	(void)state;
	server_start_net(&server, "echo,queues=2");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_back_on_every_bus_and_ring),
		cmocka_unit_test(a_queue_is_reset_and_works_again),
		cmocka_unit_test(a_back_end_that_was_killed_is_followed_by_another),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
