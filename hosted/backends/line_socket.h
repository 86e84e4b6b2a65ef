/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within hosted/backends: lines that end in stream sockets.  line_socket.c has who is at the other
 * end, line_dial.c how we come to somebody else's, line_address.c the addresses.
 */
#ifndef PV_HOSTED_LINE_SOCKET_H
#define PV_HOSTED_LINE_SOCKET_H

#include <sys/socket.h>

#include "hosted/backends/line_fd.h"
#include "hosted/backends/socket.h"

#define PV_LINE_PAST_MAX 4u

struct pv_line_address {
	struct sockaddr_storage address;
	socklen_t bytes;
};

struct pv_line_socket {
	struct pv_line_fd fd;
	int peer_fd; /* the connection there is, or -1 */
	bool is_unix;

	/*
	 * Connections whose peers have left, and that still have something to read, the oldest
	 * first. They are read before the one there is.
	 */
	int past[PV_LINE_PAST_MAX];
	unsigned int pasts;

	int listen_fd; /* of a server, or -1 */
	struct pv_watch *listen_watch;
	char *path;                   /* that a server made, or NULL */
	struct pv_socket_place place; /* ... and there */

	struct pv_line_address to; /* of a client */
	uint32_t reconnect_ms;     /* 0: never */
	uint32_t delay_ms;
	int dial_fd; /* on its way, or -1 */
	struct pv_watch *dial_watch;
	struct pv_timer timer;
};

/* The loop. Takes a connection on. Returns 0 or -ENOMEM. */
int pv_line_take_on(struct pv_line_socket *line, int fd);

/* ---- addresses: `is_server` is whether it is ours ---- */

/* Fills in the address, and how it is to be written. Returns 0, or -errno with a sentence. */
int pv_line_address_find(struct pv_line_opening *opening, struct pv_line_address *to);
/* Returns a socket that listens, or -errno with a sentence. Of a Unix socket `*made` is filled in.
 */
int pv_line_address_listen(struct pv_line_opening *opening, const struct pv_line_address *at,
                           struct pv_socket_place *made);
/* Writes what the line is called: "tcp:127.0.0.1:4555". */
void pv_line_address_name(struct pv_line_base *base, const struct pv_line_options *options, int fd,
                          const struct pv_line_address *to);
/* What is set of each connection. */
void pv_line_address_tune(int fd, bool is_unix);

/* ---- connecting: the loop, or before it runs ---- */

/*
 * Control side. A client that will not try again is connected when this returns. Returns 0, or
 * -errno with a sentence.
 */
int pv_line_dial_first(struct pv_line_socket *line, struct pv_line_opening *opening);
/* Returns 0 or -errno. */
int pv_line_dial_start(struct pv_line_socket *line);
void pv_line_dial_stop(struct pv_line_socket *line);
void pv_line_dial_again(struct pv_line_socket *line);

#endif
