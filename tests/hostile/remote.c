/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A remote device whose back-end is out to harm: it does not answer, leaves, refuses, or answers
 * with something else, at each step in turn.  The monitor goes on; the driver gets a device that
 * does not start, or is told that it needs a reset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "drivers/rng/rng.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_backend.h"
#include "tests/support/remote_rig.h"

#define TIMEOUT_MS 100u

static struct fake_backend fake;
static struct remote_rig rig;
static struct pv_rngdrv *rng;

/* ---- ways to misbehave ---- */

static bool stay_silent(struct fake_backend *back, struct pv_vhu_message *message)
{
	(void)back;
	(void)message;
	return true;
}

static bool leave(struct fake_backend *back, struct pv_vhu_message *message)
{
	(void)back;
	(void)message;
	return false;
}

static bool answer_another(struct fake_backend *back, struct pv_vhu_message *message)
{
	fake_reply_u64(back, message->request + 1, 0);
	return true;
}

static bool answer_too_short(struct fake_backend *back, struct pv_vhu_message *message)
{
	const uint8_t byte = 7;

	fake_reply(back, message->request, &byte, 1);
	return true;
}

static bool refuse(struct fake_backend *back, struct pv_vhu_message *message)
{
	fake_reply_u64(back, message->request, 1);
	return true;
}

static fake_twist *const twists[] = { stay_silent, leave, answer_another, answer_too_short };

#define TWISTS (sizeof(twists) / sizeof(twists[0]))

/* ---- the rig ---- */

static void prepare(enum pv_remote_type type, uint32_t twisted, fake_twist *twist)
{
	fake_backend_init(&fake);
	fake.twisted = twisted;
	fake.twist = twist;
	fake_backend_start(&fake);
	remote_rig_init(&rig, type, REMOTE_ON_PCI);
	rig.fd = fake.front;
	rig.timeout_ms = TIMEOUT_MS;
}

static int driver_create(void)
{
	const struct pv_rngdrv_options options = { 0 };

	return pv_rngdrv_create(&rng, rig.bus, &rig.guest.base.os, &options);
}

static bool needs_reset(void *arg)
{
	(void)arg;
	return pv_device_status(rig.device) & VIRTIO_STATUS_NEEDS_RESET;
}

/* The driver's last word may still be under way when its device is taken from it. */
static void end(bool has_driver)
{
	if (has_driver)
		pv_rngdrv_destroy(rng);
	remote_rig_close(&rig);
	fake_backend_stop(&fake);
}

/* ---- before there is a device ---- */

static const uint32_t requests_at_creation[] = {
	VHOST_USER_GET_FEATURES,       VHOST_USER_GET_PROTOCOL_FEATURES,
	VHOST_USER_SET_BACKEND_REQ_FD, VHOST_USER_GET_QUEUE_NUM,
	VHOST_USER_GET_CONFIG,
};

#define AT_CREATION (sizeof(requests_at_creation) / sizeof(requests_at_creation[0]))

static void a_device_is_not_made_of_nonsense(void **state)
{
	(void)state;
	for (size_t i = 0; i < AT_CREATION; i++)
		for (size_t twist = 0; twist < TWISTS; twist++) {
			int before = descriptors_open();

			prepare(PV_REMOTE_BLK, requests_at_creation[i], twists[twist]);
			if (remote_rig_open(&rig) == 0)
				fail_msg("request %u, twist %zu", requests_at_creation[i], twist);
			assert_true(strlen(rig.sentence) > 0);
			fake_backend_stop(&fake);
			/* Until the configuration is read the connection is still ours. */
			if (requests_at_creation[i] != VHOST_USER_GET_CONFIG)
				close(fake.front);
			assert_int_equal(descriptors_open(), before);
		}
}

static void a_device_of_another_time_is_refused(void **state)
{
	(void)state;
	fake_backend_init(&fake);
	fake.features &= ~VIRTIO_F_VERSION_1;
	fake_backend_start(&fake);
	remote_rig_init(&rig, PV_REMOTE_RNG, REMOTE_ON_PCI);
	rig.fd = fake.front;
	assert_true(remote_rig_open(&rig) < 0);
	assert_non_null(strstr(rig.sentence, "virtio 1.0"));
	fake_backend_stop(&fake);
}

static void more_pairs_than_there_are_are_refused(void **state)
{
	(void)state;
	prepare(PV_REMOTE_NET, 0, NULL);
	rig.options.net.pairs = 3;
	assert_true(remote_rig_open(&rig) < 0);
	assert_non_null(strstr(rig.sentence, "pairs"));
	fake_backend_stop(&fake);
}

/* ---- when the driver starts ---- */

static const uint32_t requests_at_start[] = {
	VHOST_USER_SET_FEATURES,    VHOST_USER_SET_MEM_TABLE,    VHOST_USER_GET_INFLIGHT_FD,
	VHOST_USER_SET_INFLIGHT_FD, VHOST_USER_SET_VRING_NUM,    VHOST_USER_SET_VRING_BASE,
	VHOST_USER_SET_VRING_ADDR,  VHOST_USER_SET_VRING_CALL,   VHOST_USER_SET_VRING_ERR,
	VHOST_USER_SET_VRING_KICK,  VHOST_USER_SET_VRING_ENABLE,
};

#define AT_START (sizeof(requests_at_start) / sizeof(requests_at_start[0]))

static void start_in_vain(uint32_t request, fake_twist *twist)
{
	bool has_driver;

	prepare(PV_REMOTE_RNG, request, twist);
	assert_int_equal(remote_rig_open(&rig), 0);
	has_driver = driver_create() == 0;
	assert_true(needs_reset(NULL) || !has_driver);
	end(has_driver);
}

static void a_start_that_fails_is_told(void **state)
{
	int before = descriptors_open();

	(void)state;
	for (size_t i = 0; i < AT_START; i++) {
		for (size_t twist = 0; twist < TWISTS; twist++)
			start_in_vain(requests_at_start[i], twists[twist]);
		if (requests_at_start[i] != VHOST_USER_GET_INFLIGHT_FD)
			start_in_vain(requests_at_start[i], refuse);
	}
	assert_int_equal(descriptors_open(), before);
}

/* Who refuses one thing is asked again after a reset. */
static void after_a_refusal_the_next_start_may_succeed(void **state)
{
	bool has_driver;

	(void)state;
	prepare(PV_REMOTE_RNG, VHOST_USER_SET_VRING_NUM, refuse);
	assert_int_equal(remote_rig_open(&rig), 0);
	has_driver = driver_create() == 0;
	assert_true(needs_reset(NULL) || !has_driver);
	if (has_driver)
		pv_rngdrv_destroy(rng);
	fake.twist = NULL;
	assert_int_equal(driver_create(), 0);
	assert_false(needs_reset(NULL));
	end(true);
}

/* ---- while it runs, and when it ends ---- */

static void run(uint32_t twisted, fake_twist *twist)
{
	prepare(PV_REMOTE_RNG, twisted, twist);
	assert_int_equal(remote_rig_open(&rig), 0);
	assert_int_equal(driver_create(), 0);
	assert_false(needs_reset(NULL));
}

static void a_reset_ends_whatever_the_back_end_does(void **state)
{
	static const uint32_t requests[] = { VHOST_USER_GET_VRING_BASE, VHOST_USER_RESET_DEVICE };

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (size_t twist = 0; twist < TWISTS; twist++) {
			run(requests[i], twists[twist]);
			pv_rngdrv_destroy(rng);
			assert_int_equal(pv_device_status(rig.device), 0);
			end(false);
		}
}

/* A pause that the far side does not answer leaves a device that needs a reset, and no machine. */
static void a_pause_ends_whatever_the_back_end_does(void **state)
{
	(void)state;
	for (size_t twist = 0; twist < TWISTS; twist++) {
		run(VHOST_USER_GET_VRING_BASE, twists[twist]);
		assert_int_equal(pv_device_pause(rig.device, (struct pv_waiter){ 0 }), 0);
		assert_int_equal(rig.device->queue[0].state, PV_QUEUE_PAUSED);
		assert_true(needs_reset(NULL));
		pv_device_resume(rig.device);
		end(true);
	}
}

static void a_back_end_that_leaves_is_noticed(void **state)
{
	(void)state;
	run(0, NULL);
	shutdown(fake.socket, SHUT_RDWR);
	remote_rig_turn_until(&rig, needs_reset, NULL);
	end(true);
}

static void a_queue_that_failed_over_there_needs_a_reset(void **state)
{
	const uint64_t one = 1;

	(void)state;
	run(0, NULL);
	assert_int_equal(write(fake.err_fd, &one, sizeof(one)), sizeof(one));
	remote_rig_turn_until(&rig, needs_reset, NULL);
	pv_rngdrv_destroy(rng);
	assert_int_equal(driver_create(), 0);
	assert_false(needs_reset(NULL));
	end(true);
}

/* A descriptor that both ends have, and a back-end that would have us wait at it for ever. */
static void a_descriptor_that_is_full_and_blocks_holds_nobody_up(void **state)
{
	const uint64_t full = UINT64_MAX - 1;

	(void)state;
	run(0, NULL);
	assert_int_equal(fcntl(fake.call_fd, F_SETFL, 0), 0);
	assert_int_equal(write(fake.call_fd, &full, sizeof(full)), sizeof(full));
	assert_int_equal(pv_host_set_call(rig.host, 0, -1), 0);
	end(true);
}

static void nonsense_on_its_channel_costs_the_connection(void **state)
{
	const uint64_t nonsense = UINT64_MAX;

	(void)state;
	run(0, NULL);
	fake_channel_send(&fake, 77, 0, &nonsense, sizeof(nonsense));
	remote_rig_turn_until(&rig, needs_reset, NULL);
	assert_false(pv_remote_is_connected(rig.remote));
	end(true);
}

static void changes_without_end_do_no_harm(void **state)
{
	(void)state;
	run(0, NULL);
	for (uint32_t i = 0; i < 200; i++)
		fake_channel_send(&fake, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, NULL, 0);
	for (uint32_t i = 0; i < 200; i++)
		remote_rig_turn(&rig);
	assert_false(needs_reset(NULL));
	assert_true(rig.device->config_generation > 0);
	end(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_is_not_made_of_nonsense),
		cmocka_unit_test(a_device_of_another_time_is_refused),
		cmocka_unit_test(more_pairs_than_there_are_are_refused),
		cmocka_unit_test(a_start_that_fails_is_told),
		cmocka_unit_test(after_a_refusal_the_next_start_may_succeed),
		cmocka_unit_test(a_reset_ends_whatever_the_back_end_does),
		cmocka_unit_test(a_pause_ends_whatever_the_back_end_does),
		cmocka_unit_test(a_back_end_that_leaves_is_noticed),
		cmocka_unit_test(a_queue_that_failed_over_there_needs_a_reset),
		cmocka_unit_test(a_descriptor_that_is_full_and_blocks_holds_nobody_up),
		cmocka_unit_test(nonsense_on_its_channel_costs_the_connection),
		cmocka_unit_test(changes_without_end_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
