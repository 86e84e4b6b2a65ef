/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "hosted/control/options.h"

/* No option or command is longer. */
#define WORD_MAX 40u

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * The number of letters to put in, take out, replace or swap with their neighbour to get from
 * `a` to `b`, row by row; two rows back is as far as a swap looks.
 */
static unsigned int edits(const char *a, unsigned int a_chars, const char *b, unsigned int b_chars)
{
	unsigned int row[3][WORD_MAX + 1];

	for (unsigned int j = 0; j <= b_chars; j++)
		row[0][j] = j;
	for (unsigned int i = 1; i <= a_chars; i++) {
		unsigned int *now = row[i % 3];
		const unsigned int *last = row[(i + 2) % 3];
		const unsigned int *before = row[(i + 1) % 3];

		now[0] = i;
		for (unsigned int j = 1; j <= b_chars; j++) {
			now[j] = least(least(last[j], now[j - 1]) + 1,
			               last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
	}
	return row[a_chars % 3][b_chars];
}

/* A word that begins like a candidate counts as near, so that --blk finds --blk-file. */
static unsigned int distance(const char *word, const char *candidate)
{
	size_t word_chars = strlen(word), candidate_chars = strlen(candidate);

	if (word_chars > WORD_MAX || candidate_chars > WORD_MAX)
		return UINT32_MAX;
	if (word_chars >= 3 && strncmp(word, candidate, word_chars) == 0)
		return 1;
	return edits(word, (unsigned int)word_chars, candidate, (unsigned int)candidate_chars);
}

void pv_nearest_offer(struct pv_nearest *nearest, const char *candidate)
{
	unsigned int far = (unsigned int)(strlen(nearest->word) + 2) / 3;
	unsigned int is = distance(nearest->word, candidate);

	if (is > far || (nearest->best && nearest->distance <= is))
		return;
	nearest->best = candidate;
	nearest->distance = is;
}
