/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the files of the room: remote.c (the device), remote_queues.c (its queues),
 * remote_link.c (whether there is a far side), remote_net.c (what is a network device's own).
 */
#ifndef PV_HOSTED_REMOTE_INTERNAL_H
#define PV_HOSTED_REMOTE_INTERNAL_H

#include "hosted/remote/remote.h"

struct pv_remote;

/* What the types of device differ in. */
struct pv_remote_kind {
	uint16_t id;
	uint16_t config_bytes;
	uint64_t features;         /* of the type: those that the far side may bring in, ... */
	uint64_t own_features;     /* ... and those that it does not hear of */
	uint32_t min_config_bytes; /* that it must have, where the configuration is its; 0: ours */
	/* Taken and given back in order: what was taken last can be taken again. */
	bool is_in_order;
	bool is_stateless; /* nothing but where its queues stand */
};

struct pv_remote_queue {
	struct pv_remote *remote;
	int kick_fd;     /* the transport's, or one of ours */
	int call_fd;     /* the transport's, or -1: then ... */
	int own_call_fd; /* ... this one, and we interrupt by function */
	struct pv_watch *watch;
	bool is_told; /* the far side works on it, or did when it was lost */
};

struct pv_remote {
	struct pv_device device;
	struct pv_device_ops ops;
	struct pv_virtio_ops virtio;
	struct pv_remote_options options;
	const struct pv_remote_kind *kind;
	struct pv_host *host;
	struct pv_loop *control;
	struct pv_far *far;
	struct pv_far_memory memory;
	struct pv_queue *device_queue;
	struct pv_remote_queue *queue;
	uint16_t queues; /* elsewhere */
	bool is_begun;
	bool is_lost;
	bool is_going_on; /* one was lost with queues of ours, and the next is to take them up */

	/* The link. */
	struct pv_watch *watch[2];
	int error_fd; /* a queue has failed over there */
	struct pv_watch *error_watch;
	int timer_fd; /* the next try */
	struct pv_watch *timer_watch;
	uint32_t interval_ms;
	uint32_t config_changes; /* that the driver was told of */

	uint8_t config[VHOST_USER_CONFIG_BYTES];

	/* A network device's. */
	bool is_link_up;
	uint16_t pairs_on; /* as the driver has asked */
};

static inline struct pv_remote *pv_remote_of(const struct pv_device *device)
{
	return (struct pv_remote *)(uintptr_t)device;
}

/* remote.c: logs it, and why. */
void pv_remote_complain(const struct pv_remote *remote, const char *what);
/* Reads the far side's configuration, where it is that. */
int pv_remote_config_fetch(struct pv_remote *remote);

/* remote_queues.c */
int pv_remote_queues_open(struct pv_remote *remote);
void pv_remote_queues_close(struct pv_remote *remote);
int pv_remote_queue_check(struct pv_queue *queue);
/* All that the far side before this one had, to this one. */
int pv_remote_queues_tell_again(struct pv_remote *remote);
/* Can that be done, with nothing lost and nothing done twice? */
bool pv_remote_can_go_on(const struct pv_remote *remote);

/* remote_link.c */
int pv_remote_link_open(struct pv_remote *remote);
void pv_remote_link_close(struct pv_remote *remote);
/* Any of its functions has failed: was it the far side that was lost? */
void pv_remote_look(struct pv_remote *remote);

/* remote_net.c */
void pv_remote_net_config(const struct pv_remote *remote, struct virtio_net_config *config);
uint64_t pv_remote_net_features(const struct pv_remote *remote);
bool pv_remote_net_control_run(struct pv_queue *queue);
/* Is this queue one of a pair that the driver wants? */
bool pv_remote_net_is_on(const struct pv_remote *remote, uint16_t index);

#endif
