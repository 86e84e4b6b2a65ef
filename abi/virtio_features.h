/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feature bits that belong to no device type (virtio 1.3, section 6) and the bits of the device
 * status (section 2.1).  Bits 24 to 41 are the transport's and the queue's; bits 0 to 23 and from
 * 50 on belong to the device type.
 */
#ifndef PV_ABI_VIRTIO_FEATURES_H
#define PV_ABI_VIRTIO_FEATURES_H

#define VIRTIO_F_BIT(n) (1ull << (n))

#define VIRTIO_F_ANY_LAYOUT        VIRTIO_F_BIT(27) /* legacy */
#define VIRTIO_F_INDIRECT_DESC     VIRTIO_F_BIT(28)
#define VIRTIO_F_EVENT_IDX         VIRTIO_F_BIT(29)
#define VIRTIO_F_VERSION_1         VIRTIO_F_BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM   VIRTIO_F_BIT(33)
#define VIRTIO_F_RING_PACKED       VIRTIO_F_BIT(34)
#define VIRTIO_F_IN_ORDER          VIRTIO_F_BIT(35)
#define VIRTIO_F_NOTIFICATION_DATA VIRTIO_F_BIT(38)
#define VIRTIO_F_RING_RESET        VIRTIO_F_BIT(40)

#define VIRTIO_STATUS_ACKNOWLEDGE 0x01u
#define VIRTIO_STATUS_DRIVER      0x02u
#define VIRTIO_STATUS_DRIVER_OK   0x04u
#define VIRTIO_STATUS_FEATURES_OK 0x08u
#define VIRTIO_STATUS_NEEDS_RESET 0x40u
#define VIRTIO_STATUS_FAILED      0x80u

#endif
