/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a driver reaches its device, whatever lies between: PCI, MMIO, or a vhost-user socket.
 *
 * The functions are those of the specification's transports (virtio 1.3, section 4), with their
 * differences taken out.  Where a transport can fail, the function returns 0 or a negative
 * enum pv_err.
 */
#ifndef PV_DRIVERS_BUS_H
#define PV_DRIVERS_BUS_H

#include <stdbool.h>

#include "abi/types.h"
#include "abi/virtio_features.h"

/* The areas of a queue, as the device will see them. */
struct pv_bus_queue {
	uint16_t size;
	struct pv_gpa desc_area;
	struct pv_gpa driver_area;
	struct pv_gpa device_area;
};

struct pv_bus;

struct pv_bus_ops {
	int (*features_get)(struct pv_bus *bus, uint64_t *features);
	int (*features_set)(struct pv_bus *bus, uint64_t features);

	int (*status_get)(struct pv_bus *bus, uint8_t *status);
	/* Zero resets; it has happened when the status reads zero. */
	int (*status_set)(struct pv_bus *bus, uint8_t status);

	int (*config_read)(struct pv_bus *bus, uint32_t offset, void *to, uint32_t bytes);
	int (*config_write)(struct pv_bus *bus, uint32_t offset, const void *from, uint32_t bytes);
	/* Changes whenever the configuration does. */
	int (*config_generation)(struct pv_bus *bus, uint32_t *generation);

	/* The largest size of a queue; 0 for a queue that does not exist. */
	int (*queue_size_max)(struct pv_bus *bus, uint16_t index, uint16_t *size);
	/* The queue works from here on, once DRIVER_OK is set. */
	int (*queue_enable)(struct pv_bus *bus, uint16_t index, const struct pv_bus_queue *queue);
	/*
	 * Takes one queue back from the device; it may be enabled anew. -PV_ENOTSUP if it cannot.
	 */
	int (*queue_reset)(struct pv_bus *bus, uint16_t index);

	/*
	 * Tells the device that there are new buffers, and, where NOTIFICATION_DATA was negotiated,
	 * where the next ones will be (section 2.9): pv_drv_ring_next().
	 */
	void (*kick)(struct pv_bus *bus, uint16_t index, uint16_t next);
};

/*
 * A legacy device (section 1.3.1) knows no VERSION_1 and no FEATURES_OK, and finds a queue by the
 * page that it begins at, its used ring on a page of its own (section 2.7.2).
 */
#define PV_BUS_LEGACY_PAGE_BYTES 4096u

struct pv_bus {
	const struct pv_bus_ops *ops;
	uint16_t device_id;
	bool is_legacy;
	bool has_fixed_queue_sizes; /* each queue is as large as the device says, or not used */
	bool has_room_in_kicks;     /* they can carry NOTIFICATION_DATA */
};

#endif
