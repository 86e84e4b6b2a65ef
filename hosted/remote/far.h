/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The far side: who works on the queues of a remote device, behind one table of functions for a
 * vhost-user back-end and for the kernel's vhost.
 *
 * A far side is *begun* with the features that the driver accepted and the guest's memory; then its
 * queues are started and stopped one by one, and a reset takes it back to where it can be begun.
 * It may be gone at any time, and then every function says so at once; no function waits longer
 * than the time agreed on at creation.  Errors are -errno, with a sentence.  All of it is for the
 * control side.
 */
#ifndef PV_HOSTED_REMOTE_FAR_H
#define PV_HOSTED_REMOTE_FAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hosted/vhost_user/frontend.h"
#include "ring/mem.h"

#define PV_FAR_SENTENCE_BYTES 256

/* Memory that a far side can be given: a table, whose regions lie in one file. */
struct pv_far_memory {
	const struct pv_mem *table;
	int fd;              /* of the file; -1 where there is none */
	const uint8_t *base; /* where its first byte is mapped */
};

struct pv_far;

struct pv_far_ops {
	void (*destroy)(struct pv_far *far);

	/*
	 * Features and memory, before the first queue; `is_again` after a reconnection that is to
	 * go on with what the one before had in flight.
	 */
	int (*begin)(struct pv_far *far, uint64_t features, const struct pv_far_memory *memory,
	             bool is_again);
	int (*queue_start)(struct pv_far *far, uint16_t index, const struct pv_vhu_vring *vring);
	int (*queue_stop)(struct pv_far *far, uint16_t index, uint32_t *base);
	int (*queue_call)(struct pv_far *far, uint16_t index, int fd);

	/* A queue that was started is worked on, or is not. */
	int (*queue_enable)(struct pv_far *far, uint16_t index, bool is_enabled);

	/* All queues are stopped: it is as at the beginning. */
	int (*reset)(struct pv_far *far);

	/* From the beginning on. NULL, both: it has none. */
	int (*config_get)(struct pv_far *far, void *to, uint32_t bytes);
	int (*config_set)(struct pv_far *far, uint32_t offset, const void *from, uint32_t bytes);

	/* Has it left, as far as can be seen? Takes in what it has sent by itself. */
	bool (*is_gone)(struct pv_far *far);
	/* How often it has said that its configuration changed. */
	uint32_t (*config_changes)(const struct pv_far *far);
	/* What to wait on for either; -1: nothing. */
	void (*descriptors)(const struct pv_far *far, int fd[2]);

	/* Connects anew to one like the one that is gone. NULL: it cannot be. */
	int (*reconnect)(struct pv_far *far);
	/* Would such a one know what the one before had in flight? */
	bool (*has_account)(const struct pv_far *far);

	/* Why the last function failed. */
	const char *(*error)(const struct pv_far *far);
};

struct pv_far {
	const struct pv_far_ops *ops;
	uint64_t features; /* that it offers, without those of vhost itself */
	uint16_t queues;   /* as it counts them: of a network device, pairs */
};

struct pv_far_vhost_user_options {
	const char *path; /* outlives it; or NULL ... */
	int fd;           /* ... for a connected socket, taken over on success: no reconnection */
	uint32_t timeout_ms; /* for each answer; 0: 5000 */
	uint16_t queues;     /* at most so many will be started, ... */
	uint16_t queue_size; /* ... of so many places: for the account of what is in flight */
};

/* Returns 0, or -errno with a sentence. */
int pv_far_vhost_user_create(struct pv_far **far, const struct pv_far_vhost_user_options *options,
                             char sentence[static PV_FAR_SENTENCE_BYTES]);

/*
 * The kernel's network device (/dev/vhost-net) for each of `pairs` queues of a tap device; all
 * descriptors are taken over on success.
 */
struct pv_far_vhost_net_options {
	const int *tap_fd;   /* of each pair, with a header for each frame */
	const int *vhost_fd; /* the same: open /dev/vhost-net */
	uint16_t pairs;
};

int pv_far_vhost_net_create(struct pv_far **far, const struct pv_far_vhost_net_options *options,
                            char sentence[static PV_FAR_SENTENCE_BYTES]);

#endif
