/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio over PCI (virtio 1.3, section 4.1): ids, capabilities and registers. */
#ifndef PV_ABI_VIRTIO_PCI_H
#define PV_ABI_VIRTIO_PCI_H

#include "abi/types.h"

#define VIRTIO_PCI_VENDOR 0x1af4u

/* Device ids: this and the virtio id; transitional devices have others (section 4.1.2.1). */
#define VIRTIO_PCI_DEVICE_BASE         0x1040u
#define VIRTIO_PCI_DEVICE_NET          0x1000u
#define VIRTIO_PCI_DEVICE_BLOCK        0x1001u
#define VIRTIO_PCI_DEVICE_BALLOON      0x1002u
#define VIRTIO_PCI_DEVICE_CONSOLE      0x1003u
#define VIRTIO_PCI_DEVICE_SCSI         0x1004u
#define VIRTIO_PCI_DEVICE_ENTROPY      0x1005u
#define VIRTIO_PCI_REVISION_MODERN     1u
#define VIRTIO_PCI_SUBSYSTEM_ID_MODERN 0x0040u

/* What a capability of a virtio device says where to find (section 4.1.4). */
#define VIRTIO_PCI_CAP_COMMON_CFG 1u
#define VIRTIO_PCI_CAP_NOTIFY_CFG 2u
#define VIRTIO_PCI_CAP_ISR_CFG    3u
#define VIRTIO_PCI_CAP_DEVICE_CFG 4u
#define VIRTIO_PCI_CAP_PCI_CFG    5u

struct virtio_pci_cap {
	uint8_t cap_vndr;
	uint8_t cap_next;
	uint8_t cap_len;
	uint8_t cfg_type;
	uint8_t bar;
	uint8_t id;
	uint8_t padding[2];
	struct pv_le32 offset;
	struct pv_le32 length;
};
PV_SIZE(struct virtio_pci_cap, 16);
PV_AT(struct virtio_pci_cap, cfg_type, 3);
PV_AT(struct virtio_pci_cap, offset, 8);

struct virtio_pci_notify_cap {
	struct virtio_pci_cap cap;
	struct pv_le32 notify_off_multiplier;
};
PV_SIZE(struct virtio_pci_notify_cap, 20);

struct virtio_pci_cfg_cap {
	struct virtio_pci_cap cap;
	uint8_t pci_cfg_data[4];
};
PV_SIZE(struct virtio_pci_cfg_cap, 20);

/* Section 4.1.4.3. */
struct virtio_pci_common_cfg {
	struct pv_le32 device_feature_select;
	struct pv_le32 device_feature;
	struct pv_le32 driver_feature_select;
	struct pv_le32 driver_feature;
	struct pv_le16 config_msix_vector;
	struct pv_le16 num_queues;
	uint8_t device_status;
	uint8_t config_generation;

	struct pv_le16 queue_select;
	struct pv_le16 queue_size;
	struct pv_le16 queue_msix_vector;
	struct pv_le16 queue_enable;
	struct pv_le16 queue_notify_off;
	struct pv_le32 queue_desc[2]; /* low half first */
	struct pv_le32 queue_driver[2];
	struct pv_le32 queue_device[2];
	struct pv_le16 queue_notif_config_data;
	struct pv_le16 queue_reset;
	struct pv_le16 admin_queue_index;
	struct pv_le16 admin_queue_num;
};
PV_SIZE(struct virtio_pci_common_cfg, 64);
PV_AT(struct virtio_pci_common_cfg, config_msix_vector, 16);
PV_AT(struct virtio_pci_common_cfg, device_status, 20);
PV_AT(struct virtio_pci_common_cfg, queue_select, 22);
PV_AT(struct virtio_pci_common_cfg, queue_enable, 28);
PV_AT(struct virtio_pci_common_cfg, queue_desc, 32);
PV_AT(struct virtio_pci_common_cfg, queue_device, 48);
PV_AT(struct virtio_pci_common_cfg, queue_reset, 58);

#define VIRTIO_MSI_NO_VECTOR 0xffffu

#define VIRTIO_PCI_ISR_QUEUE  1u
#define VIRTIO_PCI_ISR_CONFIG 2u

/* The legacy interface: registers at the beginning of BAR 0 (section 4.1.4.10). */
#define VIRTIO_PCI_LEGACY_DEVICE_FEATURES 0u
#define VIRTIO_PCI_LEGACY_DRIVER_FEATURES 4u
#define VIRTIO_PCI_LEGACY_QUEUE_ADDRESS   8u
#define VIRTIO_PCI_LEGACY_QUEUE_SIZE      12u
#define VIRTIO_PCI_LEGACY_QUEUE_SELECT    14u
#define VIRTIO_PCI_LEGACY_QUEUE_NOTIFY    16u
#define VIRTIO_PCI_LEGACY_DEVICE_STATUS   18u
#define VIRTIO_PCI_LEGACY_ISR_STATUS      19u
#define VIRTIO_PCI_LEGACY_CONFIG_VECTOR   20u /* this and the next only with MSI-X enabled */
#define VIRTIO_PCI_LEGACY_QUEUE_VECTOR    22u
#define VIRTIO_PCI_LEGACY_CONFIG          20u /* of the device type: without MSI-X, ... */
#define VIRTIO_PCI_LEGACY_CONFIG_MSIX     24u /* ... and with */

#define VIRTIO_PCI_LEGACY_PAGE_BYTES 4096u

#endif
