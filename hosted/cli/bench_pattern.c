/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_pattern.h"

#include <stdio.h>
#include <string.h>

#include "abi/virtio_blk.h"

#define WORDS (VIRTIO_BLK_SECTOR_BYTES / sizeof(uint64_t))
#define HEAD  3u /* offset, seed, generation */

struct sector {
	uint64_t word[WORDS];
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void sector_make(struct sector *sector, const struct pv_pattern *pattern, uint64_t offset)
{
	uint64_t base = mix(offset ^ mix(pattern->seed ^ mix(pattern->generation)));

	sector->word[0] = offset;
	sector->word[1] = pattern->seed;
	sector->word[2] = pattern->generation;
	for (size_t i = HEAD; i < WORDS; i++)
		sector->word[i] = base + i * 0x9e3779b97f4a7c15u;
}

void pv_pattern_fill(void *to, size_t bytes, const struct pv_pattern *pattern)
{
	struct sector sector;

	for (size_t at = 0; at < bytes; at += sizeof(sector)) {
		sector_make(&sector, pattern, pattern->offset + at);
		memcpy((uint8_t *)to + at, &sector, sizeof(sector));
	}
}

static size_t first_difference(const struct sector *a, const struct sector *b)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
	size_t i = 0;

	while (i < sizeof(*a) && x[i] == y[i])
		i++;
	return i;
}

/* Whose sector is it, if it is one of ours at all? */
static void describe(const struct sector *found, const struct sector *right, char *sentence,
                     size_t sentence_bytes)
{
	const struct pv_pattern says = { .offset = found->word[0],
		                         .seed = found->word[1],
		                         .generation = found->word[2] };
	struct sector whole;
	size_t at = first_difference(found, right);

	sector_make(&whole, &says, says.offset);
	if (memcmp(&whole, found, sizeof(whole)) == 0)
		snprintf(sentence, sentence_bytes,
		         "at byte %llu is what was written to byte %llu as generation %llu%s, "
		         "instead of generation %llu",
		         (unsigned long long)right->word[0], (unsigned long long)says.offset,
		         (unsigned long long)says.generation,
		         says.seed == right->word[1] ? "" : " of another run",
		         (unsigned long long)right->word[2]);
	else
		snprintf(sentence, sentence_bytes,
		         "at byte %llu is 0x%02x instead of 0x%02x, generation %llu",
		         (unsigned long long)(right->word[0] + at), ((const uint8_t *)found)[at],
		         ((const uint8_t *)right)[at], (unsigned long long)right->word[2]);
}

bool pv_pattern_check(const void *data, size_t bytes, const struct pv_pattern *pattern,
                      char *sentence, size_t sentence_bytes)
{
	struct sector right, found;

	for (size_t at = 0; at < bytes; at += sizeof(right)) {
		sector_make(&right, pattern, pattern->offset + at);
		memcpy(&found, (const uint8_t *)data + at, sizeof(found));
		if (memcmp(&found, &right, sizeof(found)) != 0) {
			describe(&found, &right, sentence, sentence_bytes);
			return false;
		}
	}
	return true;
}
