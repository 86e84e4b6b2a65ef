/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors of the freestanding rooms: functions return 0 or one of these negated.  And the one
 * assertion of the house, for our own mistakes only: what a peer wrote is never asserted on.
 */
#ifndef PV_RING_ERR_H
#define PV_RING_ERR_H

enum pv_err {
	PV_EINVAL = 1, /* an argument that makes no sense */
	PV_EALIGN,     /* an address off its alignment */
	PV_EFAULT,     /* an address that no memory stands behind */
	PV_ENOSPC,     /* no room: ring full, buffer too small */
	PV_ENOMEM,     /* the host gave no memory */
	PV_EBUSY,      /* not while it runs */
	PV_ELOCKED,    /* somebody else uses it, perhaps not for long */
	PV_EFEATURES,  /* a combination of features that cannot be had */
	PV_ENOTSUP,    /* known, but not by this device */
	PV_ESTATE,     /* saved state that is damaged, newer, or of another device */
	PV_EBROKEN,    /* the peer broke the rules; only a reset helps */
	PV_EIO,        /* the peer or the host failed at it */
	PV_ETIMEDOUT,  /* the peer did not answer in time */
};

/* Always on. Stops the process where going on would act on a state that cannot be. */
#define pv_bug_on(condition)                                                                       \
	do {                                                                                       \
		if (__builtin_expect(!!(condition), 0))                                            \
			__builtin_trap();                                                          \
	} while (0)

#endif
