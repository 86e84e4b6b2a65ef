/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disks that one program serves: planned first, all of them, then opened on a service, all of
 * them or none.
 */
#ifndef PV_HOSTED_DISK_SET_H
#define PV_HOSTED_DISK_SET_H

#include "hosted/control/config.h"
#include "hosted/control/disk.h"
#include "hosted/control/service.h"

/* Where a machine has a disk. */
enum pv_disk_bus { PV_DISK_ON_PCI, PV_DISK_ON_MMIO };

/* What was asked for. Start with PV_DISK_PLAN_DEFAULTS. */
struct pv_disk_plan {
	struct pv_disk_options disk;
	struct pv_export_options export;
	unsigned int bus; /* enum pv_disk_bus; of no matter where there is no machine */
};

#define PV_DISK_PLAN_DEFAULTS                                                                      \
	{                                                                                          \
		.disk = PV_DISK_DEFAULTS, .export = PV_EXPORT_DEFAULTS                             \
	}

struct pv_disk_set {
	const struct pv_config *config; /* where they come from; NULL: the command line */
	const struct pv_option_spelling *spelling; /* how they are written; NULL: as options */
	struct pv_disk_plan *plan;
	struct pv_disk *disk; /* of these the first `opened` are */
	unsigned int disks;
	unsigned int opened;
};

/* Each returns false with a sentence; nothing is left then. `config` must outlive the set. */
bool pv_disk_set_one(struct pv_disk_set *set, const struct pv_disk_plan *plan,
                     char sentence[static PV_SENTENCE_BYTES]);
/* So many, each planned as the defaults say, for the caller to change. */
bool pv_disk_set_empty(struct pv_disk_set *set, unsigned int disks,
                       char sentence[static PV_SENTENCE_BYTES]);
bool pv_disk_set_many(struct pv_disk_set *set, const struct pv_config *config,
                      char sentence[static PV_SENTENCE_BYTES]);

/* What to make a service for. */
struct pv_service_extent pv_disk_set_extent(const struct pv_disk_set *set);

/* Opens the disks and makes them exports of the service. Returns false with a sentence. */
bool pv_disk_set_open(struct pv_disk_set *set, struct pv_service *service,
                      char sentence[static PV_SENTENCE_BYTES]);

/* Writes what the host's caches hold to the disks: to all, also when one fails. Blocks. */
bool pv_disk_set_sync(const struct pv_disk_set *set, char sentence[static PV_SENTENCE_BYTES]);

/* Queues are stopped; the service's loops may have gone, the service not. */
void pv_disk_set_close(struct pv_disk_set *set);

#endif
