/* SPDX-License-Identifier: BSD-2-Clause */
/* Within devices/core: the steps of a queue's life that loading a state takes too. */
#ifndef PV_DEVICES_LIFECYCLE_H
#define PV_DEVICES_LIFECYCLE_H

#include "devices/core/device.h"

/* Builds the ring and the device's part of an idle, described queue: ready to be attached. */
int pv_queue_prepare(struct pv_queue *queue);

/* A quiet queue becomes idle: what it held fails, and the driver sees that. */
void pv_queue_finish(struct pv_queue *queue);

#endif
