/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of lines that end in sockets.
 *
 * #syscalls setsockopt
 * #syscalls [plug] poll
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "hosted/backends/busy.h"
#include "hosted/backends/line_socket.h"
#include "hosted/backends/socket.h"

#define LOOPBACK    "127.0.0.1"
#define WAITING_MAX 16

/* What a peer may be behind: the system's own limit, where that is less. */
#define SEND_BYTES (1 << 20)

static const char *host_of(const struct pv_line_options *options)
{
	return options->host ? options->host : LOOPBACK;
}

static int find_tcp(struct pv_line_opening *opening, struct pv_line_address *to)
{
	const struct pv_line_options *options = opening->options;
	const struct addrinfo wanted = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	char port[8];
	int err;

	if (options->port == 0 && !options->is_server)
		return pv_refuse(&opening->refusal, -EINVAL, "port: it is not given");
	snprintf(port, sizeof(port), "%u", options->port);
	err = getaddrinfo(host_of(options), port, &wanted, &found);
	if (err)
		return pv_refuse(&opening->refusal, -EINVAL, "host=%s: %s; write an address",
		                 host_of(options), gai_strerror(err));
	memcpy(&to->address, found->ai_addr, found->ai_addrlen);
	to->bytes = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int find_unix(struct pv_line_opening *opening, struct pv_line_address *to)
{
	struct sockaddr_un *address = (struct sockaddr_un *)&to->address;
	const char *path = opening->options->path;

	if (!path)
		return pv_refuse(&opening->refusal, -EINVAL, "socket: the path is missing");
	if (strlen(path) >= sizeof(address->sun_path))
		return pv_refuse(
			&opening->refusal, -ENAMETOOLONG,
			"socket=%.64s...: it is longer than a socket's path may be; choose "
			"a shorter one",
			path);
	address->sun_family = AF_UNIX;
	strcpy(address->sun_path, path);
	to->bytes = sizeof(*address);
	return 0;
}

int pv_line_address_find(struct pv_line_opening *opening, struct pv_line_address *to)
{
	return opening->options->kind == PV_LINE_TCP ? find_tcp(opening, to)
	                                             : find_unix(opening, to);
}

static int bind_tcp(struct pv_line_opening *opening, const struct pv_line_address *at)
{
	const int on = 1;
	int fd = socket(at->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unsigned int tries = 0;
	int err;

	if (fd < 0)
		return pv_refuse(&opening->refusal, -errno, "host: cannot make a socket: %s",
		                 strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	do
		err = bind(fd, (const struct sockaddr *)&at->address, at->bytes) < 0 ? -errno : 0;
	while (pv_busy_try_again(err, &tries));
	if (!err)
		return fd;
	close(fd);
	return pv_refuse(&opening->refusal, err, "port=%u: cannot be had on %s: %s",
	                 opening->options->port, host_of(opening->options),
	                 err == -EADDRINUSE ? "it is in use; end who uses it or choose another port"
	                                    : strerror(-err));
}

int pv_line_address_listen(struct pv_line_opening *opening, const struct pv_line_address *at,
                           struct pv_socket_place *made)
{
	const char *path = opening->options->path;
	int fd = opening->options->kind == PV_LINE_TCP
	                 ? bind_tcp(opening, at)
	                 : pv_socket_bind(&opening->refusal, SOCK_STREAM, "socket", path, made);
	int err;

	if (fd < 0 || listen(fd, WAITING_MAX) == 0)
		return fd;
	err = -errno;
	close(fd);
	return pv_refuse(&opening->refusal, err, "cannot listen: %s", strerror(-err));
}

/* The port that the kernel chose, where that was left to it. */
static void name_tcp(struct pv_line_base *base, const struct pv_line_options *options, int fd,
                     const struct pv_line_address *to)
{
	struct pv_line_address at = *to;
	bool is_long = at.address.ss_family == AF_INET6;
	char host[64] = "", port[8] = "";

	if (fd >= 0)
		getsockname(fd, (struct sockaddr *)&at.address, &at.bytes);
	getnameinfo((const struct sockaddr *)&at.address, at.bytes, host, sizeof(host), port,
	            sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(base->text, sizeof(base->text), "tcp:%s%s%s:%s%s", is_long ? "[" : "", host,
	         is_long ? "]" : "", port, options->is_server ? ",server=on" : "");
}

void pv_line_address_name(struct pv_line_base *base, const struct pv_line_options *options, int fd,
                          const struct pv_line_address *to)
{
	if (options->kind == PV_LINE_TCP)
		name_tcp(base, options, fd, to);
	else
		snprintf(base->text, sizeof(base->text), "unix:%s%s", options->path,
		         options->is_server ? ",server=on" : "");
}

/* A host that vanishes says nothing: the kernel asks it after a minute, and six times then. */
#define ASK_AFTER_S 60
#define ASK_EVERY_S 10
#define ASK_TIMES   6

void pv_line_address_tune(int fd, bool is_unix)
{
	const int on = 1, bytes = SEND_BYTES;
	const int after = ASK_AFTER_S, every = ASK_EVERY_S, times = ASK_TIMES;

	if (is_unix) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof(after));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}
