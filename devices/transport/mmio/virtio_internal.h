/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the MMIO transport have of each other. */
#ifndef PV_DEVICES_MMIO_VIRTIO_INTERNAL_H
#define PV_DEVICES_MMIO_VIRTIO_INTERNAL_H

#include "devices/transport/mmio/virtio.h"

/* Where a driver says nothing of it. */
#define LEGACY_ALIGN_DEFAULT 4096u

static inline bool pv_virtio_mmio_is_power_or_0(uint32_t value)
{
	return (value & (value - 1)) == 0;
}

/* The registers that only one version has: virtio_modern.c, virtio_legacy.c. */
uint32_t pv_virtio_mmio_modern_read(const struct pv_virtio_mmio *mmio, uint32_t offset);
void pv_virtio_mmio_modern_write(struct pv_virtio_mmio *mmio, uint32_t offset, uint32_t value);
uint32_t pv_virtio_mmio_legacy_read(const struct pv_virtio_mmio *mmio, uint32_t offset);
void pv_virtio_mmio_legacy_write(struct pv_virtio_mmio *mmio, uint32_t offset, uint32_t value);

#endif
