/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls recvmsg sendmsg close
 */
#include "hosted/vhost_user/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Room for one descriptor more than a message may have, so that a message with too many is seen as
 * such; the kernel drops and closes what does not fit. It counts from the length it is given, which
 * must not have the padding at its end.
 */
#define FDS_ROOM (VHOST_USER_FDS + 1)

union fd_room {
	char bytes[CMSG_SPACE(sizeof(int) * FDS_ROOM)];
	struct cmsghdr align;
};

void pv_vhu_message_close(struct pv_vhu_message *message)
{
	for (uint32_t i = 0; i < message->fds; i++) {
		if (message->fd[i] >= 0)
			close(message->fd[i]);
		message->fd[i] = -1;
	}
	message->fds = 0;
}

/* Descriptors come in pieces of control data only in theory, but the format allows it. */
static uint32_t fds_collect(struct msghdr *header, int fd[FDS_ROOM])
{
	uint32_t fds = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count && fds < FDS_ROOM; i++)
			memcpy(&fd[fds++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	return fds;
}

static enum pv_vhu_received bad(struct pv_vhu_decoder *decoder)
{
	pv_vhu_message_close(&decoder->message);
	return PV_VHU_BAD;
}

static enum pv_vhu_received read_failed(struct pv_vhu_decoder *decoder)
{
	if (errno == EAGAIN)
		return PV_VHU_NOT_YET;
	if (errno == ECONNRESET) {
		pv_vhu_message_close(&decoder->message);
		return PV_VHU_CLOSED;
	}
	snprintf(decoder->error, sizeof(decoder->error), "reading from the socket: %s",
	         strerror(errno));
	return bad(decoder);
}

/* The decoder keeps all descriptors but one that is beyond what any message has. */
static enum pv_vhu_decoded feed(struct pv_vhu_decoder *decoder, const void *data, size_t count,
                                const int *fd, uint32_t fds)
{
	if (fds > VHOST_USER_FDS)
		close(fd[VHOST_USER_FDS]);
	return pv_vhu_decoder_feed(decoder, data, (uint32_t)count, fd, fds);
}

enum pv_vhu_received pv_vhu_receive(int socket, struct pv_vhu_decoder *decoder)
{
	for (;;) {
		uint8_t data[sizeof(decoder->bytes)];
		union fd_room room;
		struct iovec iov = { data, pv_vhu_decoder_wants(decoder) };
		struct msghdr header = { .msg_iov = &iov,
			                 .msg_iovlen = 1,
			                 .msg_control = room.bytes,
			                 .msg_controllen = CMSG_LEN(sizeof(int) * FDS_ROOM) };
		int fd[FDS_ROOM];
		ssize_t count;

		do {
			count = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		} while (count < 0 && errno == EINTR);
		if (count < 0)
			return read_failed(decoder);
		if (count == 0) {
			pv_vhu_message_close(&decoder->message);
			return PV_VHU_CLOSED;
		}
		switch (feed(decoder, data, (size_t)count, fd, fds_collect(&header, fd))) {
		case PV_VHU_MORE:
			break;
		case PV_VHU_MESSAGE:
			return PV_VHU_RECEIVED;
		case PV_VHU_ERROR:
			return bad(decoder);
		}
	}
}

static void fds_attach(struct msghdr *header, union fd_room *room, const int *fd, uint32_t fds)
{
	size_t bytes = sizeof(int) * fds;
	struct cmsghdr *c;

	memset(room, 0, sizeof(*room));
	header->msg_control = room->bytes;
	header->msg_controllen = CMSG_SPACE(bytes);
	c = CMSG_FIRSTHDR(header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(c), fd, bytes);
}

int pv_vhu_send(int socket, const void *data, size_t bytes, const int *fd, uint32_t fds)
{
	struct iovec iov = { (void *)(uintptr_t)data, bytes };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	union fd_room room;
	ssize_t count;

	if (fds > VHOST_USER_FDS)
		return -EINVAL;
	if (fds)
		fds_attach(&header, &room, fd, fds);
	do {
		count = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : (int)count;
}
