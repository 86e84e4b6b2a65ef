/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/balloon_rig.h"

#define PAGES_ALIGN (2u << 20)
#define RUNS_MAX    10000

/* ---- the device's host ---- */

static bool is_of(const struct pv_mem *mem, const struct pv_region *region)
{
	return mem && region >= mem->region && region < mem->region + mem->count;
}

/* Whole pages of a region that is there, and nothing else. */
static int discard_one(struct balloon_rig *rig, const struct pv_region *region, uint8_t *host,
                       uint64_t bytes)
{
	uint64_t first = (uint64_t)(host - region->host);

	pv_bug_on(!is_of(rig->base.mem, region) && !is_of(rig->other_mem, region));
	pv_bug_on(region->page_bytes == 0 || bytes == 0);
	pv_bug_on(first % region->page_bytes || bytes % region->page_bytes);
	pv_bug_on(first > region->bytes || bytes > region->bytes - first);
	if (rig->refusal && (!rig->refused_gpa || rig->refused_gpa == region->gpa.v + first))
		return rig->refusal;
	memset(host, 0, (size_t)bytes);
	if (rig->ranges < BALLOON_RIG_RANGES)
		rig->range[rig->ranges++] =
			(struct balloon_rig_range){ region->gpa.v + first, bytes };
	return 0;
}

/* The rest of a list goes though one has been refused; what is told again has not been before. */
static int discard(struct pv_port *port, const struct pv_region *region, const struct pv_iov *piece,
                   uint32_t pieces)
{
	struct balloon_rig *rig = (struct balloon_rig *)port;
	const uint32_t ranges = rig->ranges;
	int error = 0;

	pv_bug_on(pieces == 0);
	for (uint32_t i = 0; i < pieces; i++) {
		int refused = discard_one(rig, region, piece[i].base, piece[i].bytes);

		error = error ? error : refused;
	}
	if (error)
		rig->ranges = ranges;
	return error;
}

/* ---- birth and death ---- */

static void actual_changed(void *arg)
{
	((struct balloon_rig *)arg)->actual_changes++;
}

static void stats_came(void *arg)
{
	((struct balloon_rig *)arg)->stats_came++;
}

static void make_memory(struct balloon_rig *rig, uint64_t page_bytes)
{
	const uint32_t first[BALLOON_RIG_REGIONS] = { PAGE_A, PAGE_B, PAGE_C };

	for (uint32_t i = 0; i < BALLOON_RIG_REGIONS; i++) {
		rig->pages[i] = device_rig_zeroed(PAGES_ALIGN, (size_t)PAGES * PAGE);
		memset(rig->pages[i], 0xaa, (size_t)PAGES * PAGE);
		device_rig_add_region(&rig->base,
		                      &(struct pv_region){ pv_gpa_of((uint64_t)first[i] * PAGE),
		                                           (uint64_t)PAGES * PAGE, rig->pages[i],
		                                           page_bytes, i == 1 });
	}
}

static void make_device(struct balloon_rig *rig)
{
	void *storage = device_rig_storage(&rig->base, pv_balloon_bytes());

	rig->device = pv_balloon_init(storage, &rig->base.port, &rig->options);
	device_rig_set_device(&rig->base, rig->device);
}

static void run(struct device_rig *base, const bool *until)
{
	(void)until;
	balloon_rig_run((struct balloon_rig *)base);
}

void balloon_rig_open(struct balloon_rig *rig, const struct pv_balloon_options *options,
                      uint64_t page_bytes)
{
	const struct device_rig_shape shape = { .queues = VIRTIO_BALLOON_QUEUES,
		                                .area_bytes = BALLOON_RIG_AREA_BYTES,
		                                .crumbs = BALLOON_RIG_CRUMBS,
		                                .more = BALLOON_RIG_REGIONS };

	*rig = (struct balloon_rig){ .options = *options };
	device_rig_open(&rig->base, &shape, run);
	rig->base.ops.discard = discard;
	rig->options.queue_size_max = DEVICE_RIG_SIZE;
	rig->options.is_in_order = true;
	rig->options.owner = (struct pv_balloon_owner){ actual_changed, stats_came, rig };
	make_memory(rig, page_bytes);
	make_device(rig);
}

void balloon_rig_close(struct balloon_rig *rig)
{
	pv_device_reset(rig->device, (struct pv_waiter){ 0 });
	balloon_rig_run(rig);
	device_rig_close(&rig->base);
	for (uint32_t i = 0; i < BALLOON_RIG_REGIONS; i++)
		free(rig->pages[i]);
}

/* ---- queues ---- */

void balloon_rig_negotiate(struct balloon_rig *rig, uint64_t features)
{
	device_rig_negotiate(&rig->base, features);
	assert_int_equal(device_rig_start_queue(&rig->base, INFLATE), 0);
	assert_int_equal(device_rig_start_queue(&rig->base, DEFLATE), 0);
}

void balloon_rig_start(struct balloon_rig *rig, uint64_t features)
{
	uint16_t next = STATS;

	balloon_rig_negotiate(rig, features | VIRTIO_F_VERSION_1);
	if (rig->base.features & VIRTIO_BALLOON_F_STATS_VQ)
		assert_int_equal(device_rig_start_queue(&rig->base, next++), 0);
	if (rig->base.features & VIRTIO_BALLOON_F_PAGE_REPORTING)
		assert_int_equal(device_rig_start_queue(&rig->base, next++), 0);
	balloon_rig_run(rig);
}

bool balloon_rig_run_once(struct balloon_rig *rig, uint16_t index)
{
	struct device_rig_queue *lane = &rig->base.queue[index];
	struct pv_queue *queue = &rig->device->queue[index];
	bool goes_on;

	if (!lane->is_attached || !lane->is_due)
		return false;
	goes_on = pv_queue_run(queue) || !pv_queue_may_sleep(queue);
	lane->is_due = goes_on;
	device_rig_answer(&rig->base, index);
	return goes_on;
}

void balloon_rig_run(struct balloon_rig *rig)
{
	bool goes_on = true;

	for (int runs = 0; goes_on; runs++) {
		assert_in_range(runs, 0, RUNS_MAX);
		goes_on = false;
		for (uint16_t i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
			goes_on |= balloon_rig_run_once(rig, i);
	}
}

void balloon_rig_pass(struct balloon_rig *rig, uint64_t ns)
{
	rig->base.now_ns += ns;
	for (uint16_t i = 0; i < VIRTIO_BALLOON_QUEUES; i++) {
		struct device_rig_queue *lane = &rig->base.queue[i];

		if (lane->timer_ns == 0 || lane->timer_ns > rig->base.now_ns)
			continue;
		lane->timer_ns = 0;
		lane->is_due = true;
	}
	balloon_rig_run(rig);
}

void balloon_rig_switch(struct balloon_rig *rig, bool has_last)
{
	struct pv_mem *before = rig->base.mem;
	uint32_t last = 0;

	rig->base.mem = calloc(1, pv_mem_table_bytes(before->count));
	for (uint32_t i = 0; i < before->count; i++) {
		if (!has_last && before->region[i].gpa.v == (uint64_t)PAGE_C * PAGE)
			continue;
		rig->base.mem->region[last++] = before->region[i];
	}
	rig->base.mem->count = last;
	for (uint16_t i = 0; i < VIRTIO_BALLOON_QUEUES; i++) {
		if (!rig->base.queue[i].is_attached)
			continue;
		pv_queue_mem_switch(&rig->device->queue[i], rig->base.mem);
		assert_int_equal(rig->device->queue[i].ring.in_flight_before, 0);
	}
	pv_device_mem_set(rig->device, rig->base.mem);
	free(before);
}

void balloon_rig_replace(struct balloon_rig *rig)
{
	void *before = device_rig_abandon(&rig->base);

	make_device(rig);
	free(before);
}

void balloon_rig_move(struct balloon_rig *rig)
{
	uint8_t *state;
	size_t bytes;

	device_rig_pause(&rig->base);
	state = device_rig_save(&rig->base, &bytes);
	balloon_rig_replace(rig);
	device_rig_resume(&rig->base, state, bytes);
}

/* ---- what the driver does ---- */

#define SEND_PIECES 512u

void balloon_rig_send(struct balloon_rig *rig, uint16_t queue, const void *data, uint32_t bytes,
                      uint32_t piece_bytes)
{
	struct pv_sg whole = device_rig_alloc(&rig->base, bytes), sg[SEND_PIECES];
	uint16_t pieces = 0;

	memcpy(device_rig_at(&rig->base, whole.addr), data, bytes);
	for (uint32_t at = 0; at < bytes; at += piece_bytes) {
		assert_in_range(pieces, 0, SEND_PIECES - 1);
		sg[pieces++] = (struct pv_sg){ pv_gpa_add(whole.addr, at), bytes - at < piece_bytes
			                                                           ? bytes - at
			                                                           : piece_bytes };
	}
	device_rig_offer(&rig->base, queue, sg, pieces, 0);
}

void balloon_rig_list(struct balloon_rig *rig, uint16_t queue, const uint32_t *number,
                      uint32_t count)
{
	struct pv_sg sg = device_rig_alloc(&rig->base, count * 4);
	struct pv_le32 *to = (struct pv_le32 *)device_rig_at(&rig->base, sg.addr);

	for (uint32_t i = 0; i < count; i++)
		to[i] = pv_le32_of(number[i]);
	device_rig_offer(&rig->base, queue, &sg, 1, 0);
}

void balloon_rig_row(struct balloon_rig *rig, uint16_t queue, uint32_t first, uint32_t count)
{
	uint32_t number[PAGES * 4];

	assert_in_range(count, 1, PAGES * 4);
	for (uint32_t i = 0; i < count; i++)
		number[i] = first + i;
	balloon_rig_list(rig, queue, number, count);
}

struct pv_sg balloon_rig_free(uint32_t first, uint32_t bytes)
{
	return (struct pv_sg){ pv_gpa_of((uint64_t)first * PAGE), bytes };
}

bool balloon_rig_take(struct balloon_rig *rig, uint16_t queue)
{
	uint32_t written_bytes = 1;

	if (!device_rig_take(&rig->base, queue, &written_bytes))
		return false;
	assert_int_equal(written_bytes, 0);
	return true;
}

void balloon_rig_expect_back(struct balloon_rig *rig, uint16_t queue, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_true(balloon_rig_take(rig, queue));
	assert_false(balloon_rig_take(rig, queue));
}

void balloon_rig_expect_gone(struct balloon_rig *rig, uint32_t first, uint32_t count)
{
	assert_true(rig->ranges > 0);
	assert_int_equal(rig->range[0].gpa, (uint64_t)first * PAGE);
	assert_int_equal(rig->range[0].bytes, (uint64_t)count * PAGE);
	rig->ranges--;
	memmove(&rig->range[0], &rig->range[1], rig->ranges * sizeof(rig->range[0]));
}

void balloon_rig_expect_no_more(struct balloon_rig *rig)
{
	assert_int_equal(rig->ranges, 0);
}
