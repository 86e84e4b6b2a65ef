/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes to port_end as a monitor would, but there is no machine: what a socket carries at most.
 * A thread that spins takes the processor that a guest which polls would take.
 *
 *   port_bare PATH copied|lent PIECE DEPTH MS   so many pieces of a size at once, for so long
 *
 * "copied" writes them.  "lent" gives the socket the pages themselves, so that only who reads
 * copies.  No device could do that: the memory is the guest's again long before it has been read.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PIECES_MAX 128
#define PIPE_BYTES (1 << 20)

static int to, lending[2];
static struct iovec piece[PIECES_MAX];
static int pieces;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *spin(void *arg)
{
	for (;;)
		__asm__ volatile("" ::: "memory");
	return arg;
}

static void connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int bytes = PIPE_BYTES;

	if (strlen(path) >= sizeof(address.sun_path))
		errx(2, "%s is too long", path);
	strcpy(address.sun_path, path);
	to = socket(AF_UNIX, SOCK_STREAM, 0);
	if (to < 0 || connect(to, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "%s", path);
	setsockopt(to, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (pipe(lending) < 0 || fcntl(lending[1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
		err(1, "a pipe of %d bytes", PIPE_BYTES);
}

/* As a guest's memory, which is shared. */
static void make_pieces(size_t bytes)
{
	uint8_t *memory = mmap(NULL, bytes * (size_t)pieces, PROT_READ | PROT_WRITE,
	                       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "memory");
	for (int i = 0; i < pieces; i++)
		piece[i] = (struct iovec){ memory + (size_t)i * bytes, bytes };
}

static size_t copy_once(void)
{
	ssize_t bytes = writev(to, piece, pieces);

	if (bytes < 0)
		err(1, "writev");
	return (size_t)bytes;
}

static size_t lend_once(void)
{
	ssize_t bytes = vmsplice(lending[1], piece, (unsigned int)pieces, 0);

	if (bytes < 0)
		err(1, "vmsplice");
	for (ssize_t done = 0; done < bytes;) {
		ssize_t some = splice(lending[0], NULL, to, NULL, (size_t)(bytes - done),
		                      SPLICE_F_MOVE | SPLICE_F_MORE);

		if (some <= 0)
			err(1, "splice");
		done += some;
	}
	return (size_t)bytes;
}

int main(int argc, char **argv)
{
	size_t (*once)(void) = copy_once;
	uint64_t begin_ns, took_ns, bytes = 0;
	pthread_t spinner;

	if (argc != 6 || (pieces = atoi(argv[4])) < 1 || pieces > PIECES_MAX)
		errx(2, "port_bare PATH copied|lent PIECE DEPTH MS");
	if (strcmp(argv[2], "lent") == 0)
		once = lend_once;
	connect_to(argv[1]);
	make_pieces((size_t)atol(argv[3]));
	pthread_create(&spinner, NULL, spin, NULL);
	begin_ns = now_ns();
	do {
		bytes += once();
		took_ns = now_ns() - begin_ns;
	} while (took_ns < (uint64_t)atol(argv[5]) * 1000000u);
	printf("KB written a second %lu\n", (unsigned long)((double)bytes * 1e6 / (double)took_ns));
	return 0;
}
