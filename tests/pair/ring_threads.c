/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver and device ring on two threads that sleep whenever the ring says they may.  What the
 * lists of tests/pair/ring.c cannot show shows here: that the barriers are enough.  A notification
 * that gets lost leaves both asleep; a publication out of order delivers the wrong bytes.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "ring/barrier.h"
#include "tests/support/ring_pair.h"

#define CHAINS     6000u
#define SLOTS      64u
#define SLOT_BYTES 32u
#define PIECES     (2 * SLOT_BYTES)
#define LOST_AFTER 10 /* seconds */

struct run {
	char name[96];
	struct pv_ring_pair pair;
	sem_t kick, interrupt;
	bool has_failed;
	const char *failure;
};

/* One chain: a number to read, and room for the answer. */
struct slot {
	struct run *run;
	uint16_t index;
	uint64_t number;
};

struct held {
	struct pv_chain chain;
	struct pv_iov iov[PIECES];
};

static bool has_failed(const struct run *run)
{
	return __atomic_load_n(&run->has_failed, __ATOMIC_ACQUIRE);
}

/* cmocka's assertions are for the main thread: the first failure is kept for it. */
static void expect(struct run *run, bool holds, const char *what)
{
	if (holds || has_failed(run))
		return;
	run->failure = what;
	__atomic_store_n(&run->has_failed, true, __ATOMIC_RELEASE);
}

/* A light sleep at first: the closer together the two sides are, the more often they race. */
static void sleep_on(struct run *run, sem_t *wake, const char *lost)
{
	struct timespec limit;

	for (uint32_t i = 0; i < 3000; i++) {
		if (sem_trywait(wake) == 0)
			return;
		pv_cpu_relax();
	}

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += LOST_AFTER;
	expect(run, sem_timedwait(wake, &limit) == 0, lost);
}

static uint64_t answer(uint64_t number)
{
	return number * 0x9e3779b97f4a7c15ull ^ 0x55;
}

/* ---- the device's thread ---- */

static void work_on(struct run *run, struct held *held)
{
	struct pv_cursor reader = pv_chain_reader(&held->chain);
	struct pv_cursor writer = pv_chain_writer(&held->chain);
	uint64_t number;

	expect(run, pv_cursor_read(&reader, &number, sizeof(number)) == sizeof(number),
	       "the device read a short chain");
	number = answer(number);
	pv_cursor_write(&writer, &number, sizeof(number));
	pv_dev_ring_return(&run->pair.device, &held->chain, sizeof(number));
}

/* Takes some, and returns them last first. */
static uint32_t device_burst(struct run *run, struct held *held, struct pv_random *random)
{
	uint32_t want = 1 + pv_random_below(random, 4), have = 0;

	while (have < want) {
		struct held *next = &held[have];
		enum pv_take took;

		next->chain.iov = next->iov;
		next->chain.capacity = PIECES;
		took = pv_dev_ring_take(&run->pair.device, &next->chain);
		expect(run, took != PV_TAKE_BROKEN, "the device found the ring broken");
		if (took != PV_TAKEN)
			break;
		have++;
	}
	for (uint32_t i = have; i > 0; i--)
		work_on(run, &held[i - 1]);
	if (pv_dev_ring_publish(&run->pair.device) && pv_dev_ring_must_interrupt(&run->pair.device))
		sem_post(&run->interrupt);
	return have;
}

static void *device_thread(void *arg)
{
	struct run *run = arg;
	struct pv_random random = pv_random_start(pv_random_seed(), 1);
	struct held *held = calloc(4, sizeof(*held));

	for (uint32_t done = 0; done < CHAINS && !has_failed(run);) {
		uint32_t burst = device_burst(run, held, &random);

		done += burst;
		if (burst > 0 || done == CHAINS || pv_random_chance(&random, 50))
			continue;
		if (!pv_dev_ring_kicks_on(&run->pair.device))
			sleep_on(run, &run->kick, "the device was not woken");
		if (pv_random_chance(&random, 50))
			pv_dev_ring_kicks_off(&run->pair.device);
	}
	free(held);
	return NULL;
}

/* ---- the driver's thread ---- */

static struct pv_gpa place(const struct slot *slot)
{
	return pv_gpa_add(slot->run->pair.data, slot->index * SLOT_BYTES);
}

static bool add(struct slot *slot, uint64_t number)
{
	struct pv_ring_pair *pair = &slot->run->pair;
	const struct pv_sg sg[] = {
		{ place(slot), sizeof(number) },
		{ pv_gpa_add(place(slot), sizeof(number)), sizeof(number) },
	};

	slot->number = number;
	pv_twin_write(&pair->twin, sg[0].addr, &number, sizeof(number));
	return pv_drv_ring_add(&pair->driver, sg, 1, 1, slot) == 0;
}

static void verify(struct run *run, const struct slot *slot, uint32_t written_bytes)
{
	uint64_t number;

	pv_twin_read(&run->pair.twin, pv_gpa_add(place(slot), sizeof(number)), &number,
	             sizeof(number));
	expect(run, written_bytes == sizeof(number), "a chain came back with the wrong length");
	expect(run, number == answer(slot->number), "a chain came back before its answer");
}

static uint32_t driver_burst(struct run *run, struct slot **unused, uint32_t *unused_count)
{
	uint32_t taken = 0, written_bytes;
	enum pv_drv_take took;
	void *token;

	while ((took = pv_drv_ring_take(&run->pair.driver, &token, &written_bytes)) ==
	       PV_DRV_TAKEN) {
		verify(run, token, written_bytes);
		unused[(*unused_count)++] = token;
		taken++;
	}
	expect(run, took == PV_DRV_NONE, "the driver found the ring broken");
	return taken;
}

static void publish(struct run *run)
{
	if (pv_drv_ring_publish(&run->pair.driver) && pv_drv_ring_must_kick(&run->pair.driver))
		sem_post(&run->kick);
}

static void drive(struct run *run)
{
	struct pv_random random = pv_random_start(pv_random_seed(), 2);
	struct slot slot[SLOTS], *unused[SLOTS];
	uint32_t unused_count = 0, added = 0, done = 0;

	for (uint16_t i = 0; i < SLOTS; i++) {
		slot[i] = (struct slot){ run, i, 0 };
		unused[unused_count++] = &slot[i];
	}
	while (done < CHAINS && !has_failed(run)) {
		uint32_t burst;

		for (uint32_t i = pv_random_below(&random, 9);
		     i > 0 && added < CHAINS && unused_count > 0; i--) {
			if (!add(unused[unused_count - 1], added))
				break;
			unused_count--;
			added++;
		}
		publish(run);
		burst = driver_burst(run, unused, &unused_count);
		done += burst;
		if (burst > 0 || added == done || pv_random_chance(&random, 50))
			continue;
		if (!pv_drv_ring_interrupts_on(&run->pair.driver))
			sleep_on(run, &run->interrupt, "the driver was not woken");
		if (pv_random_chance(&random, 50))
			pv_drv_ring_interrupts_off(&run->pair.driver);
	}
}

static void play(uint64_t features, uint16_t size)
{
	const struct pv_ring_pair_options options = {
		.features = features | VIRTIO_F_VERSION_1,
		.size = size,
		.indirect_max = features & VIRTIO_F_INDIRECT_DESC ? 2 : 0,
		.data_bytes = SLOTS * SLOT_BYTES,
		.region_max = 16,
	};
	struct pv_random random = pv_random_start(pv_random_seed(), features + size);
	struct run run = { .failure = "" };
	pthread_t device;

	pv_ring_pair_name(&options, run.name, sizeof(run.name));
	pv_ring_pair_open(&run.pair, &options, &random);
	sem_init(&run.kick, 0, 0);
	sem_init(&run.interrupt, 0, 0);
	assert_int_equal(pthread_create(&device, NULL, device_thread, &run), 0);
	drive(&run);
	pthread_join(device, NULL);
	if (run.has_failed)
		fail_msg("%s: %s", run.name, run.failure);
	sem_destroy(&run.kick);
	sem_destroy(&run.interrupt);
	pv_ring_pair_close(&run.pair);
}

static void play_all(uint64_t format)
{
	static const uint16_t sizes[] = { 4, 64 };

	for (uint32_t i = 0; i < 16; i++)
		play(format | (i & 1 ? VIRTIO_F_INDIRECT_DESC : 0) |
		             (i & 2 ? VIRTIO_F_EVENT_IDX : 0) | (i & 4 ? VIRTIO_F_IN_ORDER : 0),
		     sizes[i / 8]);
}

static void no_split_ring_loses_a_notification_between_threads(void **state)
{
	(void)state;
	play_all(0);
}

static void no_packed_ring_loses_a_notification_between_threads(void **state)
{
	(void)state;
	play_all(VIRTIO_F_RING_PACKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_split_ring_loses_a_notification_between_threads),
		cmocka_unit_test(no_packed_ring_loses_a_notification_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
