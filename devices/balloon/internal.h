/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within devices/balloon.
 *
 * All queues are on one lane: what they work with is one area, which is there while any of them is
 * started.
 */
#ifndef PV_DEVICES_BALLOON_INTERNAL_H
#define PV_DEVICES_BALLOON_INTERNAL_H

#include "devices/balloon/balloon.h"

extern const struct pv_counter_name pv_balloon_counter_names[];

/* ---- what the lane works with ---- */

#define PV_BALLOON_BATCH_PAGES  4096u
#define PV_BALLOON_BATCH_CHAINS 64u
#define PV_BALLOON_PIECES       512u /* of a chain */
#define PV_BALLOON_GOING        256u /* pieces of memory that the port is asked to discard at once */

struct pv_balloon_batch {
	uint32_t count;
	uint32_t number[PV_BALLOON_BATCH_PAGES]; /* of pages, as they come */
	uint32_t spare[PV_BALLOON_BATCH_PAGES];  /* for who sorts them */
};

/*
 * Which pages are in the balloon, as far as the host's pages there are larger: bits of 4 KiB, those
 * of the regions in question one after the other.  They are good for one table of memory.
 */
struct pv_balloon_marks {
	const struct pv_mem *mem;
	bool has_any;
	uint64_t max; /* bits that there is room for */
	uint32_t *word;
};

/* Pieces of a region that are to go back to the host, and how much of each the driver named. */
struct pv_balloon_going {
	const struct pv_region *region;
	uint32_t pieces;
	struct pv_iov piece[PV_BALLOON_GOING];
	uint64_t named_bytes[PV_BALLOON_GOING];
};

struct pv_balloon_lane {
	size_t bytes;
	struct pv_balloon_batch batch;
	struct pv_chain chain[PV_BALLOON_BATCH_CHAINS];
	struct pv_iov iov[PV_BALLOON_PIECES];
	struct pv_balloon_going going;
	struct pv_balloon_marks marks;
	uint32_t word[]; /* of the marks */
};

/* How much of the list that a queue takes next has been worked on. */
struct pv_balloon_progress {
	uint64_t gone_bytes;
	uint64_t chain_bytes; /* which is so long */
};

/* ---- statistics ---- */

#define PV_BALLOON_STATS_PIECES 64u

/* Three, so that neither side waits: the lane's, the control side's, and one between. */
#define PV_BALLOON_SHEETS 3u

struct pv_balloon_asking {
	/* Both. The period's number goes up with each change of it. */
	uint64_t period_ns __attribute__((aligned(8)));
	uint32_t period_number;
	uint8_t between; /* the sheet that is; and SHEET_IS_NEW */
	struct pv_balloon_stats sheet[PV_BALLOON_SHEETS];

	/* Control side. */
	uint8_t read_sheet;
	struct pv_balloon_stats last;

	/* Lane. */
	uint8_t written_sheet;
	uint32_t known_period;
	uint64_t ask_ns; /* when the buffer goes back */
	uint64_t count;
	bool has_begun; /* there was a buffer since the queue was started */
	bool has_chain; /* it is held */
	struct pv_chain chain;
	struct pv_iov iov[PV_BALLOON_STATS_PIECES];
};

/* ---- the device ---- */

struct pv_balloon {
	struct pv_device device;
	struct pv_balloon_options options;

	/* Control side. */
	uint32_t target_pages;
	uint32_t written_actual; /* as the configuration has it, ... */
	uint32_t actual;         /* ... and when its last byte had been written */
	uint16_t started;        /* queues */

	/* Both: the driver's free pages are filled with it. */
	uint32_t poison;

	/* Lane. For a queue: the table of memory that its ring had when it ran last; 0: it did not.
	 */
	uint64_t memory_of[VIRTIO_BALLOON_QUEUES];
	struct pv_balloon_progress progress[VIRTIO_BALLOON_QUEUES];
	struct pv_balloon_lane *lane;

	struct pv_balloon_asking asking;
	struct pv_balloon_queue_counters counters[VIRTIO_BALLOON_QUEUES];
	struct pv_queue queue[VIRTIO_BALLOON_QUEUES];
};

static inline struct pv_balloon *pv_balloon_of(struct pv_device *device)
{
	return (struct pv_balloon *)device;
}

static inline const struct pv_balloon *pv_balloon_of_const(const struct pv_device *device)
{
	return (const struct pv_balloon *)device;
}

static inline struct pv_balloon_queue_counters *pv_balloon_counters_of(const struct pv_queue *queue)
{
	return &pv_balloon_of(queue->device)->counters[queue->index];
}

/* ---- roles (balloon.c) ---- */

enum pv_balloon_role {
	PV_BALLOON_INFLATES,
	PV_BALLOON_DEFLATES,
	PV_BALLOON_TELLS, /* statistics */
	PV_BALLOON_REPORTS,
	PV_BALLOON_UNUSED,
};

enum pv_balloon_role pv_balloon_role(const struct pv_balloon *balloon, uint16_t index);

/* ---- page lists (pages.c) ---- */

bool pv_balloon_pages_run(struct pv_queue *queue);

/* ---- from numbers to ranges (ranges.c) ---- */

/* Bytes [first, end) of a region. */
typedef void pv_balloon_use(struct pv_queue *queue, const struct pv_region *region, uint64_t first,
                            uint64_t end);

/*
 * Sorts the batch, and has each range of it used that lies in one region. Counts pages that are
 * there twice, or that are no memory.
 */
void pv_balloon_ranges(struct pv_queue *queue, struct pv_balloon_batch *batch, pv_balloon_use *use);

/* ---- back to the host (discard.c) ---- */

/* The guest does without this: what is whole pages of the host goes back to it. */
pv_balloon_use pv_balloon_discard;

/* The same of pages that stay in the balloon until the driver takes them out. */
pv_balloon_use pv_balloon_give;

/*
 * What the two have found goes when there is much of it, or now: before any of it is returned to
 * the driver.
 */
void pv_balloon_discard_all(struct pv_queue *queue);

/* And the driver takes them out. */
pv_balloon_use pv_balloon_take_out;

/* ---- marks (marks.c) ---- */

/* Of a table, how many there would be. */
uint64_t pv_balloon_marks_of(const struct pv_mem *mem);

/* The queue is about to use them: those of another table of memory are forgotten. */
void pv_balloon_marks_follow(struct pv_queue *queue);

/* The first mark of a region. False where it has none, or there is no room for all. */
bool pv_balloon_marks_at(const struct pv_balloon_marks *marks, const struct pv_region *region,
                         uint64_t *first);

void pv_balloon_mark(struct pv_balloon_marks *marks, uint64_t first, uint64_t end);
void pv_balloon_unmark(struct pv_balloon_marks *marks, uint64_t first, uint64_t end);
bool pv_balloon_all_marked(const struct pv_balloon_marks *marks, uint64_t first, uint64_t end);

/* ---- the other queues ---- */

/* reporting.c */
bool pv_balloon_reports_run(struct pv_queue *queue);

/* stats.c */
bool pv_balloon_tells_run(struct pv_queue *queue);
void pv_balloon_tells_stop(struct pv_queue *queue);
void pv_balloon_tells_move(struct pv_queue *queue);
void pv_balloon_tells_save(const struct pv_queue *queue, struct pv_state_writer *to);
void pv_balloon_tells_load(struct pv_queue *queue, struct pv_state_reader *from);

/* Control side: takes over what has come, and tells the owner. */
void pv_balloon_stats_heard(struct pv_balloon *balloon);

/* Control side, no queue running: as if none had ever come. */
void pv_balloon_stats_forget(struct pv_balloon *balloon);

/* state.c */
void pv_balloon_save(const struct pv_device *device, struct pv_state_writer *to);
int pv_balloon_load(struct pv_device *device, struct pv_state_reader *from, uint16_t version);

#endif
