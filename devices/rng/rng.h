/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio entropy device (virtio 1.3, section 5.4) on a source of random bytes, at a rate that
 * may be limited.
 *
 * "The device MUST place one or more random bytes into the buffer": so a chain is taken only when
 * there is a byte for it.  While the budget is used up, or the source has nothing, chains stay on
 * the ring and a timer of the port has the queue look again.  Nothing is ever held: such a queue
 * stops, is reset and is saved like one that has nothing to do.
 */
#ifndef PV_DEVICES_RNG_H
#define PV_DEVICES_RNG_H

#include "abi/linkage.h"
#include "devices/core/device.h"
#include "devices/rng/source.h"

PV_PUBLIC_BEGIN

struct pv_rng_options {
	/*
	 * The guest gets at most `max_bytes` in any `period_ns`, counted from the first byte on; 0:
	 * there is no limit. A reset does not give it more. `period_ns` is at most 2^62.
	 */
	uint64_t max_bytes;
	uint64_t period_ns;
	uint16_t queue_size_max;
	bool is_in_order; /* offer IN_ORDER */
	bool no_packed;   /* do not offer RING_PACKED */
};

/* Bytes of storage that pv_rng_init() needs, cache-line aligned. */
size_t pv_rng_bytes(void);

/*
 * An entropy device on the caller's zeroed storage. `port`, which must have a timer, and `source`
 * must outlive it. Returns the device's common part, which everything else goes through.
 */
struct pv_device *pv_rng_init(void *storage, struct pv_port *port, struct pv_rng_source *source,
                              const struct pv_rng_options *options);

PV_PUBLIC_END

#endif
