/* SPDX-License-Identifier: BSD-2-Clause */
/* The block driver: what it sends, and how its requests end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/blkdrv_rig.h"

#define TIMEOUT_NS 5000000000ull

/* ---- requests ---- */

struct seen {
	struct virtq_desc desc[16];
	uint16_t count, head;
	struct virtio_blk_req_header header;
};

static void *at(const struct virtq_desc *desc)
{
	return pv_fake_at(pv_gpa_of(pv_le64_get(desc->addr)));
}

/* Submits, and looks at what the device gets: a header to read, and a status byte at the end. */
static void send(struct pv_blkdrv_rig *rig, struct pv_blkdrv_request *request, struct seen *seen)
{
	assert_int_equal(pv_blkdrv_submit(rig->queue, request), 0);
	assert_int_equal(pv_fake_take(&rig->fake, 0, seen->desc, 16, &seen->head), 0);
	pv_blkdrv_publish(rig->queue);
	seen->count = pv_fake_take(&rig->fake, 0, seen->desc, 16, &seen->head);
	assert_true(seen->count >= 2);
	assert_int_equal(pv_le32_get(seen->desc[0].len), sizeof(seen->header));
	assert_false(pv_le16_get(seen->desc[0].flags) & VIRTQ_DESC_F_WRITE);
	memcpy(&seen->header, at(&seen->desc[0]), sizeof(seen->header));
	assert_int_equal(pv_le32_get(seen->header.reserved), 0);
	assert_int_equal(pv_le32_get(seen->desc[seen->count - 1].len), 1);
	assert_true(pv_le16_get(seen->desc[seen->count - 1].flags) & VIRTQ_DESC_F_WRITE);
}

static void answer(struct pv_blkdrv_rig *rig, const struct seen *seen, uint8_t status,
                   uint32_t bytes)
{
	*(uint8_t *)at(&seen->desc[seen->count - 1]) = status;
	pv_fake_return(&rig->fake, 0, seen->head, bytes);
}

static void a_read_and_a_write_carry_their_sector_and_their_buffers(void **state)
{
	struct pv_blkdrv_rig rig;
	struct seen seen;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	for (uint32_t i = 0; i < 2; i++) {
		const struct pv_buffer data[] = {
			{ rig.data, 700 },
			{ rig.data + 1024, 324 },
		};
		struct pv_blkdrv_request request = {
			.op = i ? PV_BLKDRV_WRITE : PV_BLKDRV_READ,
			.sector = 998,
			.buffer = data,
			.buffers = 2,
		};

		send(&rig, &request, &seen);
		assert_int_equal(pv_le32_get(seen.header.type),
		                 i ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
		assert_int_equal(pv_le64_get(seen.header.sector), 998);
		assert_int_equal(seen.count, 4);
		for (uint32_t j = 0; j < 2; j++) {
			assert_ptr_equal(at(&seen.desc[1 + j]), rig.data + 1024 * j);
			assert_int_equal(pv_le32_get(seen.desc[1 + j].len), data[j].bytes);
			assert_int_equal(
				!(pv_le16_get(seen.desc[1 + j].flags) & VIRTQ_DESC_F_WRITE), i);
		}
		answer(&rig, &seen, VIRTIO_BLK_S_OK, i ? 1 : 1025);
		assert_int_equal(pv_blkdrv_poll(rig.queue), 1);
		assert_true(request.is_done);
		assert_int_equal(request.error, 0);
		assert_int_equal(request.written_bytes, i ? 0 : 1024);
	}
	pv_blkdrv_rig_close(&rig);
}

static void a_flush_has_sector_zero_and_no_data(void **state)
{
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_FLUSH, .sector = 7 };
	struct pv_blkdrv_rig rig;
	struct seen seen;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	send(&rig, &request, &seen);
	assert_int_equal(pv_le32_get(seen.header.type), VIRTIO_BLK_T_FLUSH);
	assert_int_equal(pv_le64_get(seen.header.sector), 0);
	assert_int_equal(seen.count, 2);
	pv_blkdrv_rig_close(&rig);
	assert_int_equal(request.error, -PV_EBROKEN);
}

static void a_range_goes_as_data_and_unmap_only_with_zeroes(void **state)
{
	static const enum pv_blkdrv_op ops[] = { PV_BLKDRV_DISCARD, PV_BLKDRV_WRITE_ZEROES,
		                                 PV_BLKDRV_WRITE_ZEROES, PV_BLKDRV_SECURE_ERASE };
	static const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
		                          VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_SECURE_ERASE };
	struct pv_blkdrv_rig rig;
	struct seen seen;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	for (uint32_t i = 0; i < 4; i++) {
		struct pv_blkdrv_request request = {
			.op = ops[i],
			.may_unmap = i != 1,
			.sector = 900,
			.sectors = 100,
		};
		struct virtio_blk_range range;

		send(&rig, &request, &seen);
		assert_int_equal(pv_le32_get(seen.header.type), types[i]);
		assert_int_equal(pv_le64_get(seen.header.sector), 0);
		assert_int_equal(seen.count, 3);
		assert_int_equal(pv_le32_get(seen.desc[1].len), sizeof(range));
		assert_false(pv_le16_get(seen.desc[1].flags) & VIRTQ_DESC_F_WRITE);
		memcpy(&range, at(&seen.desc[1]), sizeof(range));
		assert_int_equal(pv_le64_get(range.sector), 900);
		assert_int_equal(pv_le32_get(range.num_sectors), 100);
		assert_int_equal(pv_le32_get(range.flags), i == 2 ? VIRTIO_BLK_RANGE_F_UNMAP : 0);
		answer(&rig, &seen, VIRTIO_BLK_S_OK, 1);
		assert_int_equal(pv_blkdrv_poll(rig.queue), 1);
	}
	pv_blkdrv_rig_close(&rig);
}

/* In what pieces, and what the device is given of them, is what it said and what the port can. */
static void a_buffer_goes_out_in_pieces_of_what_the_device_takes(void **state)
{
	struct pv_blkdrv_rig rig;
	const struct pv_buffer large = { rig.data, 4608 };
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_READ, .buffer = &large, .buffers = 1 };
	struct seen seen;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	for (uint32_t i = 0; i < 2; i++) {
		const uint32_t first = i == 0 ? 4096 : 4608 / 2;

		rig.fake.map_max = i == 0 ? 0 : first;
		send(&rig, &request, &seen);
		assert_int_equal(rig.fake.mapped_out, 2);
		assert_true(rig.fake.is_mapped_written);
		assert_int_equal(seen.count, 4);
		assert_int_equal(pv_le32_get(seen.desc[1].len), first);
		assert_int_equal(pv_le32_get(seen.desc[2].len), 4608 - first);
		assert_ptr_equal(at(&seen.desc[1]), rig.data);
		assert_ptr_equal(at(&seen.desc[2]), rig.data + first);
		answer(&rig, &seen, VIRTIO_BLK_S_OK, 4609);
		assert_int_equal(pv_blkdrv_poll(rig.queue), 1);
		assert_int_equal(rig.fake.mapped_out, 0);
	}
	rig.fake.map_max = 1000; /* more pieces than it takes */
	assert_int_equal(pv_blkdrv_submit(rig.queue, &request), -PV_EINVAL);
	assert_int_equal(rig.fake.mapped_out, 0);
	pv_blkdrv_rig_close(&rig);
}

/* However many pieces its user and the device would have: a ring has so many places. */
static void pieces_without_number_are_as_many_as_fit_the_ring(void **state)
{
	struct pv_blkdrv_rig rig;
	struct pv_buffer data[16];
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_WRITE, .buffer = data };
	struct seen seen;
	uint16_t fit;

	(void)state;
	for (uint32_t i = 0; i < 16; i++)
		data[i] = (struct pv_buffer){ rig.data + (size_t)i * 512, 512 };
	for (uint32_t max = UINT16_MAX - 3; max <= UINT16_MAX; max++) {
		pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES);
		rig.config->seg_max = pv_le32_of(UINT32_MAX);
		rig.options.segments_max = (uint16_t)max;
		assert_int_equal(pv_blkdrv_rig_create(&rig), 0);
		fit = pv_blkdrv_disk(rig.blk)->segments_max;
		assert_int_equal(fit, 16 - 2);
		request.buffers = fit;
		send(&rig, &request, &seen);
		assert_int_equal(seen.count, 16);
		answer(&rig, &seen, VIRTIO_BLK_S_OK, 1);
		assert_int_equal(pv_blkdrv_poll(rig.queue), 1);
		pv_blkdrv_rig_close(&rig);
	}
}

static void what_the_port_cannot_map_is_refused_and_leaves_nothing_behind(void **state)
{
	struct pv_blkdrv_rig rig;
	const struct pv_buffer data[3] = { { rig.data, 512 },
		                           { rig.data + 512, 512 },
		                           { rig.data + 1024, 512 } };
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_WRITE, .buffer = data, .buffers = 3 };

	(void)state;
	pv_blkdrv_rig_open(&rig);
	for (uint32_t i = 1; i <= 3; i++) {
		rig.fake.maps = 0;
		rig.fake.fail_map = i;
		assert_int_equal(pv_blkdrv_submit(rig.queue, &request), -PV_ENOMEM);
		assert_int_equal(rig.fake.mapped_out, 0);
	}
	rig.fake.fail_map = 0;
	assert_int_equal(pv_blkdrv_submit(rig.queue, &request), 0);
	assert_int_equal(rig.fake.mapped_out, 3);
	assert_false(rig.fake.is_mapped_written);
	assert_int_equal(pv_blkdrv_fail(rig.blk), 0);
	assert_int_equal(rig.fake.mapped_out, 0);
	pv_blkdrv_rig_close(&rig);
}

static void what_the_disk_cannot_do_is_refused_before_it_is_sent(void **state)
{
	struct pv_blkdrv_rig rig;
	const struct pv_buffer one = { rig.data, 512 };
	const struct pv_buffer odd = { rig.data, 511 };
	const struct pv_buffer many[5] = { one, one, one, one, one };
	const struct pv_buffer hole[2] = { one, { rig.data, 0 } };
	const struct pv_blkdrv_request bad[] = {
		{ .op = PV_BLKDRV_READ, .sector = PV_RIG_CAPACITY, .buffer = &one, .buffers = 1 },
		{ .op = PV_BLKDRV_READ, .sector = UINT64_MAX, .buffer = &one, .buffers = 1 },
		{ .op = PV_BLKDRV_READ,
		  .sector = PV_RIG_CAPACITY - 1,
		  .buffer = many,
		  .buffers = 2 },
		{ .op = PV_BLKDRV_READ, .buffer = &odd, .buffers = 1 },
		{ .op = PV_BLKDRV_READ, .buffer = many, .buffers = 5 },
		{ .op = PV_BLKDRV_READ, .buffer = hole, .buffers = 2 },
		{ .op = PV_BLKDRV_WRITE, .buffer = &one, .buffers = 0 },
		{ .op = PV_BLKDRV_DISCARD, .sectors = 0 },
		{ .op = PV_BLKDRV_DISCARD, .sectors = 101 },
		{ .op = PV_BLKDRV_DISCARD, .sector = PV_RIG_CAPACITY - 1, .sectors = 2 },
		{ .op = PV_BLKDRV_WRITE_ZEROES, .sectors = 201 },
		{ .op = PV_BLKDRV_SECURE_ERASE, .sectors = 301 },
		{ .op = PV_BLKDRV_SECURE_ERASE, .sectors = 0 },
		{ .op = PV_BLKDRV_GET_ID, .buffer = &one, .buffers = 1 },
		{ .op = PV_BLKDRV_GET_LIFETIME, .buffer = &one, .buffers = 1 },
		{ .op = PV_BLKDRV_GET_LIFETIME },
		{ .op = (enum pv_blkdrv_op)77 },
	};

	(void)state;
	pv_blkdrv_rig_open(&rig);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pv_blkdrv_request request = bad[i];

		assert_int_equal(pv_blkdrv_submit(rig.queue, &request), -PV_EINVAL);
	}
	pv_blkdrv_publish(rig.queue);
	assert_false(pv_fake_serve(&rig.fake, 0, 0));
	pv_blkdrv_rig_close(&rig);
}

static void operations_without_their_feature_are_not_supported(void **state)
{
	static uint8_t data[512];
	const struct pv_buffer one = { data, sizeof(data) };
	struct pv_blkdrv_request request[] = {
		{ .op = PV_BLKDRV_WRITE, .buffer = &one, .buffers = 1 },
		{ .op = PV_BLKDRV_FLUSH },
		{ .op = PV_BLKDRV_DISCARD, .sectors = 1 },
		{ .op = PV_BLKDRV_WRITE_ZEROES, .sectors = 1 },
		{ .op = PV_BLKDRV_SECURE_ERASE, .sectors = 1 },
		{ .op = PV_BLKDRV_GET_LIFETIME, .buffer = &one, .buffers = 1 },
	};
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_prepare(&rig, VIRTIO_F_VERSION_1 | VIRTIO_BLK_F_RO);
	rig.options.wanted = VIRTIO_F_INDIRECT_DESC; /* read-only is never overlooked */
	assert_int_equal(pv_blkdrv_rig_create(&rig), 0);
	assert_true(pv_blkdrv_disk(rig.blk)->is_read_only);
	for (size_t i = 0; i < sizeof(request) / sizeof(request[0]); i++)
		assert_int_equal(pv_blkdrv_submit(rig.queue, &request[i]), -PV_ENOTSUP);
	pv_blkdrv_rig_close(&rig);
}

static void the_status_byte_decides_and_one_that_was_not_written_is_an_error(void **state)
{
	static const struct {
		uint8_t status;
		int error;
	} cases[] = {
		{ VIRTIO_BLK_S_OK, 0 },
		{ VIRTIO_BLK_S_IOERR, -PV_EIO },
		{ VIRTIO_BLK_S_UNSUPP, -PV_ENOTSUP },
		{ 3, -PV_EIO },
		{ 0x80, -PV_EIO },
	};
	struct pv_blkdrv_rig rig;
	struct seen seen;
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_FLUSH };

	(void)state;
	pv_blkdrv_rig_open(&rig);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		send(&rig, &request, &seen);
		answer(&rig, &seen, cases[i].status, 1);
		assert_int_equal(pv_blkdrv_poll(rig.queue), 1);
		assert_int_equal(request.error, cases[i].error);
	}
	/* The slot still holds the last status: it must not be taken for the next. */
	send(&rig, &request, &seen);
	pv_fake_return(&rig.fake, 0, seen.head, 1);
	assert_int_equal(pv_blkdrv_poll(rig.queue), 1);
	assert_int_equal(request.error, -PV_EIO);
	pv_blkdrv_rig_close(&rig);
}

static void a_full_queue_says_so_and_nothing_is_allocated_on_the_way(void **state)
{
	struct pv_blkdrv_request request[16];
	struct pv_blkdrv_counters counters;
	struct pv_blkdrv_rig rig;
	uint32_t allocs;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	allocs = rig.fake.allocs;
	for (uint32_t lap = 0; lap < 1000; lap++) {
		uint32_t count = 0;

		for (;; count++) {
			request[count] = (struct pv_blkdrv_request){ .op = PV_BLKDRV_FLUSH };
			if (pv_blkdrv_submit(rig.queue, &request[count]))
				break;
		}
		assert_int_equal(count, 8); /* of two descriptors each */
		pv_blkdrv_publish(rig.queue);
		while (pv_fake_serve(&rig.fake, 0, VIRTIO_BLK_S_OK))
			;
		assert_int_equal(pv_blkdrv_poll(rig.queue), 8);
		assert_int_equal(pv_blkdrv_poll(rig.queue), 0);
	}
	assert_int_equal(rig.fake.allocs, allocs);
	counters = pv_blkdrv_queue_counters(rig.queue);
	assert_int_equal(counters.requests, 8000);
	assert_int_equal(counters.completions, 8000);
	assert_int_equal(counters.kicks, 1000);
	assert_int_equal(counters.errors + counters.lies, 0);
	pv_blkdrv_rig_close(&rig);
}

/* ---- waiting ---- */

static void serve_all(struct pv_fake_bus *fake)
{
	while (pv_fake_serve(fake, 0, VIRTIO_BLK_S_OK))
		;
}

static void doing_a_request_waits_for_it(void **state)
{
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_FLUSH };
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	rig.fake.on_wait = serve_all;
	assert_int_equal(pv_blkdrv_do(rig.queue, &request, TIMEOUT_NS), 0);
	assert_true(request.is_done);
	pv_blkdrv_rig_close(&rig);
}

static void a_request_that_takes_too_long_stays_in_flight(void **state)
{
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_FLUSH };
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	assert_int_equal(pv_blkdrv_do(rig.queue, &request, TIMEOUT_NS), -PV_ETIMEDOUT);
	assert_true(rig.fake.now_ns >= TIMEOUT_NS);
	assert_false(request.is_done);
	serve_all(&rig.fake);
	assert_int_equal(pv_blkdrv_wait(rig.queue, &request, 0), 0);
	pv_blkdrv_rig_close(&rig);
}

static void the_id_is_a_string_whatever_the_device_writes(void **state)
{
	char id[VIRTIO_BLK_ID_BYTES + 1];
	struct virtq_desc desc[3];
	struct pv_blkdrv_rig rig;
	uint16_t head;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	assert_int_equal(pv_blkdrv_id(rig.queue, id, TIMEOUT_NS), -PV_ETIMEDOUT);
	assert_int_equal(pv_blkdrv_id(rig.queue, id, TIMEOUT_NS), -PV_EBUSY);
	assert_int_equal(pv_fake_take(&rig.fake, 0, desc, 3, &head), 3);
	assert_int_equal(pv_le32_get(desc[1].len), VIRTIO_BLK_ID_BYTES);
	pv_fake_return(&rig.fake, 0, head, 21);
	assert_int_equal(pv_blkdrv_poll(rig.queue), 1);

	memset(at(&desc[1]), 'x', VIRTIO_BLK_ID_BYTES);
	rig.fake.on_wait = serve_all;
	assert_int_equal(pv_blkdrv_id(rig.queue, id, TIMEOUT_NS), 0);
	assert_string_equal(id, ""); /* nothing of the one before is shown */
	pv_blkdrv_rig_close(&rig);
}

/* ---- the end ---- */

static void count_end(struct pv_blkdrv_request *request)
{
	++*(uint32_t *)request->arg;
}

static void failing_ends_every_request_in_flight_once(void **state)
{
	struct pv_blkdrv_request request[6];
	struct pv_blkdrv_rig rig;
	uint32_t ends = 0;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	for (uint32_t i = 0; i < 6; i++) {
		request[i] = (struct pv_blkdrv_request){ .op = PV_BLKDRV_FLUSH,
			                                 .done = count_end,
			                                 .arg = &ends };
		assert_int_equal(pv_blkdrv_submit(rig.queue, &request[i]), 0);
		if (i == 3)
			pv_blkdrv_publish(rig.queue);
	}
	assert_true(pv_fake_serve(&rig.fake, 0, VIRTIO_BLK_S_OK));
	assert_int_equal(pv_blkdrv_poll(rig.queue), 1);
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_true(pv_blkdrv_is_broken(rig.blk));
	assert_int_equal(pv_blkdrv_fail(rig.blk), 0);
	assert_int_equal(rig.fake.status, 0);
	assert_int_equal(ends, 6);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(request[i].error, i ? -PV_EBROKEN : 0);
	assert_int_equal(pv_blkdrv_submit(rig.queue, &request[0]), -PV_EBROKEN);
	assert_int_equal(pv_blkdrv_poll(rig.queue), 0);
	pv_blkdrv_rig_close(&rig);
	assert_int_equal(ends, 6);
}

static void a_used_entry_that_is_made_up_breaks_the_queue(void **state)
{
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_FLUSH };
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	assert_int_equal(pv_blkdrv_submit(rig.queue, &request), 0);
	pv_blkdrv_publish(rig.queue);
	pv_fake_return(&rig.fake, 0, 5, 1);
	assert_int_equal(pv_blkdrv_poll(rig.queue), 0);
	assert_true(pv_blkdrv_queue_is_broken(rig.queue));
	assert_true(pv_blkdrv_is_broken(rig.blk));
	assert_int_equal(pv_blkdrv_wait(rig.queue, &request, TIMEOUT_NS), -PV_EBROKEN);
	assert_false(request.is_done);
	pv_blkdrv_rig_close(&rig);
	assert_int_equal(request.error, -PV_EBROKEN);
}

static void a_device_that_never_confirms_keeps_its_memory_but_not_the_requests(void **state)
{
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_FLUSH };
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	assert_int_equal(pv_blkdrv_submit(rig.queue, &request), 0);
	rig.fake.reset_looks = UINT32_MAX;
	assert_int_equal(pv_blkdrv_fail(rig.blk), -PV_ETIMEDOUT);
	assert_int_equal(request.error, -PV_EBROKEN);
	/* It comes round in the end. */
	rig.fake.reset_looks = 0;
	pv_blkdrv_rig_close(&rig);
}

static void a_queue_that_is_reset_ends_its_requests_and_works_again(void **state)
{
	struct pv_blkdrv_request request[] = { { .op = PV_BLKDRV_FLUSH },
		                               { .op = PV_BLKDRV_FLUSH } };
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(pv_blkdrv_submit(rig.queue, &request[i]), 0);
	pv_blkdrv_publish(rig.queue);
	assert_int_equal(pv_blkdrv_queue_reset(rig.queue), 0);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(request[i].error, -PV_EIO);
	rig.fake.on_wait = serve_all;
	assert_int_equal(pv_blkdrv_do(rig.queue, &request[0], TIMEOUT_NS), 0);
	pv_blkdrv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_and_a_write_carry_their_sector_and_their_buffers),
		cmocka_unit_test(a_flush_has_sector_zero_and_no_data),
		cmocka_unit_test(a_range_goes_as_data_and_unmap_only_with_zeroes),
		cmocka_unit_test(a_buffer_goes_out_in_pieces_of_what_the_device_takes),
		cmocka_unit_test(pieces_without_number_are_as_many_as_fit_the_ring),
		cmocka_unit_test(what_the_port_cannot_map_is_refused_and_leaves_nothing_behind),
		cmocka_unit_test(what_the_disk_cannot_do_is_refused_before_it_is_sent),
		cmocka_unit_test(operations_without_their_feature_are_not_supported),
		cmocka_unit_test(the_status_byte_decides_and_one_that_was_not_written_is_an_error),
		cmocka_unit_test(a_full_queue_says_so_and_nothing_is_allocated_on_the_way),
		cmocka_unit_test(doing_a_request_waits_for_it),
		cmocka_unit_test(a_request_that_takes_too_long_stays_in_flight),
		cmocka_unit_test(the_id_is_a_string_whatever_the_device_writes),
		cmocka_unit_test(failing_ends_every_request_in_flight_once),
		cmocka_unit_test(a_used_entry_that_is_made_up_breaks_the_queue),
		cmocka_unit_test(
			a_device_that_never_confirms_keeps_its_memory_but_not_the_requests),
		cmocka_unit_test(a_queue_that_is_reset_ends_its_requests_and_works_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
