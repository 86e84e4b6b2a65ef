/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_sequence.h"

#include <string.h>

#define WORD_BYTES 8u
#define STEP       0x9e3779b97f4a7c15u

static uint64_t word_of(uint64_t place)
{
	return (place / WORD_BYTES + 1) * STEP;
}

static uint8_t byte_of(uint64_t place)
{
	uint64_t word = word_of(place);
	uint8_t bytes[WORD_BYTES];

	memcpy(bytes, &word, sizeof(bytes));
	return bytes[place % WORD_BYTES];
}

static bool is_at_word(uint64_t at, size_t bytes)
{
	return at % WORD_BYTES == 0 && bytes >= WORD_BYTES;
}

/* Whole words: the quick way. */
static size_t fill_words(uint64_t at, uint8_t *byte, size_t bytes)
{
	uint64_t word = word_of(at);
	size_t done = 0;

	for (; bytes - done >= WORD_BYTES; done += WORD_BYTES, word += STEP)
		memcpy(byte + done, &word, WORD_BYTES);
	return done;
}

void pv_sequence_fill(uint64_t at, void *to, size_t bytes)
{
	uint8_t *byte = to;
	size_t done = 0;

	while (done < bytes) {
		if (is_at_word(at + done, bytes - done)) {
			done += fill_words(at + done, byte + done, bytes - done);
		} else {
			byte[done] = byte_of(at + done);
			done++;
		}
	}
}

/* Whole words for as long as they are right: the quick way. */
static size_t check_words(uint64_t at, const uint8_t *byte, size_t bytes)
{
	uint64_t expected = word_of(at), word;
	size_t done = 0;

	for (; bytes - done >= WORD_BYTES; done += WORD_BYTES, expected += STEP) {
		memcpy(&word, byte + done, WORD_BYTES);
		if (word != expected)
			break;
	}
	return done;
}

size_t pv_sequence_check(uint64_t at, const void *from, size_t bytes)
{
	const uint8_t *byte = from;
	size_t done = 0;

	while (done < bytes) {
		size_t words = is_at_word(at + done, bytes - done)
		                       ? check_words(at + done, byte + done, bytes - done)
		                       : 0;

		done += words;
		if (words == 0 && byte[done] != byte_of(at + done))
			return done;
		done += words == 0;
	}
	return done;
}
