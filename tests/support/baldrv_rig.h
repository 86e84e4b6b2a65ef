/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon driver on a device played by hand (fake_bus), on split rings: the test looks at what
 * is listed, gives lists back, and asks for statistics.  Include after cmocka.
 */
#ifndef PV_TESTS_BALDRV_RIG_H
#define PV_TESTS_BALDRV_RIG_H

#include "drivers/balloon/balloon.h"
#include "tests/support/fake_bus.h"

#define BALDRV_RIG_LIST 1024u /* pages in a list of the driver's */

#define MUST_TELL VIRTIO_BALLOON_F_MUST_TELL_HOST
#define STATS_VQ  VIRTIO_BALLOON_F_STATS_VQ
#define HINT      VIRTIO_BALLOON_F_FREE_PAGE_HINT
#define POISON    VIRTIO_BALLOON_F_PAGE_POISON
#define REPORTING VIRTIO_BALLOON_F_PAGE_REPORTING
#define ALL       (MUST_TELL | STATS_VQ | POISON | REPORTING)

#define INFLATE 0u
#define DEFLATE 1u
#define STATS   2u
#define REPORT  3u

struct baldrv_rig {
	struct pv_fake_bus fake;
	struct pv_baldrv *balloon;
	uint32_t asked; /* times that the driver collected statistics */
	uint32_t stats; /* how many it fills in, each with its tag and value a number */

	/* The last list or report that was read. */
	uint16_t head;
	uint32_t pages;
	uint32_t number[BALDRV_RIG_LIST];
	uint16_t pieces;
	struct virtq_desc piece[16];
};

/* A device with these features beside VERSION_1. */
void baldrv_rig_open(struct baldrv_rig *rig, uint64_t offered);
struct virtio_balloon_config *baldrv_rig_config(struct baldrv_rig *rig);

/* Brings up the driver, with statistics: what pv_baldrv_create() returns. `options`: or NULL. */
int baldrv_rig_start(struct baldrv_rig *rig, const struct pv_baldrv_options *options);
void baldrv_rig_up(struct baldrv_rig *rig, uint64_t offered,
                   const struct pv_baldrv_options *options);

/* The driver goes; nothing may be left of it. */
void baldrv_rig_close(struct baldrv_rig *rig);

/* Reads what comes next from a queue. False: nothing. */
bool baldrv_rig_read(struct baldrv_rig *rig, uint16_t queue);

/* Gives that back. */
void baldrv_rig_give_back(struct baldrv_rig *rig, uint16_t queue);

/* All that there is, and what comes of it, until the queue is empty. Returns how many pages. */
uint64_t baldrv_rig_serve(struct baldrv_rig *rig, uint16_t queue);

#endif
