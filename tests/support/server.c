/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/support/server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/refusal.h"

#define FOREIGN "qemu-storage-daemon"

/* How long a server may take to listen, and to end. */
#define START_MS 20000
#define END_MS   20000

#define ARGUMENTS_MAX 32

bool server_is_foreign_there(void)
{
	const char *path = getenv("PATH");
	char file[512];

	while (path && *path) {
		int chars = (int)strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/" FOREIGN, chars, path);
		if (access(file, X_OK) == 0)
			return true;
		path += path[chars] ? chars + 1 : chars;
	}
	return false;
}

static void image_make(const char *path, uint64_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

static void folder_make(struct server *server, uint64_t bytes)
{
	const char *parent = getenv("TMPDIR");

	*server = (struct server){ 0 };
	snprintf(server->folder, sizeof(server->folder), "%s/pv-interop-XXXXXX",
	         parent && strlen(parent) < 40 ? parent : "/tmp");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->socket, sizeof(server->socket), "%s/socket", server->folder);
	snprintf(server->image, sizeof(server->image), "%s/image", server->folder);
	snprintf(server->qmp, sizeof(server->qmp), "%s/qmp", server->folder);
	image_make(server->image, bytes);
}

static bool listens(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_connected;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	is_connected = connect(fd, (const void *)&address, sizeof(address)) == 0;
	close(fd);
	return is_connected;
}

static void nap_ms(long ms)
{
	struct timespec nap = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&nap, NULL);
}

static void start(struct server *server, const char *const *arguments)
{
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		refusal_enter_if_asked();
		execvp(arguments[0], (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	for (int waited_ms = 0; !listens(server->socket); waited_ms += 10) {
		if (waited_ms > START_MS || waitpid(server->pid, NULL, WNOHANG) != 0)
			fail_msg("%s does not listen on %s", arguments[0], server->socket);
		nap_ms(10);
	}
}

void server_start_foreign(struct server *server, uint64_t bytes, const char *options)
{
	char blockdev[192], export[512];
	const char *const arguments[] = {
		FOREIGN, "--blockdev", blockdev, "--export", export, NULL
	};

	folder_make(server, bytes);
	snprintf(blockdev, sizeof(blockdev), "driver=file,node-name=f,discard=unmap,filename=%s",
	         server->image);
	snprintf(export, sizeof(export),
	         "type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=%s%s",
	         server->socket, options);
	start(server, arguments);
}

/* Without a path it is a balloon. */
static void start_own(struct server *server, const char *path)
{
	char qmp[128];
	const char *arguments[ARGUMENTS_MAX] = { getenv("PARAVANE"),
		                                 "serve",
		                                 path ? "blk" : "balloon",
		                                 "--socket-path",
		                                 server->socket,
		                                 "--qmp",
		                                 qmp };
	size_t count = 7;

	assert_non_null(arguments[0]);
	/* What a killed one left behind may be taken for it, for as long as the kernel clears up.
	 */
	unlink(server->socket);
	unlink(server->qmp);
	snprintf(qmp, sizeof(qmp), "unix:%s", server->qmp);
	if (path) {
		arguments[count++] = "--blk-file";
		arguments[count++] = path;
	}
	for (size_t i = 0; server->options[i]; i++) {
		assert_true(count < ARGUMENTS_MAX - 1);
		arguments[count++] = server->options[i];
	}
	start(server, arguments);
}

static void start_net(struct server *server)
{
	const char *const arguments[] = {
		getenv("PARAVANE"), "serve",     "net",        "--socket-path",
		server->socket,     "--backend", server->wire, NULL
	};

	assert_non_null(arguments[0]);
	unlink(server->socket);
	start(server, arguments);
}

void server_start_net(struct server *server, const char *wire)
{
	folder_make(server, 0);
	server->wire = wire;
	start_net(server);
}

static void config_make(const struct server *server, uint64_t bytes)
{
	FILE *file = fopen(server->config, "we");

	assert_non_null(file);
	fprintf(file,
	        "{\"loops\": 2, \"qmp\": \"unix:%s\", \"disks\": ["
	        "{\"name\": \"first\", \"num-queues\": 2, \"queue-loops\": [0, 1], "
	        "\"socket-path\": \"%s\", \"blk-file\": \"%s\"}, "
	        "{\"name\": \"second\", \"num-queues\": 2, \"queue-loops\": [1, 0], "
	        "\"socket-path\": \"%s\", \"memory\": %llu}]}",
	        server->qmp, server->socket, server->image, server->second_socket,
	        (unsigned long long)bytes);
	assert_int_equal(fclose(file), 0);
}

void server_start_two(struct server *server, uint64_t bytes)
{
	const char *const arguments[] = { getenv("PARAVANE"), "serve",        "blk",
		                          "--config",         server->config, NULL };

	assert_non_null(arguments[0]);
	folder_make(server, bytes);
	snprintf(server->config, sizeof(server->config), "%s/config", server->folder);
	snprintf(server->second_socket, sizeof(server->second_socket), "%s/second", server->folder);
	config_make(server, bytes);
	start(server, arguments);
}

void server_start_own(struct server *server, uint64_t bytes, const char *const *options)
{
	folder_make(server, bytes);
	server->options = options;
	start_own(server, server->image);
}

void server_start_own_on(struct server *server, const char *path, const char *const *options)
{
	folder_make(server, 0);
	server->options = options;
	start_own(server, path);
}

void server_start_balloon(struct server *server, const char *const *options)
{
	folder_make(server, 0);
	server->options = options;
	server->is_balloon = true;
	start_own(server, NULL);
}

void server_start_again(struct server *server)
{
	if (server->wire)
		start_net(server);
	else
		start_own(server, server->is_balloon ? NULL : server->image);
}

static bool has_answer(const char *text)
{
	return strstr(text, "\"id\": 7") || strstr(text, "\"id\":7");
}

bool server_qmp(const struct server *server, const char *command, char *answer, size_t bytes)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = { END_MS / 1000, 0 };
	ssize_t got = 0;
	size_t at = 0;

	answer[0] = '\0';
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->qmp);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const void *)&address, sizeof(address)) == 0)
		got = dprintf(fd, "{\"execute\": \"qmp_capabilities\"}\n%s\n", command);
	while (got > 0 && !has_answer(answer)) {
		/* What io_uring has to say to this thread interrupts it too. */
		do
			got = recv(fd, answer + at, bytes - 1 - at, 0);
		while (got < 0 && errno == EINTR);
		at += got > 0 ? (size_t)got : 0;
		answer[at] = '\0';
	}
	close(fd);
	return has_answer(answer);
}

void server_kill(struct server *server)
{
	if (server->pid <= 0)
		return;
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

int server_end(struct server *server)
{
	int status;

	kill(server->pid, SIGTERM);
	for (int waited_ms = 0; waited_ms < END_MS; waited_ms += 10) {
		if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
			server->pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		}
		nap_ms(10);
	}
	return -1;
}

void server_stop(struct server *server)
{
	server_kill(server);
	unlink(server->qmp);
	unlink(server->socket);
	unlink(server->second_socket);
	unlink(server->config);
	unlink(server->image);
	rmdir(server->folder);
}
