/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that take too long, on a device played by hand that answers when the test likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/blkdrv_rig.h"

#define SECOND_NS 1000000000ull
#define REQUESTS  4u

struct scene {
	struct pv_blkdrv_rig rig;
	struct pv_buffer data[REQUESTS];
	struct pv_blkdrv_request request[REQUESTS];
	uint32_t ended;
};

static void count_end(struct pv_blkdrv_request *request)
{
	struct scene *scene = request->arg;

	scene->ended++;
}

/* Request i may take `timeout_ns[i]`. */
static void begin(struct scene *scene, const uint64_t timeout_ns[REQUESTS])
{
	for (uint32_t i = 0; i < REQUESTS; i++) {
		scene->data[i] = (struct pv_buffer){ scene->rig.data + (size_t)i * 512, 512 };
		scene->request[i] = (struct pv_blkdrv_request){ .op = PV_BLKDRV_READ,
			                                        .sector = i,
			                                        .buffers = 1,
			                                        .buffer = &scene->data[i],
			                                        .timeout_ns = timeout_ns[i],
			                                        .done = count_end,
			                                        .arg = scene };
		assert_int_equal(pv_blkdrv_submit(scene->rig.queue, &scene->request[i]), 0);
	}
	pv_blkdrv_publish(scene->rig.queue);
}

static void open_with(struct scene *scene, uint64_t request_timeout_ns, bool fails_on_reset)
{
	*scene = (struct scene){ 0 };
	pv_blkdrv_rig_prepare(&scene->rig, PV_RIG_FEATURES);
	scene->rig.options.request_timeout_ns = request_timeout_ns;
	scene->rig.options.fails_on_reset = fails_on_reset;
	assert_int_equal(pv_blkdrv_rig_create(&scene->rig), 0);
}

/* How many requests the device finds on its ring, all of which it serves. */
static uint32_t serve_all(struct scene *scene)
{
	uint32_t served = 0;

	while (pv_fake_serve(&scene->rig.fake, 0, VIRTIO_BLK_S_OK))
		served++;
	return served;
}

static void who_takes_too_long_ends_and_the_others_go_on(void **state)
{
	static struct scene scene;
	const uint64_t limits[REQUESTS] = { 0, 3 * SECOND_NS, SECOND_NS, 2 * SECOND_NS };

	(void)state;
	open_with(&scene, 0, false);
	scene.rig.fake.now_ns = 77;
	begin(&scene, limits);
	assert_int_equal(pv_blkdrv_deadline_ns(scene.rig.blk), 77 + SECOND_NS);
	scene.rig.fake.now_ns = 76 + SECOND_NS;
	assert_int_equal(pv_blkdrv_tend(scene.rig.blk), 0);
	assert_int_equal(scene.ended, 0);

	scene.rig.fake.now_ns = 77 + 2 * SECOND_NS;
	assert_int_equal(pv_blkdrv_tend(scene.rig.blk), 1);
	assert_int_equal(scene.ended, 2);
	assert_int_equal(scene.request[2].error, -PV_ETIMEDOUT);
	assert_int_equal(scene.request[3].error, -PV_ETIMEDOUT);
	assert_int_equal(pv_blkdrv_deadline_ns(scene.rig.blk), 77 + 3 * SECOND_NS);
	assert_int_equal(pv_blkdrv_queue_counters(scene.rig.queue).overdue, 2);
	assert_int_equal(pv_blkdrv_queue_counters(scene.rig.queue).repeats, 2);

	assert_int_equal(serve_all(&scene), 2);
	assert_int_equal(pv_blkdrv_tend(scene.rig.blk), 0);
	assert_int_equal(scene.ended, 4);
	assert_int_equal(scene.request[0].error | scene.request[1].error, 0);
	assert_int_equal(pv_blkdrv_deadline_ns(scene.rig.blk), UINT64_MAX);
	pv_blkdrv_rig_close(&scene.rig);
}

/* An answer that is there, and nobody has looked at yet, is in time. */
static void an_answer_that_has_come_is_taken_first(void **state)
{
	static struct scene scene;
	const uint64_t limits[REQUESTS] = { 0 };

	(void)state;
	open_with(&scene, SECOND_NS, false);
	begin(&scene, limits);
	assert_int_equal(pv_blkdrv_deadline_ns(scene.rig.blk), SECOND_NS);
	assert_int_equal(serve_all(&scene), REQUESTS);
	scene.rig.fake.now_ns = 5 * SECOND_NS;
	assert_int_equal(pv_blkdrv_tend(scene.rig.blk), 0);
	assert_int_equal(scene.ended, REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++)
		assert_int_equal(scene.request[i].error, 0);
	pv_blkdrv_rig_close(&scene.rig);
}

static void a_device_that_asks_for_a_reset_is_tended_by_policy(void **state)
{
	static struct scene scene;
	const uint64_t limits[REQUESTS] = { 0 };

	(void)state;
	for (int fails = 0; fails < 2; fails++) {
		open_with(&scene, 0, fails);
		begin(&scene, limits);
		scene.rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
		assert_int_equal(pv_blkdrv_tend(scene.rig.blk), 1);
		assert_int_equal(scene.ended, fails ? REQUESTS : 0);
		assert_int_equal(serve_all(&scene), fails ? 0 : REQUESTS);
		assert_int_equal(pv_blkdrv_tend(scene.rig.blk), 0);
		assert_int_equal(scene.ended, REQUESTS);
		for (uint32_t i = 0; i < REQUESTS; i++)
			assert_int_equal(scene.request[i].error, fails ? -PV_EBROKEN : 0);

		/* It works on. */
		scene.ended = 0;
		begin(&scene, limits);
		assert_int_equal(serve_all(&scene), REQUESTS);
		assert_int_equal(pv_blkdrv_poll(scene.rig.queue), REQUESTS);
		pv_blkdrv_rig_close(&scene.rig);
	}
}

static void a_device_that_does_not_even_reset_ends_everything(void **state)
{
	static struct scene scene;
	const uint64_t limits[REQUESTS] = { 0 };

	(void)state;
	open_with(&scene, SECOND_NS, false);
	begin(&scene, limits);
	scene.rig.fake.reset_looks = UINT32_MAX;
	scene.rig.fake.now_ns = SECOND_NS;
	assert_int_equal(pv_blkdrv_tend(scene.rig.blk), -PV_ETIMEDOUT);
	assert_int_equal(scene.ended, REQUESTS);
	assert_int_equal(scene.rig.fake.mapped_out, 0);
	scene.rig.fake.reset_looks = 0;
	pv_blkdrv_rig_close(&scene.rig);
}

/* Rings have the shape of what was negotiated first, however often a device is brought up again. */
static void a_device_that_offers_less_than_it_did_is_never_taken_for_the_same(void **state)
{
	static struct scene scene;
	const uint64_t limits[REQUESTS] = { 0 };
	const uint64_t format = VIRTIO_F_RING_PACKED;

	(void)state;
	pv_blkdrv_rig_prepare(&scene.rig, PV_RIG_FEATURES | format);
	assert_int_equal(pv_blkdrv_rig_create(&scene.rig), 0);
	begin(&scene, limits);
	scene.rig.fake.offered &= ~format;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pv_blkdrv_recover(scene.rig.blk), -PV_EFEATURES);
	assert_int_equal(scene.ended, REQUESTS);
	scene.rig.fake.offered |= format;
	assert_int_equal(pv_blkdrv_recover(scene.rig.blk), 0);
	assert_true(pv_blkdrv_disk(scene.rig.blk)->features & format);
	pv_blkdrv_rig_close(&scene.rig);
}

static void submit_again(struct pv_blkdrv_request *request)
{
	struct scene *scene = request->arg;

	scene->ended++;
	request->done = count_end;
	request->timeout_ns = 0;
	assert_int_equal(pv_blkdrv_submit(scene->rig.queue, request), 0);
}

static void who_is_told_may_submit_and_takes_nobodys_place(void **state)
{
	static struct scene scene;
	const uint64_t limits[REQUESTS] = { SECOND_NS, 0, 0, 0 };

	(void)state;
	open_with(&scene, 0, false);
	begin(&scene, limits);
	scene.request[0].done = submit_again;
	scene.rig.fake.now_ns = SECOND_NS;
	assert_int_equal(pv_blkdrv_tend(scene.rig.blk), 1);
	assert_int_equal(scene.ended, 1);
	assert_int_equal(serve_all(&scene), REQUESTS - 1);
	pv_blkdrv_publish(scene.rig.queue);
	assert_int_equal(serve_all(&scene), 1);
	assert_int_equal(pv_blkdrv_poll(scene.rig.queue), REQUESTS);
	assert_int_equal(scene.ended, REQUESTS + 1);
	pv_blkdrv_rig_close(&scene.rig);
}

static void a_limit_beyond_the_end_of_time_is_no_limit(void **state)
{
	static struct scene scene;
	const uint64_t limits[REQUESTS] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };

	(void)state;
	open_with(&scene, 0, false);
	scene.rig.fake.now_ns = SECOND_NS;
	begin(&scene, limits);
	scene.rig.fake.now_ns = UINT64_MAX - SECOND_NS;
	assert_int_equal(pv_blkdrv_tend(scene.rig.blk), 0);
	assert_int_equal(scene.ended, 0);
	pv_blkdrv_rig_close(&scene.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_takes_too_long_ends_and_the_others_go_on),
		cmocka_unit_test(an_answer_that_has_come_is_taken_first),
		cmocka_unit_test(a_device_that_asks_for_a_reset_is_tended_by_policy),
		cmocka_unit_test(a_device_that_does_not_even_reset_ends_everything),
		cmocka_unit_test(a_device_that_offers_less_than_it_did_is_never_taken_for_the_same),
		cmocka_unit_test(who_is_told_may_submit_and_takes_nobodys_place),
		cmocka_unit_test(a_limit_beyond_the_end_of_time_is_no_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
