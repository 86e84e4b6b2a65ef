/* SPDX-License-Identifier: BSD-2-Clause */
/* A counter of a device's own, by its name. Include after cmocka. */
#ifndef PV_TESTS_COUNTER_H
#define PV_TESTS_COUNTER_H

#include <string.h>

#include "devices/core/device.h"

static inline uint64_t pv_count_of(const struct pv_device *device, uint16_t queue, const char *name)
{
	const struct pv_device_ops *ops = device->ops;
	const struct pv_counter_name *which = ops->counter_names;

	while (which->name && strcmp(which->name, name) != 0)
		which++;
	if (!which->name)
		fail_msg("no counter %s", name);
	return pv_counter_at(ops->queue_counters(device, queue), which);
}

#endif
