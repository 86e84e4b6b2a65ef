/* SPDX-License-Identifier: BSD-2-Clause */
/* When an index passes the event it was asked for: against walking there step by step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ring/notify.h"

static void an_event_is_passed_when_its_entry_is_written(void **state)
{
	/* Virtio 1.3, section 2.7.7.2: used_event 0 means the first buffer, and the 65536th. */
	(void)state;
	assert_true(pv_notify_passed(0, 1, 0));
	assert_false(pv_notify_passed(0, 2, 1));
	assert_true(pv_notify_passed(0, 1, 65535));
	assert_true(pv_notify_passed(65535, 0, 65535));
	assert_false(pv_notify_passed(1, 1, 0));
}

static void nothing_is_passed_by_standing_still(void **state)
{
	(void)state;
	for (uint32_t event = 0; event <= UINT16_MAX; event++)
		assert_false(pv_notify_passed((uint16_t)event, 7, 7));
}

static void a_split_index_passes_exactly_the_entries_it_writes(void **state)
{
	static const uint16_t befores[] = { 0, 1, 255, 32767, 32768, 65280, 65535 };
	static const uint16_t steps[] = { 1, 2, 3, 256, 32768 };

	(void)state;
	for (size_t i = 0; i < sizeof(befores) / sizeof(befores[0]); i++) {
		for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
			for (uint32_t event = 0; event <= UINT16_MAX; event++) {
				uint16_t offset = (uint16_t)(event - befores[i]);

				if (pv_notify_passed((uint16_t)event,
				                     (uint16_t)(befores[i] + steps[j]),
				                     befores[i]) != (offset < steps[j]))
					fail_msg("event %u from %u by %u", event, befores[i],
					         steps[j]);
			}
		}
	}
}

/* Writes `count` places from `at` on: is the one of the event among them? */
static bool walk(uint16_t event, uint16_t *at, bool *wrap, uint16_t count, uint16_t size)
{
	bool is_passed = false;

	for (uint16_t i = 0; i < count; i++) {
		is_passed = is_passed || ((event & 0x7fff) == *at && (event >> 15) == *wrap);
		if (++*at == size) {
			*at = 0;
			*wrap = !*wrap;
		}
	}
	return is_passed;
}

static void try_packed(uint16_t before, bool before_wrap, uint16_t count, uint16_t size)
{
	/* The walk costs as much as the ring is long: not every event of a long one. */
	for (uint32_t event = 0; event < 2u * size; event += 1 + size / 64) {
		uint16_t asked = (uint16_t)(event % size | (event < size ? 0 : 0x8000));
		uint16_t now = before;
		bool now_wrap = before_wrap;
		bool is_passed = walk(asked, &now, &now_wrap, count, size);

		if (pv_notify_passed_packed(asked, now, before, now_wrap, size) != is_passed)
			fail_msg("size %u: event %#x from %u by %u", size, asked, before, count);
	}
}

static void a_packed_position_passes_exactly_the_places_it_writes(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 3, 7, 8, 31 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (uint16_t before = 0; before < sizes[i]; before++)
			for (uint16_t count = 1; count <= sizes[i]; count++) {
				try_packed(before, true, count, sizes[i]);
				try_packed(before, false, count, sizes[i]);
			}
}

static void the_largest_packed_ring_is_no_exception(void **state)
{
	static const uint16_t places[] = { 0, 1, 16384, 32766, 32767 };

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		try_packed(places[i], true, 1, 32768);
		try_packed(places[i], false, 32768, 32768);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_passed_when_its_entry_is_written),
		cmocka_unit_test(nothing_is_passed_by_standing_still),
		cmocka_unit_test(a_split_index_passes_exactly_the_entries_it_writes),
		cmocka_unit_test(a_packed_position_passes_exactly_the_places_it_writes),
		cmocka_unit_test(the_largest_packed_ring_is_no_exception),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
