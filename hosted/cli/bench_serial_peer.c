/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of a port, at its socket. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hosted/cli/bench_sequence.h"
#include "hosted/cli/bench_serial_load.h"

#define BUFFER_BYTES (256u << 10)
#define NAP_MS       20

struct pv_bench_serial_peer {
	struct pv_bench_worker worker;
	struct pv_bench_serial *bench;
	int fd;
	uint64_t in, out; /* bytes that came, and went */
	uint64_t checked;
	uint8_t *buffer;
	size_t at, held; /* in echo: bytes of the buffer that are to go back */
};

static bool is_going_on(const struct pv_bench_serial_peer *peer)
{
	return pv_bench_phase(&peer->bench->run) == PV_BENCH_LOAD;
}

static void gone(struct pv_bench_serial_peer *peer, ssize_t result)
{
	pv_bench_fail(&peer->bench->run, "--peer: the connection has ended%s%s",
	              result < 0 ? ": " : "", result < 0 ? strerror(errno) : "");
}

/* Waits for a moment until the socket can do this. */
static void wait_for(struct pv_bench_serial_peer *peer, short events)
{
	struct pollfd fd = { .fd = peer->fd, .events = events };

	poll(&fd, 1, NAP_MS);
}

static void check(struct pv_bench_serial_peer *peer, size_t bytes)
{
	size_t good = pv_sequence_check(peer->in, peer->buffer, bytes);

	peer->checked += good;
	if (good < bytes)
		pv_bench_fail(&peer->bench->run,
		              "check failed: byte %llu is not the one that was written",
		              (unsigned long long)(peer->in + good));
}

/* Returns how many bytes came. */
static size_t read_some(struct pv_bench_serial_peer *peer)
{
	ssize_t bytes = recv(peer->fd, peer->buffer, BUFFER_BYTES, MSG_DONTWAIT);

	if (bytes > 0) {
		if (peer->bench->plan.is_checking)
			check(peer, (size_t)bytes);
		peer->in += (size_t)bytes;
		return (size_t)bytes;
	}
	if (bytes == 0 || errno != EAGAIN)
		gone(peer, bytes);
	else
		wait_for(peer, POLLIN);
	return 0;
}

static size_t write_some(struct pv_bench_serial_peer *peer, const void *from, size_t most)
{
	ssize_t bytes = send(peer->fd, from, most, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (bytes >= 0) {
		peer->out += (size_t)bytes;
		return (size_t)bytes;
	}
	if (errno != EAGAIN)
		gone(peer, bytes);
	else
		wait_for(peer, POLLOUT);
	return 0;
}

/* ---- what it does ---- */

/* All that was written will come, or is lost. */
static void read_all(struct pv_bench_serial_peer *peer)
{
	struct pv_bench_serial *bench = peer->bench;
	uint64_t since = pv_clock_ns(CLOCK_MONOTONIC);

	while (!pv_bench_is_aborted(&bench->run)) {
		uint64_t sent = __atomic_load_n(&bench->sent_out, __ATOMIC_ACQUIRE);

		if (peer->in == sent)
			return;
		if (read_some(peer) > 0 || sent == PV_BENCH_SERIAL_GOING_ON)
			since = pv_clock_ns(CLOCK_MONOTONIC);
		else if (pv_clock_ns(CLOCK_MONOTONIC) - since > PV_BENCH_SERIAL_LOST_NS)
			pv_bench_fail(&bench->run, "check failed: %lld bytes have not come",
			              (long long)(sent - peer->in));
	}
}

static void write_until_the_end(struct pv_bench_serial_peer *peer)
{
	bool is_checking = peer->bench->plan.is_checking;
	size_t at = BUFFER_BYTES;

	while (is_going_on(peer)) {
		if (at == BUFFER_BYTES) {
			at = 0;
			if (is_checking)
				pv_sequence_fill(peer->out, peer->buffer, BUFFER_BYTES);
		}
		at += write_some(peer, peer->buffer + at, BUFFER_BYTES - at);
	}
	__atomic_store_n(&peer->bench->sent_in, peer->out, __ATOMIC_RELEASE);
}

static void send_back(struct pv_bench_serial_peer *peer)
{
	struct pv_bench_serial *bench = peer->bench;

	while (!pv_bench_is_aborted(&bench->run) &&
	       !__atomic_load_n(&bench->is_load_over, __ATOMIC_ACQUIRE)) {
		if (peer->at == peer->held) {
			peer->at = 0;
			peer->held = read_some(peer);
		} else {
			peer->at +=
				write_some(peer, peer->buffer + peer->at, peer->held - peer->at);
		}
	}
}

static struct pv_bench_serial_peer *peer_of(struct pv_bench_worker *worker)
{
	return (struct pv_bench_serial_peer *)((char *)worker -
	                                       offsetof(struct pv_bench_serial_peer, worker));
}

static void run(struct pv_bench_worker *worker)
{
	struct pv_bench_serial_peer *peer = peer_of(worker);

	switch (peer->bench->plan.mode) {
	case PV_BENCH_SERIAL_OUT:
		read_all(peer);
		break;
	case PV_BENCH_SERIAL_IN:
		write_until_the_end(peer);
		break;
	case PV_BENCH_SERIAL_ECHO:
		send_back(peer);
		break;
	}
}

/* ---- making and unmaking ---- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
		errno = fd < 0 ? errno : ENAMETOOLONG;
		return fd;
	}
	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

struct pv_bench_serial_peer *pv_bench_serial_peer_create(struct pv_bench_serial *bench)
{
	struct pv_bench_serial_peer *peer = calloc(1, sizeof(*peer));

	if (!peer) {
		pv_bench_fail(&bench->run, "out of memory");
		return NULL;
	}
	peer->worker.body = run;
	peer->bench = bench;
	peer->buffer = calloc(1, BUFFER_BYTES);
	peer->fd = connect_to(bench->plan.peer);
	if (peer->fd >= 0 && peer->buffer)
		return peer;
	pv_bench_fail(&bench->run, "--peer %s: %s", bench->plan.peer, strerror(errno));
	pv_bench_serial_peer_destroy(peer);
	return NULL;
}

struct pv_bench_worker *pv_bench_serial_peer_worker(struct pv_bench_serial_peer *peer)
{
	return &peer->worker;
}

uint64_t pv_bench_serial_peer_checked(const struct pv_bench_serial_peer *peer)
{
	return peer->checked;
}

void pv_bench_serial_peer_destroy(struct pv_bench_serial_peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	free(peer->buffer);
	free(peer);
}
