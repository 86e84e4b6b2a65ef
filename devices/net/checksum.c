/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/net/checksum.h"

/* What is added in one go: as many sums side by side, which a processor does at once. */
#define BLOCK_WORDS 16u

static uint32_t word_at(const uint8_t *data)
{
	uint32_t word;

	__builtin_memcpy(&word, data, sizeof(word));
	return word;
}

static uint64_t sum_of_block(const uint8_t *data)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < BLOCK_WORDS; i++)
		sum += word_at(data + 4 * i);
	return sum;
}

uint64_t pv_net_sum(const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint8_t rest[4] = { 0 };
	uint64_t sum = 0;

	for (; bytes >= 4 * BLOCK_WORDS; at += 4 * BLOCK_WORDS, bytes -= 4 * BLOCK_WORDS)
		sum += sum_of_block(at);
	for (; bytes >= 4; at += 4, bytes -= 4)
		sum += word_at(at);
	for (size_t i = 0; i < bytes; i++)
		rest[i] = at[i];
	return sum + word_at(rest);
}
