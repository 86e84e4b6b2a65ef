/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "ring/barrier.h"
#include "tests/hostile/rig.h"
#include "tests/support/counter.h"

#define MEMORY_BYTES (4u << 20)
#define PACKED_ID    5u
#define RUNS         10

const uint64_t rig_features[] = {
	0,
	INDIRECT,
	EVENT,
	INDIRECT | EVENT,
	IN_ORDER,
	INDIRECT | EVENT | IN_ORDER,
	PACKED,
	PACKED | INDIRECT,
	PACKED | EVENT,
	PACKED | INDIRECT | EVENT,
	PACKED | IN_ORDER,
	PACKED | INDIRECT | EVENT | IN_ORDER,
};
const size_t rig_feature_sets = sizeof(rig_features) / sizeof(rig_features[0]);

const char *rig_name(const struct rig *rig)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s%s%s%s", rig->is_packed ? "packed" : "split",
	         rig->features & INDIRECT ? " indirect" : "", rig->features & EVENT ? " event" : "",
	         rig->features & IN_ORDER ? " in-order" : "");
	return name;
}

/* ---- life ---- */

static struct pv_gpa alloc(struct rig *rig, size_t bytes, enum pv_twin_layout layout,
                           uint32_t region_max)
{
	return pv_twin_alloc(&rig->couple.twin, bytes, layout, region_max, &rig->random);
}

static void alloc_all(struct rig *rig)
{
	struct pv_twin *twin = &rig->couple.twin;

	rig->desc_gpa = alloc(rig, virtq_desc_bytes(RIG_SIZE), PV_WHOLE, 0);
	rig->driver_gpa = alloc(rig, virtq_avail_bytes(RIG_SIZE), PV_WHOLE, 0);
	rig->device_gpa = alloc(rig, virtq_used_bytes(RIG_SIZE), PV_WHOLE, 0);
	rig->header = alloc(rig, sizeof(struct virtio_blk_req_header), PV_WHOLE, 0);
	rig->data = alloc(rig, RIG_BUFFER_BYTES, PV_WHOLE, 0);
	rig->status = alloc(rig, 1, PV_WHOLE, 0);
	rig->table = alloc(rig, 4096, PV_WHOLE, 0);
	rig->cut_table = alloc(rig, 4096, PV_SCATTERED, 15);
	rig->crumbs = alloc(rig, RIG_CRUMBS_BYTES, PV_SCATTERED, 1);
	pv_twin_seal(twin, &rig->random);
	rig->couple.is_sealed = true;
	rig->desc = pv_twin_driver(twin, rig->desc_gpa);
	rig->driver = pv_twin_driver(twin, rig->driver_gpa);
	rig->device_area = pv_twin_driver(twin, rig->device_gpa);
}

static void make_device(struct rig *rig)
{
	const struct pv_blk_options options = {
		.serial = "HOSTILE",
		.queues = 1,
		.queue_size_max = RIG_SIZE,
		.has_write_cache = true,
		.is_in_order = true,
	};
	size_t bytes = (pv_blk_bytes(1) + 63) & ~(size_t)63;

	rig->storage = aligned_alloc(64, bytes);
	assert_non_null(rig->storage);
	memset(rig->storage, 0, bytes);
	pv_slow_store_open(&rig->store, rig->disk, RIG_DISK_BYTES, &rig->random);
	rig->store.at_once_percent = 100;
	rig->device = pv_blk_init(rig->storage, &rig->couple.port, &rig->store.blk, &options);
	pv_couple_set_device(&rig->couple, rig->device, PV_VIEW_DEVICE);
}

static void clear_ring(struct rig *rig)
{
	memset(rig->desc, 0, virtq_desc_bytes(RIG_SIZE));
	memset(rig->driver, 0, virtq_avail_bytes(RIG_SIZE));
	memset(rig->device_area, 0, virtq_used_bytes(RIG_SIZE));
	rig->at = 0;
	rig->used_at = 0;
	rig->wrap = true;
	rig->used_wrap = true;
}

static void start(struct rig *rig)
{
	const struct pv_ring_config config = {
		.size = RIG_SIZE,
		.desc_area = rig->desc_gpa,
		.driver_area = rig->driver_gpa,
		.device_area = rig->device_gpa,
	};
	const struct pv_ring_position fresh = pv_ring_position_fresh();
	const struct pv_ring_position begin = rig->is_packed ? fresh
	                                                     : (struct pv_ring_position){ 0 };
	const uint64_t wanted = rig->features | VIRTIO_F_VERSION_1 | VIRTIO_BLK_F_DISCARD |
	                        VIRTIO_BLK_F_SECURE_ERASE | VIRTIO_BLK_F_LIFETIME |
	                        VIRTIO_BLK_F_SECURE_ERASE | VIRTIO_BLK_F_LIFETIME |
	                        VIRTIO_BLK_F_WRITE_ZEROES | VIRTIO_BLK_F_FLUSH;

	clear_ring(rig);
	assert_int_equal(pv_device_status(rig->device), 0);
	assert_int_equal(pv_device_features_set(rig->device, wanted), 0);
	pv_device_status_set(rig->device, 0xf);
	assert_int_equal(pv_device_queue_set(rig->device, 0, &config, &begin), 0);
	assert_int_equal(pv_device_queue_start(rig->device, 0), 0);
	rig->couple.logs = 0;
	rig->couple.needs_resets = 0;
}

void rig_open(struct rig *rig, uint64_t features)
{
	memset(rig, 0, sizeof(*rig));
	rig->random = pv_random_start(pv_random_seed(), features);
	rig->features = features;
	rig->is_packed = features & PACKED;
	for (size_t i = 0; i < RIG_DISK_BYTES; i++)
		rig->disk[i] = (uint8_t)(i / 512 + i);
	pv_couple_open(&rig->couple, MEMORY_BYTES, rig->random);
	alloc_all(rig);
	make_device(rig);
	start(rig);
}

static void stop(struct rig *rig)
{
	while (pv_slow_store_finish_one(&rig->store))
		;
	pv_device_status_set(rig->device, 0);
	pv_couple_run(&rig->couple);
	assert_int_equal(pv_device_status(rig->device), 0);
}

void rig_restart(struct rig *rig)
{
	stop(rig);
	start(rig);
}

void rig_close(struct rig *rig)
{
	stop(rig);
	assert_true(pv_twin_guards_hold(&rig->couple.twin));
	pv_couple_close(&rig->couple);
	free(rig->storage);
}

/* ---- writing ---- */

void rig_write(struct rig *rig, struct pv_gpa gpa, const void *data, size_t bytes)
{
	pv_twin_write(&rig->couple.twin, gpa, data, bytes);
}

void rig_header(struct rig *rig, uint32_t type, uint64_t sector)
{
	const struct virtio_blk_req_header header = {
		.type = pv_le32_of(type),
		.sector = pv_le64_of(sector),
	};
	const uint8_t nothing = RIG_STATUS_NOTHING;

	rig_write(rig, rig->header, &header, sizeof(header));
	rig_write(rig, rig->status, &nothing, 1);
}

static uint16_t packed_bits(bool wrap)
{
	return wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

void rig_desc(struct rig *rig, uint16_t place, struct raw raw)
{
	uint32_t at = rig->is_packed ? (uint32_t)rig->at + place : place;
	bool wrap = rig->wrap;
	struct virtq_desc desc;

	if (at >= RIG_SIZE) {
		at -= RIG_SIZE;
		wrap = !wrap;
	}
	desc = (struct virtq_desc){ pv_le64_of(raw.addr), pv_le32_of(raw.bytes),
		                    pv_le16_of(raw.flags), pv_le16_of(raw.next) };
	if (rig->is_packed) {
		/* At the same places: the id, then the flags. */
		desc.flags = pv_le16_of(PACKED_ID);
		desc.next = pv_le16_of(raw.flags | packed_bits(wrap));
	}
	((struct virtq_desc *)rig->desc)[at] = desc;
}

void rig_offer(struct rig *rig, uint16_t head, uint16_t places)
{
	struct virtq_avail *avail = rig->driver;

	if (!rig->is_packed) {
		avail->ring[rig->at % RIG_SIZE] = pv_le16_of(head);
		pv_publish_le16(&avail->idx, ++rig->at);
		return;
	}
	rig->at = (uint16_t)(rig->at + places);
	if (rig->at >= RIG_SIZE) {
		rig->at = (uint16_t)(rig->at - RIG_SIZE);
		rig->wrap = !rig->wrap;
	}
}

void rig_chain(struct rig *rig, const struct raw *raw, uint16_t count)
{
	for (uint16_t i = count; i-- > 0;) {
		struct raw one = raw[i];

		one.next = (uint16_t)(i + 1);
		rig_desc(rig, i, one);
	}
	rig_offer(rig, 0, count);
}

void rig_table(struct rig *rig, struct pv_gpa table, const struct raw *raw, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		struct virtq_desc desc = { pv_le64_of(raw[i].addr), pv_le32_of(raw[i].bytes),
			                   pv_le16_of(raw[i].flags),
			                   pv_le16_of((uint16_t)(i + 1)) };

		if (rig->is_packed) {
			desc.flags = pv_le16_of(0);
			desc.next = pv_le16_of(raw[i].flags);
		} else if (raw[i].next) {
			desc.next = pv_le16_of(raw[i].next);
		}
		rig_write(rig, pv_gpa_add(table, sizeof(desc) * i), &desc, sizeof(desc));
	}
}

void rig_indirect(struct rig *rig, struct pv_gpa table, uint32_t bytes, uint16_t flags)
{
	rig_chain(rig, &(struct raw){ table.v, bytes, F_INDIRECT | flags, 0 }, 1);
}

void rig_request(struct rig *rig, uint32_t type, uint64_t sector, const struct raw *raw,
                 uint16_t count)
{
	rig_header(rig, type, sector);
	rig_chain(rig, raw, count);
}

struct raw rig_raw_header(const struct rig *rig, uint16_t flags)
{
	return (struct raw){ rig->header.v, 16, flags, 0 };
}

struct raw rig_raw_status(const struct rig *rig)
{
	return (struct raw){ rig->status.v, 1, F_WRITE, 0 };
}

void rig_good_read(struct rig *rig, struct raw raw[3])
{
	rig_header(rig, VIRTIO_BLK_T_IN, 0);
	raw[0] = rig_raw_header(rig, F_NEXT);
	raw[1] = (struct raw){ rig->data.v, 512, F_NEXT | F_WRITE, 0 };
	raw[2] = rig_raw_status(rig);
}

/* ---- what came of it ---- */

void rig_run(struct rig *rig)
{
	rig->couple.lane[0].is_kicked = true;
	for (int i = 0; i < RUNS; i++)
		pv_couple_run(&rig->couple);
	pv_couple_sleep(&rig->couple);
}

uint8_t rig_status(struct rig *rig)
{
	uint8_t status;

	pv_twin_read(&rig->couple.twin, rig->status, &status, 1);
	return status;
}

static bool split_used(struct rig *rig, uint32_t *bytes)
{
	struct virtq_used *used = rig->device_area;

	if (pv_le16_get(used->idx) == rig->used_at)
		return false;
	*bytes = pv_le32_get(used->ring[rig->used_at++ % RIG_SIZE].len);
	return true;
}

/* A chain of one place or several is passed over by what was offered: one chain at a time. */
static bool packed_used(struct rig *rig, uint32_t *bytes)
{
	const struct pvirtq_desc *desc = &((struct pvirtq_desc *)rig->desc)[rig->used_at];
	const uint16_t both = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
	uint16_t flags = pv_le16_get(desc->flags);

	if ((flags & both) != (rig->used_wrap ? both : 0))
		return false;
	*bytes = pv_le32_get(desc->len);
	rig->used_at = rig->at;
	rig->used_wrap = rig->wrap;
	return true;
}

bool rig_used(struct rig *rig, uint32_t *bytes)
{
	return rig->is_packed ? packed_used(rig, bytes) : split_used(rig, bytes);
}

uint64_t rig_errors(const struct rig *rig)
{
	return pv_count_of(rig->device, 0, "errors");
}

uint64_t rig_unsupported(const struct rig *rig)
{
	return pv_count_of(rig->device, 0, "unsupported");
}

const struct pv_queue_counters *rig_counters(const struct rig *rig)
{
	return &rig->device->queue[0].counters;
}

void rig_expect_broken(struct rig *rig, enum pv_ring_fault fault)
{
	uint64_t faults = rig_counters(rig)->ring_faults;
	uint8_t before[4096];
	size_t used_bytes = rig->is_packed ? 0 : (size_t)virtq_used_bytes(RIG_SIZE);

	rig_run(rig);
	memcpy(before, rig->device_area, used_bytes);
	rig_run(rig);
	if (rig->device->queue[0].ring.fault != fault)
		fail_msg("%s: \"%s\" instead of \"%s\"", rig_name(rig),
		         pv_ring_fault_name(rig->device->queue[0].ring.fault),
		         pv_ring_fault_name(fault));
	assert_true(pv_device_status(rig->device) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(rig->couple.needs_resets, 1);
	assert_int_equal(rig->couple.logs, 1);
	assert_string_equal(rig->couple.last_log, pv_ring_fault_name(fault));
	assert_int_equal(rig_counters(rig)->ring_faults, faults + 1);
	/* A broken ring is left alone. */
	assert_memory_equal(before, rig->device_area, used_bytes);
}

static void expect_whole(struct rig *rig)
{
	if (pv_device_status(rig->device) & VIRTIO_STATUS_NEEDS_RESET)
		fail_msg("%s: broken, \"%s\"", rig_name(rig), rig->couple.last_log);
	assert_int_equal(rig->couple.needs_resets, 0);
}

void rig_expect_status(struct rig *rig, uint8_t status)
{
	uint64_t errors = rig_errors(rig), unsupported = rig_unsupported(rig);
	uint64_t bad = rig_counters(rig)->bad_chains;
	uint32_t bytes;

	rig->couple.logs = 0;
	rig_run(rig);
	expect_whole(rig);
	if (!rig_used(rig, &bytes))
		fail_msg("%s: the request did not come back", rig_name(rig));
	if (rig_status(rig) != status)
		fail_msg("%s: status %u instead of %u", rig_name(rig), rig_status(rig), status);
	assert_int_equal(rig_errors(rig) - errors, status == VIRTIO_BLK_S_IOERR);
	assert_int_equal(rig_unsupported(rig) - unsupported, status == VIRTIO_BLK_S_UNSUPP);
	assert_true(rig->couple.logs <= rig_counters(rig)->bad_chains - bad);
}

void rig_expect_bare(struct rig *rig)
{
	uint64_t bad = rig_counters(rig)->bad_chains, errors = rig_errors(rig);
	uint32_t bytes = 1;

	rig->couple.logs = 0;
	rig_header(rig, VIRTIO_BLK_T_IN, 0);
	rig_run(rig);
	expect_whole(rig);
	assert_true(rig_used(rig, &bytes));
	assert_int_equal(bytes, 0);
	assert_int_equal(rig_status(rig), RIG_STATUS_NOTHING);
	assert_int_equal(rig_counters(rig)->bad_chains, bad + 1);
	assert_int_equal(rig_errors(rig), errors + 1);
	assert_true(rig->couple.logs <= 1);
}

void rig_expect_service(struct rig *rig)
{
	const struct raw in[] = { { rig->header.v, 16, F_NEXT, 0 },
		                  { rig->data.v, 1024, F_NEXT | F_WRITE, 0 },
		                  { rig->status.v, 1, F_WRITE, 0 } };
	const struct raw out[] = { { rig->header.v, 16, F_NEXT, 0 },
		                   { rig->data.v, 512, F_NEXT, 0 },
		                   { rig->status.v, 1, F_WRITE, 0 } };
	uint8_t data[1024];

	memset(data, 0, sizeof(data));
	rig_write(rig, rig->data, data, sizeof(data));
	rig_request(rig, VIRTIO_BLK_T_IN, 2, in, 3);
	rig_expect_status(rig, VIRTIO_BLK_S_OK);
	pv_twin_read(&rig->couple.twin, rig->data, data, sizeof(data));
	assert_memory_equal(data, rig->disk + 2 * 512, sizeof(data));
	memset(data, 0x3c, 512);
	rig_write(rig, rig->data, data, 512);
	rig_request(rig, VIRTIO_BLK_T_OUT, RIG_SECTORS - 1, out, 3);
	rig_expect_status(rig, VIRTIO_BLK_S_OK);
	assert_memory_equal(data, rig->disk + RIG_DISK_BYTES - 512, 512);
}

void rig_expect_recovery(struct rig *rig)
{
	rig_restart(rig);
	rig_expect_service(rig);
	assert_int_equal(rig->couple.logs, 0);
}

void rig_on_every_ring(struct rig *rig, void (*evil)(void))
{
	for (size_t i = 0; i < rig_feature_sets; i++) {
		rig_open(rig, rig_features[i]);
		evil();
		rig_expect_recovery(rig);
		rig_close(rig);
	}
}
