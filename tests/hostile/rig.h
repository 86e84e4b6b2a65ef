/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device under a driver that writes its rings byte by byte, right or wrong.
 *
 * The device is the real one, on memory with guard bytes between all that is the driver's.  The
 * ring is written raw, in either format; what came of it is read raw too.  Include after cmocka.
 */
#ifndef PV_TESTS_HOSTILE_RIG_H
#define PV_TESTS_HOSTILE_RIG_H

#include "abi/virtio_blk.h"
#include "abi/virtio_ring.h"
#include "devices/blk/blk.h"
#include "tests/support/couple.h"
#include "tests/support/each.h"
#include "tests/support/slow_store.h"

#define RIG_SIZE           16u
#define RIG_DISK_BYTES     (64u * 1024)
#define RIG_SECTORS        (RIG_DISK_BYTES / 512)
#define RIG_BUFFER_BYTES   8192u
#define RIG_CRUMBS_BYTES   1024u /* of memory whose every byte is a region */
#define RIG_STATUS_NOTHING 0xeeu

#define PACKED   VIRTIO_F_RING_PACKED
#define INDIRECT VIRTIO_F_INDIRECT_DESC
#define EVENT    VIRTIO_F_EVENT_IDX
#define IN_ORDER VIRTIO_F_IN_ORDER

#define F_NEXT     VIRTQ_DESC_F_NEXT
#define F_WRITE    VIRTQ_DESC_F_WRITE
#define F_INDIRECT VIRTQ_DESC_F_INDIRECT

/* An address in the hole behind all memory. */
#define NOWHERE 0x7000000000ull

/* A descriptor as the driver writes it; packed rings have an id in the place of `next`. */
struct raw {
	uint64_t addr;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

struct rig {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_slow_store store;
	uint8_t disk[RIG_DISK_BYTES];
	void *storage;
	struct pv_device *device;
	uint64_t features;
	bool is_packed;

	/* The ring's areas, and all else, at the driver's and at the device's addresses. */
	struct pv_gpa desc_gpa, driver_gpa, device_gpa;
	void *desc, *driver, *device_area;
	uint16_t at; /* split: index; packed: position */
	bool wrap;
	uint16_t used_at;
	bool used_wrap;

	struct pv_gpa header, data, status; /* one region each */
	struct pv_gpa table, cut_table;     /* for indirect tables: whole, and cut to pieces */
	struct pv_gpa crumbs;
};

/* All combinations of what a ring can be. */
extern const uint64_t rig_features[];
extern const size_t rig_feature_sets;

/* For messages. */
const char *rig_name(const struct rig *rig);

void rig_open(struct rig *rig, uint64_t features);
void rig_close(struct rig *rig);

/* The driver resets the device and starts anew, on a clean ring. */
void rig_restart(struct rig *rig);

/* Runs a case on each kind of ring; and after it the device must serve again. */
void rig_on_every_ring(struct rig *rig, void (*evil)(void));

/* A test whose body is a case for the on_every_ring() of its file. */
#define EVIL(name) PV_TEST_EACH(on_every_ring, name)

/* ---- writing ---- */

/* The descriptors of a good request. */
struct raw rig_raw_header(const struct rig *rig, uint16_t flags);
struct raw rig_raw_status(const struct rig *rig);

void rig_write(struct rig *rig, struct pv_gpa gpa, const void *data, size_t bytes);
void rig_header(struct rig *rig, uint32_t type, uint64_t sector);

/* A descriptor `place` places behind the next free one (split: at that index of the table). */
void rig_desc(struct rig *rig, uint16_t place, struct raw raw);

/* Makes a chain of `places` available that begins at the next free place (split: at `head`). */
void rig_offer(struct rig *rig, uint16_t head, uint16_t places);

/* Writes `count` descriptors, chained where they have F_NEXT, and offers them. */
void rig_chain(struct rig *rig, const struct raw *raw, uint16_t count);

/*
 * The same in an indirect table at `table`, `bytes` long as the ring has it (0: as long as it is).
 */
void rig_table(struct rig *rig, struct pv_gpa table, const struct raw *raw, uint16_t count);
void rig_indirect(struct rig *rig, struct pv_gpa table, uint32_t bytes, uint16_t flags);

/* A request: header, what the status byte was before, and its chain. */
void rig_request(struct rig *rig, uint32_t type, uint64_t sector, const struct raw *raw,
                 uint16_t count);

/* A good read, each of its descriptors for the case to spoil. */
void rig_good_read(struct rig *rig, struct raw raw[3]);

/* ---- what came of it ---- */

/* Kicks, and runs the device. */
void rig_run(struct rig *rig);

uint8_t rig_status(struct rig *rig);

/* Takes a used entry. False if there is none. */
bool rig_used(struct rig *rig, uint32_t *bytes);

uint64_t rig_errors(const struct rig *rig);
uint64_t rig_unsupported(const struct rig *rig);
const struct pv_queue_counters *rig_counters(const struct rig *rig);

/* Runs the device, and fails the test unless ... */
void rig_expect_broken(struct rig *rig, enum pv_ring_fault fault);
/* ... the request came back with this status ... */
void rig_expect_status(struct rig *rig, uint8_t status);
/* ... or came back with nothing, since there is no place for a status. */
void rig_expect_bare(struct rig *rig);

/* After whatever was done to the device: a reset, and it serves again. */
void rig_expect_recovery(struct rig *rig);

/* A read and a write that must succeed. */
void rig_expect_service(struct rig *rig);

#endif
