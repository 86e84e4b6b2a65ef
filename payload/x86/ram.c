/* SPDX-License-Identifier: BSD-2-Clause */
/* What memory the machine has, by its start info. */
#include "payload/x86/machine.h"

#define GIB_SHIFT   30
#define LOW_GIB     4u
#define TOP_GIB     16u
#define PAGES       512u /* of a directory, 2 MiB each */
#define LARGE_SHIFT 21
#define PIECES_MAX  16u
#define PRESENT     7u /* and writable, the user's */
#define LARGE       (PRESENT | 0x80u)

extern volatile uint64_t page_directories[PAGES];

static volatile uint64_t high[TOP_GIB - LOW_GIB][PAGES] __attribute__((aligned(4096)));
static struct start_range piece_list[PIECES_MAX];
static unsigned int pieces;

static void map(uint64_t base, uint64_t end)
{
	for (uint64_t page = base >> LARGE_SHIFT; page << LARGE_SHIFT < end; page++) {
		const uint64_t gib = page >> (GIB_SHIFT - LARGE_SHIFT);

		if (gib < LOW_GIB)
			continue;
		if (gib >= TOP_GIB)
			break;
		high[gib - LOW_GIB][page % PAGES] = page << LARGE_SHIFT | LARGE;
		page_directories[gib] = (uint64_t)high[gib - LOW_GIB] | PRESENT;
	}
}

void memory_begin(const struct start_info *info)
{
	const struct start_range *range = (const struct start_range *)info->memory_map;

	if (info->version < 1)
		return;
	for (uint32_t i = 0; i < info->memory_map_entries && pieces < PIECES_MAX; i++)
		if (range[i].type == RANGE_RAM) {
			piece_list[pieces++] = range[i];
			map(range[i].base, range[i].base + range[i].bytes);
		}
}

bool memory_piece(unsigned int index, struct start_range *piece)
{
	if (index >= pieces)
		return false;
	*piece = piece_list[index];
	return true;
}
