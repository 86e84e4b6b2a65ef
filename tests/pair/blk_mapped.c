/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk where the memory of requests is not the device's to reach (tests/support/bounce.h):
 * what arrives has been mapped, in pieces, and unmapped again; also when there is no room to map
 * for a while, when the device is reset in between, and when requests take too long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/bounce.h"
#include "tests/support/each.h"
#include "tests/support/slot_load.h"

#define SECOND_NS 1000000000ull

/* At most two pieces for a sector: the load's queues have room for that. */
#define PIECE_MIN 256u

static struct rig {
	struct pv_couple couple;
	struct pv_bounce bounce;
	struct pv_slot_load load;
	uint8_t memory[PV_SLOTS][512];
} rig;

static struct pv_slot_load *const load = &rig.load;

static void rig_open(uint64_t ring_features, uint64_t number)
{
	struct pv_random random = pv_random_start(pv_random_seed(), number);

	memset(&rig, 0, sizeof(rig));
	pv_couple_open(&rig.couple, 4u << 20, random);
	pv_bounce_open(&rig.bounce, &rig.couple, PIECE_MIN, random);
	pv_slot_load_open(load, &rig.couple, random);
	for (uint32_t i = 0; i < PV_SLOTS; i++)
		load->slot[i].data.memory = rig.memory[i];
	load->os = &rig.bounce.os;
	pv_couple_set_device(&rig.couple, pv_slot_load_make_device(load), PV_VIEW_DEVICE);
	pv_slot_load_start(load, &rig.couple.bus, ring_features);
}

static void rig_close(void)
{
	pv_slot_load_stop(load);
	assert_int_equal(rig.bounce.mapped, 0);
	pv_couple_close(&rig.couple);
	pv_slot_load_close(load);
}

static void on_every_ring(void (*body)(void))
{
	for (uint64_t i = 0; i < PV_SLOT_RINGS && !pv_slot_rings[i].is_legacy; i++) {
		rig_open(pv_slot_rings[i].features, i);
		body();
		rig_close();
	}
}

#define ON_EVERY_RING(name) PV_TEST_EACH(on_every_ring, name)

ON_EVERY_RING(data_goes_through_the_port)
{
	for (int i = 0; i < 20; i++) {
		pv_slot_load_round(load);
		assert_int_equal(rig.bounce.mapped, 0);
	}
	assert_int_equal(rig.bounce.refusals, 0);
}

/* What a request was mapped to before a reset is not what it is mapped to after it. */
ON_EVERY_RING(data_is_mapped_anew_for_a_device_that_was_reset)
{
	/* Nobody but the device works while its reset is waited for. */
	load->store[load->current].withdraw_percent = 100;
	for (int turn = 0; turn < 5; turn++) {
		for (uint32_t i = 0; i < PV_SLOTS; i++)
			pv_slot_load_send(load, i, i % 2 == 0 ? PV_BLKDRV_WRITE : PV_BLKDRV_READ);
		pv_slot_load_work(load);
		pv_device_needs_reset(rig.couple.device);
		assert_int_equal(pv_blkdrv_tend(load->driver), 1);
		pv_slot_load_finish(load);
		assert_int_equal(rig.bounce.mapped, 0);
	}
}

static struct pv_bounce_slot *take_slot(uint32_t index)
{
	rig.bounce.slot[index].is_mapped = true;
	return &rig.bounce.slot[index];
}

/* Two pieces are asked for, and there is room for one, or none. */
ON_EVERY_RING(a_request_that_cannot_be_mapped_is_refused_whole)
{
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_WRITE,
		                             .buffers = 1,
		                             .buffer = &load->slot[0].data };

	rig.bounce.piece_min = 300;
	for (uint32_t spare = 0; spare < 2; spare++) {
		uint32_t refusals = rig.bounce.refusals;

		for (uint32_t i = 0; i < PV_BOUNCE_SLOTS - spare; i++)
			take_slot(i);
		while (pv_blkdrv_submit(pv_slot_load_queue(load, 0), &request) == 0) {
			/* It went into one piece. */
			pv_blkdrv_publish(pv_slot_load_queue(load, 0));
			while (!request.is_done) {
				pv_slot_load_work(load);
				pv_blkdrv_poll(pv_slot_load_queue(load, 0));
			}
			assert_int_equal(request.error, 0);
			memcpy(load->model, rig.memory[0], 512);
		}
		assert_int_equal(rig.bounce.refusals, refusals + 1);
		assert_int_equal(rig.bounce.mapped, 0);
		for (uint32_t i = 0; i < PV_BOUNCE_SLOTS; i++)
			rig.bounce.slot[i].is_mapped = false;
	}
	pv_slot_load_round(load);
}

ON_EVERY_RING(what_takes_too_long_is_unmapped_before_it_ends)
{
	struct pv_blkdrv_request request = { .op = PV_BLKDRV_READ,
		                             .buffers = 1,
		                             .buffer = &load->slot[0].data,
		                             .timeout_ns = SECOND_NS };

	for (uint32_t i = 2; i < PV_SLOTS; i++)
		pv_slot_load_send(load, i, PV_BLKDRV_WRITE);
	assert_int_equal(pv_blkdrv_submit(pv_slot_load_queue(load, 0), &request), 0);
	pv_blkdrv_publish(pv_slot_load_queue(load, 0));
	rig.couple.now_ns += 2 * SECOND_NS;
	assert_int_equal(pv_blkdrv_tend(load->driver), 1);
	assert_true(request.is_done);
	assert_int_equal(request.error, -PV_ETIMEDOUT);
	pv_slot_load_finish(load);
	assert_int_equal(rig.bounce.mapped, 0);
	pv_slot_load_round(load);
}

static void what_identifies_the_disk_goes_through_the_port_too(void **state)
{
	char id[VIRTIO_BLK_ID_BYTES + 1];

	(void)state;
	rig_open(0, 0);
	assert_int_equal(pv_blkdrv_id(pv_blkdrv_queue(load->driver, 0), id, SECOND_NS), 0);
	assert_string_equal(id, "SLOTS");
	rig_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_goes_through_the_port),
		cmocka_unit_test(data_is_mapped_anew_for_a_device_that_was_reset),
		cmocka_unit_test(a_request_that_cannot_be_mapped_is_refused_whole),
		cmocka_unit_test(what_takes_too_long_is_unmapped_before_it_ends),
		cmocka_unit_test(what_identifies_the_disk_goes_through_the_port_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
