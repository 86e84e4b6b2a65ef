/* SPDX-License-Identifier: BSD-2-Clause */
/* What rings can be: sets of feature bits, for tests that try each. */
#ifndef PV_TESTS_RING_KINDS_H
#define PV_TESTS_RING_KINDS_H

#include <stddef.h>
#include <stdint.h>

#include "abi/virtio_features.h"

/* All that a set says yes or no to. */
#define PV_RING_BITS                                                                               \
	(VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER)

#define PV_RING_KINDS 8

extern const uint64_t pv_ring_kind[PV_RING_KINDS];

#endif
