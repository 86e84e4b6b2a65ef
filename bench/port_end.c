/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is behind a port that is measured, until it is ended.  It listens on a Unix socket, to one
 * monitor after the other.
 *
 *   port_end PATH sink|source|echo   takes all, gives what there is room for, or sends all back
 */
#include <err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PIECE_BYTES (1u << 18)

static char piece[PIECE_BYTES];

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		errx(2, "%s is too long", path);
	strcpy(address.sun_path, path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 1) < 0)
		err(1, "%s", path);
	return fd;
}

static bool write_all(int fd, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t now = write(fd, piece + done, bytes - done);

		if (now < 0)
			return false;
		done += (size_t)now;
	}
	return true;
}

/* Until the monitor is gone. */
static void serve(int fd, bool is_read, bool is_written)
{
	ssize_t bytes = PIECE_BYTES;

	do {
		if (is_read)
			bytes = read(fd, piece, PIECE_BYTES);
	} while (bytes > 0 && (!is_written || write_all(fd, (size_t)bytes)));
	close(fd);
}

int main(int argc, char **argv)
{
	int listener;

	if (argc != 3)
		errx(2, "port_end PATH sink|source|echo");
	signal(SIGPIPE, SIG_IGN);
	listener = listen_at(argv[1]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			err(1, "accept");
		serve(fd, strcmp(argv[2], "source") != 0, strcmp(argv[2], "sink") != 0);
	}
}
