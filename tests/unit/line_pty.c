/* SPDX-License-Identifier: BSD-2-Clause */
/* The line of a pseudo terminal, against whoever opens that. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "tests/support/descriptors.h"
#include "tests/support/line_rig.h"

#define LINK "line_pty.link"

static const struct pv_line_options pty = { .kind = PV_LINE_PTY, .fd = -1 };

static bool has_peer(struct line_rig *rig)
{
	return pv_line_has_peer(rig->line);
}

static bool has_no_peer(struct line_rig *rig)
{
	return !pv_line_has_peer(rig->line);
}

static int open_terminal(const struct line_rig *rig)
{
	int fd = open(pv_line_pty(rig->line), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void join(struct line_rig *rig, struct line_peer *peer)
{
	int fd = open_terminal(rig);

	line_peer_join(rig, peer, fd, fd);
	line_rig_run_until(rig, has_peer);
}

static void bytes_go_both_ways_in_order_and_whole(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	int before = descriptors_open();

	(void)state;
	line_rig_open(&rig, pty);
	assert_false(rig.line->is_open);
	join(&rig, &peer);
	assert_true(rig.line->is_open);
	rig.to_write = peer.to_send = 2 << 20;
	line_rig_run_until(&rig, line_peer_is_through);
	line_rig_is_quiet(&rig);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
	assert_int_equal(descriptors_open(), before);
}

/* What comes from the one that left is read, and what the guest writes waits for the next. */
static void a_terminal_that_closes_and_opens_loses_nothing(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	uint64_t sent = 0, got = 0;

	(void)state;
	line_rig_open(&rig, pty);
	line_rig_is_quiet(&rig);
	for (unsigned int i = 1; i <= 20; i++) {
		join(&rig, &peer);
		peer.send_at = sent;
		peer.got_at = got;
		peer.to_send = 5000;
		rig.to_write += 100000;
		line_rig_run_until(&rig, line_peer_is_through);
		sent = peer.send_at;
		got = peer.got_at;
		line_peer_leave(&rig, &peer);
		line_rig_run_until(&rig, has_no_peer);
		assert_false(rig.line->is_open);
		line_rig_is_quiet(&rig);
		assert_int_equal(rig.comings, i);
		assert_int_equal(rig.goings, i);
	}
	assert_int_equal(pv_line_counters(rig.line).connections, 20);
	line_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways_in_order_and_whole),
		cmocka_unit_test(a_terminal_that_closes_and_opens_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
