/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A remote device: one whose queues are served elsewhere, by a vhost-user back-end or by the
 * kernel, with the operations of devices/core, so that a transport cannot tell the difference.
 * docs/concepts/remote.md is the page to read first.
 *
 * What the guest's driver says goes to the far side (far.h) when its queues start; from then on its
 * kicks go to the far side's eventfds, and interrupts from there to the transport's, with nobody in
 * between.  All here is for the control side.  It waits for the far side's answers, each no longer
 * than agreed on; a far side that is gone, late or wrong costs the device, never the monitor.
 */
#ifndef PV_HOSTED_REMOTE_H
#define PV_HOSTED_REMOTE_H

#include "abi/virtio_net.h"
#include "devices/core/device.h"
#include "hosted/loop/host.h"
#include "hosted/remote/far.h"

enum pv_remote_type { PV_REMOTE_RNG, PV_REMOTE_BLK, PV_REMOTE_NET };

/* What a network device is to its driver, beside what the far side makes of it. */
struct pv_remote_net_options {
	uint8_t mac[VIRTIO_NET_MAC_BYTES];
	uint16_t mtu;   /* 0: the driver is told of none */
	uint16_t pairs; /* of queues; with more than one there is a control queue, which is ours */
};

struct pv_remote_options {
	enum pv_remote_type type;
	uint16_t queues; /* at most; of a network device its pairs say it */
	uint16_t queue_size_max;
	struct pv_remote_net_options net;
	/* When the far side is lost: tries again, at longer and longer intervals. */
	bool reconnects;
	uint32_t reconnect_ms_min; /* the first of these; 0: 100 */
};

struct pv_remote;

/* How many of them a far side is given at most: what it is to keep account of. */
uint16_t pv_remote_queues_wanted(const struct pv_remote_options *options);

/* How many queues such a device has, of which the first are elsewhere. */
uint16_t pv_remote_queues(const struct pv_remote_options *options, const struct pv_far *far);

/*
 * Makes the device. `host` was made for that many queues, on the control loop `control`. The far
 * side is taken over on success. Returns 0, or -errno with a sentence.
 */
int pv_remote_create(struct pv_remote **remote, const struct pv_remote_options *options,
                     struct pv_far *far, struct pv_host *host, struct pv_loop *control,
                     char sentence[static PV_FAR_SENTENCE_BYTES]);

/* No queue runs. Before the host goes; the control loop does not run any more. */
void pv_remote_destroy(struct pv_remote *remote);

struct pv_device *pv_remote_device(struct pv_remote *remote);

/*
 * Before a queue starts: the file that the memory of pv_device_mem_set() lies in, and where it is
 * mapped. The descriptor stays the caller's, and open.
 */
void pv_remote_set_memory(struct pv_remote *remote, int fd, const uint8_t *base);

/*
 * The device's state is only where its queues stand: what is the far side's own is not moved.
 * False with a sentence for one whose far side may have more than that.
 */
bool pv_remote_can_be_saved(const struct pv_remote *remote,
                            char sentence[static PV_FAR_SENTENCE_BYTES]);

/* Of a network device: the cable. The driver is told. */
void pv_remote_set_link(struct pv_remote *remote, bool is_up);

/* Is there a far side at present? */
bool pv_remote_is_connected(const struct pv_remote *remote);

#endif
