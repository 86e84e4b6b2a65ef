/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines over TCP, in a network of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/line_rig.h"
#include "tests/support/netns.h"

#define MIB (1ull << 20)

static int tcp_connect(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_non_null(strstr(text, "tcp:127.0.0.1:"));
	address.sin_port = htons((uint16_t)atoi(text + strlen("tcp:127.0.0.1:")));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void tcp_is_on_the_loopback_and_behaves_the_same(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_TCP, .is_server = true, .fd = -1 };
	struct line_peer peer;
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, options);
	for (int i = 0; i < 3; i++) {
		int fd = tcp_connect(pv_line_text(rig.line));

		line_peer_join(&rig, &peer, fd, fd);
		line_rig_run_until(&rig, line_rig_has_peer);
		peer.got_at = rig.written;
		peer.send_at = rig.read_at;
		rig.to_write += 5 * MIB;
		peer.to_send = 5 * MIB;
		line_rig_run_until(&rig, line_peer_is_through);
		line_peer_leave(&rig, &peer);
		line_rig_run_until(&rig, line_rig_has_no_peer);
	}
	line_rig_is_quiet(&rig);
	line_rig_close(&rig);
}

/* The line's end of a connection: whose peer is this one. */
static int other_end_of(int fd)
{
	struct sockaddr_in here = { .sin_family = AF_INET }, there;
	socklen_t bytes = sizeof(here);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &bytes), 0);
	for (int other = 0; other < 1024; other++) {
		bytes = sizeof(there);
		if (getpeername(other, (struct sockaddr *)&there, &bytes) == 0 &&
		    there.sin_family == AF_INET && there.sin_port == here.sin_port)
			return other;
	}
	return -1;
}

static int tcp_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t bytes = sizeof(value);

	assert_int_equal(getsockopt(fd, level, option, &value, &bytes), 0);
	return value;
}

/* As when a machine at the other end loses its power. */
static void a_tcp_peer_that_is_gone_is_noticed_within_two_minutes(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_TCP, .is_server = true, .fd = -1 };
	struct line_peer peer;
	struct line_rig rig;
	int fd, end;

	(void)state;
	line_rig_open(&rig, options);
	fd = tcp_connect(pv_line_text(rig.line));
	line_peer_join(&rig, &peer, fd, fd);
	line_rig_run_until(&rig, line_rig_has_peer);
	end = other_end_of(fd);
	assert_true(end >= 0);
	assert_int_equal(tcp_option(end, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_in_range(tcp_option(end, IPPROTO_TCP, TCP_KEEPIDLE) +
	                        tcp_option(end, IPPROTO_TCP, TCP_KEEPINTVL) *
	                                tcp_option(end, IPPROTO_TCP, TCP_KEEPCNT),
	                1, 120);
	line_peer_leave(&rig, &peer);
	line_rig_close(&rig);
}

static void two_of_our_lines_meet_over_tcp(void **state)
{
	struct pv_line_options options = { .kind = PV_LINE_TCP, .is_server = true, .fd = -1 };
	struct line_rig rig, other;

	(void)state;
	line_rig_open(&other, options);
	options.is_server = false;
	options.port = (uint16_t)atoi(pv_line_text(other.line) + strlen("tcp:127.0.0.1:"));
	options.reconnect_ms = 1;
	line_rig_open(&rig, options);
	assert_int_equal(pv_line_needs(rig.line), PV_LINE_NEEDS_INTERNET);
	line_rig_run_until(&rig, line_rig_has_peer);
	line_rig_run_until(&other, line_rig_has_peer);
	rig.to_write = 100;
	line_rig_run_until(&rig, line_rig_has_written);
	line_rig_run_ms(&other, 20);
	assert_int_equal(other.read, 100);
	line_rig_close(&other);
	line_rig_run_until(&rig, line_rig_has_no_peer);
	line_rig_close(&rig);
}

static void choose_ports_from(const char *range)
{
	int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, range, strlen(range)), (int)strlen(range));
	close(fd);
}

/*
 * Who connects to a port that nobody listens on is given some port of its own; where it is that
 * very one, the connection is made, with itself. With two ports to choose from it soon is.
 */
static void a_client_is_not_its_own_peer(void **state)
{
	const struct pv_line_options client = {
		.kind = PV_LINE_TCP, .port = 40000, .fd = -1, .reconnect_ms = 1
	};
	struct line_rig rig;

	(void)state;
	choose_ports_from("40000 40001");
	line_rig_open(&rig, client);
	line_rig_run_ms(&rig, 200);
	assert_int_equal(rig.comings, 0);
	line_rig_close(&rig);
	choose_ports_from("32768 60999");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_on_the_loopback_and_behaves_the_same),
		cmocka_unit_test(a_tcp_peer_that_is_gone_is_noticed_within_two_minutes),
		cmocka_unit_test(two_of_our_lines_meet_over_tcp),
		cmocka_unit_test(a_client_is_not_its_own_peer),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
