/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An entropy device with its source, the kernel, and its host, built from command-line options:
 * what `serve rng` puts behind a socket, and a machine on a bus.
 */
#ifndef PV_HOSTED_ENTROPY_H
#define PV_HOSTED_ENTROPY_H

#include "hosted/control/options.h"
#include "hosted/control/service.h"

/* What the options write. Start with PV_ENTROPY_DEFAULTS. */
struct pv_entropy_options {
	uint64_t max_bytes; /* PV_OPTION_UNSET, both: as many as the guest likes */
	uint64_t period_ms;
};

#define PV_ENTROPY_DEFAULTS                                                                        \
	{                                                                                          \
		.max_bytes = PV_OPTION_UNSET, .period_ms = PV_OPTION_UNSET                         \
	}

extern const struct pv_option_group pv_entropy_option_group;

/*
 * Takes in the value of an option of the form on|off[,KEY=VALUE...], with the keys of the group.
 * `text` is changed. False with a sentence that names `option`.
 */
bool pv_entropy_parse(const char *option, struct pv_entropy_options *options, bool *is_on,
                      char *text, char sentence[static PV_SENTENCE_BYTES]);

/* What to add to the extent of a service for it. */
#define PV_ENTROPY_KIND   "rng"
#define PV_ENTROPY_QUEUES 1u

struct pv_entropy {
	struct pv_host *host;
	struct pv_device *device;
	void *storage; /* the device's */
};

/*
 * Makes the device and an export of the service of it. Returns false with a sentence; nothing is
 * left then.
 */
bool pv_entropy_open(struct pv_entropy *entropy, const struct pv_entropy_options *options,
                     const struct pv_export_options *export, struct pv_service *service,
                     char sentence[static PV_SENTENCE_BYTES]);

/*
 * Its queue is stopped; the service's loops may have gone, the service not. One that was not opened
 * is all zero, and may be closed.
 */
void pv_entropy_close(struct pv_entropy *entropy);

#endif
