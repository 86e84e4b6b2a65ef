/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MMIO registers in front of a device on a host, and the driver's bus behind them: what a monitor
 * has, without a processor.  The test is the control side.  Include after cmocka.
 */
#ifndef PV_TESTS_MMIO_FRONT_H
#define PV_TESTS_MMIO_FRONT_H

#include "devices/transport/mmio/virtio.h"
#include "drivers/bus/mmio.h"
#include "hosted/loop/host.h"

#define MMIO_FRONT_QUEUES_MAX 8u

struct mmio_front {
	struct pv_virtio_mmio mmio;
	struct pv_mmio_port port;
	struct pv_mmio_bus bus; /* the driver's; its `bus` */
	struct pv_host *host;
	uint16_t queues;
	void *storage;
	int kick[MMIO_FRONT_QUEUES_MAX];
	uint32_t calls;          /* of the line, when it has to be raised; any thread counts */
	void (*turn)(void *arg); /* the control side goes on */
	void *arg;
};

/* The device has its memory, and outlives the front. `turn` is one iteration of the control loop.
 */
void mmio_front_open(struct mmio_front *front, struct pv_host *host, struct pv_device *device,
                     void (*turn)(void *arg), void *arg);
void mmio_front_close(struct mmio_front *front);

#endif
