/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user front-end, on back-ends good and bad. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "hosted/loop/clock.h"
#include "hosted/vhost_user/frontend.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_backend.h"

#define TIMEOUT_MS 200u

static struct fake_backend fake;
static struct pv_vhu_frontend *frontend;
static char sentence[256];
static int fds_before;

static int make(uint64_t protocol_features)
{
	struct pv_vhu_frontend_options options = { .protocol_features = protocol_features,
		                                   .timeout_ms = TIMEOUT_MS };
	int code;

	fake_backend_start(&fake);
	options.fd = fake.front;
	code = pv_vhu_frontend_create(&frontend, &options, sentence, sizeof(sentence));
	if (code)
		close(fake.front);
	return code;
}

static void connect_well(void)
{
	if (make(PV_VHU_FRONTEND_FEATURES))
		fail_msg("%s", sentence);
}

static int setup(void **state)
{
	(void)state;
	fds_before = descriptors_open();
	frontend = NULL;
	fake_backend_init(&fake);
	return 0;
}

/* No descriptor may be left, whatever the back-end did. */
static int teardown(void **state)
{
	(void)state;
	pv_vhu_frontend_destroy(frontend);
	fake_backend_stop(&fake);
	return descriptors_open() == fds_before ? 0 : -1;
}

static uint64_t now_ms(void)
{
	return pv_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static void expect_error(int code, int expected, const char *words)
{
	assert_int_equal(code, expected);
	assert_string_equal(pv_vhu_frontend_error(frontend), words);
}

/* ---- a good back-end ---- */

static void both_ends_agree_on_what_both_have(void **state)
{
	(void)state;
	fake.protocol_features |= 1ull << 40;
	connect_well();
	assert_int_equal(pv_vhu_frontend_protocol_features(frontend), PV_VHU_FRONTEND_FEATURES);
	assert_int_equal(pv_vhu_frontend_features(frontend), VIRTIO_F_VERSION_1);
	assert_int_equal(pv_vhu_frontend_queues(frontend), 2);
	assert_int_equal(pv_vhu_frontend_mem_slots(frontend), 32);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_OWNER), 1);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_PROTOCOL_FEATURES)->payload.u64,
	                 PV_VHU_FRONTEND_FEATURES);
	assert_true(pv_vhu_frontend_is_connected(frontend));
}

static void a_back_end_without_protocol_features_is_asked_for_none(void **state)
{
	(void)state;
	fake.features = VIRTIO_F_VERSION_1;
	connect_well();
	assert_int_equal(fake.messages, 2);
	assert_int_equal(pv_vhu_frontend_queues(frontend), 1);
	assert_int_equal(pv_vhu_frontend_mem_slots(frontend), VHOST_USER_MEM_REGIONS);
	expect_error(pv_vhu_frontend_reset_device(frontend), -ENOTSUP,
	             "the back-end has no protocol feature RESET_DEVICE");
	assert_int_equal(pv_vhu_frontend_vring_enable(frontend, 0, true), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_VRING_ENABLE), 0);
}

static void in_band_notifications_are_left_out_without_the_channel(void **state)
{
	(void)state;
	fake.protocol_features &= ~VHOST_USER_PROTOCOL_F_BACKEND_REQ;
	connect_well();
	assert_false(pv_vhu_frontend_protocol_features(frontend) &
	             VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS);
	assert_int_equal(pv_vhu_frontend_channel(frontend), -1);
	assert_int_equal(pv_vhu_frontend_vring_kick(frontend, 0), -ENOTSUP);
}

static void configuration_is_read_and_written_where_it_is(void **state)
{
	uint8_t data[4];

	(void)state;
	connect_well();
	assert_int_equal(pv_vhu_frontend_config_get(frontend, 20, data, 4), 0);
	assert_memory_equal(data, "\x14\x15\x16\x17", 4);
	assert_int_equal(pv_vhu_frontend_config_set(frontend, 32, "x", 1), 0);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_CONFIG)->payload.config.offset, 32);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_CONFIG)->payload.config.data[0], 'x');
}

static void configuration_that_the_back_end_does_not_have_is_an_error(void **state)
{
	uint8_t data[256];

	(void)state;
	connect_well();
	expect_error(pv_vhu_frontend_config_get(frontend, 60, data, 4), -EREMOTEIO,
	             "the back-end refuses GET_CONFIG of 64 bytes");
	expect_error(pv_vhu_frontend_config_get(frontend, 1, data, 256), -EINVAL,
	             "configuration beyond byte 256");
	assert_int_equal(pv_vhu_frontend_config_get(frontend, UINT32_MAX, data, 2), -EINVAL);
	assert_int_equal(pv_vhu_frontend_config_get(frontend, 59, data, 1), 0);
}

static void memory_goes_out_with_its_descriptors(void **state)
{
	struct pv_vhu_region region[3];
	int fd = memfd_create("region", MFD_CLOEXEC);
	struct stat ours, theirs;

	(void)state;
	connect_well();
	for (uint32_t i = 0; i < 3; i++)
		region[i] = (struct pv_vhu_region){ { i << 20, 1 << 20, i << 24, 0 }, fd };
	assert_int_equal(pv_vhu_frontend_mem_set(frontend, region, 3), 0);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_MEM_TABLE)->size, 8 + 3 * 32);
	assert_int_equal(pv_vhu_frontend_mem_add(frontend, &region[1]), 0);
	assert_int_equal(pv_vhu_frontend_mem_remove(frontend, &region[1]), 0);
	assert_int_equal(fake_last(&fake, VHOST_USER_REM_MEM_REG)->payload.reg.region.user_addr,
	                 1 << 24);
	assert_int_equal(fstat(fd, &ours), 0);
	assert_int_equal(fstat(fake.mem_fd, &theirs), 0);
	assert_int_equal(ours.st_ino, theirs.st_ino);
	assert_int_equal(pv_vhu_frontend_mem_set(frontend, region, 9), -EINVAL);
	close(fd);
}

static void a_queue_is_set_up_with_its_kick_last(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	const struct pv_vhu_vring vring = { .size = 128,
		                            .base = pv_vhu_vring_base_fresh(true),
		                            .desc = 0x1000,
		                            .used = 0x2000,
		                            .avail = 0x3000,
		                            .kick_fd = fd,
		                            .call_fd = -1,
		                            .err_fd = fd };
	uint32_t base;

	(void)state;
	connect_well();
	assert_int_equal(pv_vhu_frontend_vring_set(frontend, 1, &vring), 0);
	assert_int_equal(fake.message[fake.messages - 1].request, VHOST_USER_SET_VRING_KICK);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_VRING_BASE)->payload.state.num,
	                 0x80008000);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_VRING_ADDR)->payload.addr.avail, 0x3000);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_VRING_CALL)->payload.u64, 0x101);
	assert_int_equal(pv_vhu_frontend_vring_enable(frontend, 1, true), 0);
	assert_int_equal(pv_vhu_frontend_vring_stop(frontend, 1, &base), 0);
	assert_int_equal(base, 77);
	close(fd);
}

static void status_goes_there_and_back(void **state)
{
	uint8_t status = 0;

	(void)state;
	connect_well();
	assert_int_equal(pv_vhu_frontend_status_set(frontend, 0x0f), 0);
	assert_int_equal(pv_vhu_frontend_status_get(frontend, &status), 0);
	assert_int_equal(status, 0x0f);
}

static bool refuse(struct fake_backend *back, struct pv_vhu_message *message)
{
	fake_reply_u64(back, message->request, 1);
	return true;
}

static void a_request_that_is_refused_leaves_the_connection_alone(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_SET_FEATURES;
	fake.twist = refuse;
	connect_well();
	expect_error(pv_vhu_frontend_features_set(frontend, 1), -EREMOTEIO,
	             "the back-end refuses SET_FEATURES");
	assert_int_equal(pv_vhu_frontend_reset_device(frontend), 0);
}

/* ---- the back-end's channel ---- */

static bool tell_of_change(struct fake_backend *back, struct pv_vhu_message *message)
{
	uint64_t answer[4];

	fake_channel_send(back, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_FLAG_NEED_REPLY,
	                  NULL, 0);
	/* Not before the front-end has acknowledged: it must do so while it waits for us. */
	if (recv(back->channel, answer, 20, MSG_WAITALL) == 20)
		fake_reply_u64(back, message->request, 0);
	return true;
}

static void a_change_of_configuration_is_heard_of_while_waiting_for_an_answer(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_RESET_DEVICE;
	fake.twist = tell_of_change;
	connect_well();
	assert_int_equal(pv_vhu_frontend_config_changes(frontend), 0);
	assert_int_equal(pv_vhu_frontend_reset_device(frontend), 0);
	assert_int_equal(pv_vhu_frontend_config_changes(frontend), 1);
}

static bool send_nonsense_on_channel(struct fake_backend *back, struct pv_vhu_message *message)
{
	(void)message;
	fake_channel_send(back, 99, 0, NULL, 0);
	return true;
}

static void nonsense_on_the_channel_ends_the_connection(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_RESET_DEVICE;
	fake.twist = send_nonsense_on_channel;
	connect_well();
	expect_error(pv_vhu_frontend_reset_device(frontend), -EPROTO,
	             "the back-end's channel: unknown request 99");
	assert_true(pv_vhu_frontend_has_failed(frontend));
}

static bool flood_channel(struct fake_backend *back, struct pv_vhu_message *message)
{
	uint64_t begin_ms = now_ms();

	(void)message;
	while (now_ms() - begin_ms < 2 * TIMEOUT_MS)
		fake_channel_send(back, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, NULL, 0);
	return false;
}

static void a_flood_on_the_channel_does_not_stretch_a_deadline(void **state)
{
	uint64_t begin_ms;

	(void)state;
	fake.twisted = VHOST_USER_RESET_DEVICE;
	fake.twist = flood_channel;
	connect_well();
	begin_ms = now_ms();
	assert_int_equal(pv_vhu_frontend_reset_device(frontend), -ETIMEDOUT);
	assert_true(now_ms() - begin_ms < 2 * TIMEOUT_MS);
	assert_true(pv_vhu_frontend_config_changes(frontend) > 0);
	/* Or the back-end would wait for us for good. */
	pv_vhu_frontend_destroy(frontend);
	frontend = NULL;
}

static bool close_channel(struct fake_backend *back, struct pv_vhu_message *message)
{
	close(back->channel);
	back->channel = -1;
	fake_reply_u64(back, message->request, 0);
	return true;
}

static void a_closed_channel_is_not_waited_on(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_RESET_DEVICE;
	fake.twist = close_channel;
	connect_well();
	assert_int_equal(pv_vhu_frontend_reset_device(frontend), 0);
	assert_int_equal(pv_vhu_frontend_channel_serve(frontend), 0);
	assert_int_equal(pv_vhu_frontend_channel(frontend), -1);
}

/* ---- bad back-ends ---- */

static bool stay_silent(struct fake_backend *back, struct pv_vhu_message *message)
{
	(void)back;
	(void)message;
	return true;
}

static void a_late_answer_ends_the_connection_for_good(void **state)
{
	uint64_t begin_ms;

	(void)state;
	fake.twisted = VHOST_USER_GET_VRING_BASE;
	fake.twist = stay_silent;
	connect_well();
	begin_ms = now_ms();
	expect_error(pv_vhu_frontend_vring_stop(frontend, 0, &(uint32_t){ 0 }), -ETIMEDOUT,
	             "GET_VRING_BASE: no answer within 200 ms");
	assert_in_range(now_ms() - begin_ms, TIMEOUT_MS - 1, 10 * TIMEOUT_MS);
	begin_ms = now_ms();
	expect_error(pv_vhu_frontend_reset_device(frontend), -ETIMEDOUT,
	             "GET_VRING_BASE: no answer within 200 ms");
	assert_true(now_ms() - begin_ms < TIMEOUT_MS);
}

static bool leave(struct fake_backend *back, struct pv_vhu_message *message)
{
	(void)back;
	(void)message;
	return false;
}

static void a_back_end_that_leaves_is_an_error_and_no_signal(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_RESET_DEVICE;
	fake.twist = leave;
	connect_well();
	expect_error(pv_vhu_frontend_reset_device(frontend), -ECONNRESET,
	             "RESET_DEVICE: the back-end has closed the connection");
	assert_false(pv_vhu_frontend_is_connected(frontend));
	assert_int_equal(pv_vhu_frontend_features_set(frontend, 0), -ECONNRESET);
	assert_int_equal(pv_vhu_frontend_vring_kick(frontend, 0), -ECONNRESET);
}

static void a_back_end_that_has_left_is_noticed_by_looking(void **state)
{
	(void)state;
	connect_well();
	shutdown(fake.socket, SHUT_RDWR);
	assert_false(pv_vhu_frontend_is_connected(frontend));
	assert_string_equal(pv_vhu_frontend_error(frontend),
	                    "the back-end has closed the connection");
}

static bool answer_something_else(struct fake_backend *back, struct pv_vhu_message *message)
{
	(void)message;
	fake_reply_u64(back, VHOST_USER_GET_QUEUE_NUM, 1);
	return true;
}

static void an_answer_to_something_else_ends_the_connection(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_GET_STATUS;
	fake.twist = answer_something_else;
	connect_well();
	expect_error(pv_vhu_frontend_status_get(frontend, &(uint8_t){ 0 }), -EPROTO,
	             "GET_STATUS answered by GET_QUEUE_NUM");
}

static bool answer_short(struct fake_backend *back, struct pv_vhu_message *message)
{
	fake_reply(back, message->request, "\1\0\0\0", 4);
	return true;
}

static void a_short_answer_ends_the_connection(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_GET_STATUS;
	fake.twist = answer_short;
	connect_well();
	expect_error(pv_vhu_frontend_status_get(frontend, &(uint8_t){ 0 }), -EPROTO,
	             "GET_STATUS: reply to GET_STATUS with a payload of 4 bytes, 8 expected");
}

static bool answer_half(struct fake_backend *back, struct pv_vhu_message *message)
{
	struct vhost_user_header header = { message->request,
		                            VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY, 8 };

	send(back->socket, &header, sizeof(header), MSG_NOSIGNAL);
	return false;
}

static void half_an_answer_is_none(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_GET_STATUS;
	fake.twist = answer_half;
	connect_well();
	assert_int_equal(pv_vhu_frontend_status_get(frontend, &(uint8_t){ 0 }), -ECONNRESET);
}

static bool answer_with_descriptors(struct fake_backend *back, struct pv_vhu_message *message)
{
	struct {
		struct vhost_user_header header;
		uint8_t payload[8];
	} reply = { { message->request, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY, 8 }, { 0 } };
	union {
		char bytes[CMSG_SPACE(20 * sizeof(int))];
		struct cmsghdr align;
	} room = { { 0 } };
	struct iovec iov = { &reply, sizeof(reply) };
	struct msghdr header = { .msg_iov = &iov,
		                 .msg_iovlen = 1,
		                 .msg_control = &room,
		                 .msg_controllen = sizeof(room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(20 * sizeof(int));
	for (size_t i = 0; i < 20; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &back->socket, sizeof(int));
	sendmsg(back->socket, &header, MSG_NOSIGNAL);
	return true;
}

static void descriptors_that_come_with_an_answer_are_closed(void **state)
{
	int before;

	(void)state;
	fake.twisted = VHOST_USER_GET_STATUS;
	fake.twist = answer_with_descriptors;
	connect_well();
	before = descriptors_open();
	expect_error(pv_vhu_frontend_status_get(frontend, &(uint8_t){ 0 }), -EPROTO,
	             "GET_STATUS: more than 8 descriptors with one message");
	assert_int_equal(descriptors_open(), before);
}

/* ---- what is in flight ---- */

static void an_in_flight_region_is_fetched_and_handed_on(void **state)
{
	const struct vhost_user_inflight *told;
	struct pv_vhu_inflight inflight;
	struct stat mine, theirs;

	(void)state;
	connect_well();
	assert_int_equal(pv_vhu_frontend_inflight_get(frontend, 2, 128, &inflight), 0);
	told = &fake_last(&fake, VHOST_USER_GET_INFLIGHT_FD)->payload.inflight;
	assert_int_equal(told->num_queues, 2);
	assert_int_equal(told->queue_size, 128);
	assert_int_equal(inflight.shape.mmap_size, 4096);
	assert_int_equal(pv_vhu_frontend_inflight_set(frontend, &inflight), 0);
	told = &fake_last(&fake, VHOST_USER_SET_INFLIGHT_FD)->payload.inflight;
	assert_memory_equal(told, &inflight.shape, sizeof(*told));
	assert_int_equal(fstat(inflight.fd, &mine), 0);
	assert_int_equal(fstat(fake.inflight_fd, &theirs), 0);
	assert_int_equal(mine.st_ino, theirs.st_ino);
	close(inflight.fd);
}

static bool answer_no_region(struct fake_backend *back, struct pv_vhu_message *message)
{
	fake_reply_inflight(back, &message->payload.inflight, 0);
	return true;
}

static void a_back_end_may_make_no_in_flight_region(void **state)
{
	struct pv_vhu_inflight inflight;

	(void)state;
	fake.twisted = VHOST_USER_GET_INFLIGHT_FD;
	fake.twist = answer_no_region;
	connect_well();
	expect_error(pv_vhu_frontend_inflight_get(frontend, 2, 128, &inflight), -EREMOTEIO,
	             "the back-end refuses GET_INFLIGHT_FD of 2 queues of 128");
	assert_true(pv_vhu_frontend_is_connected(frontend));
}

static bool answer_two_regions(struct fake_backend *back, struct pv_vhu_message *message)
{
	message->payload.inflight.mmap_size = 1;
	fake_reply_inflight(back, &message->payload.inflight, 2);
	return true;
}

static void two_in_flight_regions_end_the_connection_and_are_closed(void **state)
{
	struct pv_vhu_inflight inflight;
	int before;

	(void)state;
	fake.twisted = VHOST_USER_GET_INFLIGHT_FD;
	fake.twist = answer_two_regions;
	connect_well();
	before = descriptors_open();
	expect_error(pv_vhu_frontend_inflight_get(frontend, 2, 128, &inflight), -EPROTO,
	             "GET_INFLIGHT_FD: reply to GET_INFLIGHT_FD with 2 descriptors, 1 expected");
	/* The back-end's thread closes its own after it has sent them. */
	for (int i = 0; i < 1000 && descriptors_open() != before; i++)
		poll(NULL, 0, 5);
	assert_int_equal(descriptors_open(), before);
}

static void without_the_feature_there_is_no_in_flight_region(void **state)
{
	struct pv_vhu_inflight inflight = { .fd = 0 };

	(void)state;
	fake.protocol_features &= ~VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD;
	connect_well();
	assert_int_equal(pv_vhu_frontend_inflight_get(frontend, 2, 128, &inflight), -ENOTSUP);
	assert_int_equal(pv_vhu_frontend_inflight_set(frontend, &inflight), -ENOTSUP);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_INFLIGHT_FD), 0);
}

static bool answer_other_range(struct fake_backend *back, struct pv_vhu_message *message)
{
	struct vhost_user_config config = message->payload.config;

	config.size--;
	fake_reply(back, message->request, &config, 12 + config.size);
	return true;
}

static void configuration_of_another_size_ends_the_connection(void **state)
{
	uint8_t data[8];

	(void)state;
	fake.twisted = VHOST_USER_GET_CONFIG;
	fake.twist = answer_other_range;
	connect_well();
	expect_error(pv_vhu_frontend_config_get(frontend, 0, data, 8), -EPROTO,
	             "GET_CONFIG of 8 bytes answered with 7 from byte 0");
}

static bool answer_other_queue(struct fake_backend *back, struct pv_vhu_message *message)
{
	struct vhost_user_vring_state state = { 5, 0 };

	fake_reply(back, message->request, &state, sizeof(state));
	return true;
}

static void the_base_of_another_queue_ends_the_connection(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_GET_VRING_BASE;
	fake.twist = answer_other_queue;
	connect_well();
	expect_error(pv_vhu_frontend_vring_stop(frontend, 1, &(uint32_t){ 0 }), -EPROTO,
	             "GET_VRING_BASE of queue 1 answered for queue 5");
}

/* ---- bad beginnings ---- */

static void a_back_end_that_is_silent_from_the_start_is_given_up(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_GET_FEATURES;
	fake.twist = stay_silent;
	assert_int_equal(make(PV_VHU_FRONTEND_FEATURES), -ETIMEDOUT);
	assert_string_equal(sentence, "GET_FEATURES: no answer within 200 ms");
}

static void a_back_end_without_queues_or_memory_is_refused(void **state)
{
	(void)state;
	fake.queues = 0;
	assert_int_equal(make(PV_VHU_FRONTEND_FEATURES), -EPROTO);
	assert_string_equal(sentence, "the back-end has no queue");
	fake_backend_stop(&fake);
	fake_backend_init(&fake);
	fake.mem_slots = 0;
	assert_int_equal(make(PV_VHU_FRONTEND_FEATURES), -EPROTO);
	assert_string_equal(sentence, "the back-end takes no memory");
}

static void giant_numbers_of_queues_and_slots_are_cut(void **state)
{
	(void)state;
	fake.queues = UINT64_MAX;
	fake.mem_slots = UINT64_MAX;
	connect_well();
	assert_int_equal(pv_vhu_frontend_queues(frontend), 256);
	assert_int_equal(pv_vhu_frontend_mem_slots(frontend), VHOST_USER_MEM_SLOTS);
}

static int connect_by_path(const char *path)
{
	const struct pv_vhu_frontend_options options = { .path = path, .timeout_ms = TIMEOUT_MS };

	return pv_vhu_frontend_create(&frontend, &options, sentence, sizeof(sentence));
}

static void nobody_at_a_path_is_one_sentence(void **state)
{
	char path[200];

	(void)state;
	assert_int_equal(connect_by_path("/nowhere/at/all"), -ENOENT);
	assert_string_equal(sentence, "/nowhere/at/all: No such file or directory");
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(connect_by_path(path), -ENAMETOOLONG);
}

/* A listener whose queue of connections is full and stays so. */
static void a_back_end_that_does_not_accept_is_given_up(void **state)
{
	char path[] = "frontend-test-XXXXXX/s";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int waiting[2];

	(void)state;
	path[20] = '\0';
	assert_non_null(mkdtemp(path));
	path[20] = '/';
	memcpy(address.sun_path, path, sizeof(path));
	assert_int_equal(bind(listener, (void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 0), 0);
	waiting[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(waiting[0], (void *)&address, sizeof(address)), 0);
	assert_int_equal(connect_by_path(path), -ETIMEDOUT);
	close(waiting[0]);
	close(listener);
	assert_int_equal(connect_by_path(path), -ECONNREFUSED);
	assert_non_null(strstr(sentence, "no back-end listens there"));
	unlink(path);
	path[20] = '\0';
	rmdir(path);
}

/* Those that need no back-end. */
static int setup_alone(void **state)
{
	(void)state;
	fds_before = descriptors_open();
	return 0;
}

static int teardown_alone(void **state)
{
	(void)state;
	return descriptors_open() == fds_before ? 0 : -1;
}

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define ALONE(test)   cmocka_unit_test_setup_teardown(test, setup_alone, teardown_alone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_FAKE(both_ends_agree_on_what_both_have),
		ON_FAKE(a_back_end_without_protocol_features_is_asked_for_none),
		ON_FAKE(in_band_notifications_are_left_out_without_the_channel),
		ON_FAKE(configuration_is_read_and_written_where_it_is),
		ON_FAKE(configuration_that_the_back_end_does_not_have_is_an_error),
		ON_FAKE(memory_goes_out_with_its_descriptors),
		ON_FAKE(a_queue_is_set_up_with_its_kick_last),
		ON_FAKE(status_goes_there_and_back),
		ON_FAKE(a_request_that_is_refused_leaves_the_connection_alone),
		ON_FAKE(a_change_of_configuration_is_heard_of_while_waiting_for_an_answer),
		ON_FAKE(nonsense_on_the_channel_ends_the_connection),
		ON_FAKE(a_flood_on_the_channel_does_not_stretch_a_deadline),
		ON_FAKE(a_closed_channel_is_not_waited_on),
		ON_FAKE(a_late_answer_ends_the_connection_for_good),
		ON_FAKE(a_back_end_that_leaves_is_an_error_and_no_signal),
		ON_FAKE(a_back_end_that_has_left_is_noticed_by_looking),
		ON_FAKE(an_answer_to_something_else_ends_the_connection),
		ON_FAKE(a_short_answer_ends_the_connection),
		ON_FAKE(half_an_answer_is_none),
		ON_FAKE(descriptors_that_come_with_an_answer_are_closed),
		ON_FAKE(an_in_flight_region_is_fetched_and_handed_on),
		ON_FAKE(a_back_end_may_make_no_in_flight_region),
		ON_FAKE(two_in_flight_regions_end_the_connection_and_are_closed),
		ON_FAKE(without_the_feature_there_is_no_in_flight_region),
		ON_FAKE(configuration_of_another_size_ends_the_connection),
		ON_FAKE(the_base_of_another_queue_ends_the_connection),
		ON_FAKE(a_back_end_that_is_silent_from_the_start_is_given_up),
		ON_FAKE(a_back_end_without_queues_or_memory_is_refused),
		ON_FAKE(giant_numbers_of_queues_and_slots_are_cut),
		ALONE(nobody_at_a_path_is_one_sentence),
		ALONE(a_back_end_that_does_not_accept_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
