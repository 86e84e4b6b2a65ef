/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that end in sockets, against peers on the same loop. */
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
#include <unistd.h>

#include "tests/support/descriptors.h"
#include "tests/support/line_rig.h"

#define PATH "line_socket.sock"

#define MIB (1ull << 20)

static const struct pv_line_options server = {
	.kind = PV_LINE_SOCKET, .path = PATH, .is_server = true, .fd = -1
};

static bool has_peer(struct line_rig *rig)
{
	return pv_line_has_peer(rig->line);
}

static void join(struct line_rig *rig, struct line_peer *peer)
{
	int fd = line_peer_connect(PATH);

	line_peer_join(rig, peer, fd, fd);
	line_rig_run_until(rig, has_peer);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways_in_order_and_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
