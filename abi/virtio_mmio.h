/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio over MMIO (virtio 1.3, section 4.2): registers, all of 32 bits, little-endian. */
#ifndef PV_ABI_VIRTIO_MMIO_H
#define PV_ABI_VIRTIO_MMIO_H

#define VIRTIO_MMIO_MAGIC_VALUE         0x000u
#define VIRTIO_MMIO_VERSION             0x004u
#define VIRTIO_MMIO_DEVICE_ID           0x008u
#define VIRTIO_MMIO_VENDOR_ID           0x00cu
#define VIRTIO_MMIO_DEVICE_FEATURES     0x010u
#define VIRTIO_MMIO_DEVICE_FEATURES_SEL 0x014u
#define VIRTIO_MMIO_DRIVER_FEATURES     0x020u
#define VIRTIO_MMIO_DRIVER_FEATURES_SEL 0x024u
#define VIRTIO_MMIO_QUEUE_SEL           0x030u
#define VIRTIO_MMIO_QUEUE_SIZE_MAX      0x034u
#define VIRTIO_MMIO_QUEUE_SIZE          0x038u
#define VIRTIO_MMIO_QUEUE_READY         0x044u
#define VIRTIO_MMIO_QUEUE_NOTIFY        0x050u
#define VIRTIO_MMIO_INTERRUPT_STATUS    0x060u
#define VIRTIO_MMIO_INTERRUPT_ACK       0x064u
#define VIRTIO_MMIO_STATUS              0x070u
#define VIRTIO_MMIO_QUEUE_DESC_LOW      0x080u
#define VIRTIO_MMIO_QUEUE_DESC_HIGH     0x084u
#define VIRTIO_MMIO_QUEUE_DRIVER_LOW    0x090u
#define VIRTIO_MMIO_QUEUE_DRIVER_HIGH   0x094u
#define VIRTIO_MMIO_QUEUE_DEVICE_LOW    0x0a0u
#define VIRTIO_MMIO_QUEUE_DEVICE_HIGH   0x0a4u
#define VIRTIO_MMIO_SHM_SEL             0x0acu
#define VIRTIO_MMIO_SHM_LEN_LOW         0x0b0u
#define VIRTIO_MMIO_SHM_LEN_HIGH        0x0b4u
#define VIRTIO_MMIO_SHM_BASE_LOW        0x0b8u
#define VIRTIO_MMIO_SHM_BASE_HIGH       0x0bcu
#define VIRTIO_MMIO_QUEUE_RESET         0x0c0u
#define VIRTIO_MMIO_CONFIG_GENERATION   0x0fcu
#define VIRTIO_MMIO_CONFIG              0x100u /* of the device type, any width */

/* The legacy interface has these besides (section 4.2.4), and nothing from QUEUE_DESC_LOW on. */
#define VIRTIO_MMIO_LEGACY_GUEST_PAGE_SIZE 0x028u
#define VIRTIO_MMIO_LEGACY_QUEUE_ALIGN     0x03cu
#define VIRTIO_MMIO_LEGACY_QUEUE_PFN       0x040u

#define VIRTIO_MMIO_MAGIC          0x74726976u /* "virt" */
#define VIRTIO_MMIO_VERSION_MODERN 2u
#define VIRTIO_MMIO_VERSION_LEGACY 1u

/* Bits of the interrupt's status and acknowledgement. */
#define VIRTIO_MMIO_INT_QUEUE  1u
#define VIRTIO_MMIO_INT_CONFIG 2u

#endif
