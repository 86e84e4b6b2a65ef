/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/disk_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ring/err.h"

#define WORDS (DISK_LOG_SECTOR / sizeof(uint64_t))

/* A sector's content says which sector and which value it is, in each of its words. */
static uint64_t word_of(uint32_t sector, uint64_t value)
{
	return value ? value << 16 | sector : 0;
}

static void fill(uint8_t *data, uint32_t sector, uint64_t value)
{
	uint64_t word = word_of(sector, value);

	for (size_t i = 0; i < WORDS; i++)
		memcpy(data + i * sizeof(word), &word, sizeof(word));
}

static bool holds(const uint8_t *data, uint32_t sector, uint64_t value)
{
	uint8_t wanted[DISK_LOG_SECTOR];

	fill(wanted, sector, value);
	return memcmp(data, wanted, sizeof(wanted)) == 0;
}

void disk_log_init(struct disk_log *log, uint32_t sectors)
{
	pv_bug_on(sectors > DISK_LOG_SECTORS);
	memset(log, 0, sizeof(*log));
	log->sectors = sectors;
	for (uint32_t i = 0; i < sectors; i++)
		log->sector[i].values = 1;
}

static bool can_write(const struct disk_log_sector *sector)
{
	return !sector->is_out && sector->values < DISK_LOG_VALUES;
}

bool disk_log_write(struct disk_log *log, uint32_t first, uint32_t sectors, uint8_t *data)
{
	uint64_t value = data ? ++log->next_value : 0;

	for (uint32_t i = first; i < first + sectors; i++)
		if (!can_write(&log->sector[i]))
			return false;
	for (uint32_t i = first; i < first + sectors; i++) {
		struct disk_log_sector *sector = &log->sector[i];

		sector->value[sector->values++] = value;
		sector->is_out = true;
		if (data)
			fill(data + (i - first) * DISK_LOG_SECTOR, i, value);
	}
	return true;
}

static void come_back(struct disk_log *log, uint32_t first, uint32_t sectors)
{
	for (uint32_t i = first; i < first + sectors; i++)
		log->sector[i].is_out = false;
}

void disk_log_unwrite(struct disk_log *log, uint32_t first, uint32_t sectors)
{
	for (uint32_t i = first; i < first + sectors; i++)
		log->sector[i].values--;
	come_back(log, first, sectors);
}

void disk_log_written(struct disk_log *log, uint32_t first, uint32_t sectors, bool is_promise)
{
	come_back(log, first, sectors);
	for (uint32_t i = first; i < first + sectors; i++) {
		struct disk_log_sector *sector = &log->sector[i];

		sector->written = (uint8_t)(sector->values - 1);
		if (is_promise)
			sector->floor = sector->written;
	}
}

void disk_log_failed(struct disk_log *log, uint32_t first, uint32_t sectors)
{
	come_back(log, first, sectors);
}

void disk_log_note(const struct disk_log *log, struct disk_log_moment *sent)
{
	for (uint32_t i = 0; i < log->sectors; i++)
		sent->written[i] = log->sector[i].written;
}

void disk_log_flushed(struct disk_log *log, const struct disk_log_moment *sent)
{
	for (uint32_t i = 0; i < log->sectors; i++)
		if (log->sector[i].floor < sent->written[i])
			log->sector[i].floor = sent->written[i];
}

/* The newest of its values, from the oldest that counts on, that the sector holds; -1 if none. */
static int find(const struct disk_log_sector *entry, uint8_t oldest, uint32_t sector,
                const uint8_t *data)
{
	for (int i = entry->values - 1; i >= oldest; i--)
		if (holds(data, sector, entry->value[i]))
			return i;
	return -1;
}

static bool is_word_of(const struct disk_log_sector *entry, uint8_t oldest, uint32_t sector,
                       uint64_t word)
{
	for (int i = entry->values - 1; i >= oldest; i--)
		if (word == word_of(sector, entry->value[i]))
			return true;
	return false;
}

/* Is each word that of some value, from the oldest that counts on? */
static bool is_mixture(const struct disk_log_sector *entry, uint8_t oldest, uint32_t sector,
                       const uint8_t *data)
{
	uint64_t word;

	for (size_t i = 0; i < WORDS; i++) {
		memcpy(&word, data + i * sizeof(word), sizeof(word));
		if (!is_word_of(entry, oldest, sector, word))
			return false;
	}
	return true;
}

bool disk_log_can_read(const struct disk_log *log, const struct disk_log_moment *sent,
                       uint32_t sector, const uint8_t *data)
{
	const struct disk_log_sector *entry = &log->sector[sector];

	if (find(entry, sent->written[sector], sector, data) >= 0)
		return true;
	return log->may_tear && is_mixture(entry, sent->written[sector], sector, data);
}

static const char *complaint(const struct disk_log_sector *entry, uint32_t sector,
                             const uint8_t *data)
{
	static char sentence[200];
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	snprintf(sentence, sizeof(sentence),
	         "sector %" PRIu32 " begins with value %" PRIu64
	         " of sector %u; promised was %" PRIu64 ", and %u newer ones were sent",
	         sector, word >> 16, (unsigned int)(word & 0xffff), entry->value[entry->floor],
	         entry->values - 1u - entry->floor);
	return sentence;
}

const char *disk_log_restart(struct disk_log *log, const uint8_t *disk)
{
	for (uint32_t i = 0; i < log->sectors; i++) {
		struct disk_log_sector *entry = &log->sector[i];
		const uint8_t *data = disk + (uint64_t)i * DISK_LOG_SECTOR;
		int found = find(entry, entry->floor, i, data);

		if (found < 0)
			return complaint(entry, i, data);
		log->promised += found == entry->floor;
		log->lost += found < entry->written;
		*entry = (struct disk_log_sector){ .value = { entry->value[found] }, .values = 1 };
	}
	return NULL;
}
