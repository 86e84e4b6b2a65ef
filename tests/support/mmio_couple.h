/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A couple (couple.h) with MMIO between driver and device: the driver's bus is our MMIO bus, its
 * registers are those of our transport, and this is what lies between the two.
 */
#ifndef PV_TESTS_MMIO_COUPLE_H
#define PV_TESTS_MMIO_COUPLE_H

#include "devices/transport/mmio/virtio.h"
#include "drivers/bus/mmio.h"
#include "tests/support/couple.h"

#define PV_MMIO_COUPLE_VENDOR 0x54534554u

/* A queue that a legacy driver has placed. */
struct pv_mmio_couple_queue {
	uint32_t size, align, page;
};

struct pv_mmio_couple {
	struct pv_couple couple;
	struct pv_virtio_mmio mmio;
	struct pv_mmio_port port;
	struct pv_mmio_bus bus;
	void *storage;
	bool is_line_high;
	uint32_t raised; /* times that the line went up */
	uint32_t waits;
	bool has_notification_data; /* for the test to set before there is a device */
	struct pv_couple_kick last_kick;
	uint32_t selected;
	struct pv_mmio_couple_queue placed[PV_COUPLE_QUEUES]; /* and not told yet; page 0: none */
};

/* The device comes next: its port is `mmio->couple.port`. */
void pv_mmio_couple_open(struct pv_mmio_couple *mmio, size_t memory_bytes, struct pv_random random);
void pv_mmio_couple_close(struct pv_mmio_couple *mmio);

/* Makes the registers for a device, or for the one that takes over; the driver's end is not
 * touched. */
void pv_mmio_couple_set_device(struct pv_mmio_couple *mmio, struct pv_device *device,
                               enum pv_twin_view view, bool is_legacy);

/* The driver's bus finds the device: `mmio->bus.bus` from here on. Returns what that says. */
int pv_mmio_couple_probe(struct pv_mmio_couple *mmio);

#endif
