/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile driver: buffers that are no memory, or more of it than there is, or the ring itself.
 * The request fails, is counted, and the device goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "tests/hostile/rig.h"

static struct rig rig;

static void on_every_ring(void (*evil)(void))
{
	rig_on_every_ring(&rig, evil);
}

/* ---- addresses and lengths ---- */

static const struct {
	uint64_t addr;
	uint32_t bytes;
} outside[] = {
	{ NOWHERE, 512 },          { 0, 512 },
	{ UINT64_MAX, 1 },         { UINT64_MAX, 512 },
	{ UINT64_MAX - 511, 512 }, { UINT64_MAX - 511, UINT32_MAX },
	{ UINT64_MAX - 3, 16 },    { 1ull << 63, UINT32_MAX },
};
#define OUTSIDE (sizeof(outside) / sizeof(outside[0]))

EVIL(a_buffer_outside_of_memory_fails_its_request)
{
	for (size_t i = 0; i < OUTSIDE; i++) {
		for (int spoilt = 0; spoilt < 3; spoilt++) {
			struct raw chain[3];

			rig_good_read(&rig, chain);
			chain[spoilt].addr = outside[i].addr;
			chain[spoilt].bytes = outside[i].bytes;
			rig_chain(&rig, chain, 3);
			if (spoilt < 2)
				rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
			else
				rig_expect_bare(&rig);
		}
	}
}

EVIL(a_buffer_that_runs_out_of_memory_fails_its_request)
{
	const uint32_t beyond[] = { RIG_BUFFER_BYTES + 1, 1u << 31, UINT32_MAX };

	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		struct raw chain[3];

		rig_good_read(&rig, chain);
		chain[1].bytes = beyond[i];
		rig_chain(&rig, chain, 3);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
		rig_good_read(&rig, chain);
		chain[0].bytes = beyond[i];
		rig_chain(&rig, chain, 3);
		rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
		/* The status byte is the last one, and it is outside. */
		rig_good_read(&rig, chain);
		chain[2].bytes = beyond[i];
		rig_chain(&rig, chain, 3);
		rig_expect_bare(&rig);
	}
}

EVIL(buffers_of_more_than_four_gibibytes_fail_their_request)
{
	const struct raw chain[] = { rig_raw_header(&rig, F_NEXT),
		                     { rig.data.v, UINT32_MAX, F_NEXT | F_WRITE, 0 },
		                     { rig.data.v, UINT32_MAX, F_NEXT | F_WRITE, 0 },
		                     rig_raw_status(&rig) };
	const struct raw out[] = { rig_raw_header(&rig, F_NEXT),
		                   { rig.data.v, UINT32_MAX, F_NEXT, 0 },
		                   { rig.data.v, UINT32_MAX, F_NEXT, 0 },
		                   rig_raw_status(&rig) };

	rig_request(&rig, VIRTIO_BLK_T_IN, 0, chain, 4);
	rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
	rig_request(&rig, VIRTIO_BLK_T_OUT, 0, out, 4);
	rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
}

EVIL(bad_chains_are_logged_once_for_each_start)
{
	struct raw chain[3];

	for (int start = 0; start < 2; start++) {
		uint64_t bad = rig_counters(&rig)->bad_chains;
		uint32_t logs = 0;

		for (int i = 0; i < 5; i++) {
			rig_good_read(&rig, chain);
			chain[1].addr = NOWHERE;
			rig_chain(&rig, chain, 3);
			rig_expect_status(&rig, VIRTIO_BLK_S_IOERR);
			logs += rig.couple.logs;
		}
		assert_int_equal(logs, 1);
		assert_int_equal(rig_counters(&rig)->bad_chains, bad + 5);
		rig_restart(&rig);
	}
}

/* ---- the ring as a buffer, and nonsense where the device looks for advice ---- */

EVIL(a_ring_that_is_its_own_buffer_harms_the_driver_only)
{
	const struct pv_gpa area[] = { rig.desc_gpa, rig.driver_gpa, rig.device_gpa };

	for (int i = 0; i < 3; i++) {
		struct raw chain[3];

		memset(rig.disk, 0x11 * (i + 1), sizeof(rig.disk));
		rig_good_read(&rig, chain);
		chain[1].addr = area[i].v;
		chain[1].bytes = i == 0 ? RIG_SIZE * 16 : 32;
		rig_chain(&rig, chain, 3);
		rig_run(&rig);
		rig_expect_recovery(&rig);
	}
}

EVIL(nonsense_in_the_drivers_event_fields_does_no_harm)
{
	for (uint32_t word = 0; word < 0x10000; word += 0x1111) {
		if (rig.is_packed) {
			struct pvirtq_event_suppress *event = rig.driver;

			event->off_wrap = pv_le16_of((uint16_t)word);
			event->flags = pv_le16_of((uint16_t)(word ^ 0x5555));
		} else {
			struct virtq_avail *avail = rig.driver;

			avail->flags = pv_le16_of((uint16_t)word);
			avail->ring[RIG_SIZE] = pv_le16_of((uint16_t)(word ^ 0x5555));
		}
		rig_expect_service(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_outside_of_memory_fails_its_request),
		cmocka_unit_test(a_buffer_that_runs_out_of_memory_fails_its_request),
		cmocka_unit_test(buffers_of_more_than_four_gibibytes_fail_their_request),
		cmocka_unit_test(bad_chains_are_logged_once_for_each_start),
		cmocka_unit_test(a_ring_that_is_its_own_buffer_harms_the_driver_only),
		cmocka_unit_test(nonsense_in_the_drivers_event_fields_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
