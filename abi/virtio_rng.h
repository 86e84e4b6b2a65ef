/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entropy device (virtio 1.3, section 5.4): one queue of buffers for the device to fill, no
 * feature bits and no configuration.
 */
#ifndef PV_ABI_VIRTIO_RNG_H
#define PV_ABI_VIRTIO_RNG_H

#define VIRTIO_RNG_REQUESTQ 0u
#define VIRTIO_RNG_QUEUES   1u

#endif
