/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a driver knows of a disk: for each sector all that it was given to hold since the start, and
 * which of it the disk has promised.
 *
 * A sector's values are numbered as they were sent.  The *floor* is the newest of those that are
 * promised: written before a flush that ended was issued, or, where writes are stable when they
 * end, written at all.  After a crash a sector holds its floor or a newer value, whole.
 *
 * One write at a time touches a sector; the log refuses a second one.
 */
#ifndef PV_TESTS_DISK_LOG_H
#define PV_TESTS_DISK_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define DISK_LOG_SECTORS 1024u
#define DISK_LOG_VALUES  64u /* of a sector, from start to start */
#define DISK_LOG_SECTOR  512u

struct disk_log_sector {
	uint64_t value[DISK_LOG_VALUES]; /* 0: zeroes */
	uint8_t values;
	uint8_t written; /* the newest whose write has ended well */
	uint8_t floor;
	bool is_out; /* the write of the newest is under way */
};

struct disk_log {
	struct disk_log_sector sector[DISK_LOG_SECTORS];
	uint32_t sectors;
	uint64_t next_value;
	uint64_t promised, lost; /* values found at checks: at their floor's; newest but gone */
	bool may_tear; /* reads that meet a write: files in Linux's cache are read without a lock */
};

/* The `written` of each sector at some time. */
struct disk_log_moment {
	uint8_t written[DISK_LOG_SECTORS];
};

/* A disk of zeroes. */
void disk_log_init(struct disk_log *log, uint32_t sectors);

/*
 * A write, or (data NULL) a write of zeroes, is about to be sent: puts into `data` what it must
 * write. False if it must not be sent: another one is under way there, or the log is full there.
 */
bool disk_log_write(struct disk_log *log, uint32_t first, uint32_t sectors, uint8_t *data);

/* It was not sent after all. */
void disk_log_unwrite(struct disk_log *log, uint32_t first, uint32_t sectors);

/* It ended well; `is_promise`: and is stable. */
void disk_log_written(struct disk_log *log, uint32_t first, uint32_t sectors, bool is_promise);

/* It ended with an error: it may have been done, or a part of it. */
void disk_log_failed(struct disk_log *log, uint32_t first, uint32_t sectors);

/* To be noted when a flush or a read is sent. */
void disk_log_note(const struct disk_log *log, struct disk_log_moment *sent);

/* A flush has ended well. */
void disk_log_flushed(struct disk_log *log, const struct disk_log_moment *sent);

/*
 * Can a read of the sector give that: the newest value when it was sent, or a newer one; or, where
 * reads may tear, words of several of those?
 */
bool disk_log_can_read(const struct disk_log *log, const struct disk_log_moment *sent,
                       uint32_t sector, const uint8_t *data);

/*
 * After a crash: checks what each sector holds and starts anew from there. Returns NULL, or what is
 * wrong first, as a sentence in memory of its own.
 */
const char *disk_log_restart(struct disk_log *log, const uint8_t *disk);

#endif
