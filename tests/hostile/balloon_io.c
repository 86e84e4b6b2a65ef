/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that gives pages to its balloon while its own disk reads into them, or writes from them.
 *
 * Disk and balloon are devices of one guest, each on a thread of its own, on memory as a machine
 * has it (private) and as a front-end has it (a file); the disk is a file, through the host's cache
 * and past it.  It harms itself and nobody else: what was in the pages is lost, their neighbours
 * keep what they have, every request ends well, and both devices go on.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "devices/balloon/balloon.h"
#include "devices/blk/blk.h"
#include "drivers/balloon/balloon.h"
#include "drivers/blk/blk.h"
#include "hosted/backends/store.h"
#include "tests/support/arena_os.h"
#include "tests/support/engine.h"
#include "tests/support/mmio_front.h"
#include "tests/support/random.h"
#include "tests/support/store_layer.h"

#define PAGE         4096u
#define PAGES        32u /* of a request */
#define IO_BYTES     (PAGES * PAGE)
#define IO_SECTORS   (IO_BYTES / VIRTIO_BLK_SECTOR_BYTES)
#define REQUESTS     8u
#define DISK_BYTES   (REQUESTS * IO_BYTES)
#define MEMORY_BYTES (8u << 20)
#define TIMEOUT_NS   20000000000ull
#define PATIENCE_S   60
#define ROUNDS       (getenv("PV_LONG") ? 3000u : 100u)

/* ---- one guest ---- */

struct end {
	struct pv_host *host;
	struct pv_loop *loop;
	struct pv_device *device;
	void *storage;
	struct mmio_front front;
};

/* A request stands between device and file while the gate is shut. */
struct gate {
	bool is_shut;
	sem_t is_reached, may_go_on;
};

struct flight {
	struct pv_blkdrv_request request;
	struct pv_buffer buffer;
	uint8_t *page;
	uint64_t address;         /* of the first page */
	bool is_given[PAGES];     /* to the balloon, while it was in flight */
	uint8_t in_memory, there; /* patterns: before it began, and on the disk */
};

static struct guest {
	struct pv_loop *control;
	struct pv_loop_message end_of_turn;
	struct arena_os memory;
	struct end disk, ballast;
	struct pv_store *store;
	struct pv_layer layer;
	struct gate gate;
	struct pv_blkdrv *blk;
	struct pv_blkdrv_queue *queue;
	struct pv_baldrv *balloon;
	struct flight flight[REQUESTS];
	struct pv_random random;
	int file;
	char path[32];
} guest;

/* ---- the gate ---- */

static int stand_at_gate(struct pv_layer_io *io)
{
	if ((io->io.op != PV_BLK_READ && io->io.op != PV_BLK_WRITE) ||
	    !__atomic_load_n(&guest.gate.is_shut, __ATOMIC_ACQUIRE))
		return 0;
	sem_post(&guest.gate.is_reached);
	while (sem_wait(&guest.gate.may_go_on))
		;
	return 0;
}

static int pass_on(struct pv_layer_io *io, int error)
{
	(void)io;
	return error;
}

static const struct pv_layer_ops layer_ops = { .begin = stand_at_gate, .end = pass_on };

static void shut_gate(void)
{
	__atomic_store_n(&guest.gate.is_shut, true, __ATOMIC_RELEASE);
}

static void wait_until_it_stands(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_S;
	assert_int_equal(sem_timedwait(&guest.gate.is_reached, &deadline), 0);
}

static void open_gate(void)
{
	__atomic_store_n(&guest.gate.is_shut, false, __ATOMIC_RELEASE);
	sem_post(&guest.gate.may_go_on);
}

/* ---- its life ---- */

static void stop(struct pv_loop_message *message)
{
	(void)message;
	pv_loop_stop(guest.control);
}

static void turn(void *arg)
{
	(void)arg;
	guest.end_of_turn.run = stop;
	pv_loop_post(guest.control, &guest.end_of_turn);
	pv_loop_run(guest.control);
}

static void *zeroed(size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	assert_non_null(memory);
	return memset(memory, 0, bytes);
}

static struct pv_port *open_host(struct end *end, const char *name, uint16_t queues,
                                 bool has_timers)
{
	const struct pv_loop_options loop = { .name = name,
		                              .poll_max_us = 50,
		                              .engine = test_engine() };
	struct pv_host_options host = { .name = name,
		                        .control = guest.control,
		                        .loop = &end->loop,
		                        .loops = 1,
		                        .queues = queues,
		                        .has_timers = has_timers };

	assert_int_equal(pv_loop_create(&end->loop, &loop), 0);
	assert_int_equal(pv_host_create(&end->host, &host), 0);
	return pv_host_port(end->host);
}

static void begin_end(struct end *end)
{
	pv_device_mem_set(end->device, guest.memory.table);
	assert_int_equal(pv_loop_thread_start(end->loop), 0);
	mmio_front_open(&end->front, end->host, end->device, turn, NULL);
}

/* Its driver has gone. */
static void close_end(struct end *end)
{
	while (pv_device_status(end->device) != 0 || !pv_device_is_idle(end->device))
		turn(NULL);
	turn(NULL);
	pv_loop_thread_join(end->loop);
	mmio_front_close(&end->front);
	pv_host_destroy(end->host);
	pv_loop_destroy(end->loop);
	free(end->storage);
}

/* Returns false where the file's host takes no O_DIRECT. */
static bool open_disk(bool is_direct)
{
	const struct pv_blk_options device = { .queues = 1, .queue_size_max = 64 };
	struct pv_store_options options = { .null_bytes = -1,
		                            .memory_bytes = -1,
		                            .is_direct = is_direct };
	char sentence[256];

	strcpy(guest.path, "balloon_io-XXXXXX");
	guest.file = mkstemp(guest.path);
	assert_true(guest.file >= 0);
	assert_int_equal(ftruncate(guest.file, DISK_BYTES), 0);
	options.path = guest.path;
	if (pv_store_open(&guest.store, &options, sentence, sizeof(sentence))) {
		print_message("%s\n", sentence);
		unlink(guest.path);
		close(guest.file);
		return false;
	}
	pv_layer_open(&guest.layer, &layer_ops, pv_store_blk(guest.store));
	guest.disk.storage = zeroed(pv_blk_bytes(1));
	guest.disk.device = pv_blk_init(guest.disk.storage,
	                                open_host(&guest.disk, "disk", 1, false), &guest.layer.blk,
	                                &device);
	begin_end(&guest.disk);
	return true;
}

static void open_balloon(void)
{
	const struct pv_balloon_options options = { .queue_size_max = 64, .reporting = true };

	guest.ballast.storage = zeroed(pv_balloon_bytes());
	guest.ballast.device = pv_balloon_init(
		guest.ballast.storage,
		open_host(&guest.ballast, "balloon", VIRTIO_BALLOON_QUEUES, true), &options);
	begin_end(&guest.ballast);
}

static void open_memory(bool is_file)
{
	struct pv_arena *arena = &guest.memory.base.arena;
	struct pv_region *region;

	arena_os_open(&guest.memory, MEMORY_BYTES, turn, NULL);
	if (!is_file)
		assert_ptr_equal(mmap(arena->base, arena->bytes, PROT_READ | PROT_WRITE,
		                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		                 arena->base);
	region = &guest.memory.table->region[0];
	region->page_bytes = PAGE;
	region->is_file = is_file;
}

static void open_drivers(uint64_t ring_features)
{
	const uint64_t choice = VIRTIO_F_INDIRECT_DESC | VIRTIO_F_RING_PACKED;
	const struct pv_blkdrv_options disk = {
		.required = ring_features,
		.wanted = (PV_BLKDRV_FEATURES & ~choice) | ring_features,
	};
	const struct pv_baldrv_options balloon = { 0 };
	struct pv_os *os = &guest.memory.base.os;
	struct pv_gpa address;

	assert_int_equal(pv_blkdrv_create(&guest.blk, &guest.disk.front.bus.bus, os, &disk), 0);
	guest.queue = pv_blkdrv_queue(guest.blk, 0);
	assert_int_equal(
		pv_baldrv_create(&guest.balloon, &guest.ballast.front.bus.bus, os, &balloon), 0);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		guest.flight[i].page = os->ops->shared_alloc(os, IO_BYTES, PAGE, &address);
		assert_non_null(guest.flight[i].page);
		guest.flight[i].address = address.v;
	}
}

static bool guest_open(uint64_t number, bool is_file, bool is_direct, uint64_t ring_features)
{
	const struct pv_loop_options control = { .name = "control",
		                                 .engine = test_engine(),
		                                 .is_without_io = true };

	memset(&guest, 0, sizeof(guest));
	guest.random = pv_random_start(pv_random_seed(), number);
	sem_init(&guest.gate.is_reached, 0, 0);
	sem_init(&guest.gate.may_go_on, 0, 0);
	assert_int_equal(pv_loop_create(&guest.control, &control), 0);
	open_memory(is_file);
	if (!open_disk(is_direct)) {
		arena_os_close(&guest.memory);
		pv_loop_destroy(guest.control);
		return false;
	}
	open_balloon();
	open_drivers(ring_features);
	return true;
}

static void guest_close(void)
{
	pv_blkdrv_destroy(guest.blk);
	pv_baldrv_destroy(guest.balloon);
	close_end(&guest.disk);
	close_end(&guest.ballast);
	pv_layer_close(&guest.layer);
	pv_store_close(guest.store);
	pv_loop_destroy(guest.control);
	arena_os_close(&guest.memory);
	close(guest.file);
	unlink(guest.path);
}

/* ---- what it does ---- */

static void begin_io(uint32_t index, enum pv_blkdrv_op op, uint8_t pattern)
{
	struct flight *flight = &guest.flight[index];

	memset(flight->is_given, 0, sizeof(flight->is_given));
	flight->in_memory = pattern;
	memset(flight->page, pattern, IO_BYTES);
	flight->buffer = (struct pv_buffer){ flight->page, IO_BYTES };
	flight->request = (struct pv_blkdrv_request){
		.op = op,
		.sector = index * IO_SECTORS,
		.buffer = &flight->buffer,
		.buffers = 1,
	};
	assert_int_equal(pv_blkdrv_submit(guest.queue, &flight->request), 0);
	pv_blkdrv_publish(guest.queue);
}

static void finish_io(uint32_t index)
{
	struct pv_blkdrv_request *request = &guest.flight[index].request;

	assert_int_equal(pv_blkdrv_wait(guest.queue, request, TIMEOUT_NS), 0);
	assert_int_equal(request->error, 0);
}

static void go(int (*begin)(struct pv_baldrv *balloon, struct pv_baldrv_request *request),
               const struct pv_baldrv_range *range, uint32_t ranges)
{
	struct pv_baldrv_request request = { .range = range, .ranges = ranges };

	assert_int_equal(begin(guest.balloon, &request), 0);
	assert_int_equal(pv_baldrv_wait(guest.balloon, &request.is_done, TIMEOUT_NS), 0);
	assert_int_equal(request.error, 0);
}

/* Pages of a request here and there, all at once; some at least. Returns how many ranges. */
static uint32_t choose(uint32_t index, struct pv_baldrv_range *range)
{
	struct flight *flight = &guest.flight[index];
	const uint32_t always = pv_random_below(&guest.random, PAGES);
	uint32_t ranges = 0;

	for (uint32_t page = 0; page < PAGES; page++) {
		if (page != always && !pv_random_chance(&guest.random, 30))
			continue;
		flight->is_given[page] = true;
		range[ranges++] =
			(struct pv_baldrv_range){ flight->address + (uint64_t)page * PAGE, 1 };
	}
	return ranges;
}

static void give_and_take_back(uint32_t index)
{
	struct pv_baldrv_range range[PAGES];
	uint32_t ranges = choose(index, range);

	go(pv_baldrv_inflate, range, ranges);
	go(pv_baldrv_deflate, range, ranges);
}

/* ---- what becomes of it ---- */

static void expect_all(const uint8_t *page, uint8_t pattern)
{
	for (uint32_t i = 0; i < PAGE; i++)
		if (page[i] != pattern)
			assert_int_equal(page[i], pattern);
}

static void expect_either(const uint8_t *page, uint8_t pattern, uint8_t other)
{
	for (uint32_t i = 0; i < PAGE; i++)
		if (page[i] != pattern && page[i] != other)
			assert_int_equal(page[i], pattern);
}

static const uint8_t *on_disk(uint32_t index)
{
	static uint8_t data[IO_BYTES];

	assert_int_equal(pread(guest.file, data, IO_BYTES, index * IO_BYTES), IO_BYTES);
	return data;
}

static void expect_both_go_on(void)
{
	for (uint32_t i = 0; i < REQUESTS; i++) {
		begin_io(i, PV_BLKDRV_WRITE, (uint8_t)(0x40 + i));
		finish_io(i);
		memset(guest.flight[i].page, 0, IO_BYTES);
		begin_io(i, PV_BLKDRV_READ, 0);
		finish_io(i);
		for (uint32_t page = 0; page < PAGES; page++)
			expect_all(guest.flight[i].page + page * PAGE, (uint8_t)(0x40 + i));
		give_and_take_back(i);
		for (uint32_t page = 0; page < PAGES; page++)
			expect_all(guest.flight[i].page + page * PAGE,
			           guest.flight[i].is_given[page] ? 0 : (uint8_t)(0x40 + i));
	}
	assert_int_equal(pv_baldrv_actual(guest.balloon), 0);
	assert_false(pv_blkdrv_is_broken(guest.blk));
	assert_false(pv_baldrv_is_broken(guest.balloon));
	assert_int_equal(pv_device_status(guest.disk.device) & VIRTIO_STATUS_NEEDS_RESET, 0);
	assert_int_equal(pv_device_status(guest.ballast.device) & VIRTIO_STATUS_NEEDS_RESET, 0);
}

#define RINGS 4u
static const uint64_t rings[RINGS] = { 0, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED,
	                               VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC };

/* Of both kinds of memory, and through the host's cache and past it. */
static void on_every_kind(void (*body)(void))
{
	uint32_t opened = 0;

	for (uint32_t kind = 0; kind < 4; kind++) {
		if (!guest_open(kind, kind & 1, kind & 2, rings[kind]))
			continue;
		body();
		expect_both_go_on();
		guest_close();
		opened++;
	}
	assert_true(opened >= 2);
}

#define ON_EVERY_KIND(name)                                                                        \
	static void name##_body(void);                                                             \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		on_every_kind(name##_body);                                                        \
	}                                                                                          \
	static void name##_body(void)

/* ---- the device has their address, the file has not been asked yet ---- */

ON_EVERY_KIND(what_was_given_away_before_it_is_written_is_zeroes)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		const uint32_t index = round % REQUESTS;
		const uint8_t pattern = (uint8_t)(1 + round % 200);
		const struct flight *flight = &guest.flight[index];
		const uint8_t *data;

		shut_gate();
		begin_io(index, PV_BLKDRV_WRITE, pattern);
		wait_until_it_stands();
		give_and_take_back(index);
		open_gate();
		finish_io(index);
		data = on_disk(index);
		for (uint32_t page = 0; page < PAGES; page++) {
			const uint8_t kept = flight->is_given[page] ? 0 : pattern;

			expect_all(data + page * PAGE, kept);
			expect_all(flight->page + page * PAGE, kept);
		}
	}
}

/* The balloon has them, and gets them back: a page that the host fills anew is there again. */
ON_EVERY_KIND(what_was_given_away_before_it_is_read_is_read)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		const uint32_t index = round % REQUESTS;
		const uint8_t pattern = (uint8_t)(1 + round % 200);
		uint8_t content[PAGE];

		memset(content, pattern, PAGE);
		for (uint32_t page = 0; page < PAGES; page++)
			assert_int_equal(pwrite(guest.file, content, PAGE,
			                        index * IO_BYTES + page * PAGE),
			                 PAGE);
		shut_gate();
		begin_io(index, PV_BLKDRV_READ, 0xee);
		wait_until_it_stands();
		give_and_take_back(index);
		open_gate();
		finish_io(index);
		for (uint32_t page = 0; page < PAGES; page++)
			expect_all(guest.flight[index].page + page * PAGE, pattern);
	}
}

/* ---- while the host reads and writes ---- */

/* Which instants it hits is the host's to say: of a page that went there are two outcomes. */
ON_EVERY_KIND(what_is_given_away_meanwhile_is_lost_and_nothing_else)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		const uint8_t pattern = (uint8_t)(1 + round % 200);
		const bool is_write = round % 2 == 0;

		for (uint32_t i = 0; i < REQUESTS; i++) {
			begin_io(i, is_write ? PV_BLKDRV_WRITE : PV_BLKDRV_READ, pattern);
			guest.flight[i].there = is_write ? pattern : guest.flight[i].there;
		}
		for (uint32_t i = 0; i < REQUESTS; i++)
			give_and_take_back(i);
		for (uint32_t i = 0; i < REQUESTS; i++)
			finish_io(i);
		for (uint32_t i = 0; i < REQUESTS; i++) {
			const struct flight *flight = &guest.flight[i];
			const uint8_t *data = on_disk(i);

			for (uint32_t page = 0; page < PAGES; page++) {
				const uint8_t *here = flight->page + page * PAGE;

				if (!is_write && !flight->is_given[page])
					assert_memory_equal(here, data + page * PAGE, PAGE);
				else if (!is_write)
					expect_either(here, flight->there, 0);
				else if (!flight->is_given[page])
					expect_all(data + page * PAGE, pattern);
				else
					expect_either(data + page * PAGE, pattern, 0);
			}
		}
	}
}

/* ---- what the driver itself needs ---- */

static void wait_until_gone(const uint8_t *page)
{
	const time_t deadline = time(NULL) + PATIENCE_S;

	while (*(const volatile uint8_t *)page != 0) {
		assert_true(time(NULL) < deadline);
		turn(NULL);
	}
}

/* All of its memory, rings and headers too, while a request stands there; it has to begin anew. */
ON_EVERY_KIND(a_driver_whose_rings_go_meanwhile_begins_anew)
{
	const struct pv_baldrv_range all = { PV_ARENA_GPA, MEMORY_BYTES / PAGE };

	for (uint32_t round = 0; round < ROUNDS / 4; round++) {
		const uint32_t index = round % REQUESTS;
		const bool is_write = round % 2 == 0;
		struct pv_baldrv_request request = { .range = &all, .ranges = 1 };

		shut_gate();
		begin_io(index, is_write ? PV_BLKDRV_WRITE : PV_BLKDRV_READ, 7);
		wait_until_it_stands();
		/* The balloon's own are among them: it may never hear of its end. */
		assert_int_equal(pv_baldrv_inflate(guest.balloon, &request), 0);
		wait_until_gone(guest.flight[index].page);
		open_gate();
		assert_int_equal(pv_baldrv_fail(guest.balloon), 0);
		assert_true(request.is_done);
		assert_int_equal(pv_blkdrv_recover(guest.blk), 0);
		assert_int_equal(pv_baldrv_recover(guest.balloon), 0);
		finish_io(index);
		go(pv_baldrv_deflate, &all, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_given_away_before_it_is_written_is_zeroes),
		cmocka_unit_test(what_was_given_away_before_it_is_read_is_read),
		cmocka_unit_test(what_is_given_away_meanwhile_is_lost_and_nothing_else),
		cmocka_unit_test(a_driver_whose_rings_go_meanwhile_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
