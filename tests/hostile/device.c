/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lying device under our driver: used entries it makes up, a configuration that makes no sense,
 * no answer at all.  Each request ends once, with an error or without, in bounded time, and nothing
 * but the buffers that were lent is touched (which the sanitizers watch).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "ring/barrier.h"
#include "ring/err.h"
#include "tests/support/blkdrv_rig.h"
#include "tests/support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define REQUESTS   4u
#define QUEUE_SIZE 16u
#define TIMEOUT_NS 1000000000ull
#define WAITS_MAX  1000u
#define ROUNDS     300

#define PACKED   VIRTIO_F_RING_PACKED
#define INDIRECT VIRTIO_F_INDIRECT_DESC
#define EVENT    VIRTIO_F_EVENT_IDX
#define IN_ORDER VIRTIO_F_IN_ORDER

static const uint64_t kinds[] = {
	0,
	INDIRECT,
	EVENT,
	IN_ORDER,
	INDIRECT | EVENT | IN_ORDER,
	PACKED,
	PACKED | INDIRECT,
	PACKED | EVENT,
	PACKED | IN_ORDER,
	PACKED | INDIRECT | EVENT | IN_ORDER,
};

/* A driver with reads in flight, one buffer each. */
struct scene {
	struct pv_blkdrv_rig rig;
	struct pv_blkdrv_request request[REQUESTS];
	struct pv_buffer data[REQUESTS];
	struct pv_random random;
	uint16_t at; /* where the device is: used index, or packed position */
	bool is_packed;
};

static struct scene scene;

static struct scene *of_fake(struct pv_fake_bus *fake)
{
	return (struct scene *)fake;
}

static void scene_open(uint64_t kind, uint64_t number)
{
	memset(&scene, 0, sizeof(scene));
	scene.random = pv_random_start(pv_random_seed(), number);
	scene.is_packed = kind & PACKED;
	pv_blkdrv_rig_prepare(&scene.rig, PV_RIG_FEATURES | kind);
	assert_int_equal(pv_blkdrv_rig_create(&scene.rig), 0);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		scene.data[i] = (struct pv_buffer){ scene.rig.data + 1024 * (size_t)i, 512 };
		scene.request[i] = (struct pv_blkdrv_request){
			.op = PV_BLKDRV_READ, .sector = i, .buffers = 1, .buffer = &scene.data[i]
		};
		assert_int_equal(pv_blkdrv_submit(scene.rig.queue, &scene.request[i]), 0);
	}
	pv_blkdrv_publish(scene.rig.queue);
}

static void wait_for_all(void)
{
	struct pv_fake_bus *fake = &scene.rig.fake;
	uint32_t waits = fake->waits;

	for (uint32_t i = 0; i < REQUESTS; i++) {
		int error = pv_blkdrv_wait(scene.rig.queue, &scene.request[i], TIMEOUT_NS);

		if (!scene.request[i].is_done)
			assert_true(error == -PV_EBROKEN || error == -PV_ETIMEDOUT);
	}
	assert_true(fake->waits - waits < WAITS_MAX);
}

static uint32_t ended(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < REQUESTS; i++)
		count += scene.request[i].is_done;
	return count;
}

/* Nobody's request ends by it, unless it is another disk by now. */
static void recover(void)
{
	uint32_t before = ended();
	int error = pv_blkdrv_recover(scene.rig.blk);

	if (error) {
		assert_int_equal(error, -PV_EBROKEN);
		assert_int_equal(ended(), REQUESTS);
		return;
	}
	assert_false(pv_blkdrv_is_broken(scene.rig.blk));
	assert_int_equal(ended(), before);
	assert_int_equal(pv_blkdrv_queue_counters(scene.rig.queue).repeats, REQUESTS - before);
	wait_for_all();
}

/* Whatever the device did: waiting ends, then all requests do, and nothing is left. */
static void scene_close(void)
{
	wait_for_all();
	if (pv_random_chance(&scene.random, 30))
		recover();
	assert_int_equal(pv_blkdrv_fail(scene.rig.blk), 0);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		assert_true(scene.request[i].is_done);
		assert_true(scene.request[i].written_bytes <= 512);
	}
	/* Beside the buffers nothing was written. */
	for (size_t i = 0; i < sizeof(scene.rig.data); i++)
		assert_int_equal(scene.rig.data[i], 0);
	pv_blkdrv_rig_close(&scene.rig);
}

static const struct pv_bus_queue *place(void)
{
	return &scene.rig.fake.queue[0];
}

/* ---- used entries ---- */

static void used_entry(uint32_t id, uint32_t bytes)
{
	if (scene.is_packed) {
		struct pvirtq_desc *ring = pv_fake_at(place()->desc_area);
		struct pvirtq_desc *desc = &ring[scene.at];

		desc->id = pv_le16_of((uint16_t)id);
		desc->len = pv_le32_of(bytes);
		pv_publish_le16(&desc->flags,
		                VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED | VIRTQ_DESC_F_WRITE);
	} else {
		struct virtq_used *used = pv_fake_at(place()->device_area);

		used->ring[scene.at % QUEUE_SIZE] =
			(struct virtq_used_elem){ pv_le32_of(id), pv_le32_of(bytes) };
		pv_publish_le16(&used->idx, (uint16_t)(scene.at + 1));
	}
	scene.at++;
}

static uint64_t lies(void)
{
	return pv_blkdrv_queue_counters(scene.rig.queue).lies;
}

static void an_id_that_is_not_in_flight_breaks_the_queue(void **state)
{
	const uint32_t ids[] = { QUEUE_SIZE - 1, QUEUE_SIZE, 0x7fff,      0xffff,
		                 0x10000,        0x10010,    0x80000000u, UINT32_MAX };

	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		for (size_t i = 0; i < COUNT(ids); i++) {
			scene_open(kinds[kind], 0);
			/* Ids of packed rings have sixteen bits: these are others, or good ones. */
			if (!scene.is_packed || ids[i] <= UINT16_MAX) {
				used_entry(ids[i], 513);
				assert_int_equal(pv_blkdrv_poll(scene.rig.queue), 0);
				assert_true(pv_blkdrv_queue_is_broken(scene.rig.queue));
				assert_true(pv_blkdrv_is_broken(scene.rig.blk));
				assert_int_equal(pv_blkdrv_submit(scene.rig.queue,
				                                  &scene.request[0]),
				                 -PV_EBROKEN);
			}
			scene_close();
		}
	}
}

static uint16_t first_head(void)
{
	const struct virtq_avail *avail = pv_fake_at(place()->driver_area);
	const struct pvirtq_desc *ring = pv_fake_at(place()->desc_area);
	const struct pvirtq_desc *last = ring;

	if (!scene.is_packed)
		return pv_le16_get(avail->ring[0]);
	while (pv_le16_get(last->flags) & VIRTQ_DESC_F_NEXT)
		last++;
	return pv_le16_get(last->id);
}

static void an_id_that_comes_twice_breaks_the_queue(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		uint16_t head, descs;

		scene_open(kinds[kind], 0);
		head = first_head();
		descs = scene.is_packed && !(kinds[kind] & INDIRECT) ? 3 : 1;
		used_entry(head, 513);
		if (scene.is_packed)
			scene.at = descs;
		used_entry(head, 513);
		assert_int_equal(pv_blkdrv_poll(scene.rig.queue), 1);
		assert_int_equal(pv_blkdrv_poll(scene.rig.queue), 0);
		assert_true(pv_blkdrv_queue_is_broken(scene.rig.queue));
		assert_true(scene.request[0].is_done);
		scene_close();
	}
}

static void a_length_beyond_the_buffers_is_cut_and_counted(void **state)
{
	const uint32_t lengths[] = { 514, 0x10000, 0x7fffffff, UINT32_MAX };

	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		for (size_t i = 0; i < COUNT(lengths); i++) {
			scene_open(kinds[kind], 0);
			used_entry(first_head(), lengths[i]);
			assert_int_equal(pv_blkdrv_poll(scene.rig.queue), 1);
			assert_int_equal(scene.request[0].written_bytes, 512);
			/* Its status byte was never written. */
			assert_int_equal(scene.request[0].error, -PV_EIO);
			assert_int_equal(lies(), 1);
			scene_close();
		}
	}
}

static void a_used_index_that_runs_ahead_breaks_the_queue(void **state)
{
	const uint16_t ahead[] = { REQUESTS + 1, QUEUE_SIZE, QUEUE_SIZE + 1, 0x8000, 0xffff };

	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		for (size_t i = 0; i < COUNT(ahead); i++) {
			struct virtq_used *used;

			if (kinds[kind] & PACKED)
				continue;
			scene_open(kinds[kind], 0);
			used = pv_fake_at(place()->device_area);
			pv_publish_le16(&used->idx, ahead[i]);
			assert_int_equal(pv_blkdrv_poll(scene.rig.queue), 0);
			assert_true(pv_blkdrv_queue_is_broken(scene.rig.queue));
			scene_close();
		}
	}
}

/* ---- anything at all ---- */

static void scribble(struct pv_random *random, void *area, size_t bytes)
{
	uint8_t *byte = area;

	for (uint32_t n = pv_random_below(random, 8); n > 0; n--)
		byte[pv_random_below(random, (uint32_t)bytes)] =
			(uint8_t)pv_random_below(random, 256);
}

/* Now and then an entry that is nearly right, since noise seldom is. */
static void lie(struct pv_fake_bus *fake)
{
	struct scene *self = of_fake(fake);
	struct pv_random *random = &self->random;
	const uint64_t features = fake->accepted;
	const size_t desc_bytes = sizeof(struct virtq_desc) * QUEUE_SIZE;

	if (pv_random_chance(random, 50))
		used_entry(pv_random_below(random, QUEUE_SIZE + 1),
		           pv_random_below(random, 2) ? 513 : pv_random_below(random, UINT32_MAX));
	if (self->at >= QUEUE_SIZE && self->is_packed)
		self->at = 0;
	if (pv_random_chance(random, 30))
		scribble(random, pv_fake_at(place()->desc_area), desc_bytes);
	if (pv_random_chance(random, 30))
		scribble(random, pv_fake_at(place()->driver_area), 4);
	if (pv_random_chance(random, 30))
		scribble(random, pv_fake_at(place()->device_area),
		         features & PACKED ? 4 : virtq_used_bytes(QUEUE_SIZE));
	if (pv_random_chance(random, 5))
		fake->status |= VIRTIO_STATUS_NEEDS_RESET;
	if (pv_random_chance(random, 10))
		scribble(random, fake->config, sizeof(fake->config));
}

static void submit_some(void)
{
	for (uint32_t i = 0; i < REQUESTS; i++)
		if (scene.request[i].is_done && pv_random_chance(&scene.random, 50) &&
		    pv_blkdrv_submit(scene.rig.queue, &scene.request[i]))
			scene.request[i].is_done = true; /* not begun */
	pv_blkdrv_publish(scene.rig.queue);
}

static void a_device_that_lies_at_random_is_survived(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		for (uint64_t round = 0; round < ROUNDS; round++) {
			scene_open(kinds[kind], round);
			for (int step = 0; step < 20; step++) {
				lie(&scene.rig.fake);
				pv_blkdrv_poll(scene.rig.queue);
				submit_some();
				pv_blkdrv_is_broken(scene.rig.blk);
				pv_blkdrv_config_changed(scene.rig.blk);
				if (pv_blkdrv_interrupts_on(scene.rig.queue))
					pv_blkdrv_poll(scene.rig.queue);
				pv_blkdrv_interrupts_off(scene.rig.queue);
			}
			scene.rig.fake.on_wait = round % 2 ? lie : NULL;
			scene_close();
		}
	}
}

/* ---- configuration ---- */

static bool is_power_of_two(uint64_t number)
{
	return number > 0 && (number & (number - 1)) == 0;
}

static void check_disk(const struct pv_blkdrv_disk *disk)
{
	assert_true(is_power_of_two(disk->block_bytes) && disk->block_bytes >= 512);
	assert_true(is_power_of_two(disk->physical_block_bytes));
	assert_true(disk->physical_block_bytes >= disk->block_bytes);
	assert_in_range(disk->segments_max, 1, QUEUE_SIZE - 2);
	assert_true(disk->segment_bytes_max >= 512);
	assert_in_range(disk->queues, 1, 2);
}

static void a_configuration_of_noise_is_refused_or_made_sense_of(void **state)
{
	uint32_t good = 0;

	(void)state;
	for (uint64_t round = 0; round < 20 * ROUNDS; round++) {
		struct pv_random random = pv_random_start(pv_random_seed(), 5000 + round);
		struct pv_blkdrv_rig *rig = &scene.rig;
		int error;

		memset(&scene, 0, sizeof(scene));
		pv_blkdrv_rig_prepare(rig, PV_RIG_FEATURES | kinds[round % COUNT(kinds)]);
		rig->options.queues = 2;
		for (uint32_t n = 1 + pv_random_below(&random, 3); n > 0; n--)
			scribble(&random, rig->fake.config, sizeof(rig->fake.config));
		if (pv_random_chance(&random, 10))
			rig->fake.config_bytes = pv_random_below(&random, 64);
		error = pv_blkdrv_rig_create(rig);
		if (error) {
			assert_int_equal(rig->fake.shared_out + rig->fake.private_out, 0);
			continue;
		}
		good++;
		check_disk(pv_blkdrv_disk(rig->blk));
		pv_blkdrv_rig_close(rig);
	}
	assert_true(good > 0);
}

/* ---- silence ---- */

static void a_device_that_never_answers_costs_a_timeout(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		uint64_t begin_ns;

		scene_open(kinds[kind], 0);
		begin_ns = scene.rig.fake.now_ns;
		assert_int_equal(pv_blkdrv_wait(scene.rig.queue, &scene.request[0], TIMEOUT_NS),
		                 -PV_ETIMEDOUT);
		assert_in_range(scene.rig.fake.now_ns - begin_ns, TIMEOUT_NS, 2 * TIMEOUT_NS);
		assert_false(scene.request[0].is_done);
		scene_close();
	}
}

static void a_device_that_asks_for_a_reset_is_given_up(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		scene_open(kinds[kind], 0);
		scene.rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
		assert_true(pv_blkdrv_is_broken(scene.rig.blk));
		assert_int_equal(pv_blkdrv_config_changed(scene.rig.blk), -PV_EBROKEN);
		scene_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_that_is_not_in_flight_breaks_the_queue),
		cmocka_unit_test(an_id_that_comes_twice_breaks_the_queue),
		cmocka_unit_test(a_length_beyond_the_buffers_is_cut_and_counted),
		cmocka_unit_test(a_used_index_that_runs_ahead_breaks_the_queue),
		cmocka_unit_test(a_device_that_lies_at_random_is_survived),
		cmocka_unit_test(a_configuration_of_noise_is_refused_or_made_sense_of),
		cmocka_unit_test(a_device_that_never_answers_costs_a_timeout),
		cmocka_unit_test(a_device_that_asks_for_a_reset_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
