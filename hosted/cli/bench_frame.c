/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_frame.h"

#include <string.h>

#define MAC_BYTES 6u

/* Local experimental EtherType 1 (IEEE 802). */
#define ETHERTYPE_HIGH 0x88u
#define ETHERTYPE_LOW  0xb5u

#define MAGIC 0x50565642u

/* All frames are made and read on one machine. */
struct __attribute__((packed)) header {
	uint8_t to[MAC_BYTES], from[MAC_BYTES];
	uint8_t type[2];
	uint16_t pair;
	uint32_t magic;
	uint32_t run;
	uint64_t number;
	uint64_t ticks;
};

_Static_assert(sizeof(struct header) <= PV_FRAME_BYTES_MIN, "the shortest frame has a stamp");

void pv_frame_init(uint8_t *frame, size_t bytes, const uint8_t to[6], const uint8_t from[6])
{
	struct header header = { .type = { ETHERTYPE_HIGH, ETHERTYPE_LOW }, .magic = MAGIC };

	memcpy(header.to, to, MAC_BYTES);
	memcpy(header.from, from, MAC_BYTES);
	memset(frame, 0, bytes);
	memcpy(frame, &header, sizeof(header));
}

/* ---- the rest of a frame ---- */

static uint64_t base_of(const struct pv_frame_stamp *stamp)
{
	uint64_t x = stamp->number * 0x9e3779b97f4a7c15u + stamp->pair;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	return x ^ (x >> 27);
}

static uint64_t word_at(uint64_t base, size_t i)
{
	return base + i * 0x9e3779b97f4a7c15u;
}

static void fill(uint8_t *to, size_t bytes, uint64_t base)
{
	for (size_t i = 0; bytes > 0; i++) {
		uint64_t word = word_at(base, i);
		size_t part = bytes < sizeof(word) ? bytes : sizeof(word);

		memcpy(to, &word, part);
		to += part;
		bytes -= part;
	}
}

static bool is_filled(const uint8_t *from, size_t bytes, uint64_t base)
{
	for (size_t i = 0; bytes > 0; i++) {
		uint64_t word = word_at(base, i);
		size_t part = bytes < sizeof(word) ? bytes : sizeof(word);

		if (memcmp(from, &word, part) != 0)
			return false;
		from += part;
		bytes -= part;
	}
	return true;
}

/* ---- stamps ---- */

void pv_frame_stamp(uint8_t *frame, size_t bytes, const struct pv_frame_stamp *stamp,
                    bool has_pattern)
{
	struct header *header = (struct header *)frame;

	header->run = stamp->run;
	header->pair = stamp->pair;
	header->number = stamp->number;
	header->ticks = stamp->ticks;
	if (has_pattern)
		fill(frame + sizeof(*header), bytes - sizeof(*header), base_of(stamp));
}

bool pv_frame_read(const uint8_t *frame, size_t bytes, struct pv_frame_stamp *stamp)
{
	const struct header *header = (const struct header *)frame;

	if (bytes < sizeof(*header) || header->type[0] != ETHERTYPE_HIGH ||
	    header->type[1] != ETHERTYPE_LOW || header->magic != MAGIC)
		return false;
	stamp->run = header->run;
	stamp->pair = header->pair;
	stamp->number = header->number;
	stamp->ticks = header->ticks;
	return true;
}

bool pv_frame_is_whole(const uint8_t *frame, size_t bytes, const struct pv_frame_stamp *stamp,
                       size_t bytes_sent)
{
	return bytes == bytes_sent && is_filled(frame + sizeof(struct header),
	                                        bytes - sizeof(struct header), base_of(stamp));
}

/* ---- order ---- */

static bool is_seen(const struct pv_frame_sequence *sequence, uint64_t number)
{
	return sequence->seen[number % PV_FRAME_WINDOW / 64] >> number % 64 & 1;
}

static void mark(struct pv_frame_sequence *sequence, uint64_t number, bool is_there)
{
	uint64_t *word = &sequence->seen[number % PV_FRAME_WINDOW / 64];
	uint64_t bit = UINT64_C(1) << number % 64;

	*word = is_there ? *word | bit : *word & ~bit;
}

/* All between are lost, as far as is known. */
static void go_on_to(struct pv_frame_sequence *sequence, uint64_t number)
{
	uint64_t gap = number - sequence->next;
	uint64_t forget = gap < PV_FRAME_WINDOW ? gap : PV_FRAME_WINDOW;

	for (uint64_t i = 1; i <= forget; i++)
		mark(sequence, number - i, false);
	sequence->lost += gap;
	mark(sequence, number, true);
	sequence->next = number + 1;
}

/* One that had been given up, or has been here before. */
static void came_late(struct pv_frame_sequence *sequence, uint64_t number)
{
	bool is_known = sequence->next - number <= PV_FRAME_WINDOW;

	if (is_known && !is_seen(sequence, number) && sequence->lost > 0) {
		sequence->lost--;
		sequence->reordered++;
		mark(sequence, number, true);
	} else {
		sequence->doubled++;
	}
}

void pv_frame_expect(struct pv_frame_sequence *sequence, uint32_t run, uint64_t number)
{
	sequence->has_begun = true;
	sequence->run = run;
	sequence->next = number;
	memset(sequence->seen, 0, sizeof(sequence->seen));
}

void pv_frame_came(struct pv_frame_sequence *sequence, const struct pv_frame_stamp *stamp)
{
	if (!sequence->has_begun || sequence->run != stamp->run)
		pv_frame_expect(sequence, stamp->run, stamp->number);
	if (stamp->number >= sequence->next)
		go_on_to(sequence, stamp->number);
	else
		came_late(sequence, stamp->number);
}
