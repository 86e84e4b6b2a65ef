/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire of a stream, against a peer on the same loop. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/descriptors.h"
#include "tests/support/wire_rig.h"

#define PATH "net_stream.sock"

/* ---- a peer that sends back each byte that it gets, in portions of its own ---- */

struct peer {
	int fd;
	bool is_deaf, is_mute;
	struct pv_watch *watch;
	struct pv_random random;
	uint64_t got;
	size_t first, next;
	uint8_t bytes[100000];
};

static void wake(void *arg, int events)
{
	(void)arg;
	(void)events;
}

static bool take_bytes(struct peer *peer)
{
	size_t room = sizeof(peer->bytes) - peer->next;
	ssize_t got;

	if (peer->is_deaf || room == 0)
		return false;
	got = recv(peer->fd, peer->bytes + peer->next,
	           1 + pv_random_below(&peer->random, (uint32_t)room), MSG_DONTWAIT);
	if (got <= 0)
		return false;
	peer->got += (size_t)got;
	peer->next += (size_t)got;
	return true;
}

static bool give_bytes(struct peer *peer)
{
	size_t there = peer->next - peer->first;
	ssize_t sent;

	if (peer->is_mute)
		peer->first = peer->next = there = 0;
	if (there == 0)
		return false;
	sent = send(peer->fd, peer->bytes + peer->first,
	            1 + pv_random_below(&peer->random, (uint32_t)there),
	            MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		peer->first += (size_t)sent;
	if (peer->first == peer->next)
		peer->first = peer->next = 0;
	return sent > 0;
}

static bool send_back(struct wire_rig *rig)
{
	struct peer *peer = rig->arg;
	bool has_worked = take_bytes(peer);

	return give_bytes(peer) || has_worked;
}

static void join(struct wire_rig *rig, struct peer *peer, int fd)
{
	memset(peer, 0, sizeof(*peer));
	peer->fd = fd;
	peer->random = pv_random_start(pv_random_seed(), 2);
	peer->watch = pv_loop_watch(rig->loop, peer->fd, POLLIN | POLLOUT, wake, NULL);
	rig->arg = peer;
	rig->also = send_back;
}

/* Nothing that holds the connection is left. */
static void leave(struct wire_rig *rig, struct peer *peer)
{
	rig->also = NULL;
	pv_loop_unwatch(rig->loop, peer->watch);
	wire_rig_run_ms(rig, 1);
	close(peer->fd);
}

static void open_couple(struct wire_rig *rig, struct peer *peer)
{
	struct pv_net_wire_options options = { .kind = PV_NET_WIRE_STREAM, .fds = 1 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	options.fd = &fd[0];
	wire_rig_open(rig, options);
	join(rig, peer, fd[1]);
}

static void close_couple(struct wire_rig *rig, struct peer *peer)
{
	wire_rig_close(rig);
	close(peer->fd);
}

static void frames_go_both_ways_in_order_and_intact(void **state)
{
	static struct peer peer;
	struct wire_rig rig;
	int before = descriptors_open();

	(void)state;
	open_couple(&rig, &peer);
	rig.frame_max = 9014;
	rig.to_send = rig.to_receive = 10000;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 0);
	assert_int_equal(pv_net_wire_counters(rig.wire).bad, 0);
	close_couple(&rig, &peer);
	assert_int_equal(descriptors_open(), before);
}

static void the_longest_frames_go_through(void **state)
{
	static struct peer peer;
	struct wire_rig rig;

	(void)state;
	open_couple(&rig, &peer);
	rig.frame_max = PV_NET_FRAME_MAX;
	rig.to_send = rig.to_receive = 300;
	wire_rig_run(&rig);
	close_couple(&rig, &peer);
}

static uint64_t bytes_on_stream(uint32_t frames, uint32_t max)
{
	static uint8_t frame[PV_NET_FRAME_MAX];
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < frames; i++)
		bytes += 4 + wire_rig_frame(i, max, frame);
	return bytes;
}

/* The end of the last frame comes too, with nothing sent after it. */
static void a_peer_that_does_not_read_stalls_the_sender_and_nothing_is_lost(void **state)
{
	static struct peer peer;
	struct wire_rig rig;
	uint32_t stalled_at;

	(void)state;
	open_couple(&rig, &peer);
	peer.is_deaf = peer.is_mute = true;
	rig.frame_max = PV_NET_FRAME_MAX;
	rig.to_send = 200;
	wire_rig_run_ms(&rig, 50);
	stalled_at = rig.sent;
	assert_in_range(stalled_at, 1, 199);
	wire_rig_run_ms(&rig, 50);
	assert_int_equal(rig.sent, stalled_at);
	rig.to_send = stalled_at;
	peer.is_deaf = false;
	wire_rig_run_ms(&rig, 100);
	assert_int_equal(peer.got, bytes_on_stream(stalled_at, rig.frame_max));
	rig.to_send = 200;
	wire_rig_run(&rig);
	wire_rig_run_ms(&rig, 100);
	assert_int_equal(peer.got, bytes_on_stream(200, rig.frame_max));
	close_couple(&rig, &peer);
}

/* ---- what is wrong ---- */

static void put(struct peer *peer, const void *bytes, size_t count)
{
	assert_int_equal(send(peer->fd, bytes, count, MSG_DONTWAIT), count);
}

static void put_frame(struct peer *peer, uint32_t number, uint32_t max)
{
	static uint8_t frame[PV_NET_FRAME_MAX];
	uint32_t bytes = wire_rig_frame(number, max, frame);
	uint32_t length = htobe32(bytes);

	put(peer, &length, sizeof(length));
	put(peer, frame, bytes);
}

static void a_length_that_is_no_frames_ends_the_connection(void **state)
{
	const uint32_t lengths[] = { 0, PV_NET_FRAME_MIN - 1, PV_NET_FRAME_MAX + 1, UINT32_MAX };
	static struct peer peer;
	struct wire_rig rig;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		uint32_t length = htobe32(lengths[i]);

		open_couple(&rig, &peer);
		peer.is_deaf = true;
		put_frame(&peer, 0, rig.frame_max);
		put(&peer, &length, sizeof(length));
		put_frame(&peer, 1, rig.frame_max);
		wire_rig_run_ms(&rig, 20);
		assert_int_equal(rig.received, 1);
		assert_int_equal(pv_net_wire_counters(rig.wire).bad, 1);
		assert_int_equal(recv(peer.fd, &length, 1, MSG_DONTWAIT), 0);
		close_couple(&rig, &peer);
	}
}

/* The device asks for no frame before it is over. */
static void whole_frames_of_a_peer_that_left_still_come(void **state)
{
	static struct peer peer;
	struct wire_rig rig;

	(void)state;
	open_couple(&rig, &peer);
	for (uint32_t i = 0; i < 20; i++)
		put_frame(&peer, i, rig.frame_max);
	put(&peer, "\0\0\1\0half a frame", 16);
	rig.receive_max = 0;
	leave(&rig, &peer);
	wire_rig_run_ms(&rig, 20);
	assert_int_equal(pv_net_wire_counters(rig.wire).bad, 1);
	rig.receive_max = UINT32_MAX;
	rig.to_receive = 20;
	wire_rig_run(&rig);
	wire_rig_run_ms(&rig, 5);
	assert_int_equal(rig.received, 20);
	wire_rig_close(&rig);
}

/* More than can be read ahead. */
static void no_frame_is_lost_when_the_peer_leaves_with_more_on_its_way(void **state)
{
	static struct peer peer;
	struct wire_rig rig;
	int bytes = 1 << 20;

	(void)state;
	open_couple(&rig, &peer);
	setsockopt(peer.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	for (uint32_t i = 0; i < 400; i++)
		put_frame(&peer, i, 1514);
	rig.receive_max = 0;
	leave(&rig, &peer);
	wire_rig_run_ms(&rig, 20);
	rig.receive_max = UINT32_MAX;
	rig.to_receive = 400;
	rig.to_send = 5;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).bad, 0);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 5);
	wire_rig_close(&rig);
}

/* ---- by a path ---- */

static const struct sockaddr_un at_path = { .sun_family = AF_UNIX, .sun_path = PATH };

static int listen_there(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	unlink(PATH);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at_path, sizeof(at_path)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static int call_there(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&at_path, sizeof(at_path)), 0);
	return fd;
}

static int accept_within(struct wire_rig *rig, int listener, int tries)
{
	int fd = -1;

	for (int i = 0; fd < 0 && i < tries; i++) {
		wire_rig_run_ms(rig, 10);
		fd = accept(listener, NULL, NULL);
	}
	return fd;
}

static void talk(struct wire_rig *rig, struct peer *peer, int fd)
{
	wire_rig_run_ms(rig, 10);
	join(rig, peer, fd);
	rig->to_send += 500;
	rig->to_receive += 500;
	rig->next = rig->sent;
	wire_rig_run(rig);
	leave(rig, peer);
	wire_rig_run_ms(rig, 5);
}

static void a_client_connects_late_and_again(void **state)
{
	const struct pv_net_wire_options options = { .kind = PV_NET_WIRE_STREAM,
		                                     .path = PATH,
		                                     .reconnect_ms = 20 };
	static struct peer peer;
	struct wire_rig rig;
	int listener, fd;

	(void)state;
	unlink(PATH);
	wire_rig_open(&rig, options);
	rig.to_send = 10;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 10);
	listener = listen_there();
	for (uint64_t i = 1; i <= 3; i++) {
		fd = accept_within(&rig, listener, 100);
		assert_true(fd >= 0);
		assert_int_equal(pv_net_wire_counters(rig.wire).reconnects, i);
		talk(&rig, &peer, fd);
	}
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 10);
	wire_rig_close(&rig);
	close(listener);
	unlink(PATH);
}

/* After 20, 40, 80, 160 ms: in 200 ms it has tried three times more, not ten. */
static void a_client_tries_less_and_less_often(void **state)
{
	const struct pv_net_wire_options options = { .kind = PV_NET_WIRE_STREAM,
		                                     .path = PATH,
		                                     .reconnect_ms = 20 };
	struct pv_loop_counters counters;
	struct wire_rig rig;

	(void)state;
	unlink(PATH);
	wire_rig_open(&rig, options);
	wire_rig_run_ms(&rig, 200);
	counters = pv_loop_counters(rig.loop);
	assert_in_range(counters.sleeps, 2, 8);
	wire_rig_close(&rig);
}

static void a_client_that_may_not_wait_says_that_nobody_listens(void **state)
{
	struct pv_net_wire_options options = { .kind = PV_NET_WIRE_STREAM, .path = PATH };
	struct pv_net_wire *wire;
	struct wire_rig rig;
	char error[256];

	(void)state;
	close(listen_there());
	wire_rig_open(&rig, (struct pv_net_wire_options){ .kind = PV_NET_WIRE_NULL });
	options.loop = &rig.loop;
	options.loops = options.pairs = 1;
	assert_int_equal(pv_net_wire_open(&wire, &options, error, sizeof(error)), -ECONNREFUSED);
	assert_string_equal(error, "path=" PATH ": cannot connect: nobody listens there; start the "
	                           "peer first, or give reconnect-ms");
	wire_rig_close(&rig);
	unlink(PATH);
}

static void a_server_takes_one_peer_after_the_other(void **state)
{
	const struct pv_net_wire_options options = { .kind = PV_NET_WIRE_STREAM,
		                                     .path = PATH,
		                                     .is_server = true };
	static struct peer peer;
	struct wire_rig rig;
	struct stat made;
	int first, second;

	(void)state;
	wire_rig_open(&rig, options);
	assert_int_equal(stat(PATH, &made), 0);
	assert_int_equal(made.st_mode & 0777, 0600);
	first = call_there();
	second = call_there();
	talk(&rig, &peer, first);
	assert_int_equal(pv_net_wire_counters(rig.wire).reconnects, 2);
	talk(&rig, &peer, second);
	rig.to_send += 7;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 7);
	talk(&rig, &peer, call_there());
	wire_rig_close(&rig);
	assert_int_equal(stat(PATH, &made), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_go_both_ways_in_order_and_intact),
		cmocka_unit_test(the_longest_frames_go_through),
		cmocka_unit_test(a_peer_that_does_not_read_stalls_the_sender_and_nothing_is_lost),
		cmocka_unit_test(a_length_that_is_no_frames_ends_the_connection),
		cmocka_unit_test(whole_frames_of_a_peer_that_left_still_come),
		cmocka_unit_test(no_frame_is_lost_when_the_peer_leaves_with_more_on_its_way),
		cmocka_unit_test(a_client_connects_late_and_again),
		cmocka_unit_test(a_client_tries_less_and_less_often),
		cmocka_unit_test(a_client_that_may_not_wait_says_that_nobody_listens),
		cmocka_unit_test(a_server_takes_one_peer_after_the_other),
	};
	char folder[] = "net_stream.XXXXXX";
	int failed;

	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	assert_int_equal(chdir(".."), 0);
	rmdir(folder);
	return failed;
}
