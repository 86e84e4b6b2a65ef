/* SPDX-License-Identifier: BSD-2-Clause */
/* How lines come to a socket: as a server, with a descriptor, as a client; and what is refused. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/descriptors.h"
#include "tests/support/line_rig.h"

#define PATH "line_socket.sock"

#define MIB (1ull << 20)

static const struct pv_line_options server = {
	.kind = PV_LINE_SOCKET, .path = PATH, .is_server = true, .fd = -1
};

/* ---- other ways to be connected ---- */

static void a_descriptor_that_was_passed_is_a_connection(void **state)
{
	struct pv_line_options options = { .kind = PV_LINE_SOCKET };
	struct line_peer peer;
	struct line_rig rig;
	int fd[2], before = descriptors_open();

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	options.fd = fd[0];
	line_rig_open(&rig, options);
	assert_true(rig.line->is_open);
	line_peer_join(&rig, &peer, fd[1], fd[1]);
	rig.to_write = peer.to_send = MIB;
	line_rig_run_until(&rig, line_peer_is_through);
	line_peer_leave(&rig, &peer);
	line_rig_run_until(&rig, line_rig_has_no_peer);
	line_rig_is_quiet(&rig);
	line_rig_close(&rig);
	assert_int_equal(descriptors_open(), before);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	unlink(path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static void a_descriptor_that_listens_is_a_server(void **state)
{
	struct pv_line_options options = { .kind = PV_LINE_SOCKET };
	struct line_peer peer;
	struct line_rig rig;

	(void)state;
	options.fd = listen_at(PATH);
	fcntl(options.fd, F_SETFD, 0); /* as it is passed */
	line_rig_open(&rig, options);
	for (int i = 0; i < 2; i++) {
		line_peer_join_at(&rig, &peer, PATH, rig.written, rig.read_at);
		rig.to_write += MIB;
		peer.to_send = MIB;
		line_rig_run_until(&rig, line_peer_is_through);
		line_peer_leave(&rig, &peer);
		line_rig_run_until(&rig, line_rig_has_no_peer);
	}
	line_rig_close(&rig);
	unlink(PATH);
}

/* Its number may be another descriptor's when the line is closed, our own even. */
static void a_descriptor_is_passed_once(void **state)
{
	struct pv_line_options options = { .kind = PV_LINE_SOCKET };
	struct line_rig rig;
	int fd[2], own;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	options.fd = fd[0];
	line_rig_open(&rig, options);
	line_rig_refuses(options, "give one that was passed to it, once");
	line_rig_close(&rig);
	close(fd[1]);
	own = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	options.fd = own;
	line_rig_refuses(options, "is the program's own");
	close(own);
}

static void what_is_another_servers_by_now_is_not_removed(void **state)
{
	struct line_rig rig;
	int other;

	(void)state;
	line_rig_open(&rig, server);
	other = listen_at(PATH);
	line_rig_close(&rig);
	assert_int_equal(access(PATH, F_OK), 0);
	unlink(PATH);
	close(other);
}

static void a_client_comes_again_when_the_server_does(void **state)
{
	const struct pv_line_options client = {
		.kind = PV_LINE_SOCKET, .path = PATH, .fd = -1, .reconnect_ms = 1
	};
	struct line_peer peer;
	struct line_rig rig;
	int before = descriptors_open();

	(void)state;
	unlink(PATH);
	line_rig_open(&rig, client);
	assert_int_equal(pv_line_needs(rig.line), PV_LINE_NEEDS_DIAL);
	line_rig_run_ms(&rig, 20);
	for (int i = 0; i < 3; i++) {
		int listening = listen_at(PATH), fd;

		line_rig_run_until(&rig, line_rig_has_peer);
		fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
		assert_true(fd >= 0);
		line_peer_join(&rig, &peer, fd, fd);
		peer.got_at = rig.written;
		peer.send_at = rig.read_at;
		rig.to_write += MIB;
		peer.to_send = MIB;
		line_rig_run_until(&rig, line_peer_is_through);
		close(listening);
		unlink(PATH);
		line_peer_leave(&rig, &peer);
		line_rig_run_until(&rig, line_rig_has_no_peer);
	}
	line_rig_close(&rig);
	assert_int_equal(descriptors_open(), before);
}

/* ---- what is refused ---- */

static void what_cannot_be_opened_is_refused_with_a_remedy(void **state)
{
	struct pv_line_options options = server;
	struct line_rig rig;
	char longer[200];

	(void)state;
	line_rig_open(&rig, server);
	line_rig_refuses(server, "it is in use; end who uses it or choose another path");
	line_rig_close(&rig);
	options.path = NULL;
	line_rig_refuses(options, "socket: the path is missing");
	options.path = "nowhere/line.sock";
	line_rig_refuses(options, "its folder does not exist");
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	options.path = longer;
	line_rig_refuses(options, "choose a shorter one");
	options = (struct pv_line_options){ .kind = PV_LINE_SOCKET, .path = PATH, .fd = -1 };
	line_rig_refuses(options, "start the peer first, or give reconnect-ms");
	options.fd = STDIN_FILENO;
	line_rig_refuses(options, "fd=0: is no socket");
	options = (struct pv_line_options){ .kind = PV_LINE_TCP, .fd = -1 };
	line_rig_refuses(options, "port: it is not given");
	options.port = 1;
	line_rig_refuses(options, "nobody listens there");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_that_was_passed_is_a_connection),
		cmocka_unit_test(a_descriptor_that_listens_is_a_server),
		cmocka_unit_test(a_descriptor_is_passed_once),
		cmocka_unit_test(what_is_another_servers_by_now_is_not_removed),
		cmocka_unit_test(a_client_comes_again_when_the_server_does),
		cmocka_unit_test(what_cannot_be_opened_is_refused_with_a_remedy),
	};

	line_rig_enter_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
