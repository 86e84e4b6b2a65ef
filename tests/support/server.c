/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/support/server.h"

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

void server_start_again(struct server *server)
{
	char qmp[128];
	const char *arguments[ARGUMENTS_MAX] = { getenv("PARAVANE"), "serve",        "blk",
		                                 "--socket-path",    server->socket, "--blk-file",
		                                 server->image,      "--qmp",        qmp };
	size_t count = 9;

	assert_non_null(arguments[0]);
	/* What a killed one left behind may be taken for it, for as long as the kernel clears up.
	 */
	unlink(server->socket);
	unlink(server->qmp);
	snprintf(qmp, sizeof(qmp), "unix:%s", server->qmp);
	for (size_t i = 0; server->options[i]; i++) {
		assert_true(count < ARGUMENTS_MAX - 1);
		arguments[count++] = server->options[i];
	}
	start(server, arguments);
}

void server_start_own(struct server *server, uint64_t bytes, const char *const *options)
{
	folder_make(server, bytes);
	server->options = options;
	server_start_again(server);
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
	unlink(server->image);
	rmdir(server->folder);
}
