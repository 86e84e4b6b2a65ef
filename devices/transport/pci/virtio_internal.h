/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the virtio function have of each other. */
#ifndef PV_DEVICES_PCI_VIRTIO_INTERNAL_H
#define PV_DEVICES_PCI_VIRTIO_INTERNAL_H

#include "devices/transport/pci/virtio.h"

/* Regions of BAR MODERN. */
#define COMMON_AT     0x0000u
#define ISR_AT        0x1000u
#define DEVICE_AT     0x2000u
#define NOTIFY_AT     0x3000u
#define REGION_BYTES  0x1000u
#define MODERN_BYTES  0x4000u
#define NOTIFY_STRIDE 4u

#define LEGACY_BYTES 256u

/* virtio.c */
uint16_t pv_virtio_pci_vector_checked(const struct pv_virtio_pci *virtio, uint64_t vector);
/* Of the selected queue. */
uint16_t pv_virtio_pci_queue_vector(const struct pv_virtio_pci *virtio);
void pv_virtio_pci_queue_vector_set(struct pv_virtio_pci *virtio, uint64_t vector);

/* virtio_common.c */
uint64_t pv_virtio_pci_common_read(const struct pv_virtio_pci *virtio, uint32_t offset,
                                   unsigned int bytes);
void pv_virtio_pci_common_write(struct pv_virtio_pci *virtio, uint32_t offset, unsigned int bytes,
                                uint64_t value);

/* virtio_legacy.c */
uint64_t pv_virtio_pci_legacy_read(struct pv_virtio_pci *virtio, uint32_t offset,
                                   unsigned int bytes);
void pv_virtio_pci_legacy_write(struct pv_virtio_pci *virtio, uint32_t offset, unsigned int bytes,
                                uint64_t value);

#endif
