/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A remote device (hosted/remote) with its far side and its host, built from command-line options:
 * what a machine puts on a bus when somebody else works on the queues.
 */
#ifndef PV_HOSTED_REMOTE_DEVICE_H
#define PV_HOSTED_REMOTE_DEVICE_H

#include "hosted/control/options.h"
#include "hosted/control/service.h"
#include "hosted/remote/remote.h"

/* Who works on them; the words that the option begins with. */
enum pv_remote_far { PV_REMOTE_VHOST_USER, PV_REMOTE_VHOST_KERNEL };

/* What the keys write. Start with pv_remote_device_defaults(). */
struct pv_remote_device_options {
	unsigned int far;  /* enum pv_remote_far */
	unsigned int type; /* enum pv_remote_type */
	const char *path;  /* of the back-end's socket */
	const char *ifname;
	const char *mac;     /* NULL: a random one */
	uint64_t mtu;        /* PV_OPTION_UNSET: the driver is told of none */
	uint64_t queues;     /* of a network device, pairs */
	uint64_t queue_size; /* PV_OPTION_UNSET: by its type */
	bool reconnects;
};

struct pv_remote_device_options pv_remote_device_defaults(enum pv_remote_type type);

/* Does the value of an option of network devices begin with one of those words? */
bool pv_remote_device_is_meant(const char *text);

/*
 * Takes in the value of an option, FAR[,KEY=VALUE...]. `more` are keys beyond these, or NULL; their
 * offsets count from `options`, which is then the beginning of a larger structure. `text` is
 * changed, and texts point into it. False with a sentence that names `option`.
 */
bool pv_remote_device_parse(const char *option, const struct pv_option *more,
                            struct pv_remote_device_options *options, char *text,
                            char sentence[static PV_SENTENCE_BYTES]);

/* Must the guest's memory be such that another process can be given it? */
bool pv_remote_device_needs_shared_memory(const struct pv_remote_device_options *options);

/* Adds what it needs to the extent of a service. */
void pv_remote_device_extend(struct pv_service_extent *extent,
                             const struct pv_remote_device_options *options);

struct pv_remote_device {
	const char *name;
	bool is_network;
	struct pv_host *host;
	struct pv_remote *remote;
	struct pv_loop *loop; /* the control side's, of all its queues */
	struct pv_device *device;
};

/*
 * Connects, and makes the device and an export of the service of it; `export` has the option that
 * its id is a key of. False with a sentence; nothing is left then.
 */
bool pv_remote_device_open(struct pv_remote_device *device,
                           const struct pv_remote_device_options *options,
                           const struct pv_export_options *export, struct pv_service *service,
                           char sentence[static PV_SENTENCE_BYTES]);

/*
 * Its queues are stopped and no loop runs any more, but the service is there. One that was not
 * opened is all zero, and may be closed.
 */
void pv_remote_device_close(struct pv_remote_device *device);

#endif
