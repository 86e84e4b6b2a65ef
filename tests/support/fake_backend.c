/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/support/fake_backend.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "hosted/vhost_user/wire.h"

#define MESSAGE_BYTES (sizeof(struct vhost_user_header) + sizeof(union vhost_user_payload))

void fake_backend_init(struct fake_backend *fake)
{
	*fake = (struct fake_backend){
		.features = VHOST_USER_F_PROTOCOL_FEATURES | VHOST_F_LOG_ALL | VIRTIO_F_VERSION_1,
		.protocol_features =
			VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK |
			VHOST_USER_PROTOCOL_F_LOG_SHMFD | VHOST_USER_PROTOCOL_F_DEVICE_STATE |
			VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_CONFIG |
			VHOST_USER_PROTOCOL_F_RESET_DEVICE |
			VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS |
			VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS | VHOST_USER_PROTOCOL_F_STATUS |
			VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
		.queues = 2,
		.mem_slots = 32,
		.channel = -1,
		.call_fd = -1,
		.kick_fd = -1,
		.err_fd = -1,
		.mem_fd = -1,
		.inflight_fd = -1,
	};
}

static void send_on(int socket, uint32_t request, uint32_t flags, const void *payload,
                    uint32_t bytes)
{
	uint8_t data[MESSAGE_BYTES];
	uint32_t count = pv_vhu_encode(data, request, flags, payload, bytes);

	/* Blocking on purpose: a test that floods its front-end waits for it. */
	send(socket, data, count, MSG_NOSIGNAL);
}

void fake_reply(struct fake_backend *fake, uint32_t request, const void *payload, uint32_t bytes)
{
	send_on(fake->socket, request, VHOST_USER_FLAG_REPLY, payload, bytes);
}

void fake_reply_u64(struct fake_backend *fake, uint32_t request, uint64_t value)
{
	fake_reply(fake, request, &value, sizeof(value));
}

void fake_channel_send(struct fake_backend *fake, uint32_t request, uint32_t flags,
                       const void *payload, uint32_t bytes)
{
	send_on(fake->channel, request, flags, payload, bytes);
}

/* Keeps the last descriptor of its kind. */
static void keep(int *kept, int *fd)
{
	if (*kept >= 0)
		close(*kept);
	*kept = *fd;
	*fd = -1;
}

static void fds_keep(struct fake_backend *fake, struct pv_vhu_message *message)
{
	switch (message->request) {
	case VHOST_USER_SET_BACKEND_REQ_FD:
		keep(&fake->channel, &message->fd[0]);
		break;
	case VHOST_USER_SET_VRING_KICK:
		keep(&fake->kick_fd, &message->fd[0]);
		break;
	case VHOST_USER_SET_VRING_CALL:
		keep(&fake->call_fd, &message->fd[0]);
		break;
	case VHOST_USER_SET_VRING_ERR:
		keep(&fake->err_fd, &message->fd[0]);
		break;
	case VHOST_USER_SET_MEM_TABLE:
	case VHOST_USER_ADD_MEM_REG:
		keep(&fake->mem_fd, &message->fd[0]);
		break;
	case VHOST_USER_SET_INFLIGHT_FD:
		keep(&fake->inflight_fd, &message->fd[0]);
		break;
	default:
		break;
	}
	pv_vhu_message_close(message);
}

static void config_reply(struct fake_backend *fake, const struct vhost_user_config *asked)
{
	struct vhost_user_config config = *asked;

	for (uint32_t i = 0; i < config.size; i++)
		config.data[i] = (uint8_t)(config.offset + i);
	if (config.offset + config.size > FAKE_CONFIG_BYTES)
		fake_reply(fake, VHOST_USER_GET_CONFIG, NULL, 0);
	else
		fake_reply(fake, VHOST_USER_GET_CONFIG, &config, 12 + config.size);
}

void fake_reply_inflight(struct fake_backend *fake, const struct vhost_user_inflight *inflight,
                         uint32_t fds)
{
	uint8_t data[MESSAGE_BYTES];
	uint32_t count = pv_vhu_encode(data, VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_FLAG_REPLY,
	                               inflight, sizeof(*inflight));
	int fd[2] = { memfd_create("fake", MFD_CLOEXEC), memfd_create("fake", MFD_CLOEXEC) };

	pv_vhu_send(fake->socket, data, count, fd, fds);
	close(fd[0]);
	close(fd[1]);
}

static void inflight_reply(struct fake_backend *fake, const struct vhost_user_inflight *asked)
{
	struct vhost_user_inflight inflight = *asked;

	inflight.mmap_size = 4096;
	fake_reply_inflight(fake, &inflight, 1);
}

static void answer(struct fake_backend *fake, const struct pv_vhu_message *message)
{
	struct vhost_user_vring_state state = { message->payload.state.index, 77 };
	uint32_t request = message->request;

	switch (request) {
	case VHOST_USER_GET_FEATURES:
		fake_reply_u64(fake, request, fake->features);
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		fake_reply_u64(fake, request, fake->protocol_features);
		break;
	case VHOST_USER_GET_QUEUE_NUM:
		fake_reply_u64(fake, request, fake->queues);
		break;
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		fake_reply_u64(fake, request, fake->mem_slots);
		break;
	case VHOST_USER_GET_STATUS:
		fake_reply_u64(fake, request, fake->status);
		break;
	case VHOST_USER_SET_LOG_BASE:
	case VHOST_USER_CHECK_DEVICE_STATE:
		fake_reply_u64(fake, request, 0);
		break;
	case VHOST_USER_SET_DEVICE_STATE_FD:
		fake_reply_u64(fake, request, VHOST_USER_TRANSFER_NO_FD);
		break;
	case VHOST_USER_GET_VRING_BASE:
		fake_reply(fake, request, &state, sizeof(state));
		break;
	case VHOST_USER_GET_CONFIG:
		config_reply(fake, &message->payload.config);
		break;
	case VHOST_USER_GET_INFLIGHT_FD:
		inflight_reply(fake, &message->payload.inflight);
		break;
	default:
		if (message->flags & VHOST_USER_FLAG_NEED_REPLY)
			fake_reply_u64(fake, request, 0);
	}
}

static void remember(struct fake_backend *fake, const struct pv_vhu_message *message)
{
	uint32_t at = fake->messages;

	if (at < FAKE_MESSAGES_MAX) {
		fake->message[at] = *message;
		__atomic_store_n(&fake->messages, at + 1, __ATOMIC_RELEASE);
	}
}

static bool serve(struct fake_backend *fake, struct pv_vhu_message *message)
{
	remember(fake, message);
	if (message->request == VHOST_USER_SET_STATUS)
		fake->status = (uint8_t)message->payload.u64;
	if (fake->twist && message->request == fake->twisted) {
		bool goes_on;

		fds_keep(fake, message);
		goes_on = fake->twist(fake, message);
		return goes_on;
	}
	fds_keep(fake, message);
	answer(fake, message);
	return true;
}

static void *run(void *arg)
{
	struct fake_backend *fake = arg;
	struct pv_vhu_decoder decoder;
	bool goes_on = true;

	pv_vhu_decoder_init(&decoder, PV_VHU_FROM_FRONTEND);
	while (goes_on) {
		struct pollfd fd = { .fd = fake->socket, .events = POLLIN };

		switch (pv_vhu_receive(fake->socket, &decoder)) {
		case PV_VHU_RECEIVED:
			goes_on = serve(fake, &decoder.message);
			break;
		case PV_VHU_NOT_YET:
			poll(&fd, 1, -1);
			break;
		default:
			goes_on = false;
		}
	}
	shutdown(fake->socket, SHUT_RDWR);
	return NULL;
}

void fake_backend_start(struct fake_backend *fake)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fake->front = pair[0];
	fake->socket = pair[1];
	assert_int_equal(pthread_create(&fake->thread, NULL, run, fake), 0);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void fake_backend_stop(struct fake_backend *fake)
{
	shutdown(fake->socket, SHUT_RDWR);
	pthread_join(fake->thread, NULL);
	close(fake->socket);
	close_if_open(fake->channel);
	close_if_open(fake->call_fd);
	close_if_open(fake->kick_fd);
	close_if_open(fake->err_fd);
	close_if_open(fake->mem_fd);
	close_if_open(fake->inflight_fd);
}

uint32_t fake_count(const struct fake_backend *fake, uint32_t request)
{
	uint32_t messages = __atomic_load_n(&fake->messages, __ATOMIC_ACQUIRE);
	uint32_t count = 0;

	for (uint32_t i = 0; i < messages; i++)
		count += fake->message[i].request == request;
	return count;
}

const struct pv_vhu_message *fake_last(const struct fake_backend *fake, uint32_t request)
{
	uint32_t messages = __atomic_load_n(&fake->messages, __ATOMIC_ACQUIRE);

	for (uint32_t i = messages; i > 0; i--) {
		if (fake->message[i - 1].request == request)
			return &fake->message[i - 1];
	}
	return NULL;
}
