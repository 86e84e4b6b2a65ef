/* SPDX-License-Identifier: BSD-2-Clause */
/* The wire of datagrams, against a peer on the same loop. */
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

#define OURS  "net_dgram.ours"
#define PEERS "net_dgram.peers"

/* ---- a peer that sends back what it gets ---- */

struct peer {
	int fd;
	bool has_message, is_deaf, is_mute;
	ssize_t bytes;
	uint32_t got;
	uint8_t message[PV_NET_FRAME_MAX + 1];
};

static void wake(void *arg, int events)
{
	(void)arg;
	(void)events;
}

static bool send_back(struct wire_rig *rig)
{
	struct peer *peer = rig->arg;
	bool has_worked = false;

	while (!peer->is_deaf) {
		if (!peer->has_message)
			peer->bytes =
				recv(peer->fd, peer->message, sizeof(peer->message), MSG_DONTWAIT);
		if (peer->bytes < 0)
			break;
		peer->got += !peer->has_message;
		peer->has_message = true;
		if (!peer->is_mute && send(peer->fd, peer->message, (size_t)peer->bytes,
		                           MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		peer->has_message = false;
		has_worked = true;
	}
	return has_worked;
}

static void open_couple(struct wire_rig *rig, struct peer *peer)
{
	struct pv_net_wire_options options = { .kind = PV_NET_WIRE_DGRAM, .fds = 1 };
	int fd[2];

	memset(peer, 0, sizeof(*peer));
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
	options.fd = &fd[0];
	peer->fd = fd[1];
	wire_rig_open(rig, options);
	rig->arg = peer;
	rig->also = send_back;
	pv_loop_watch(rig->loop, peer->fd, POLLIN | POLLOUT, wake, NULL);
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

static void a_peer_that_does_not_read_stalls_the_sender_and_nothing_is_lost(void **state)
{
	static struct peer peer;
	struct wire_rig rig;
	uint32_t stalled_at;

	(void)state;
	open_couple(&rig, &peer);
	peer.is_deaf = true;
	rig.to_send = rig.to_receive = 5000;
	wire_rig_run_ms(&rig, 50);
	stalled_at = rig.sent;
	assert_in_range(stalled_at, 1, 4999);
	wire_rig_run_ms(&rig, 50);
	assert_int_equal(rig.sent, stalled_at);
	peer.is_deaf = false;
	wire_rig_run(&rig);
	assert_int_equal(peer.got, 5000);
	close_couple(&rig, &peer);
}

static void the_longest_frame_goes_through(void **state)
{
	static uint8_t frame[PV_NET_FRAME_MAX], back[PV_NET_FRAME_MAX];
	static struct peer peer;
	struct wire_rig rig;

	(void)state;
	open_couple(&rig, &peer);
	memset(frame, 0x77, sizeof(frame));
	assert_true(wire_rig_send(&rig, NULL, frame, sizeof(frame)));
	rig.receive_max = 0;
	wire_rig_run_ms(&rig, 20);
	assert_int_equal(peer.got, 1);
	assert_int_equal(wire_rig_receive(&rig, NULL, back), sizeof(frame));
	assert_memory_equal(frame, back, sizeof(frame));
	close_couple(&rig, &peer);
}

/* More of them than are passed over at a time, and no change comes after. */
static void what_is_no_frame_is_counted_and_passed_over(void **state)
{
	static uint8_t junk[PV_NET_FRAME_MAX + 1], frame[PV_NET_FRAME_MAX];
	static struct peer peer;
	struct wire_rig rig;
	uint32_t bytes;

	(void)state;
	open_couple(&rig, &peer);
	peer.is_deaf = true;
	rig.to_receive = 1;
	assert_int_equal(send(peer.fd, junk, sizeof(junk), MSG_DONTWAIT), sizeof(junk));
	for (int i = 0; i < 99; i++)
		assert_int_equal(send(peer.fd, junk, (size_t)i % PV_NET_FRAME_MIN, MSG_DONTWAIT),
		                 i % (int)PV_NET_FRAME_MIN);
	bytes = wire_rig_frame(0, rig.frame_max, frame);
	assert_int_equal(send(peer.fd, frame, bytes, MSG_DONTWAIT), bytes);
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).bad, 100);
	close_couple(&rig, &peer);
}

/* ---- by paths ---- */

static int open_peer(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = PEERS };
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = OURS };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	unlink(PEERS);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	connect(fd, (struct sockaddr *)&to, sizeof(to));
	return fd;
}

static const struct pv_net_wire_options by_paths = {
	.kind = PV_NET_WIRE_DGRAM,
	.path = PEERS,
	.local_path = OURS,
};

static void a_peer_may_come_late_go_and_come_back(void **state)
{
	static struct peer peer;
	struct pv_watch *watch;
	struct wire_rig rig;

	(void)state;
	unlink(PEERS);
	wire_rig_open(&rig, by_paths);
	rig.to_send = 10;
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 10);
	for (uint32_t visit = 1; visit <= 2; visit++) {
		peer = (struct peer){ .fd = open_peer() };
		usleep(110000);
		rig.arg = &peer;
		rig.also = send_back;
		watch = pv_loop_watch(rig.loop, peer.fd, POLLIN | POLLOUT, wake, NULL);
		rig.to_send += 500;
		rig.to_receive += 500;
		rig.next = rig.sent;
		wire_rig_run(&rig);
		assert_int_equal(pv_net_wire_counters(rig.wire).reconnects, visit);
		rig.also = NULL;
		pv_loop_unwatch(rig.loop, watch);
		wire_rig_run_ms(&rig, 1);
		close(peer.fd);
		rig.to_send += 10;
		wire_rig_run(&rig);
		assert_int_equal(pv_net_wire_counters(rig.wire).lost, 10 + 10 * visit);
	}
	wire_rig_close(&rig);
	unlink(PEERS);
}

static void a_full_queue_at_a_path_stalls_the_sender_too(void **state)
{
	static struct peer peer;
	struct wire_rig rig;

	(void)state;
	/* It is connected to nobody: only then is there a queue that has a length. */
	peer = (struct peer){ .fd = open_peer(), .is_deaf = true, .is_mute = true };
	wire_rig_open(&rig, by_paths);
	rig.arg = &peer;
	rig.also = send_back;
	rig.to_send = 3000;
	wire_rig_run_ms(&rig, 50);
	assert_in_range(rig.sent, 1, 2999);
	peer.is_deaf = false;
	pv_loop_watch(rig.loop, peer.fd, POLLIN | POLLOUT, wake, NULL);
	wire_rig_run(&rig);
	assert_int_equal(pv_net_wire_counters(rig.wire).lost, 0);
	send_back(&rig);
	assert_int_equal(peer.got, 3000);
	wire_rig_close(&rig);
	close(peer.fd);
	unlink(PEERS);
}

static void our_path_is_ours_only_and_goes_with_us(void **state)
{
	struct pv_net_wire *second;
	struct wire_rig rig;
	struct stat made;
	char error[256];
	struct pv_net_wire_options options = by_paths;
	int fd;

	(void)state;
	wire_rig_open(&rig, by_paths);
	assert_int_equal(stat(OURS, &made), 0);
	assert_int_equal(made.st_mode & 0777, 0600);
	options.loop = &rig.loop;
	options.loops = options.pairs = 1;
	assert_int_equal(pv_net_wire_open(&second, &options, error, sizeof(error)), -EADDRINUSE);
	assert_string_equal(error, "local-path=" OURS ": cannot be made: it is in use; end who "
	                           "uses it or choose another path");
	wire_rig_close(&rig);
	assert_int_equal(stat(OURS, &made), -1);

	/* What was left behind is replaced. */
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd,
	                      (struct sockaddr *)&(struct sockaddr_un){ .sun_family = AF_UNIX,
	                                                                .sun_path = OURS },
	                      sizeof(struct sockaddr_un)),
	                 0);
	close(fd);
	wire_rig_open(&rig, by_paths);
	wire_rig_close(&rig);
}

static void what_is_no_datagram_socket_is_refused_and_not_taken(void **state)
{
	struct pv_net_wire_options options = { .kind = PV_NET_WIRE_DGRAM, .fds = 1 };
	struct pv_net_wire *wire;
	struct wire_rig rig;
	char error[256], expected[64];
	int fd[2];

	(void)state;
	wire_rig_open(&rig, by_paths);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	options.fd = fd;
	options.loop = &rig.loop;
	options.loops = options.pairs = 1;
	assert_int_equal(pv_net_wire_open(&wire, &options, error, sizeof(error)), -EINVAL);
	snprintf(expected, sizeof(expected), "fd=%d: is no datagram socket", fd[0]);
	assert_string_equal(error, expected);
	assert_int_equal(close(fd[0]), 0);
	assert_int_equal(pv_net_wire_open(&wire, &options, error, sizeof(error)), -EBADF);
	close(fd[1]);
	wire_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_go_both_ways_in_order_and_intact),
		cmocka_unit_test(a_peer_that_does_not_read_stalls_the_sender_and_nothing_is_lost),
		cmocka_unit_test(the_longest_frame_goes_through),
		cmocka_unit_test(what_is_no_frame_is_counted_and_passed_over),
		cmocka_unit_test(a_peer_may_come_late_go_and_come_back),
		cmocka_unit_test(a_full_queue_at_a_path_stalls_the_sender_too),
		cmocka_unit_test(our_path_is_ours_only_and_goes_with_us),
		cmocka_unit_test(what_is_no_datagram_socket_is_refused_and_not_taken),
	};
	char folder[] = "net_dgram.XXXXXX";
	int failed;

	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	assert_int_equal(chdir(".."), 0);
	rmdir(folder);
	return failed;
}
