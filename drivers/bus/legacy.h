/* SPDX-License-Identifier: BSD-2-Clause */
/* What legacy devices have in common on all buses: where they look for a queue's areas. */
#ifndef PV_DRIVERS_BUS_LEGACY_H
#define PV_DRIVERS_BUS_LEGACY_H

#include "drivers/core/bus.h"

/* Such a device has the byte order of its machine (section 2.4.3): this one is known here. */
#define PV_LEGACY_IS_KNOWN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/*
 * The page by which a legacy device finds a queue (section 2.7.2), in `*page`. False: the areas are
 * not where it will look for them, and it must be given none.
 */
bool pv_legacy_page(const struct pv_bus_queue *queue, uint32_t *page);

#endif
