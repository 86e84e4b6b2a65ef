/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device that asks for a reset, resets itself, or fails to answer, at each step of its driver's
 * life in turn: while it is brought up, worked with, brought up again, and taken down.  Each
 * request ends once, nothing is left behind, and a device that is well again is worked with again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/rng/rng.h"
#include "ring/err.h"
#include "tests/support/blkdrv_rig.h"

#define REQUESTS   4u
#define TURNS      4
#define STEPS_MAX  1000u
#define RNG_OFFERS (VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET)

static uint32_t ends[REQUESTS];

static void expect_ended(uint32_t i, int error)
{
	assert_int_equal(ends[i], 1);
	assert_true(error == 0 || error == -PV_EBROKEN || error == -PV_EIO);
}

/* ---- the block driver ---- */

static void blk_done(struct pv_blkdrv_request *request)
{
	ends[request->sector]++;
}

static bool blk_submit(struct pv_blkdrv_rig *rig, struct pv_blkdrv_request *request,
                       struct pv_buffer *data, uint32_t i)
{
	*data = (struct pv_buffer){ rig->data + (size_t)i * 512, 512 };
	*request = (struct pv_blkdrv_request){
		.op = PV_BLKDRV_READ, .sector = i, .buffers = 1, .buffer = data, .done = blk_done
	};
	ends[i] = 0;
	return pv_blkdrv_submit(rig->queue, request) == 0;
}

/* Until all has ended, with the device at work and somebody who looks after it. */
static void blk_finish(struct pv_blkdrv_rig *rig, int *tended)
{
	for (int turn = 0; turn < TURNS; turn++) {
		while (pv_fake_serve(&rig->fake, 0, VIRTIO_BLK_S_OK))
			continue;
		*tended = pv_blkdrv_tend(rig->blk);
	}
}

static void blk_life(struct pv_blkdrv_rig *rig)
{
	struct pv_blkdrv_request request[REQUESTS];
	struct pv_buffer data[REQUESTS];
	bool is_out[REQUESTS];
	int tended;

	for (uint32_t i = 0; i < REQUESTS; i++)
		is_out[i] = blk_submit(rig, &request[i], &data[i], i);
	pv_blkdrv_publish(rig->queue);
	pv_fake_serve(&rig->fake, 0, VIRTIO_BLK_S_OK);
	pv_blkdrv_poll(rig->queue);
	pv_blkdrv_config_changed(rig->blk);
	pv_blkdrv_set_write_cache(rig->blk, true);
	blk_finish(rig, &tended);
	/* It has been looked after until it was well; or it was given up, and can be tried again.
	 */
	if (tended < 0)
		assert_int_equal(pv_blkdrv_recover(rig->blk), 0);
	for (uint32_t i = 0; i < REQUESTS; i++)
		if (is_out[i])
			expect_ended(i, request[i].error);
	if (pv_blkdrv_queue_reset(rig->queue))
		blk_finish(rig, &tended);
	if (blk_submit(rig, &request[0], &data[0], 0)) {
		pv_blkdrv_publish(rig->queue);
		blk_finish(rig, &tended);
		expect_ended(0, request[0].error);
	}
}

static bool blk_is_over_at(enum pv_fake_trouble trouble, uint32_t step)
{
	struct pv_blkdrv_rig rig;
	uint32_t steps;

	pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES);
	rig.fake.trouble = trouble;
	rig.fake.trouble_at = step;
	if (pv_blkdrv_rig_create(&rig)) {
		assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
		return false;
	}
	blk_life(&rig);
	steps = rig.fake.steps;
	rig.fake.trouble_at = 0;
	pv_blkdrv_rig_close(&rig);
	return steps < step;
}

/* ---- the entropy driver ---- */

static uint8_t random_bytes[REQUESTS][64];

static void rng_done(struct pv_rngdrv_request *request)
{
	ends[(uint32_t)((uint8_t *)request->buffer.memory - random_bytes[0]) / 64]++;
}

static bool rng_submit(struct pv_rngdrv *rng, struct pv_rngdrv_request *request, uint32_t i)
{
	*request =
		(struct pv_rngdrv_request){ .buffer = { random_bytes[i], 64 }, .done = rng_done };
	ends[i] = 0;
	return pv_rngdrv_submit(rng, request) == 0;
}

static bool rng_serve(struct pv_fake_bus *fake)
{
	struct virtq_desc desc;
	uint16_t head;

	if (pv_fake_take(fake, 0, &desc, 1, &head) == 0)
		return false;
	pv_fake_return(fake, 0, head, 64);
	return true;
}

static void rng_finish(struct pv_fake_bus *fake, struct pv_rngdrv *rng, int *tended)
{
	for (int turn = 0; turn < TURNS; turn++) {
		while (rng_serve(fake))
			continue;
		*tended = pv_rngdrv_tend(rng);
	}
}

static void rng_life(struct pv_fake_bus *fake, struct pv_rngdrv *rng)
{
	struct pv_rngdrv_request request[REQUESTS];
	bool is_out[REQUESTS];
	int tended;

	for (uint32_t i = 0; i < REQUESTS; i++)
		is_out[i] = rng_submit(rng, &request[i], i);
	pv_rngdrv_publish(rng);
	rng_serve(fake);
	rng_finish(fake, rng, &tended);
	if (tended < 0)
		assert_int_equal(pv_rngdrv_recover(rng), 0);
	for (uint32_t i = 0; i < REQUESTS; i++)
		if (is_out[i])
			expect_ended(i, request[i].error);
	if (pv_rngdrv_queue_reset(rng))
		rng_finish(fake, rng, &tended);
	if (rng_submit(rng, &request[0], 0)) {
		pv_rngdrv_publish(rng);
		rng_finish(fake, rng, &tended);
		expect_ended(0, request[0].error);
	}
}

static bool rng_is_over_at(enum pv_fake_trouble trouble, uint32_t step)
{
	const struct pv_rngdrv_options options = { 0 };
	struct pv_fake_bus fake;
	struct pv_rngdrv *rng;
	bool is_over = false;

	pv_fake_bus_open(&fake, RNG_OFFERS);
	fake.trouble = trouble;
	fake.trouble_at = step;
	if (pv_rngdrv_create(&rng, &fake.bus, &fake.os, &options) == 0) {
		rng_life(&fake, rng);
		is_over = fake.steps < step;
		fake.trouble_at = 0;
		pv_rngdrv_destroy(rng);
	}
	assert_int_equal(fake.shared_out + fake.private_out + fake.mapped_out, 0);
	return is_over;
}

/* ---- the tests ---- */

static void at_each_step(bool (*is_over_at)(enum pv_fake_trouble trouble, uint32_t step))
{
	for (unsigned int trouble = 0; trouble < PV_FAKE_TROUBLES; trouble++) {
		uint32_t step = 1;

		while (!is_over_at((enum pv_fake_trouble)trouble, step)) {
			assert_in_range(step, 1, STEPS_MAX);
			step++;
		}
		/* There were steps to be in trouble at. */
		assert_in_range(step, 20, STEPS_MAX);
	}
}

static void a_block_device_in_trouble_at_each_step(void **state)
{
	(void)state;
	at_each_step(blk_is_over_at);
}

static void an_entropy_device_in_trouble_at_each_step(void **state)
{
	(void)state;
	at_each_step(rng_is_over_at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_device_in_trouble_at_each_step),
		cmocka_unit_test(an_entropy_device_in_trouble_at_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
