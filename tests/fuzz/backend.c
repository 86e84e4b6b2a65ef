/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole back-end, a socket away: messages that are well-formed outside and anything inside,
 * with descriptors of several kinds, to a device that runs what queues they start.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosted/loop/host.h"
#include "hosted/loop/loop.h"
#include "hosted/vhost_user/backend.h"
#include "hosted/vhost_user/wire.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define MEMORY_BYTES 65536
#define MESSAGES_MAX 48u
#define KINDS        4u

static struct pv_loop *loop;
static struct pv_host *host;
static struct fuzz_blk blk;
static int memory_fd, event_fd, pipe_fd, socket_fd;

static void open_once(void)
{
	const struct pv_loop_options options = { .name = "fuzz" };
	int pipe_fds[2], sockets[2];

	pv_bug_on(pv_loop_create(&loop, &options));
	pv_bug_on(pv_host_create(
		&host,
		&(struct pv_host_options){
			.name = "fuzz", .control = loop, .loop = &loop, .loops = 1, .queues = 1 }));
	fuzz_blk_open(&blk);
	blk.host.device->port = pv_host_port(host);
	memory_fd = memfd_create("fuzz", MFD_CLOEXEC);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pv_bug_on(memory_fd < 0 || event_fd < 0 || ftruncate(memory_fd, MEMORY_BYTES));
	pv_bug_on(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK));
	pv_bug_on(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets));
	pipe_fd = pipe_fds[1];
	socket_fd = sockets[0];
}

/* What the peer made of the memory is the next input's beginning, but for the ring. */
static void fill_memory(struct fuzz_input *input)
{
	uint8_t page[512] = { 0 };

	fuzz_copy(input, page, fuzz_u16(input) % sizeof(page));
	pv_bug_on(pwrite(memory_fd, page, sizeof(page), 0) != sizeof(page));
}

static uint32_t choose_fds(uint8_t kind, int fd[VHOST_USER_FDS])
{
	const int kinds[KINDS] = { memory_fd, event_fd, pipe_fd, socket_fd };
	uint32_t fds = kind >> 2 & 15;

	if (fds > VHOST_USER_FDS)
		fds = VHOST_USER_FDS;
	for (uint32_t i = 0; i < fds; i++)
		fd[i] = kinds[kind % KINDS];
	return fds;
}

/* One message. False when the socket takes no more. */
static bool send_one(int socket, struct fuzz_input *input)
{
	union vhost_user_payload payload = { 0 };
	uint8_t message[sizeof(struct vhost_user_header) + sizeof(payload)];
	uint32_t request = fuzz_u8(input) % 44;
	uint32_t flags = fuzz_u8(input) & 1 ? VHOST_USER_FLAG_NEED_REPLY : 0;
	int fd[VHOST_USER_FDS];
	uint32_t fds = choose_fds(fuzz_u8(input), fd);
	uint32_t bytes = fuzz_u16(input) % (sizeof(payload) + 1);
	uint32_t size;

	fuzz_copy(input, &payload, bytes);
	size = pv_vhu_encode(message, request, flags, &payload, bytes);
	return pv_vhu_send(socket, message, size, fd, fds) == (int)size;
}

static void finished(void *arg)
{
	(void)arg;
	pv_loop_stop(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	struct pv_vhu_backend_options options = {
		.control = loop,
		.host = host,
		.device = blk.host.device,
		.listen_fd = -1,
		.finished = finished,
	};
	struct pv_vhu_backend *backend;
	int sockets[2];

	if (!loop)
		open_once();
	options.control = loop;
	options.host = host;
	options.device = blk.host.device;
	pv_bug_on(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets));
	fill_memory(&input);
	for (uint32_t i = 0; i < MESSAGES_MAX && input.bytes > 0; i++)
		if (!send_one(sockets[0], &input))
			break;
	shutdown(sockets[0], SHUT_WR);
	pv_bug_on(pv_vhu_backend_create(&backend, &options));
	pv_vhu_backend_connect(backend, sockets[1]);
	pv_loop_run(loop);
	pv_vhu_backend_stop(backend, finished, NULL);
	pv_loop_run(loop);
	pv_bug_on(pv_device_status(blk.host.device) != 0);
	pv_vhu_backend_destroy(backend);
	close(sockets[0]);
	return 0;
}
