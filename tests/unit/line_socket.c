/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that end in sockets, against peers on the same loop. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/descriptors.h"
#include "tests/support/line_rig.h"

#define PATH "line_socket.sock"

#define MIB (1ull << 20)

static const struct pv_line_options server = {
	.kind = PV_LINE_SOCKET, .path = PATH, .is_server = true, .fd = -1
};

static uint64_t a_lot(void)
{
	return getenv("PV_LONG") ? 1024 * MIB : 64 * MIB;
}

static void join(struct line_rig *rig, struct line_peer *peer)
{
	line_peer_join_at(rig, peer, PATH, 0, 0);
}

static void bytes_go_both_ways_in_order_and_whole(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	int before = descriptors_open();

	(void)state;
	line_rig_open(&rig, server);
	assert_false(rig.line->is_open);
	join(&rig, &peer);
	assert_true(rig.line->is_open);
	rig.to_write = 20 * MIB;
	peer.to_send = 20 * MIB;
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
	assert_int_equal(access(PATH, F_OK), -1);
	assert_int_equal(descriptors_open(), before);
}

/* ---- ends that do not read, or leave ---- */

static void a_peer_that_does_not_read_stalls_the_writer_and_nothing_is_lost(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	uint64_t stalled_at;

	(void)state;
	line_rig_open(&rig, server);
	join(&rig, &peer);
	peer.is_deaf = true;
	rig.to_write = 10 * MIB;
	line_rig_run_ms(&rig, 50);
	stalled_at = rig.written;
	assert_in_range(stalled_at, 1, 2 * MIB);
	line_rig_is_quiet(&rig);
	assert_int_equal(rig.written, stalled_at);
	peer.is_deaf = false;
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

/* What does not fit into the socket stays with the peer, as much of it as it likes to send. */
static void a_guest_that_does_not_read_stalls_the_peer_and_nothing_is_lost(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	uint64_t stalled_at;

	(void)state;
	line_rig_open(&rig, server);
	rig.is_deaf = true;
	join(&rig, &peer);
	peer.to_send = a_lot();
	line_rig_run_ms(&rig, 50);
	stalled_at = peer.sent;
	assert_in_range(stalled_at, 1, 2 * MIB);
	line_rig_is_quiet(&rig);
	assert_int_equal(peer.sent, stalled_at);
	rig.is_deaf = false;
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

static bool has_read_the_flood(struct line_rig *rig)
{
	return rig->read == ((const struct line_peer *)rig->arg)->to_send;
}

static void a_peer_that_floods_and_reads_nothing_is_read_all_the_same(void **state)
{
	struct line_peer peer;
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, server);
	join(&rig, &peer);
	peer.is_deaf = true;
	peer.to_send = a_lot();
	rig.to_write = 4 * MIB;
	line_rig_run_until(&rig, has_read_the_flood);
	assert_in_range(rig.written, 1, 2 * MIB);
	peer.is_deaf = false;
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

/*
 * Of both directions each client gets, and gives, a part of the whole in order; only what was on
 * its way when it left is missing.
 */
static void clients_that_vanish_a_thousand_times_leave_the_rest_to_the_next(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	uint64_t sent = 0;
	int before = descriptors_open();

	(void)state;
	line_rig_open(&rig, server);
	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t at = rig.written;

		line_peer_join_at(&rig, &peer, PATH, at, sent);
		peer.to_send = 1000 + i;
		rig.to_write += 1000 + i;
		line_rig_run_until(&rig, line_rig_has_written);
		sent = peer.send_at;
		line_peer_leave(&rig, &peer);
	}
	line_rig_run_until(&rig, line_rig_has_no_peer);
	assert_int_equal(rig.read_at, sent);
	assert_int_equal(rig.comings, 1000);
	assert_int_equal(rig.goings, 1000);
	assert_int_equal(pv_line_counters(rig.line).refused, 0);
	line_rig_is_quiet(&rig);
	line_rig_close(&rig);
	assert_int_equal(descriptors_open(), before);
}

static void a_client_that_leaves_a_full_socket_does_not_stall_the_next(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	uint64_t stalled_at;

	(void)state;
	line_rig_open(&rig, server);
	join(&rig, &peer);
	peer.is_deaf = true;
	rig.to_write = 10 * MIB;
	line_rig_run_ms(&rig, 20);
	stalled_at = rig.written;
	line_peer_leave(&rig, &peer);
	line_rig_run_until(&rig, line_rig_has_no_peer);
	assert_int_equal(rig.written, stalled_at);
	line_peer_join_at(&rig, &peer, PATH, stalled_at, 0);
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

static bool has_read_all(struct line_rig *rig)
{
	return rig->read_at == *(uint64_t *)rig->arg;
}

/* The guest reads when they are gone, and in the order in which they came. */
static void what_clients_sent_before_they_left_is_read(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	uint64_t sent = 0;

	(void)state;
	line_rig_open(&rig, server);
	rig.is_deaf = true;
	for (unsigned int i = 0; i < 4; i++) {
		line_peer_join_at(&rig, &peer, PATH, 0, sent);
		peer.to_send = 50000;
		line_rig_run_ms(&rig, 10);
		assert_int_equal(peer.sent, 50000);
		sent = peer.send_at;
		line_peer_leave(&rig, &peer);
		line_rig_run_until(&rig, line_rig_has_no_peer);
	}
	line_peer_join_at(&rig, &peer, PATH, 0, sent);
	peer.to_send = 50000;
	line_rig_run_ms(&rig, 10);
	rig.is_deaf = false;
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

/* Each leaves something, and nobody reads: memory and descriptors stay bounded. */
static void clients_that_send_and_leave_do_not_pile_up(void **state)
{
	struct line_rig rig;
	int before;

	(void)state;
	line_rig_open(&rig, server);
	rig.is_deaf = true;
	before = descriptors_open();
	for (unsigned int i = 0; i < 100; i++) {
		int fd = line_peer_connect(PATH);

		line_rig_run_until(&rig, line_rig_has_peer);
		assert_int_equal(write(fd, "something", 9), 9);
		close(fd);
		line_rig_run_until(&rig, line_rig_has_no_peer);
	}
	/* The loop has some of its own, perhaps. */
	assert_in_range(descriptors_open() - before, 0, 10);
	line_rig_is_quiet(&rig);
	line_rig_close(&rig);
}

static void a_peer_that_ends_its_own_direction_still_reads(void **state)
{
	struct line_peer peer;
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, server);
	join(&rig, &peer);
	peer.to_send = 5000;
	line_rig_run_until(&rig, line_peer_is_through);
	shutdown(peer.in_fd, SHUT_WR);
	line_rig_run_ms(&rig, 10);
	assert_true(rig.line->is_open);
	rig.to_write = MIB;
	line_rig_run_until(&rig, line_peer_is_through);
	line_rig_is_quiet(&rig);
	line_peer_leave(&rig, &peer);
	line_rig_run_until(&rig, line_rig_has_no_peer);
	line_rig_close(&rig);
}

/* Descriptors cut a read short: what is behind them is read too. */
static void descriptors_that_a_peer_sends_along_stall_nothing(void **state)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	uint8_t byte[2] = { line_rig_byte(0), line_rig_byte(1) };
	uint64_t all = 4;
	struct line_rig rig;
	int fd, before;

	(void)state;
	line_rig_open(&rig, server);
	fd = line_peer_connect(PATH);
	rig.is_deaf = true;
	line_rig_run_until(&rig, line_rig_has_peer);
	line_rig_run_ms(&rig, 1);
	before = descriptors_open();
	for (unsigned int i = 0; i < 4; i++) {
		struct iovec iov = { byte, 1 };
		struct msghdr message = { .msg_iov = &iov,
			                  .msg_iovlen = 1,
			                  .msg_control = &control,
			                  .msg_controllen = sizeof(control) };

		byte[0] = line_rig_byte(i);
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		assert_int_equal(sendmsg(fd, &message, 0), 1);
	}
	rig.is_deaf = false;
	rig.arg = &all;
	line_rig_run_until(&rig, has_read_all);
	assert_int_equal(descriptors_open(), before);
	close(fd);
	line_rig_close(&rig);
}

/* And an urgent byte does, though no event tells of what is behind it. */
static void an_urgent_byte_stalls_nothing(void **state)
{
	uint8_t bytes[6];
	uint64_t all = 6;
	struct line_rig rig;
	int fd;

	(void)state;
	for (unsigned int i = 0; i < 6; i++)
		bytes[i] = line_rig_byte(i);
	line_rig_open(&rig, server);
	fd = line_peer_connect(PATH);
	rig.is_deaf = true;
	line_rig_run_until(&rig, line_rig_has_peer);
	assert_int_equal(write(fd, bytes, 3), 3);
	if (send(fd, "x", 1, MSG_OOB) < 0)
		skip(); /* before Linux 5.15 */
	assert_int_equal(write(fd, bytes + 3, 3), 3);
	line_rig_run_ms(&rig, 10);
	rig.is_deaf = false;
	rig.arg = &all;
	line_rig_run_until(&rig, has_read_all);
	close(fd);
	line_rig_close(&rig);
}

/* Who only looks whether somebody is there costs nobody's bytes. */
static void visitors_that_sent_nothing_take_no_place(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	uint64_t all = 50000;

	(void)state;
	line_rig_open(&rig, server);
	rig.is_deaf = true;
	join(&rig, &peer);
	peer.to_send = all;
	line_rig_run_ms(&rig, 10);
	line_peer_leave(&rig, &peer);
	line_rig_run_until(&rig, line_rig_has_no_peer);
	for (unsigned int i = 0; i < 10; i++) {
		int fd = line_peer_connect(PATH);

		line_rig_run_until(&rig, line_rig_has_peer);
		close(fd);
		line_rig_run_until(&rig, line_rig_has_no_peer);
	}
	rig.is_deaf = false;
	rig.arg = &all;
	line_rig_run_until(&rig, has_read_all);
	line_rig_close(&rig);
}

static bool has_refused(struct line_rig *rig)
{
	return pv_line_counters(rig->line).refused == 3;
}

static void a_second_client_is_hung_up_and_the_first_goes_on(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	int fd[3];
	char byte;

	(void)state;
	line_rig_open(&rig, server);
	join(&rig, &peer);
	rig.to_write = 5 * MIB;
	for (int i = 0; i < 3; i++)
		fd[i] = line_peer_connect(PATH);
	line_rig_run_until(&rig, has_refused);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(read(fd[i], &byte, 1), 0);
		close(fd[i]);
	}
	line_rig_run_until(&rig, line_peer_is_through);
	assert_int_equal(pv_line_counters(rig.line).connections, 1);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

static bool has_met_all(struct line_rig *rig)
{
	return pv_line_counters(rig->line).connections == 101;
}

/* The loop hears of both at once, and of the newcomer first. */
static void who_comes_as_the_other_leaves_is_not_refused(void **state)
{
	struct line_rig rig;
	int fd;

	(void)state;
	line_rig_open(&rig, server);
	fd = line_peer_connect(PATH);
	line_rig_run_until(&rig, line_rig_has_peer);
	for (unsigned int i = 0; i < 100; i++) {
		int next = line_peer_connect(PATH);

		close(fd);
		fd = next;
		line_rig_run_ms(&rig, 1);
	}
	line_rig_run_until(&rig, has_met_all);
	assert_int_equal(pv_line_counters(rig.line).refused, 0);
	close(fd);
	line_rig_close(&rig);
}

/* ---- while nobody is there ---- */

static void with_wait_bytes_stay_with_the_guest(void **state)
{
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, server);
	rig.to_write = 1000;
	line_rig_is_quiet(&rig);
	assert_int_equal(rig.written, 0);
	assert_false(rig.line->is_open);
	line_rig_close(&rig);
}

static void with_drop_bytes_are_lost_and_counted(void **state)
{
	struct pv_line_options options = server;
	struct line_peer peer;
	struct line_rig rig;

	(void)state;
	options.on_closed = PV_LINE_DROP;
	line_rig_open(&rig, options);
	assert_true(rig.line->is_open);
	rig.to_write = MIB;
	line_rig_run_until(&rig, line_rig_has_written);
	assert_int_equal(pv_line_counters(rig.line).dropped, MIB);
	line_peer_join_at(&rig, &peer, PATH, MIB, 0);
	rig.to_write = 2 * MIB;
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_run_until(&rig, line_rig_has_no_peer);
	rig.to_write = 3 * MIB;
	line_rig_run_until(&rig, line_rig_has_written);
	assert_int_equal(pv_line_counters(rig.line).dropped, 2 * MIB);
	/* The guest was told nothing, the owner all. */
	assert_int_equal(rig.changes, 0);
	assert_int_equal(rig.comings + rig.goings, 2);
	line_rig_close(&rig);
}

static void with_keep_the_newest_bytes_are_for_who_comes(void **state)
{
	struct pv_line_options options = server;
	struct line_peer peer;
	struct line_rig rig;

	(void)state;
	options.on_closed = PV_LINE_KEEP;
	options.keep_bytes = MIB;
	line_rig_open(&rig, options);
	for (uint64_t i = 1; i < 6; i++) {
		uint64_t dropped = pv_line_counters(rig.line).dropped;

		assert_true(rig.line->is_open);
		rig.to_write += i * 333333;
		line_rig_run_until(&rig, line_rig_has_written);
		assert_int_equal(pv_line_counters(rig.line).kept, i < 4 ? i * 333333 : MIB);
		dropped = pv_line_counters(rig.line).dropped - dropped;
		assert_int_equal(dropped, i < 4 ? 0 : i * 333333 - MIB);
		line_peer_join_at(&rig, &peer, PATH, rig.written - (i < 4 ? i * 333333 : MIB), 0);
		line_rig_run_until(&rig, line_peer_is_through);
		assert_int_equal(pv_line_counters(rig.line).kept, 0);
		line_peer_leave(&rig, &peer);
		line_rig_run_until(&rig, line_rig_has_no_peer);
	}
	line_rig_close(&rig);
}

/* The loop has not heard of it yet: there is no signal, and each policy holds. */
static void what_is_written_to_who_has_just_left_is_as_to_nobody(void **state)
{
	struct pv_line_options options = server;
	uint8_t bytes[100] = { 0 };
	const struct pv_iov iov = { bytes, sizeof(bytes) };
	struct line_rig rig;

	(void)state;
	for (int policy = PV_LINE_WAIT; policy <= PV_LINE_KEEP; policy++) {
		bool waits = policy == PV_LINE_WAIT;
		struct pv_line_counters counters;
		int fd;

		options.on_closed = (enum pv_line_closed)policy;
		line_rig_open(&rig, options);
		fd = line_peer_connect(PATH);
		line_rig_run_until(&rig, line_rig_has_peer);
		close(fd);
		assert_int_equal(rig.line->ops->write(rig.line, &iov, 1), waits ? 0 : 100);
		assert_int_equal(rig.line->has_room, !waits);
		assert_int_equal(rig.line->is_open, !waits);
		assert_false(pv_line_has_peer(rig.line));
		counters = pv_line_counters(rig.line);
		assert_int_equal(counters.dropped, policy == PV_LINE_DROP ? 100 : 0);
		assert_int_equal(counters.kept, policy == PV_LINE_KEEP ? 100 : 0);
		line_rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways_in_order_and_whole),
		cmocka_unit_test(a_peer_that_does_not_read_stalls_the_writer_and_nothing_is_lost),
		cmocka_unit_test(a_guest_that_does_not_read_stalls_the_peer_and_nothing_is_lost),
		cmocka_unit_test(a_peer_that_floods_and_reads_nothing_is_read_all_the_same),
		cmocka_unit_test(clients_that_vanish_a_thousand_times_leave_the_rest_to_the_next),
		cmocka_unit_test(a_client_that_leaves_a_full_socket_does_not_stall_the_next),
		cmocka_unit_test(what_clients_sent_before_they_left_is_read),
		cmocka_unit_test(clients_that_send_and_leave_do_not_pile_up),
		cmocka_unit_test(a_peer_that_ends_its_own_direction_still_reads),
		cmocka_unit_test(descriptors_that_a_peer_sends_along_stall_nothing),
		cmocka_unit_test(an_urgent_byte_stalls_nothing),
		cmocka_unit_test(visitors_that_sent_nothing_take_no_place),
		cmocka_unit_test(a_second_client_is_hung_up_and_the_first_goes_on),
		cmocka_unit_test(who_comes_as_the_other_leaves_is_not_refused),
		cmocka_unit_test(with_wait_bytes_stay_with_the_guest),
		cmocka_unit_test(with_drop_bytes_are_lost_and_counted),
		cmocka_unit_test(with_keep_the_newest_bytes_are_for_who_comes),
		cmocka_unit_test(what_is_written_to_who_has_just_left_is_as_to_nobody),
	};

	line_rig_enter_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
