/* SPDX-License-Identifier: BSD-2-Clause */
/* The self test of a disk. It is read; it is written to only where that was asked for. */
#include "drivers/blk/blk.h"
#include "payload/payload.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"
#include "ring/err.h"

#define TIMEOUT_NS  10000000000ull
#define PIECES      4u
#define PIECE_BYTES 4096u
#define DATA_BYTES  (PIECES * PIECE_BYTES)
#define SECTORS     (DATA_BYTES / VIRTIO_BLK_SECTOR_BYTES)
#define QUEUES_MAX  8u
#define IN_FLIGHT   32u
#define ALONE       8u

struct test {
	struct pv_blkdrv *blk;
	const struct pv_blkdrv_disk *disk;
	uint8_t *data;
};

/* ---- one request ---- */

/* Not on the stack: one that was given up is in flight until the driver ends. */
static struct pv_blkdrv_request request;

/* The data in pieces that do not lie side by side: every other one, the last first. */
static uint8_t *piece(const struct test *test, unsigned int index)
{
	return test->data + 2 * (PIECES - 1 - index) * PIECE_BYTES;
}

static int transfer(const struct test *test, enum pv_blkdrv_op op, uint64_t sector, uint16_t queue)
{
	struct pv_buffer data[PIECES];

	request = (struct pv_blkdrv_request){
		.op = op, .sector = sector, .buffers = PIECES, .buffer = data
	};
	for (unsigned int i = 0; i < PIECES; i++)
		data[i] = (struct pv_buffer){ piece(test, i), PIECE_BYTES };
	return pv_blkdrv_do(pv_blkdrv_queue(test->blk, queue), &request, TIMEOUT_NS);
}

static int simple(const struct test *test, enum pv_blkdrv_op op, uint32_t sectors)
{
	request = (struct pv_blkdrv_request){ .op = op, .sectors = sectors };
	return pv_blkdrv_do(pv_blkdrv_queue(test->blk, 0), &request, TIMEOUT_NS);
}

/* ---- what is written and read ---- */

static uint8_t pattern(uint64_t at, uint32_t salt)
{
	uint64_t mixed = (at + 1) * 0x9e3779b97f4a7c15u + salt * 0x85ebca6bu;

	return (uint8_t)(mixed >> 40);
}

static void fill(const struct test *test, uint32_t salt)
{
	for (unsigned int i = 0; i < PIECES; i++)
		for (unsigned int j = 0; j < PIECE_BYTES; j++)
			piece(test, i)[j] = pattern(i * PIECE_BYTES + j, salt);
}

static bool has(const struct test *test, uint32_t salt)
{
	for (unsigned int i = 0; i < PIECES; i++)
		for (unsigned int j = 0; j < PIECE_BYTES; j++)
			if (piece(test, i)[j] != pattern(i * PIECE_BYTES + j, salt))
				return false;
	return true;
}

static bool is_zero(const struct test *test)
{
	for (unsigned int i = 0; i < PIECES; i++)
		for (unsigned int j = 0; j < PIECE_BYTES; j++)
			if (piece(test, i)[j] != 0)
				return false;
	return true;
}

static void wipe(const struct test *test)
{
	__builtin_memset(test->data, 0x5a, 2 * DATA_BYTES);
}

static void check_reads(const struct test *test)
{
	const uint64_t end = pv_blkdrv_capacity(test->blk) - SECTORS;
	char id[VIRTIO_BLK_ID_BYTES + 1];
	bool is_read = true;
	int error;

	for (uint16_t queue = 0; queue < test->disk->queues; queue++)
		is_read = is_read && transfer(test, PV_BLKDRV_READ, 0, queue) == 0 &&
		          transfer(test, PV_BLKDRV_READ, end, queue) == 0;
	payload_ok(is_read, "its beginning and its end are read, on every queue");
	error = pv_blkdrv_id(pv_blkdrv_queue(test->blk, 0), id, TIMEOUT_NS);
	payload_ok(error == 0 || error == -PV_ENOTSUP, "it is asked for its serial number");
}

static void check_writes(const struct test *test)
{
	const uint64_t end = pv_blkdrv_capacity(test->blk) - SECTORS;
	bool is_same = true;

	for (uint16_t queue = 0; queue < test->disk->queues; queue++) {
		fill(test, queue);
		is_same = is_same && transfer(test, PV_BLKDRV_WRITE, end, queue) == 0;
		wipe(test);
		is_same = is_same && transfer(test, PV_BLKDRV_READ, end, queue) == 0 &&
		          has(test, queue);
	}
	payload_ok(is_same, "what is written is read, on every queue");
	if (test->disk->has_flush)
		payload_ok(simple(test, PV_BLKDRV_FLUSH, 0) == 0, "it is flushed");
	if (test->disk->write_zeroes_sectors_max < SECTORS)
		return;
	fill(test, 1);
	is_same = transfer(test, PV_BLKDRV_WRITE, 0, 0) == 0 &&
	          simple(test, PV_BLKDRV_WRITE_ZEROES, SECTORS) == 0 &&
	          transfer(test, PV_BLKDRV_READ, 0, 0) == 0 && is_zero(test);
	payload_ok(is_same, "zeroes that it was told to write are read");
}

/* ---- many at once ---- */

static struct pv_blkdrv_request flight[IN_FLIGHT];
static struct pv_buffer flight_data[IN_FLIGHT];

static uint32_t send(struct pv_blkdrv_queue *queue, const struct test *test, uint32_t count)
{
	uint32_t sent = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *to = test->data + i % (2 * PIECES) * PIECE_BYTES;

		flight_data[i] = (struct pv_buffer){ to, PIECE_BYTES };
		flight[i] = (struct pv_blkdrv_request){ .op = PV_BLKDRV_READ,
			                                .buffers = 1,
			                                .buffer = &flight_data[i] };
		if (pv_blkdrv_submit(queue, &flight[i]))
			break;
		sent++;
	}
	pv_blkdrv_publish(queue);
	return sent;
}

/* As many as the ring has room for. */
static void check_depth(const struct test *test)
{
	struct pv_blkdrv_queue *queue = pv_blkdrv_queue(test->blk, 0);
	uint32_t sent = send(queue, test, IN_FLIGHT);
	bool is_good = sent > 0;

	for (uint32_t i = 0; i < sent; i++)
		is_good = is_good && pv_blkdrv_wait(queue, &flight[i], TIMEOUT_NS) == 0;
	payload_ok(is_good, "many reads at once come to an end");
}

/* ---- by interrupts ---- */

/* Nobody looks at the ring but when its queue has interrupted. */
static bool are_announced(const struct test *test, uint16_t index, uint32_t count)
{
	struct pv_blkdrv_queue *queue = pv_blkdrv_queue(test->blk, index);
	bool is_good = !pv_blkdrv_interrupts_on(queue);
	uint32_t before = interrupts_of_queue(index), sent = send(queue, test, count), done = 0;

	while (is_good && done < sent && payload_sleep(index, before, TIMEOUT_NS)) {
		before = interrupts_of_queue(index);
		do
			done += pv_blkdrv_poll(queue);
		while (pv_blkdrv_interrupts_on(queue));
	}
	pv_blkdrv_interrupts_off(queue);
	for (uint32_t i = 0; i < sent; i++)
		is_good = is_good && flight[i].is_done && flight[i].error == 0;
	return is_good && done == sent && sent > 0;
}

static uint32_t interrupts_of_others(const struct test *test, uint16_t index)
{
	uint32_t all = interrupts_of_config();

	for (uint16_t i = 0; i < test->disk->queues; i++)
		all += i == index ? 0 : interrupts_of_queue(i);
	return all;
}

/* One after the other, each with an interrupt; where others' can be told apart there are none. */
static bool are_its_own(const struct test *test, uint16_t index)
{
	const uint32_t before = interrupts_of_others(test, index);
	bool is_good = true;

	for (uint32_t i = 0; i < ALONE; i++)
		is_good = is_good && are_announced(test, index, 1);
	return is_good && (!interrupts_are_apart(test->disk->queues) ||
	                   interrupts_of_others(test, index) == before);
}

static void check_interrupts(const struct test *test)
{
	const uint16_t queues = test->disk->queues;
	bool is_good = true;

	/* A vector that was just given to a queue may bring one too many: it is over by then. */
	for (uint16_t i = 0; i < queues; i++)
		is_good = is_good && are_announced(test, i, 1);
	for (uint16_t i = 0; i < queues; i++)
		is_good = is_good && are_its_own(test, i);
	payload_ok(is_good,
	           interrupts_are_apart(queues)
	                   ? "reads are announced by their own queue's interrupts"
	                   : "reads are announced by interrupts that may be other queues'");
	for (uint16_t i = 0; i < queues; i++)
		is_good = is_good && are_announced(test, i, IN_FLIGHT);
	payload_ok(is_good, "many reads at once are announced by interrupts");
	payload_note("interrupts", interrupts_taken());
}

/* Where the device can take one queue back. QEMU's MMIO says that it can, and has no register. */
static void check_queue_reset(const struct test *test)
{
	int error;

	if (!(test->disk->features & VIRTIO_F_RING_RESET))
		return;
	error = pv_blkdrv_queue_reset(pv_blkdrv_queue(test->blk, 0));
	if (error == -PV_ENOTSUP)
		payload_note("but it does not reset queues, though it offers feature", 40);
	payload_ok((error == 0 || error == -PV_ENOTSUP) &&
	                   transfer(test, PV_BLKDRV_READ, 0, 0) == 0,
	           "a queue works after its reset");
}

void payload_test_blk(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_blkdrv_options wanted = { .timeout_ns = TIMEOUT_NS, .queues = QUEUES_MAX };
	struct test test;
	int error;

	bare_forget();
	error = pv_blkdrv_create(&test.blk, bus, &bare_os, &wanted);
	if (!payload_ok(error == 0, "it comes up")) {
		payload_note("error", (uint64_t)-error);
		return;
	}
	test.disk = pv_blkdrv_disk(test.blk);
	test.data = bare_alloc(2 * DATA_BYTES, PIECE_BYTES);
	payload_note("sectors", pv_blkdrv_capacity(test.blk));
	payload_note("queues", test.disk->queues);
	payload_note("features", test.disk->features);
	if (payload_ok(test.data && pv_blkdrv_capacity(test.blk) >= SECTORS &&
	                       test.disk->segments_max >= PIECES,
	               "it is large enough for a test")) {
		if (interrupts_are_on())
			check_interrupts(&test);
		check_reads(&test);
		check_depth(&test);
		if (options->may_write && !test.disk->is_read_only)
			check_writes(&test);
		check_queue_reset(&test);
	}
	payload_ok(!pv_blkdrv_is_broken(test.blk), "it is sound in the end");
	pv_blkdrv_destroy(test.blk);
}
