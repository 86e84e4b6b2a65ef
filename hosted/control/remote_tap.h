/* SPDX-License-Identifier: BSD-2-Clause */
/* The ends of a tap interface, and of the kernel's vhost, for a device that the kernel serves. */
#ifndef PV_HOSTED_REMOTE_TAP_H
#define PV_HOSTED_REMOTE_TAP_H

#include <stdint.h>

#include "hosted/control/sentence.h"
#include "hosted/remote/far.h"

/*
 * Opens both for so many pairs of queues and makes the far side of them. `ifname` NULL: an
 * interface of the kernel's naming. False with a sentence; nothing is left then.
 */
bool pv_remote_tap_open(struct pv_far **far, const char *ifname, uint16_t pairs,
                        char sentence[static PV_SENTENCE_BYTES]);

#endif
