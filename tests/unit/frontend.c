/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user front-end on good back-ends, and what comes on the back-end's channel. */
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
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "tests/support/frontend_rig.h"

/* ---- a good back-end ---- */

static void both_ends_agree_on_what_both_have(void **state)
{
	(void)state;
	fake.protocol_features |= 1ull << 40;
	frontend_make_well();
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
	frontend_make_well();
	assert_int_equal(fake.messages, 2);
	assert_int_equal(pv_vhu_frontend_queues(frontend), 1);
	assert_int_equal(pv_vhu_frontend_mem_slots(frontend), VHOST_USER_MEM_REGIONS);
	frontend_expect_error(pv_vhu_frontend_reset_device(frontend), -ENOTSUP,
	                      "the back-end has no protocol feature RESET_DEVICE");
	assert_int_equal(pv_vhu_frontend_vring_enable(frontend, 0, true), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_VRING_ENABLE), 0);
}

static void in_band_notifications_are_left_out_without_the_channel(void **state)
{
	(void)state;
	fake.protocol_features &= ~VHOST_USER_PROTOCOL_F_BACKEND_REQ;
	frontend_make_well();
	assert_false(pv_vhu_frontend_protocol_features(frontend) &
	             VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS);
	assert_int_equal(pv_vhu_frontend_channel(frontend), -1);
	assert_int_equal(pv_vhu_frontend_vring_kick(frontend, 0), -ENOTSUP);
}

static void configuration_is_read_and_written_where_it_is(void **state)
{
	uint8_t data[4];

	(void)state;
	frontend_make_well();
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
	frontend_make_well();
	frontend_expect_error(pv_vhu_frontend_config_get(frontend, 60, data, 4), -EREMOTEIO,
	                      "the back-end refuses GET_CONFIG of 64 bytes");
	frontend_expect_error(pv_vhu_frontend_config_get(frontend, 1, data, 256), -EINVAL,
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
	frontend_make_well();
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
	frontend_make_well();
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
	frontend_make_well();
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
	frontend_make_well();
	frontend_expect_error(pv_vhu_frontend_features_set(frontend, 1), -EREMOTEIO,
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
	frontend_make_well();
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
	frontend_make_well();
	frontend_expect_error(pv_vhu_frontend_reset_device(frontend), -EPROTO,
	                      "the back-end's channel: unknown request 99");
	assert_true(pv_vhu_frontend_has_failed(frontend));
}

static bool flood_channel(struct fake_backend *back, struct pv_vhu_message *message)
{
	uint64_t begin_ms = frontend_now_ms();

	(void)message;
	while (frontend_now_ms() - begin_ms < 2 * FRONTEND_TIMEOUT_MS)
		fake_channel_send(back, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, NULL, 0);
	return false;
}

static void a_flood_on_the_channel_does_not_stretch_a_deadline(void **state)
{
	uint64_t begin_ms;

	(void)state;
	fake.twisted = VHOST_USER_RESET_DEVICE;
	fake.twist = flood_channel;
	frontend_make_well();
	begin_ms = frontend_now_ms();
	assert_int_equal(pv_vhu_frontend_reset_device(frontend), -ETIMEDOUT);
	assert_true(frontend_now_ms() - begin_ms < 2 * FRONTEND_TIMEOUT_MS);
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
	frontend_make_well();
	assert_int_equal(pv_vhu_frontend_reset_device(frontend), 0);
	assert_int_equal(pv_vhu_frontend_channel_serve(frontend), 0);
	assert_int_equal(pv_vhu_frontend_channel(frontend), -1);
}

/* ---- what is in flight ---- */

static void an_in_flight_region_is_fetched_and_handed_on(void **state)
{
	const struct vhost_user_inflight *told;
	struct pv_vhu_inflight inflight;
	struct stat mine, theirs;

	(void)state;
	frontend_make_well();
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
	frontend_make_well();
	frontend_expect_error(pv_vhu_frontend_inflight_get(frontend, 2, 128, &inflight), -EREMOTEIO,
	                      "the back-end refuses GET_INFLIGHT_FD of 2 queues of 128");
	assert_true(pv_vhu_frontend_is_connected(frontend));
}

static void without_the_feature_there_is_no_in_flight_region(void **state)
{
	struct pv_vhu_inflight inflight = { .fd = 0 };

	(void)state;
	fake.protocol_features &= ~VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD;
	frontend_make_well();
	assert_int_equal(pv_vhu_frontend_inflight_get(frontend, 2, 128, &inflight), -ENOTSUP);
	assert_int_equal(pv_vhu_frontend_inflight_set(frontend, &inflight), -ENOTSUP);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_INFLIGHT_FD), 0);
}

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, frontend_setup, frontend_teardown)

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
		ON_FAKE(an_in_flight_region_is_fetched_and_handed_on),
		ON_FAKE(a_back_end_may_make_no_in_flight_region),
		ON_FAKE(without_the_feature_there_is_no_in_flight_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
