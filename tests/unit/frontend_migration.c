/* SPDX-License-Identifier: BSD-2-Clause */
/* The vhost-user front-end that moves its guest: what it says, and what it makes of the answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "tests/support/frontend_rig.h"

static uint64_t answer;

/* To one request the answer is `answer`. */
static bool answer_so(struct fake_backend *back, struct pv_vhu_message *message)
{
	fake_reply_u64(back, message->request, answer);
	return true;
}

static void make_that_answers(uint32_t request, uint64_t value)
{
	fake.twisted = request;
	fake.twist = answer_so;
	answer = value;
	frontend_make_well();
}

static void a_log_goes_out_with_its_place_and_descriptor(void **state)
{
	const struct pv_vhu_message *message;

	(void)state;
	frontend_make_well();
	assert_true(pv_vhu_frontend_can_log(frontend));
	assert_int_equal(pv_vhu_frontend_log_set(frontend, 0, 4096, 100), 0);
	message = fake_last(&fake, VHOST_USER_SET_LOG_BASE);
	assert_int_equal(message->payload.log.mmap_offset, 4096);
	assert_int_equal(message->payload.log.mmap_size, 100);
	assert_int_equal(message->fds, 1);
}

static void logging_goes_along_with_the_features_until_it_is_turned_off(void **state)
{
	const uint64_t driver = VIRTIO_F_VERSION_1;
	const uint64_t plain = driver | VHOST_USER_F_PROTOCOL_FEATURES;

	(void)state;
	frontend_make_well();
	assert_int_equal(pv_vhu_frontend_features(frontend) & VHOST_F_LOG_ALL, 0);
	assert_int_equal(pv_vhu_frontend_features_set(frontend, driver), 0);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_FEATURES)->payload.u64, plain);
	assert_int_equal(pv_vhu_frontend_log_turn(frontend, true), 0);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_FEATURES)->payload.u64,
	                 plain | VHOST_F_LOG_ALL);
	assert_int_equal(pv_vhu_frontend_features_set(frontend, 0), 0);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_FEATURES)->payload.u64,
	                 VHOST_USER_F_PROTOCOL_FEATURES | VHOST_F_LOG_ALL);
	assert_int_equal(pv_vhu_frontend_log_turn(frontend, false), 0);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_FEATURES)->payload.u64,
	                 VHOST_USER_F_PROTOCOL_FEATURES);
}

static void a_rings_own_writes_are_logged_where_it_says(void **state)
{
	struct pv_vhu_vring vring = { .size = 8, .kick_fd = -1, .call_fd = -1, .err_fd = -1 };
	const struct vhost_user_vring_addr *addr;

	(void)state;
	frontend_make_well();
	assert_int_equal(pv_vhu_frontend_vring_set(frontend, 1, &vring), 0);
	addr = &fake_last(&fake, VHOST_USER_SET_VRING_ADDR)->payload.addr;
	assert_int_equal(addr->flags, 0);
	vring.is_logged = true;
	vring.log = 0x12345000;
	assert_int_equal(pv_vhu_frontend_vring_log(frontend, 1, &vring), 0);
	addr = &fake_last(&fake, VHOST_USER_SET_VRING_ADDR)->payload.addr;
	assert_int_equal(addr->index, 1);
	assert_int_equal(addr->flags, VHOST_VRING_F_LOG);
	assert_int_equal(addr->log, 0x12345000);
}

/* From the return on everything is logged: so where nothing is acknowledged another answer must be.
 */
static void without_acknowledgements_an_answer_is_waited_for_all_the_same(void **state)
{
	struct pv_vhu_vring vring = { .is_logged = true };

	(void)state;
	fake.protocol_features &= ~VHOST_USER_PROTOCOL_F_REPLY_ACK;
	frontend_make_well();
	assert_int_equal(fake_count(&fake, VHOST_USER_GET_FEATURES), 1);
	assert_int_equal(pv_vhu_frontend_log_turn(frontend, true), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_GET_FEATURES), 2);
	assert_int_equal(pv_vhu_frontend_vring_log(frontend, 0, &vring), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_GET_FEATURES), 3);
	assert_int_equal(pv_vhu_frontend_log_set(frontend, 0, 0, 1), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_GET_FEATURES), 3);
}

static void a_log_that_is_refused_is_an_error_of_its_own(void **state)
{
	(void)state;
	make_that_answers(VHOST_USER_SET_LOG_BASE, 1ull << 40);
	frontend_expect_error(pv_vhu_frontend_log_set(frontend, 0, 0, 1), -EREMOTEIO,
	                      "the back-end refuses SET_LOG_BASE");
	assert_false(pv_vhu_frontend_has_failed(frontend));
}

static void a_back_end_that_cannot_log_is_not_asked_to(void **state)
{
	struct pv_vhu_vring vring = { 0 };

	(void)state;
	fake.features &= ~VHOST_F_LOG_ALL;
	frontend_make_well();
	assert_false(pv_vhu_frontend_can_log(frontend));
	frontend_expect_error(pv_vhu_frontend_log_set(frontend, 0, 0, 1), -ENOTSUP,
	                      "the back-end keeps no dirty log");
	assert_int_equal(pv_vhu_frontend_log_turn(frontend, true), -ENOTSUP);
	assert_int_equal(pv_vhu_frontend_vring_log(frontend, 0, &vring), -ENOTSUP);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_LOG_BASE), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_FEATURES), 0);
}

static void a_state_is_asked_for_with_its_direction(void **state)
{
	(void)state;
	frontend_make_well();
	for (uint32_t is_load = 0; is_load < 2; is_load++) {
		const struct pv_vhu_message *message;

		assert_int_equal(pv_vhu_frontend_state_begin(frontend, is_load, 0), 0);
		message = fake_last(&fake, VHOST_USER_SET_DEVICE_STATE_FD);
		assert_int_equal(message->payload.transfer.direction, is_load);
		assert_int_equal(message->payload.transfer.phase, 0);
		assert_int_equal(message->fds, 1);
		assert_int_equal(pv_vhu_frontend_state_check(frontend), 0);
	}
}

static void a_state_that_is_refused_is_an_error_of_its_own(void **state)
{
	(void)state;
	make_that_answers(VHOST_USER_SET_DEVICE_STATE_FD, VHOST_USER_TRANSFER_NO_FD | 7);
	frontend_expect_error(pv_vhu_frontend_state_begin(frontend, true, 0), -EREMOTEIO,
	                      "the back-end refuses SET_DEVICE_STATE_FD");
	assert_false(pv_vhu_frontend_has_failed(frontend));
}

static void a_state_that_failed_says_so(void **state)
{
	(void)state;
	make_that_answers(VHOST_USER_CHECK_DEVICE_STATE, 0x100);
	frontend_expect_error(pv_vhu_frontend_state_check(frontend), -EREMOTEIO,
	                      "the back-end refuses CHECK_DEVICE_STATE");
	assert_false(pv_vhu_frontend_has_failed(frontend));
}

static void a_channel_that_is_promised_and_does_not_come_ends_the_connection(void **state)
{
	(void)state;
	make_that_answers(VHOST_USER_SET_DEVICE_STATE_FD, 0);
	frontend_expect_error(pv_vhu_frontend_state_begin(frontend, false, 0), -EPROTO,
	                      "SET_DEVICE_STATE_FD answered without a descriptor");
	assert_true(pv_vhu_frontend_has_failed(frontend));
}

static void a_back_end_without_the_feature_is_not_asked_for_its_state(void **state)
{
	(void)state;
	fake.protocol_features &= ~VHOST_USER_PROTOCOL_F_DEVICE_STATE;
	frontend_make_well();
	frontend_expect_error(pv_vhu_frontend_state_begin(frontend, false, 0), -ENOTSUP,
	                      "the back-end's state cannot be moved");
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_DEVICE_STATE_FD), 0);
}

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, frontend_setup, frontend_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_FAKE(a_log_goes_out_with_its_place_and_descriptor),
		ON_FAKE(logging_goes_along_with_the_features_until_it_is_turned_off),
		ON_FAKE(a_rings_own_writes_are_logged_where_it_says),
		ON_FAKE(without_acknowledgements_an_answer_is_waited_for_all_the_same),
		ON_FAKE(a_log_that_is_refused_is_an_error_of_its_own),
		ON_FAKE(a_back_end_that_cannot_log_is_not_asked_to),
		ON_FAKE(a_state_is_asked_for_with_its_direction),
		ON_FAKE(a_state_that_is_refused_is_an_error_of_its_own),
		ON_FAKE(a_state_that_failed_says_so),
		ON_FAKE(a_channel_that_is_promised_and_does_not_come_ends_the_connection),
		ON_FAKE(a_back_end_without_the_feature_is_not_asked_for_its_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
