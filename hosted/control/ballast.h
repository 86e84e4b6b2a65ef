/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A memory balloon with its host, built from command-line options: what `serve balloon` puts behind
 * a socket, and a machine on a bus.
 *
 * Who uses it says how much memory a guest is to have, not how large the balloon is: the guest has
 * what there is less the balloon.  What there is depends on the machine, or on the front-end that
 * is connected just now, so the wish is kept as it was said.
 */
#ifndef PV_HOSTED_BALLAST_H
#define PV_HOSTED_BALLAST_H

#include "devices/balloon/balloon.h"
#include "hosted/control/options.h"
#include "hosted/control/service.h"

/* What the options write. Start with PV_BALLAST_DEFAULTS. */
struct pv_ballast_options {
	uint64_t target; /* bytes that the guest is to have; PV_OPTION_UNSET: all there are */
	uint64_t stats_interval_s;
	uint64_t queue_size;
	unsigned int deflate_on_oom, reporting; /* 1: on */
	bool is_in_order, no_packed;
};

#define PV_BALLAST_DEFAULTS                                                                        \
	{                                                                                          \
		.target = PV_OPTION_UNSET, .queue_size = 256, .deflate_on_oom = 1, .reporting = 1  \
	}

#define PV_BALLAST_STATS_INTERVAL_MAX_S 86400u

extern const struct pv_option_group pv_ballast_option_group;

/* Adds it to the extent of a service. */
#define PV_BALLAST_KIND "balloon"
void pv_ballast_extend(struct pv_service_extent *extent, uint64_t own_loops);

struct pv_ballast {
	const char *name; /* the service's */
	struct pv_host *host;
	struct pv_device *device;
	void *storage;   /* the device's */
	uint64_t target; /* as in the options */

	/* Who is told that the driver has said how large it is; NULL: nobody. Control side. */
	void (*actual_changed)(void *arg);
	void *arg;
};

/*
 * Makes the device and an export of the service of it. Returns false with a sentence; nothing is
 * left then.
 */
bool pv_ballast_open(struct pv_ballast *ballast, const struct pv_ballast_options *options,
                     const struct pv_export_options *export, struct pv_service *service,
                     char sentence[static PV_SENTENCE_BYTES]);

/*
 * Its queues are stopped; the service's loops may have gone, the service not. One that was not
 * opened is all zero, and may be closed.
 */
void pv_ballast_close(struct pv_ballast *ballast);

/* All of the below: control side. */

/* Bytes of memory that there are; 0 where there is no front-end. */
uint64_t pv_ballast_memory(const struct pv_ballast *ballast);

/*
 * Less than this no guest is made to have: Linux takes a 64th of its memory for the description of
 * its pages, and something to live on.
 */
uint64_t pv_ballast_floor(uint64_t memory);

/*
 * How many bytes of it the guest is to have from now on. False with a sentence where that is more
 * than there is or less than the floor, or nothing is known of memory.
 */
bool pv_ballast_set_target(struct pv_ballast *ballast, uint64_t bytes,
                           char sentence[static PV_SENTENCE_BYTES]);

/* What it is to have, and what it has, by what its driver says. */
uint64_t pv_ballast_target(const struct pv_ballast *ballast);
uint64_t pv_ballast_actual(const struct pv_ballast *ballast);

#endif
