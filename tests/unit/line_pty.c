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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tests/support/descriptors.h"
#include "tests/support/line_rig.h"

#define LINK "line_pty.link"

static const struct pv_line_options pty = { .kind = PV_LINE_PTY, .fd = -1 };

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
	line_rig_run_until(rig, line_rig_has_peer);
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
		line_rig_run_until(&rig, line_rig_has_no_peer);
		assert_false(rig.line->is_open);
		line_rig_is_quiet(&rig);
		assert_int_equal(rig.comings, i);
		assert_int_equal(rig.goings, i);
	}
	assert_int_equal(pv_line_counters(rig.line).connections, 20);
	line_rig_close(&rig);
}

static void a_terminal_that_nobody_reads_stalls_the_writer_and_nothing_is_lost(void **state)
{
	struct line_peer peer;
	struct line_rig rig;
	uint64_t stalled_at;

	(void)state;
	line_rig_open(&rig, pty);
	join(&rig, &peer);
	peer.is_deaf = true;
	rig.to_write = 1 << 20;
	line_rig_run_ms(&rig, 50);
	stalled_at = rig.written;
	assert_in_range(stalled_at, 1, 200000);
	line_rig_is_quiet(&rig);
	assert_int_equal(rig.written, stalled_at);
	peer.is_deaf = false;
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

static void with_keep_the_newest_bytes_are_for_who_opens_it(void **state)
{
	struct pv_line_options options = pty;
	struct line_peer peer;
	struct line_rig rig;
	int fd;

	(void)state;
	options.on_closed = PV_LINE_KEEP;
	options.keep_bytes = 10000;
	line_rig_open(&rig, options);
	assert_true(rig.line->is_open);
	rig.to_write = 50000;
	line_rig_run_until(&rig, line_rig_has_written);
	assert_int_equal(pv_line_counters(rig.line).dropped, 40000);
	fd = open_terminal(&rig);
	line_peer_join(&rig, &peer, fd, fd);
	peer.got_at = 40000;
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

static bool is_80_by_24(struct line_rig *rig)
{
	return rig->line->columns == 80 && rig->line->rows == 24;
}

static bool is_132_by_50(struct line_rig *rig)
{
	return rig->line->columns == 132 && rig->line->rows == 50;
}

static bool is_132_by_30(struct line_rig *rig)
{
	return rig->line->columns == 132 && rig->line->rows == 30;
}

static void the_size_of_the_terminal_is_told_with_what_is_typed(void **state)
{
	struct winsize size = { .ws_col = 80, .ws_row = 24 };
	struct line_peer peer;
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, pty);
	assert_int_equal(rig.line->columns, 0);
	join(&rig, &peer);
	assert_int_equal(ioctl(peer.in_fd, TIOCSWINSZ, &size), 0);
	peer.to_send = 1;
	line_rig_run_until(&rig, is_80_by_24);
	/* What is told by another way stays, until the terminal changes. */
	pv_line_resize(rig.line, 132, 50);
	line_rig_run_until(&rig, is_132_by_50);
	peer.to_send = 2;
	line_rig_run_until(&rig, line_peer_is_through);
	line_rig_run_ms(&rig, 10);
	assert_true(is_132_by_50(&rig));
	size.ws_col = 132;
	size.ws_row = 30;
	assert_int_equal(ioctl(peer.in_fd, TIOCSWINSZ, &size), 0);
	peer.to_send = 3;
	line_rig_run_until(&rig, is_132_by_30);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

/* ---- links ---- */

static void assert_link_is(const char *wanted)
{
	char target[PATH_MAX] = "";

	assert_true(readlink(LINK, target, sizeof(target) - 1) > 0);
	assert_string_equal(target, wanted);
}

static void the_link_leads_to_the_terminal_and_goes_with_it(void **state)
{
	struct pv_line_options options = pty;
	struct line_rig rig;

	(void)state;
	options.path = LINK;
	unlink(LINK);
	line_rig_open(&rig, options);
	assert_link_is(pv_line_pty(rig.line));
	line_rig_close(&rig);
	assert_int_equal(readlink(LINK, (char[1]){ 0 }, 1), -1);
}

static void a_link_that_was_left_behind_is_replaced(void **state)
{
	const char *const left[] = { "/dev/pts/99999", "/dev/pts/0", "nowhere/at-all" };
	struct pv_line_options options = pty;
	struct line_rig rig;

	(void)state;
	options.path = LINK;
	for (size_t i = 0; i < 3; i++) {
		unlink(LINK);
		assert_int_equal(symlink(left[i], LINK), 0);
		line_rig_open(&rig, options);
		assert_link_is(pv_line_pty(rig.line));
		line_rig_close(&rig);
		assert_int_equal(access(LINK, F_OK), -1);
	}
}

static void what_is_no_terminals_link_stays(void **state)
{
	struct pv_line_options options = pty;
	int fd;

	(void)state;
	options.path = LINK;
	unlink(LINK);
	assert_int_equal(symlink("/dev/null", LINK), 0);
	line_rig_refuses(options, "something else is there; remove it or choose another path");
	assert_link_is("/dev/null");
	unlink(LINK);
	fd = open(LINK, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	line_rig_refuses(options, "something else is there");
	assert_int_equal(unlink(LINK), 0);
	options.path = "nowhere/link";
	line_rig_refuses(options, "its folder does not exist");
}

static void a_link_that_is_anothers_by_now_is_not_removed(void **state)
{
	struct pv_line_options options = pty;
	struct line_rig rig;

	(void)state;
	options.path = LINK;
	unlink(LINK);
	line_rig_open(&rig, options);
	unlink(LINK);
	assert_int_equal(symlink("/dev/pts/99999", LINK), 0);
	line_rig_close(&rig);
	assert_link_is("/dev/pts/99999");
	unlink(LINK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways_in_order_and_whole),
		cmocka_unit_test(a_terminal_that_closes_and_opens_loses_nothing),
		cmocka_unit_test(
			a_terminal_that_nobody_reads_stalls_the_writer_and_nothing_is_lost),
		cmocka_unit_test(with_keep_the_newest_bytes_are_for_who_opens_it),
		cmocka_unit_test(the_size_of_the_terminal_is_told_with_what_is_typed),
		cmocka_unit_test(the_link_leads_to_the_terminal_and_goes_with_it),
		cmocka_unit_test(a_link_that_was_left_behind_is_replaced),
		cmocka_unit_test(what_is_no_terminals_link_stays),
		cmocka_unit_test(a_link_that_is_anothers_by_now_is_not_removed),
	};

	line_rig_enter_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
