/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user device in a child process, a disk on an image of its own in a folder of its own: our
 * program, or qemu-storage-daemon.  The child dies with the test.  Where PV_TEST_IO_URING says so
 * (refusal.h) it has no io_uring.
 */
#ifndef PV_TESTS_SERVER_H
#define PV_TESTS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct server {
	pid_t pid;
	char folder[64];
	char socket[96];
	char image[96];
	char qmp[96]; /* ours only */
	/* Of two disks in one process. */
	char config[96];
	char second_socket[96];
	const char *const *options;
	const char *wire; /* of a network device; NULL: it is a disk, or ... */
	bool is_balloon;
};

/* Is there a qemu-storage-daemon on this machine? */
bool server_is_foreign_there(void);

/*
 * Start it on a fresh, empty image of so many bytes; the test fails when it does not come up.
 * `export` is added to the export's options, such as ",writable=on"; `options` are those of
 * `paravane serve blk`, ended by NULL. The program is the one that PARAVANE names.
 */
void server_start_foreign(struct server *server, uint64_t bytes, const char *export);
void server_start_own(struct server *server, uint64_t bytes, const char *const *options);

/*
 * Ours with two disks of so many bytes, "first" on the image and "second" in memory, each with two
 * queues: of the first on loops 0 and 1, of the second on 1 and 0.
 */
void server_start_two(struct server *server, uint64_t bytes);

/* Ours on a file or block device of the caller's, which stays. */
void server_start_own_on(struct server *server, const char *path, const char *const *options);

/* Ours, a network device on such a wire: what --backend takes. */
void server_start_net(struct server *server, const char *wire);

/* Ours, a balloon; `options` are those of `paravane serve balloon`, ended by NULL. */
void server_start_balloon(struct server *server, const char *const *options);

/* Ours once more on the same image and the same socket, after it was killed. */
void server_start_again(struct server *server);

/*
 * One control command of ours, with an "id" of 7, and the whole answer, events and all, in
 * `answer`. False if there was none. Any thread.
 */
bool server_qmp(const struct server *server, const char *command, char *answer, size_t bytes);

/* Without warning. */
void server_kill(struct server *server);

/* By SIGTERM. Returns its exit status, or -1 if it did not end by itself. */
int server_end(struct server *server);

/* Ends it if it still runs, and removes its folder. */
void server_stop(struct server *server);

#endif
