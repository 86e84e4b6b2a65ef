/* SPDX-License-Identifier: BSD-2-Clause */
/* Device ids (virtio 1.3, section 5). */
#ifndef PV_ABI_VIRTIO_IDS_H
#define PV_ABI_VIRTIO_IDS_H

#define VIRTIO_ID_NET     1u
#define VIRTIO_ID_BLOCK   2u
#define VIRTIO_ID_CONSOLE 3u
#define VIRTIO_ID_ENTROPY 4u
#define VIRTIO_ID_BALLOON 5u

#endif
