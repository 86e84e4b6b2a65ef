/* SPDX-License-Identifier: BSD-2-Clause */
/* What `paravane bench net --check` finds out about frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "hosted/cli/bench_frame.h"

#define BYTES_MAX 1514u

static const uint8_t to[6] = { 0x52, 0x54, 0, 1, 2, 3 }, from[6] = { 0x52, 0x54, 0, 4, 5, 6 };

static void a_frame_says_who_sent_it_and_when(void **state)
{
	const struct pv_frame_stamp stamp = { 5, 3, 0x1234567890, 77 };
	uint8_t frame[BYTES_MAX];
	struct pv_frame_stamp found;

	(void)state;
	pv_frame_init(frame, sizeof(frame), to, from);
	pv_frame_stamp(frame, sizeof(frame), &stamp, true);
	assert_memory_equal(frame, to, 6);
	assert_memory_equal(frame + 6, from, 6);
	assert_int_equal(frame[12] << 8 | frame[13], 0x88b5);
	assert_true(pv_frame_read(frame, sizeof(frame), &found));
	assert_int_equal(found.run, 5);
	assert_int_equal(found.pair, 3);
	assert_int_equal(found.number, 0x1234567890);
	assert_int_equal(found.ticks, 77);
}

static void others_frames_are_not_ours(void **state)
{
	uint8_t frame[PV_FRAME_BYTES_MIN] = { 0 };
	struct pv_frame_stamp found;

	(void)state;
	assert_false(pv_frame_read(frame, sizeof(frame), &found));
	pv_frame_init(frame, sizeof(frame), to, from);
	assert_true(pv_frame_read(frame, sizeof(frame), &found));
	assert_false(pv_frame_read(frame, 20, &found));
	frame[13]++;
	assert_false(pv_frame_read(frame, sizeof(frame), &found));
}

static void every_altered_byte_behind_the_stamp_is_found(void **state)
{
	static const size_t sizes[] = { PV_FRAME_BYTES_MIN, 61, 67, 128, BYTES_MAX };
	const struct pv_frame_stamp stamp = { 5, 1, 42, 0 };
	uint8_t frame[BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t bytes = sizes[i];

		pv_frame_init(frame, bytes, to, from);
		pv_frame_stamp(frame, bytes, &stamp, true);
		assert_true(pv_frame_is_whole(frame, bytes, &stamp, bytes));
		assert_false(pv_frame_is_whole(frame, bytes, &stamp, bytes + 1));
		for (size_t at = PV_FRAME_BYTES_MIN - 20; at < bytes; at++) {
			frame[at] ^= 0x10;
			assert_false(pv_frame_is_whole(frame, bytes, &stamp, bytes));
			frame[at] ^= 0x10;
		}
	}
}

static void came(struct pv_frame_sequence *sequence, uint64_t number)
{
	pv_frame_came(sequence, &(struct pv_frame_stamp){ .run = 1, .number = number });
}

static struct pv_frame_sequence *sequence_of(const uint64_t *numbers, size_t count)
{
	struct pv_frame_sequence *sequence = calloc(1, sizeof(*sequence));

	for (size_t i = 0; i < count; i++)
		came(sequence, numbers[i]);
	return sequence;
}

static void expect(const uint64_t *numbers, size_t count, uint64_t lost, uint64_t doubled,
                   uint64_t reordered)
{
	struct pv_frame_sequence *sequence = sequence_of(numbers, count);

	assert_int_equal(sequence->lost, lost);
	assert_int_equal(sequence->doubled, doubled);
	assert_int_equal(sequence->reordered, reordered);
	free(sequence);
}

#define EXPECT(lost, doubled, reordered, ...)                                                      \
	expect((const uint64_t[]){ __VA_ARGS__ }, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, lost,   \
	       doubled, reordered)

static void what_is_missing_early_late_or_twice_is_told_apart(void **state)
{
	(void)state;
	EXPECT(0, 0, 0, 0, 1, 2, 3);
	EXPECT(0, 0, 0, 7, 8, 9); /* who listens later begins later */
	EXPECT(2, 0, 0, 0, 1, 4, 5);
	EXPECT(0, 0, 1, 0, 2, 1, 3);
	EXPECT(1, 0, 1, 0, 3, 1, 4);
	EXPECT(0, 1, 0, 0, 1, 1, 2);
	EXPECT(0, 1, 1, 0, 2, 1, 1, 3);
	EXPECT(PV_FRAME_WINDOW + 9, 0, 0, 0, PV_FRAME_WINDOW + 10);
	/* So old that it is not known any more. */
	EXPECT(PV_FRAME_WINDOW + 9, 1, 0, 0, PV_FRAME_WINDOW + 10, 1);
}

static void long_runs_forget_what_was_seen_long_ago(void **state)
{
	struct pv_frame_sequence *sequence = calloc(1, sizeof(*sequence));

	(void)state;
	for (uint64_t i = 0; i < 3 * PV_FRAME_WINDOW; i++)
		if (i != 2 * PV_FRAME_WINDOW + 5)
			came(sequence, i);
	assert_int_equal(sequence->lost, 1);
	came(sequence, 2 * PV_FRAME_WINDOW + 5);
	assert_int_equal(sequence->lost, 0);
	assert_int_equal(sequence->reordered, 1);
	assert_int_equal(sequence->doubled, 0);
	free(sequence);
}

static void each_run_is_counted_from_its_beginning(void **state)
{
	struct pv_frame_sequence *sequence = calloc(1, sizeof(*sequence));

	(void)state;
	came(sequence, 100);
	pv_frame_came(sequence, &(struct pv_frame_stamp){ .run = 2, .number = 0 });
	pv_frame_came(sequence, &(struct pv_frame_stamp){ .run = 2, .number = 1 });
	assert_int_equal(sequence->lost + sequence->doubled + sequence->reordered, 0);
	pv_frame_expect(sequence, 3, 0);
	pv_frame_came(sequence, &(struct pv_frame_stamp){ .run = 3, .number = 2 });
	assert_int_equal(sequence->lost, 2);
	free(sequence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_says_who_sent_it_and_when),
		cmocka_unit_test(others_frames_are_not_ours),
		cmocka_unit_test(every_altered_byte_behind_the_stamp_is_found),
		cmocka_unit_test(what_is_missing_early_late_or_twice_is_told_apart),
		cmocka_unit_test(each_run_is_counted_from_its_beginning),
		cmocka_unit_test(long_runs_forget_what_was_seen_long_ago),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
