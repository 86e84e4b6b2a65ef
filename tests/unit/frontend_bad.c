/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user front-end on back-ends that do what they should not. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/descriptors.h"
#include "tests/support/frontend_rig.h"

/* ---- bad back-ends ---- */

static void a_late_answer_ends_the_connection_for_good(void **state)
{
	uint64_t begin_ms;

	(void)state;
	fake.twisted = VHOST_USER_GET_VRING_BASE;
	fake.twist = frontend_stay_silent;
	frontend_make_well();
	begin_ms = frontend_now_ms();
	frontend_expect_error(pv_vhu_frontend_vring_stop(frontend, 0, &(uint32_t){ 0 }), -ETIMEDOUT,
	                      "GET_VRING_BASE: no answer within 200 ms");
	assert_in_range(frontend_now_ms() - begin_ms, FRONTEND_TIMEOUT_MS - 1,
	                10 * FRONTEND_TIMEOUT_MS);
	begin_ms = frontend_now_ms();
	frontend_expect_error(pv_vhu_frontend_reset_device(frontend), -ETIMEDOUT,
	                      "GET_VRING_BASE: no answer within 200 ms");
	assert_true(frontend_now_ms() - begin_ms < FRONTEND_TIMEOUT_MS);
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
	frontend_make_well();
	frontend_expect_error(pv_vhu_frontend_reset_device(frontend), -ECONNRESET,
	                      "RESET_DEVICE: the back-end has closed the connection");
	assert_false(pv_vhu_frontend_is_connected(frontend));
	assert_int_equal(pv_vhu_frontend_features_set(frontend, 0), -ECONNRESET);
	assert_int_equal(pv_vhu_frontend_vring_kick(frontend, 0), -ECONNRESET);
}

static void a_back_end_that_has_left_is_noticed_by_looking(void **state)
{
	(void)state;
	frontend_make_well();
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
	frontend_make_well();
	frontend_expect_error(pv_vhu_frontend_status_get(frontend, &(uint8_t){ 0 }), -EPROTO,
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
	frontend_make_well();
	frontend_expect_error(
		pv_vhu_frontend_status_get(frontend, &(uint8_t){ 0 }), -EPROTO,
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
	frontend_make_well();
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
	frontend_make_well();
	before = descriptors_open();
	frontend_expect_error(pv_vhu_frontend_status_get(frontend, &(uint8_t){ 0 }), -EPROTO,
	                      "GET_STATUS: more than 8 descriptors with one message");
	assert_int_equal(descriptors_open(), before);
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
	frontend_make_well();
	before = descriptors_open();
	frontend_expect_error(
		pv_vhu_frontend_inflight_get(frontend, 2, 128, &inflight), -EPROTO,
		"GET_INFLIGHT_FD: reply to GET_INFLIGHT_FD with 2 descriptors, 1 expected");
	/* The back-end's thread closes its own after it has sent them. */
	for (int i = 0; i < 1000 && descriptors_open() != before; i++)
		poll(NULL, 0, 5);
	assert_int_equal(descriptors_open(), before);
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
	frontend_make_well();
	frontend_expect_error(pv_vhu_frontend_config_get(frontend, 0, data, 8), -EPROTO,
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
	frontend_make_well();
	frontend_expect_error(pv_vhu_frontend_vring_stop(frontend, 1, &(uint32_t){ 0 }), -EPROTO,
	                      "GET_VRING_BASE of queue 1 answered for queue 5");
}

/* ---- bad beginnings ---- */

static void a_back_end_that_is_silent_from_the_start_is_given_up(void **state)
{
	(void)state;
	fake.twisted = VHOST_USER_GET_FEATURES;
	fake.twist = frontend_stay_silent;
	assert_int_equal(frontend_make(PV_VHU_FRONTEND_FEATURES), -ETIMEDOUT);
	assert_string_equal(sentence, "GET_FEATURES: no answer within 200 ms");
}

static void a_back_end_without_queues_or_memory_is_refused(void **state)
{
	(void)state;
	fake.queues = 0;
	assert_int_equal(frontend_make(PV_VHU_FRONTEND_FEATURES), -EPROTO);
	assert_string_equal(sentence, "the back-end has no queue");
	fake_backend_stop(&fake);
	fake_backend_init(&fake);
	fake.mem_slots = 0;
	assert_int_equal(frontend_make(PV_VHU_FRONTEND_FEATURES), -EPROTO);
	assert_string_equal(sentence, "the back-end takes no memory");
}

static void giant_numbers_of_queues_and_slots_are_cut(void **state)
{
	(void)state;
	fake.queues = UINT64_MAX;
	fake.mem_slots = UINT64_MAX;
	frontend_make_well();
	assert_int_equal(pv_vhu_frontend_queues(frontend), 256);
	assert_int_equal(pv_vhu_frontend_mem_slots(frontend), VHOST_USER_MEM_SLOTS);
}

static int connect_by_path(const char *path)
{
	const struct pv_vhu_frontend_options options = { .path = path,
		                                         .timeout_ms = FRONTEND_TIMEOUT_MS };

	return pv_vhu_frontend_create(&frontend, &options, sentence, sizeof(sentence));
}

static void nobody_at_a_path_is_one_sentence(void **state)
{
	char path[200];

	(void)state;
	assert_int_equal(connect_by_path("/nowhere/at/all"), -ENOENT);
	assert_string_equal(sentence,
	                    "/nowhere/at/all: there is no such socket; start the back-end first");
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
static int fds_before;

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

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, frontend_setup, frontend_teardown)
#define ALONE(test)   cmocka_unit_test_setup_teardown(test, setup_alone, teardown_alone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_FAKE(a_late_answer_ends_the_connection_for_good),
		ON_FAKE(a_back_end_that_leaves_is_an_error_and_no_signal),
		ON_FAKE(a_back_end_that_has_left_is_noticed_by_looking),
		ON_FAKE(an_answer_to_something_else_ends_the_connection),
		ON_FAKE(a_short_answer_ends_the_connection),
		ON_FAKE(half_an_answer_is_none),
		ON_FAKE(descriptors_that_come_with_an_answer_are_closed),
		ON_FAKE(two_in_flight_regions_end_the_connection_and_are_closed),
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
