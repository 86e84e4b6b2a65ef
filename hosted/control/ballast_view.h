/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine's balloon as its control socket tells of it: the client's side of ballast_commands.h.
 * What is told is checked: a server may say anything.
 */
#ifndef PV_HOSTED_BALLAST_VIEW_H
#define PV_HOSTED_BALLAST_VIEW_H

#include "devices/balloon/balloon.h"
#include "hosted/control/qmp_remote.h"

/* More is no memory. */
#define PV_BALLAST_VIEW_BYTES_MAX (1ull << 46)

struct pv_ballast_view {
	uint64_t memory, actual, target; /* bytes; no memory: there is no guest */

	/* What its guest said last, if `updates` is not 0. */
	uint64_t interval_s; /* 0: it is not asked */
	uint64_t updates, age_s;
	uint64_t value[VIRTIO_BALLOON_S_KNOWN]; /* by tag, if its bit is in `known` */
	uint32_t known;
};

/*
 * Asks. What the guest said is asked for before how large the balloon is, and so never is the
 * younger of the two. False with a sentence.
 */
bool pv_ballast_view_read(struct pv_ballast_view *view, struct pv_qmp_remote *remote,
                          char sentence[static PV_SENTENCE_BYTES]);

/* Tells how many bytes it is to have, and how often to ask the guest. False with a sentence. */
bool pv_ballast_view_set_target(struct pv_qmp_remote *remote, uint64_t bytes,
                                char sentence[static PV_SENTENCE_BYTES]);
bool pv_ballast_view_set_interval(struct pv_qmp_remote *remote, uint64_t seconds,
                                  char sentence[static PV_SENTENCE_BYTES]);

#endif
