/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk, both real halves, when things do not just go on: a queue is taken back in
 * mid-flight, the disk changes its size, a ring breaks, the driver gives the device up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "devices/blk/blk.h"
#include "drivers/blk/internal.h"
#include "ring/barrier.h"
#include "ring/err.h"
#include "tests/support/blk_pair.h"

#define QUEUES   2u
#define REQUESTS 5u /* for each queue */

struct rig {
	struct blk_pair pair;
	struct pv_blkdrv_request request[QUEUES][REQUESTS];
};

static void rig_open(struct rig *rig, uint64_t format)
{
	const struct pv_blk_options options = { .queues = QUEUES,
		                                .queue_size_max = 32,
		                                .geometry = { 900, 15, 17 } };
	const struct pv_blkdrv_options chosen = {
		.required = format | VIRTIO_F_RING_RESET,
		.wanted = (PV_BLKDRV_FEATURES & ~VIRTIO_F_RING_PACKED) | format,
		.queues = QUEUES,
	};

	memset(rig, 0, sizeof(*rig));
	blk_pair_open(&rig->pair, format);
	rig->pair.store.at_once_percent = 0;
	rig->pair.store.withdraw_percent = 100;
	blk_pair_start(&rig->pair, &options, &chosen);
}

static void rig_close(struct rig *rig)
{
	blk_pair_close(&rig->pair);
}

/* Reads on both queues, all of them with the store, none of them answered. */
static void load(struct rig *rig)
{
	for (uint16_t q = 0; q < QUEUES; q++) {
		struct pv_blkdrv_queue *queue = pv_blkdrv_queue(rig->pair.driver, q);

		for (uint32_t i = 0; i < REQUESTS; i++)
			blk_pair_read(&rig->pair, q, &rig->request[q][i], i);
		pv_blkdrv_publish(queue);
	}
	pv_couple_run(&rig->pair.couple);
	assert_int_equal(rig->pair.store.pendings, QUEUES * REQUESTS);
}

static void finish(struct rig *rig)
{
	for (int i = 0; i < 100; i++) {
		pv_slow_store_finish_one(&rig->pair.store);
		for (uint16_t q = 0; q < QUEUES; q++) {
			pv_couple_wake(&rig->pair.couple, q);
			pv_couple_run(&rig->pair.couple);
			pv_blkdrv_poll(pv_blkdrv_queue(rig->pair.driver, q));
		}
	}
}

static void expect_errors(const struct rig *rig, uint16_t queue, int error)
{
	for (uint32_t i = 0; i < REQUESTS; i++) {
		assert_true(rig->request[queue][i].is_done);
		assert_int_equal(rig->request[queue][i].error, error);
	}
}

static void take_back(uint64_t format)
{
	static struct rig rig;
	struct pv_blkdrv_request again = { .op = PV_BLKDRV_FLUSH };
	struct pv_blkdrv_queue *queue;

	rig_open(&rig, format);
	queue = pv_blkdrv_queue(rig.pair.driver, 1);
	load(&rig);
	assert_int_equal(pv_blkdrv_queue_reset(queue), 0);
	assert_int_equal(rig.pair.ends, REQUESTS);
	expect_errors(&rig, 1, -PV_EIO);
	finish(&rig);
	assert_int_equal(rig.pair.ends, 2 * REQUESTS);
	expect_errors(&rig, 0, 0);

	assert_int_equal(pv_blkdrv_submit(queue, &again), 0);
	pv_blkdrv_publish(queue);
	finish(&rig);
	assert_true(again.is_done);
	assert_int_equal(again.error, 0);
	rig_close(&rig);
}

static void a_queue_taken_back_in_mid_flight_leaves_the_other_alone(void **state)
{
	(void)state;
	take_back(0);
	take_back(VIRTIO_F_RING_PACKED);
}

static void a_disk_says_how_worn_it_is_and_how_it_was_made(void **state)
{
	static struct rig rig;
	struct pv_blkdrv_request request;
	struct virtio_blk_lifetime lifetime;
	struct pv_buffer data;

	(void)state;
	rig_open(&rig, 0);
	data = (struct pv_buffer){ rig.pair.data.memory, sizeof(lifetime) };
	request = (struct pv_blkdrv_request){ .op = PV_BLKDRV_GET_LIFETIME,
		                              .buffer = &data,
		                              .buffers = 1 };
	assert_int_equal(pv_blkdrv_do(pv_blkdrv_queue(rig.pair.driver, 0), &request, 1000000000),
	                 0);
	assert_int_equal(request.written_bytes, sizeof(lifetime));
	pv_twin_read(&rig.pair.couple.twin, rig.pair.gpa, &lifetime, sizeof(lifetime));
	assert_int_equal(pv_le16_get(lifetime.pre_eol_info), 3);
	assert_int_equal(pv_le16_get(lifetime.device_lifetime_est_typ_a), 2);
	assert_int_equal(pv_le16_get(lifetime.device_lifetime_est_typ_b), 11);
	assert_int_equal(pv_blkdrv_disk(rig.pair.driver)->geometry.cylinders, 900);
	assert_int_equal(pv_blkdrv_disk(rig.pair.driver)->geometry.heads, 15);
	assert_int_equal(pv_blkdrv_disk(rig.pair.driver)->geometry.sectors, 17);
	rig_close(&rig);
}

static void a_disk_that_changes_its_size_is_seen_by_the_driver(void **state)
{
	static struct rig rig;
	struct pv_blkdrv_request read;

	(void)state;
	rig_open(&rig, 0);
	read = (struct pv_blkdrv_request){
		.op = PV_BLKDRV_READ, .buffer = &rig.pair.data, .buffers = 1, .sector = 100
	};
	assert_int_equal(pv_blkdrv_capacity(rig.pair.driver), BLK_PAIR_DISK_BYTES / 512);
	rig.pair.store.blk.capacity_bytes = BLK_PAIR_DISK_BYTES / 2;
	assert_int_equal(pv_blk_resized(rig.pair.couple.device, BLK_PAIR_DISK_BYTES / 2), 0);
	assert_int_equal(rig.pair.couple.config_changes, 1);
	assert_int_equal(pv_blkdrv_config_changed(rig.pair.driver), 0);
	assert_int_equal(pv_blkdrv_capacity(rig.pair.driver), BLK_PAIR_DISK_BYTES / 1024);
	assert_int_equal(pv_blkdrv_submit(pv_blkdrv_queue(rig.pair.driver, 0), &read), -PV_EINVAL);
	rig_close(&rig);
}

static void giving_the_device_up_under_load_ends_every_request_once(void **state)
{
	static struct rig rig;

	(void)state;
	rig_open(&rig, VIRTIO_F_RING_PACKED);
	load(&rig);
	assert_int_equal(pv_blkdrv_fail(rig.pair.driver), 0);
	assert_int_equal(pv_device_status(rig.pair.couple.device), 0);
	assert_int_equal(rig.pair.store.pendings, 0);
	assert_int_equal(rig.pair.ends, QUEUES * REQUESTS);
	for (uint16_t q = 0; q < QUEUES; q++)
		expect_errors(&rig, q, -PV_EBROKEN);
	rig_close(&rig);
	assert_int_equal(rig.pair.ends, QUEUES * REQUESTS);
}

static void a_ring_that_breaks_is_told_to_the_driver(void **state)
{
	static struct rig rig;
	struct pv_drv_ring *ring;

	(void)state;
	rig_open(&rig, 0);
	load(&rig);
	assert_false(pv_blkdrv_is_broken(rig.pair.driver));
	/* Somebody writes over the driver's index. */
	ring = &pv_blkdrv_queue(rig.pair.driver, 0)->base.ring;
	pv_publish_le16(&ring->avail->idx, (uint16_t)(ring->published + 1000));
	pv_couple_wake(&rig.pair.couple, 0);
	pv_couple_run(&rig.pair.couple);
	assert_true(pv_blkdrv_is_broken(rig.pair.driver));
	assert_int_equal(pv_blkdrv_config_changed(rig.pair.driver), -PV_EBROKEN);
	assert_int_equal(pv_blkdrv_fail(rig.pair.driver), 0);
	assert_int_equal(rig.pair.ends, QUEUES * REQUESTS);
	rig_close(&rig);
}

/* ---- recovery ---- */

static void expect_recovered(struct rig *rig)
{
	uint32_t ended = rig->pair.ends;

	assert_true(pv_blkdrv_is_broken(rig->pair.driver));
	assert_int_equal(pv_blkdrv_recover(rig->pair.driver), 0);
	assert_int_equal(rig->pair.ends, ended);
	assert_false(pv_blkdrv_is_broken(rig->pair.driver));
	finish(rig);
	assert_int_equal(rig->pair.ends, QUEUES * REQUESTS);
	for (uint16_t q = 0; q < QUEUES; q++)
		expect_errors(rig, q, 0);
	/* And it works as ever. */
	rig->pair.ends = 0;
	load(rig);
	finish(rig);
	assert_int_equal(rig->pair.ends, QUEUES * REQUESTS);
}

static const uint64_t formats[] = { 0, VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC,
	                            VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX };

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

static void a_device_that_needs_a_reset_gets_everything_once_more(void **state)
{
	static struct rig rig;

	(void)state;
	for (size_t i = 0; i < FORMATS; i++) {
		rig_open(&rig, formats[i]);
		load(&rig);
		/* Some have ended by then. */
		pv_slow_store_finish_one(&rig.pair.store);
		pv_couple_wake(&rig.pair.couple, 0);
		pv_couple_run(&rig.pair.couple);
		pv_blkdrv_poll(pv_blkdrv_queue(rig.pair.driver, 0));
		pv_device_needs_reset(rig.pair.couple.device);
		expect_recovered(&rig);
		/* Again and again. */
		for (int turn = 0; turn < 3; turn++) {
			rig.pair.ends = 0;
			load(&rig);
			pv_device_needs_reset(rig.pair.couple.device);
			expect_recovered(&rig);
		}
		rig_close(&rig);
	}
}

static void a_queue_that_was_broken_gets_everything_once_more(void **state)
{
	static struct rig rig;
	struct pv_drv_ring *ring;

	(void)state;
	rig_open(&rig, 0);
	load(&rig);
	ring = &pv_blkdrv_queue(rig.pair.driver, 0)->base.ring;
	pv_publish_le16(&ring->avail->idx, (uint16_t)(ring->published + 1000));
	pv_couple_wake(&rig.pair.couple, 0);
	pv_couple_run(&rig.pair.couple);
	expect_recovered(&rig);
	assert_true(pv_blkdrv_queue_counters(pv_blkdrv_queue(rig.pair.driver, 0)).repeats > 0);
	rig_close(&rig);
}

/* After its reset the device offers less, fails, or is another one. */
static struct pv_bus_ops worse;
static const struct pv_bus_ops *good;
static int worse_error;

static int fewer_features(struct pv_bus *bus, uint64_t *features)
{
	int error = good->features_get(bus, features);

	*features &= ~VIRTIO_BLK_F_FLUSH;
	return error;
}

static int failing_queue(struct pv_bus *bus, uint16_t index, const struct pv_bus_queue *queue)
{
	return index == 1 ? worse_error : good->queue_enable(bus, index, queue);
}

static int other_blocks(struct pv_bus *bus, uint32_t offset, void *to, uint32_t bytes)
{
	int error = good->config_read(bus, offset, to, bytes);
	struct virtio_blk_config *config = to;

	if (!error && offset == 0)
		config->blk_size = pv_le32_of(4096);
	return error;
}

static void expect_given_up(const struct pv_bus_ops *ops, int error)
{
	static struct rig rig;

	rig_open(&rig, 0);
	load(&rig);
	pv_device_needs_reset(rig.pair.couple.device);
	worse = *ops;
	rig.pair.couple.bus.ops = &worse;
	assert_int_equal(pv_blkdrv_recover(rig.pair.driver), error);
	assert_int_equal(rig.pair.ends, QUEUES * REQUESTS);
	for (uint16_t q = 0; q < QUEUES; q++)
		expect_errors(&rig, q, -PV_EBROKEN);
	rig_close(&rig);
	assert_int_equal(rig.pair.ends, QUEUES * REQUESTS);
}

static void a_device_that_is_another_one_after_its_reset_is_given_up(void **state)
{
	static struct rig rig;
	struct pv_bus_ops ops;

	(void)state;
	rig_open(&rig, 0);
	good = rig.pair.couple.bus.ops;
	rig_close(&rig);
	ops = *good;
	ops.features_get = fewer_features;
	expect_given_up(&ops, -PV_EFEATURES);
	ops = *good;
	ops.queue_enable = failing_queue;
	worse_error = -PV_EIO;
	expect_given_up(&ops, -PV_EIO);
	ops = *good;
	ops.config_read = other_blocks;
	expect_given_up(&ops, -PV_EBROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_taken_back_in_mid_flight_leaves_the_other_alone),
		cmocka_unit_test(a_disk_says_how_worn_it_is_and_how_it_was_made),
		cmocka_unit_test(a_disk_that_changes_its_size_is_seen_by_the_driver),
		cmocka_unit_test(giving_the_device_up_under_load_ends_every_request_once),
		cmocka_unit_test(a_ring_that_breaks_is_told_to_the_driver),
		cmocka_unit_test(a_device_that_needs_a_reset_gets_everything_once_more),
		cmocka_unit_test(a_queue_that_was_broken_gets_everything_once_more),
		cmocka_unit_test(a_device_that_is_another_one_after_its_reset_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
