/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/disk_load.h"

#include <pthread.h>
#include <string.h>

#include "hosted/cli/bench_pattern.h"
#include "tests/support/random.h"

#define DEPTH      16u
#define SEGMENTS   5u
#define STRIPE     (512u << 10)
#define BUFFER     (64u << 10)
#define SECTOR     VIRTIO_BLK_SECTOR_BYTES
#define SECOND_NS  1000000000ull
#define TIMEOUT_NS (20 * SECOND_NS)

/* Between two pieces of a buffer, so that they lie apart in memory. */
#define GAP_BYTES 1000u

struct load;

/* A request in flight, the stripe of the disk that is its own, and what should be there. */
struct slot {
	struct pv_blkdrv_request request;
	struct pv_buffer data[SEGMENTS];
	struct load *load;
	uint64_t base;
	uint64_t offset;
	uint32_t bytes;
	uint8_t *shared;
	uint8_t *model;
};

struct load {
	struct pv_blkdrv_queue *queue;
	uint16_t index;
	struct pv_random random;
	uint64_t generation;
	uint32_t turns;
	uint32_t turns_max;
	uint32_t in_flight;
	const char *wrong;
	uint8_t copy[BUFFER];
	struct slot slot[DEPTH];
};

/* Static, so that a request that is still in flight after a failure points to something. */
static struct load loads[DISK_LOAD_QUEUES];
static uint8_t models[DISK_LOAD_QUEUES][DEPTH][STRIPE];

static void expect(struct load *load, bool is_right, const char *what)
{
	if (!is_right && !load->wrong)
		load->wrong = what;
}

static uint32_t below(struct load *load, uint32_t bound)
{
	return pv_random_below(&load->random, bound);
}

static void cut(struct slot *slot)
{
	uint32_t at = 0;
	uint16_t i = 0;

	while (at < slot->bytes) {
		uint32_t left = slot->bytes - at;
		uint32_t bytes = i == SEGMENTS - 1 ? left : 1 + below(slot->load, left);

		slot->data[i].memory = slot->shared + at + i * GAP_BYTES;
		slot->data[i++].bytes = bytes;
		at += bytes;
	}
	slot->request.buffers = i;
}

static void gather(const struct slot *slot, uint8_t *to)
{
	for (uint16_t i = 0; i < slot->request.buffers; i++) {
		memcpy(to, slot->data[i].memory, slot->data[i].bytes);
		to += slot->data[i].bytes;
	}
}

static void scatter(const struct slot *slot, const uint8_t *from)
{
	for (uint16_t i = 0; i < slot->request.buffers; i++) {
		memcpy(slot->data[i].memory, from, slot->data[i].bytes);
		from += slot->data[i].bytes;
	}
}

static void choose(struct slot *slot)
{
	struct load *load = slot->load;
	uint32_t sectors = 1 + below(load, BUFFER / SECTOR);
	uint32_t first = below(load, STRIPE / SECTOR - sectors + 1);
	uint32_t kind = below(load, 20);
	uint8_t *model = slot->model + first * SECTOR;

	slot->offset = slot->base + first * SECTOR;
	slot->bytes = sectors * SECTOR;
	slot->request.op = PV_BLKDRV_READ;
	slot->request.sector = slot->offset / SECTOR;
	slot->request.sectors = sectors;
	slot->request.may_unmap = kind & 1;
	cut(slot);
	if (kind == 0) {
		slot->request.op = PV_BLKDRV_FLUSH;
	} else if (kind < 4) {
		slot->request.op = PV_BLKDRV_WRITE_ZEROES;
		memset(model, 0, slot->bytes);
	} else if (kind < 12) {
		const struct pv_pattern pattern = { slot->offset, load->index, ++load->generation };

		slot->request.op = PV_BLKDRV_WRITE;
		pv_pattern_fill(model, slot->bytes, &pattern);
		scatter(slot, model);
	}
}

static void send_next(struct slot *slot)
{
	struct load *load = slot->load;

	choose(slot);
	load->turns++;
	if (pv_blkdrv_submit(load->queue, &slot->request) == 0)
		load->in_flight++;
	else
		expect(load, false, "a request was refused");
}

static void slot_done(struct pv_blkdrv_request *request)
{
	struct slot *slot = request->arg;
	struct load *load = slot->load;

	load->in_flight--;
	expect(load, request->error == 0, "a request failed");
	if (request->op == PV_BLKDRV_READ) {
		const uint8_t *model = slot->model + (slot->offset - slot->base);

		expect(load, request->written_bytes == slot->bytes, "a read is short");
		gather(slot, load->copy);
		expect(load, memcmp(load->copy, model, slot->bytes) == 0, "a read has wrong data");
	}
	if (load->turns < __atomic_load_n(&load->turns_max, __ATOMIC_RELAXED) && !load->wrong)
		send_next(slot);
}

/* Whatever was there before. */
static void stripe_clear(struct load *load, const struct slot *slot)
{
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_WRITE_ZEROES,
		                             .sector = slot->base / SECTOR,
		                             .sectors = STRIPE / SECTOR };

	expect(load, pv_blkdrv_do(load->queue, &request, TIMEOUT_NS) == 0,
	       "a stripe cannot be cleared");
}

static void slot_init(struct load *load, uint32_t i, struct pv_os *os)
{
	struct slot *slot = &load->slot[i];
	struct pv_gpa gpa;

	slot->load = load;
	slot->base = (uint64_t)(load->index * DEPTH + i) * STRIPE;
	slot->request.buffer = slot->data;
	slot->request.done = slot_done;
	slot->request.arg = slot;
	slot->shared = os->ops->shared_alloc(os, BUFFER + SEGMENTS * GAP_BYTES, 512, &gpa);
	slot->model = models[load->index][i];
	memset(slot->model, 0, STRIPE);
	expect(load, slot->shared, "no memory");
	stripe_clear(load, slot);
}

/* An interrupt that does not come is a failure; a wait may end for other reasons in between. */
static void sleep_until_interrupted(struct load *load, struct pv_vhu_bus *bus)
{
	int waited = 0;

	for (int i = 0; waited == 0 && i < 5; i++)
		waited = pv_vhu_bus_wait(bus, load->index, SECOND_NS);
	expect(load, waited >= 0, "the device has left");
	expect(load, waited != 0, "no interrupt comes");
}

static void turn(struct load *load, struct pv_vhu_bus *bus, bool is_blocking)
{
	if (pv_blkdrv_poll(load->queue))
		pv_blkdrv_publish(load->queue);
	else if (pv_blkdrv_queue_is_broken(load->queue))
		expect(load, false, "the queue is broken");
	else if (is_blocking && !pv_blkdrv_interrupts_on(load->queue))
		sleep_until_interrupted(load, bus);
	else if (pv_vhu_bus_is_over(bus))
		expect(load, false, "the device has left");
}

void disk_load_end(void)
{
	for (uint32_t i = 0; i < DISK_LOAD_QUEUES; i++)
		__atomic_store_n(&loads[i].turns_max, 0, __ATOMIC_RELAXED);
}

const char *disk_load_run(struct pv_vhu_bus *bus, struct pv_blkdrv *blk, uint16_t queue,
                          bool is_blocking, uint32_t turns)
{
	struct pv_os *os = pv_vhu_bus_os(bus);
	struct load *load = &loads[queue];

	memset(load, 0, sizeof(*load));
	load->queue = pv_blkdrv_queue(blk, queue);
	load->index = queue;
	load->random = pv_random_start(pv_random_seed(), queue);
	load->turns_max = turns;
	for (uint32_t i = 0; i < DEPTH; i++)
		slot_init(load, i, os);
	for (uint32_t i = 0; i < DEPTH && !load->wrong; i++)
		send_next(&load->slot[i]);
	pv_blkdrv_publish(load->queue);
	while (load->in_flight && !load->wrong)
		turn(load, bus, is_blocking);
	for (uint32_t i = 0; i < DEPTH && !load->wrong; i++)
		os->ops->shared_free(os, load->slot[i].shared, BUFFER + SEGMENTS * GAP_BYTES);
	return load->wrong;
}

struct second_load {
	struct pv_vhu_bus *bus;
	struct pv_blkdrv *blk;
	uint32_t turns;
	const char *wrong;
};

static void *run_second(void *arg)
{
	struct second_load *second = arg;

	second->wrong = disk_load_run(second->bus, second->blk, 1, false, second->turns);
	return NULL;
}

const char *disk_load_run_two(struct pv_vhu_bus *bus, struct pv_blkdrv *blk, uint32_t turns)
{
	struct second_load second = { .bus = bus, .blk = blk, .turns = turns };
	pthread_t thread;
	const char *first;

	if (pthread_create(&thread, NULL, run_second, &second) != 0)
		return "there is no second thread";
	first = disk_load_run(bus, blk, 0, true, turns);
	pthread_join(thread, NULL);
	return first ? first : second.wrong;
}
