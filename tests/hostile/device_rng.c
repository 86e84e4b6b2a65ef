/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lying device under our entropy driver: lengths that cannot be, nothing at all where there must
 * be a byte, used entries it makes up, silence.  Each request ends once, with what was asked for at
 * most, in bounded time, and nothing but the buffers that were lent is touched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/rng/rng.h"
#include "ring/barrier.h"
#include "ring/err.h"
#include "tests/support/fake_bus.h"
#include "tests/support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define REQUESTS   4u
#define BYTES      64u
#define QUEUE_SIZE 16u
#define TIMEOUT_NS 1000000000ull
#define WAITS_MAX  1000u
#define ROUNDS     300

#define PACKED VIRTIO_F_RING_PACKED

static const uint64_t kinds[] = {
	0,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_IN_ORDER,
	VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_IN_ORDER,
	PACKED,
	PACKED | VIRTIO_F_EVENT_IDX,
	PACKED | VIRTIO_F_IN_ORDER,
	PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_IN_ORDER,
};

/* A driver with requests in flight. */
static struct scene {
	struct pv_fake_bus fake;
	struct pv_rngdrv *rng;
	struct pv_rngdrv_request request[REQUESTS];
	uint8_t data[REQUESTS * BYTES];
	uint32_t ends[REQUESTS];
	struct pv_random random;
	uint16_t at; /* where the device is: used index, or packed position */
	bool is_packed;
} scene;

static void ended(struct pv_rngdrv_request *request)
{
	(*(uint32_t *)request->arg)++;
	assert_true(request->random_bytes <= request->buffer.bytes);
	assert_int_equal(request->random_bytes == 0, request->error != 0);
}

static void scene_open(uint64_t kind, uint64_t number)
{
	const struct pv_rngdrv_options options = { 0 };

	memset(&scene, 0, sizeof(scene));
	scene.random = pv_random_start(pv_random_seed(), number);
	scene.is_packed = kind & PACKED;
	pv_fake_bus_open(&scene.fake, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET | kind);
	assert_int_equal(pv_rngdrv_create(&scene.rng, &scene.fake.bus, &scene.fake.os, &options),
	                 0);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		scene.request[i] = (struct pv_rngdrv_request){
			.buffer = { scene.data + (size_t)BYTES * i, BYTES },
			.done = ended,
			.arg = &scene.ends[i],
		};
		assert_int_equal(pv_rngdrv_submit(scene.rng, &scene.request[i]), 0);
	}
	pv_rngdrv_publish(scene.rng);
}

static void wait_for_all(void)
{
	uint32_t waits = scene.fake.waits;

	for (uint32_t i = 0; i < REQUESTS; i++) {
		int error = pv_rngdrv_wait(scene.rng, &scene.request[i], TIMEOUT_NS);

		if (!scene.request[i].is_done)
			assert_true(error == -PV_EBROKEN || error == -PV_ETIMEDOUT);
	}
	assert_true(scene.fake.waits - waits < WAITS_MAX);
}

static uint32_t in_flight(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < REQUESTS; i++)
		count += !scene.request[i].is_done;
	return count;
}

/* Nobody's request ends by it. */
static void recover(void)
{
	uint32_t before = in_flight();

	assert_int_equal(pv_rngdrv_recover(scene.rng), 0);
	assert_false(pv_rngdrv_is_broken(scene.rng));
	assert_true(pv_rngdrv_counters(scene.rng).repeats >= before);
	assert_int_equal(in_flight(), before);
	wait_for_all();
}

/* Whatever the device did: waiting ends, then all requests do, and nothing is left. */
static void scene_close(void)
{
	wait_for_all();
	if (pv_random_chance(&scene.random, 30))
		recover();
	assert_int_equal(pv_rngdrv_fail(scene.rng), 0);
	for (uint32_t i = 0; i < REQUESTS; i++)
		assert_true(scene.request[i].is_done);
	for (size_t i = 0; i < sizeof(scene.data); i++)
		assert_int_equal(scene.data[i], 0);
	pv_rngdrv_destroy(scene.rng);
	assert_int_equal(scene.fake.shared_out + scene.fake.private_out, 0);
}

static void expect_one_end_each(void)
{
	for (uint32_t i = 0; i < REQUESTS; i++)
		assert_int_equal(scene.ends[i], 1);
}

static const struct pv_bus_queue *place(void)
{
	return &scene.fake.queue[0];
}

static void used_entry(uint32_t id, uint32_t bytes)
{
	if (scene.is_packed) {
		struct pvirtq_desc *ring = pv_fake_at(place()->desc_area);
		struct pvirtq_desc *desc = &ring[scene.at % QUEUE_SIZE];

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

static uint16_t head_of(uint32_t request)
{
	const struct virtq_avail *avail = pv_fake_at(place()->driver_area);
	const struct pvirtq_desc *ring = pv_fake_at(place()->desc_area);

	return pv_le16_get(scene.is_packed ? ring[request].id : avail->ring[request]);
}

/* ---- lengths ---- */

static void a_length_is_examined(void **state)
{
	const uint32_t lengths[] = { 1, 17, BYTES - 1, BYTES };

	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		scene_open(kinds[kind], 0);
		for (uint32_t i = 0; i < REQUESTS; i++)
			used_entry(head_of(i), lengths[i]);
		assert_int_equal(pv_rngdrv_poll(scene.rng), REQUESTS);
		for (uint32_t i = 0; i < REQUESTS; i++) {
			assert_int_equal(scene.request[i].error, 0);
			assert_int_equal(scene.request[i].random_bytes, lengths[i]);
		}
		assert_int_equal(pv_rngdrv_counters(scene.rng).bytes, 17 + 2 * BYTES);
		expect_one_end_each();
		scene_close();
	}
}

static void a_length_beyond_the_buffer_is_cut_and_counted(void **state)
{
	const uint32_t lengths[] = { BYTES + 1, 0x10000, 0x7fffffff, UINT32_MAX };

	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		scene_open(kinds[kind], 0);
		for (uint32_t i = 0; i < REQUESTS; i++) {
			used_entry(head_of(i), lengths[i]);
			assert_int_equal(pv_rngdrv_poll(scene.rng), 1);
			assert_int_equal(scene.request[i].random_bytes, BYTES);
			assert_int_equal(pv_rngdrv_counters(scene.rng).lies, i + 1);
		}
		scene_close();
	}
}

/* Section 5.4.6.2: the device MUST place one or more bytes. */
static void nothing_is_an_error_and_not_a_result(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		scene_open(kinds[kind], 0);
		used_entry(head_of(0), 0);
		assert_int_equal(pv_rngdrv_poll(scene.rng), 1);
		assert_int_equal(scene.request[0].error, -PV_EIO);
		assert_int_equal(scene.request[0].random_bytes, 0);
		assert_int_equal(pv_rngdrv_counters(scene.rng).empty, 1);
		assert_false(pv_rngdrv_is_broken(scene.rng));
		scene_close();
	}
}

/* ---- used entries ---- */

static void an_id_that_is_not_in_flight_breaks_the_queue(void **state)
{
	const uint32_t ids[] = { QUEUE_SIZE - 1, QUEUE_SIZE, 0xffff, 0x10000, UINT32_MAX };

	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		for (size_t i = 0; i < COUNT(ids); i++) {
			scene_open(kinds[kind], 0);
			/* Ids of packed rings have sixteen bits: these are others, or good ones. */
			if (!scene.is_packed || ids[i] <= UINT16_MAX) {
				used_entry(ids[i], BYTES);
				assert_int_equal(pv_rngdrv_poll(scene.rng), 0);
				assert_true(pv_rngdrv_is_broken(scene.rng));
				assert_int_equal(pv_rngdrv_submit(scene.rng, &scene.request[0]),
				                 -PV_EBROKEN);
			}
			scene_close();
			expect_one_end_each();
		}
	}
}

static void an_id_that_comes_twice_breaks_the_queue(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		uint16_t head;

		scene_open(kinds[kind], 0);
		head = head_of(0);
		used_entry(head, BYTES);
		used_entry(head, BYTES);
		assert_int_equal(pv_rngdrv_poll(scene.rng), 1);
		assert_int_equal(pv_rngdrv_poll(scene.rng), 0);
		assert_true(pv_rngdrv_is_broken(scene.rng));
		scene_close();
		expect_one_end_each();
	}
}

/* ---- anything at all ---- */

static void scribble(void *area, size_t bytes)
{
	uint8_t *byte = area;

	for (uint32_t n = pv_random_below(&scene.random, 8); n > 0; n--)
		byte[pv_random_below(&scene.random, (uint32_t)bytes)] =
			(uint8_t)pv_random_below(&scene.random, 256);
}

/* Now and then an entry that is nearly right, since noise seldom is. */
static void lie(struct pv_fake_bus *fake)
{
	struct pv_random *random = &scene.random;

	if (pv_random_chance(random, 50))
		used_entry(pv_random_below(random, QUEUE_SIZE + 1),
		           pv_random_chance(random, 50) ? pv_random_below(random, BYTES + 1)
		                                        : pv_random_below(random, UINT32_MAX));
	if (pv_random_chance(random, 30))
		scribble(pv_fake_at(place()->desc_area), sizeof(struct virtq_desc) * QUEUE_SIZE);
	if (pv_random_chance(random, 30))
		scribble(pv_fake_at(place()->driver_area), 4);
	if (pv_random_chance(random, 30))
		scribble(pv_fake_at(place()->device_area),
		         scene.is_packed ? 4 : virtq_used_bytes(QUEUE_SIZE));
	if (pv_random_chance(random, 5))
		fake->status |= VIRTIO_STATUS_NEEDS_RESET;
}

static void submit_some(void)
{
	for (uint32_t i = 0; i < REQUESTS; i++)
		if (scene.request[i].is_done && pv_random_chance(&scene.random, 50) &&
		    pv_rngdrv_submit(scene.rng, &scene.request[i]))
			scene.request[i].is_done = true; /* not begun */
	pv_rngdrv_publish(scene.rng);
}

static void a_device_that_lies_at_random_is_survived(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		for (uint64_t round = 0; round < ROUNDS; round++) {
			scene_open(kinds[kind], round);
			for (int step = 0; step < 20; step++) {
				lie(&scene.fake);
				pv_rngdrv_poll(scene.rng);
				submit_some();
				pv_rngdrv_is_broken(scene.rng);
				if (pv_rngdrv_interrupts_on(scene.rng))
					pv_rngdrv_poll(scene.rng);
				pv_rngdrv_interrupts_off(scene.rng);
			}
			scene.fake.on_wait = round % 2 ? lie : NULL;
			scene_close();
		}
	}
}

/* ---- silence ---- */

static void a_device_that_never_answers_costs_a_timeout(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		uint64_t begin_ns;

		scene_open(kinds[kind], 0);
		begin_ns = scene.fake.now_ns;
		assert_int_equal(pv_rngdrv_wait(scene.rng, &scene.request[0], TIMEOUT_NS),
		                 -PV_ETIMEDOUT);
		assert_in_range(scene.fake.now_ns - begin_ns, TIMEOUT_NS, 2 * TIMEOUT_NS);
		assert_false(scene.request[0].is_done);
		scene_close();
	}
}

/* It keeps the memory that it may still write to: the rest is freed. */
static void a_device_that_does_not_confirm_its_reset_keeps_what_it_has(void **state)
{
	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		scene_open(kinds[kind], 0);
		scene.fake.reset_looks = UINT32_MAX;
		assert_int_equal(pv_rngdrv_fail(scene.rng), -PV_ETIMEDOUT);
		expect_one_end_each();
		pv_rngdrv_destroy(scene.rng);
		assert_int_equal(scene.fake.private_out, 0);
		assert_int_equal(scene.fake.shared_out, 1);
		free(pv_fake_at(place()->desc_area));
	}
}

static void a_device_that_cannot_be_brought_up_leaves_nothing(void **state)
{
	const struct pv_rngdrv_options options = { 0 };

	(void)state;
	memset(&scene, 0, sizeof(scene));
	for (uint32_t n = 1; n <= 3; n++) {
		pv_fake_bus_open(&scene.fake, VIRTIO_F_VERSION_1);
		scene.fake.fail_alloc = n;
		assert_int_equal(pv_rngdrv_create(&scene.rng, &scene.fake.bus, &scene.fake.os,
		                                  &options),
		                 -PV_ENOMEM);
		assert_int_equal(scene.fake.shared_out + scene.fake.private_out, 0);
	}
	pv_fake_bus_open(&scene.fake, VIRTIO_F_VERSION_1);
	scene.fake.size_max[0] = 0;
	assert_int_equal(pv_rngdrv_create(&scene.rng, &scene.fake.bus, &scene.fake.os, &options),
	                 -PV_EINVAL);
	assert_int_equal(scene.fake.shared_out + scene.fake.private_out, 0);
	assert_true(scene.fake.statuses[scene.fake.status_count - 2] & VIRTIO_STATUS_FAILED ||
	            scene.fake.status & VIRTIO_STATUS_FAILED);
	pv_fake_bus_open(&scene.fake, 0);
	assert_int_equal(pv_rngdrv_create(&scene.rng, &scene.fake.bus, &scene.fake.os, &options),
	                 -PV_EFEATURES);
	assert_int_equal(scene.fake.shared_out + scene.fake.private_out, 0);
}

static void wishes_that_make_no_sense_are_refused(void **state)
{
	struct pv_rngdrv_request request = { .buffer = { scene.data, 0 } };
	struct pv_rngdrv_request more[QUEUE_SIZE + 1 - REQUESTS];

	(void)state;
	scene_open(0, 0);
	assert_int_equal(pv_rngdrv_submit(scene.rng, &request), -PV_EINVAL);
	assert_int_equal(pv_rngdrv_queue_size(scene.rng), QUEUE_SIZE);
	for (size_t i = 0; i < COUNT(more); i++) {
		more[i] = (struct pv_rngdrv_request){ .buffer = { scene.data, 1 } };
		assert_int_equal(pv_rngdrv_submit(scene.rng, &more[i]),
		                 i + REQUESTS < QUEUE_SIZE ? 0 : -PV_ENOSPC);
	}
	scene_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_length_is_examined),
		cmocka_unit_test(a_length_beyond_the_buffer_is_cut_and_counted),
		cmocka_unit_test(nothing_is_an_error_and_not_a_result),
		cmocka_unit_test(an_id_that_is_not_in_flight_breaks_the_queue),
		cmocka_unit_test(an_id_that_comes_twice_breaks_the_queue),
		cmocka_unit_test(a_device_that_lies_at_random_is_survived),
		cmocka_unit_test(a_device_that_never_answers_costs_a_timeout),
		cmocka_unit_test(a_device_that_does_not_confirm_its_reset_keeps_what_it_has),
		cmocka_unit_test(a_device_that_cannot_be_brought_up_leaves_nothing),
		cmocka_unit_test(wishes_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
