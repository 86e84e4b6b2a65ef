/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control commands over a memory balloon.  `balloon` and `query-balloon` are QEMU's, with what the
 * guest is to have as `target` beside what it has, and so is the event BALLOON_CHANGE, told once a
 * second at most: the newest state is always told.  `query-balloon-stats` has all that the guest
 * says of its memory, flat: a member for each statistic that is known, null where the guest does
 * not say it, and a list of those that are not known.  `balloon-stats-interval` says how often to
 * ask.
 */
#ifndef PV_HOSTED_BALLAST_COMMANDS_H
#define PV_HOSTED_BALLAST_COMMANDS_H

#include "hosted/backends/wait.h"
#include "hosted/control/ballast.h"
#include "hosted/control/qmp.h"

/*
 * How the statistics are called, by their tags: as QEMU does where it has them, without "stat-".
 */
extern const char *const pv_ballast_stat_names[VIRTIO_BALLOON_S_KNOWN];

/* In the caller's storage, for as long as the server lives. */
struct pv_ballast_commands {
	struct pv_ballast *ballast;
	struct pv_qmp *qmp; /* NULL: nothing of this is in use */
	struct pv_timer timer;
	bool is_timing;
	uint64_t told; /* how large the balloon was when that was told last */
};

/*
 * Registers the commands, and has the server tell of changes; NULL `qmp`: it does nothing. Returns
 * false with a sentence.
 */
bool pv_ballast_commands_init(struct pv_ballast_commands *commands, struct pv_qmp *qmp,
                              struct pv_loop *control, struct pv_ballast *ballast,
                              char sentence[static PV_SENTENCE_BYTES]);

/* No command comes any more, and the control loop does not run. All zero is as good as that. */
void pv_ballast_commands_fini(struct pv_ballast_commands *commands);

#endif
