/* SPDX-License-Identifier: BSD-2-Clause */
/* Within drivers/balloon. */
#ifndef PV_DRIVERS_BALLOON_INTERNAL_H
#define PV_DRIVERS_BALLOON_INTERNAL_H

#include "drivers/balloon/balloon.h"

/* Numbers in a list, and lists on the way of a request: 16 MiB of pages. */
#define PV_BALDRV_LIST_PAGES 1024u
#define PV_BALDRV_LISTS      4u

/* What the device sees beside the rings. */
struct pv_baldrv_shared {
	struct pv_le32 list[2][PV_BALDRV_LISTS][PV_BALDRV_LIST_PAGES];
	struct virtio_balloon_stat stat[PV_BALDRV_STATS];
};

struct pv_baldrv_list {
	struct pv_driver_request base;
	struct pv_sg piece;
	struct pv_le32 *number;
	bool is_out;
};

/* One direction: what there is to tell, and what it is told with. */
struct pv_baldrv_way {
	struct pv_baldrv *balloon;
	struct pv_baldrv_request *request; /* NULL: none */
	struct pv_baldrv_list list[PV_BALDRV_LISTS];
};

struct pv_baldrv_question {
	struct pv_driver_request base;
	struct pv_sg piece;
};

struct pv_baldrv {
	struct pv_driver driver;
	struct pv_baldrv_options options;
	struct pv_driver_queue queue[PV_BALDRV_QUEUES];
	bool has_queue[PV_BALDRV_QUEUES];
	uint32_t actual;
	struct pv_baldrv_way way[2]; /* by PV_BALDRV_INFLATE and _DEFLATE */
	struct pv_baldrv_question question;
	struct pv_baldrv_shared *shared;
	struct pv_gpa shared_gpa;
	struct pv_baldrv_counters counters;
};

static inline struct pv_baldrv *pv_baldrv_of(struct pv_driver_queue *queue,
                                             enum pv_baldrv_queue which)
{
	return (struct pv_baldrv *)((uint8_t *)(queue - which) - offsetof(struct pv_baldrv, queue));
}

/* ---- balloon.c ---- */

/* Writes `actual`, and the poison where it is agreed on. Returns 0 or an error of the bus. */
int pv_baldrv_write_actual(struct pv_baldrv *balloon);
int pv_baldrv_write_poison(struct pv_baldrv *balloon);

/* ---- pages.c ---- */

extern const struct pv_driver_request_ops pv_baldrv_inflate_ops;
extern const struct pv_driver_request_ops pv_baldrv_deflate_ops;
void pv_baldrv_ways_init(struct pv_baldrv *balloon);
uint32_t pv_baldrv_poll_way(struct pv_baldrv *balloon, enum pv_baldrv_queue which);

/* ---- report.c ---- */

extern const struct pv_driver_request_ops pv_baldrv_report_ops;
uint32_t pv_baldrv_poll_reports(struct pv_baldrv *balloon);

/* ---- stats.c ---- */

extern const struct pv_driver_request_ops pv_baldrv_stats_ops;

/* The device gets the buffer that it asks with. Returns 0 or why it cannot be. */
int pv_baldrv_stats_begin(struct pv_baldrv *balloon);
uint32_t pv_baldrv_poll_stats(struct pv_baldrv *balloon);

/* ---- recover.c ---- */

bool pv_baldrv_has_broken_queue(const struct pv_baldrv *balloon);

#endif
