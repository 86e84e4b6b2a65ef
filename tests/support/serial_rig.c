/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/serial_rig.h"

#define RUNS_MAX 10000

/* ---- birth and death ---- */

static void guest_changed(void *arg, uint16_t port, bool is_open)
{
	struct serial_rig *rig = arg;

	rig->guest_changes++;
	snprintf(rig->guest_change, sizeof(rig->guest_change), "%u %s", port,
	         is_open ? "open" : "closed");
}

static void make_device(struct serial_rig *rig)
{
	void *storage = device_rig_storage(&rig->base, pv_serial_bytes(&rig->options));

	rig->device = pv_serial_init(storage, &rig->base.port, &rig->options);
	device_rig_set_device(&rig->base, rig->device);
}

#define WAITS 10

/* No more than it needs: a lane may have something to do for ever. */
static void run(struct device_rig *base, const bool *until)
{
	for (int i = 0; i < WAITS && !*until; i++)
		serial_rig_run_once((struct serial_rig *)base);
}

void serial_rig_open(struct serial_rig *rig, const struct pv_serial_options *options)
{
	const struct device_rig_shape shape = { .queues = pv_serial_queues(options),
		                                .area_bytes = SERIAL_RIG_AREA_BYTES,
		                                .crumbs = SERIAL_RIG_CRUMBS };

	*rig = (struct serial_rig){ .options = *options };
	device_rig_open(&rig->base, &shape, run);
	rig->options.queue_size_max = DEVICE_RIG_SIZE;
	rig->options.is_in_order = true;
	rig->options.guest_changed = guest_changed;
	rig->options.arg = rig;
	rig->random = pv_random_start(pv_random_seed(), options->ports_max);
	for (uint32_t i = 0; i < SERIAL_RIG_LINES; i++)
		pv_memory_line_open(&rig->line[i]);
	make_device(rig);
}

void serial_rig_close(struct serial_rig *rig)
{
	for (int i = 0; i < 2; i++) {
		pv_device_reset(rig->device, (struct pv_waiter){ 0 });
		serial_rig_run(rig);
	}
	device_rig_close(&rig->base);
	for (uint32_t i = 0; i < SERIAL_RIG_LINES; i++)
		pv_memory_line_close(&rig->line[i]);
}

void serial_rig_add(struct serial_rig *rig, uint16_t index, uint32_t line, const char *name,
                    bool is_console)
{
	const struct pv_serial_port port = { .line = &rig->line[line].line,
		                             .name = name,
		                             .is_console = is_console };

	assert_int_equal(pv_serial_add_port(rig->device, index, &port), 0);
}

static void was_removed(void *arg)
{
	((struct serial_rig *)arg)->removals++;
}

void serial_rig_remove(struct serial_rig *rig, uint16_t index)
{
	assert_int_equal(pv_serial_remove_port(rig->device, index,
	                                       (struct pv_waiter){ was_removed, rig }),
	                 0);
}

/* ---- queues ---- */

void serial_rig_start(struct serial_rig *rig, uint64_t features)
{
	uint16_t queues = rig->device->queues;

	device_rig_negotiate(&rig->base, features | VIRTIO_F_VERSION_1);
	if (!(rig->base.features & VIRTIO_CONSOLE_F_MULTIPORT))
		queues = CONTROL_RX;
	for (uint16_t i = 0; i < queues; i++)
		assert_int_equal(device_rig_start_queue(&rig->base, i), 0);
}

void serial_rig_answer(struct serial_rig *rig)
{
	for (uint16_t i = 0; i < rig->device->queues; i++)
		device_rig_answer(&rig->base, i);
}

bool serial_rig_run_once(struct serial_rig *rig)
{
	bool has_worked = false;

	for (uint16_t i = 0; i < rig->device->queues; i++) {
		if (!rig->base.queue[i].is_attached)
			continue;
		has_worked |= pv_queue_run(&rig->device->queue[i]);
		has_worked |= device_rig_answer(&rig->base, i);
	}
	return has_worked;
}

void serial_rig_run(struct serial_rig *rig)
{
	int runs = 0;

	while (serial_rig_run_once(rig))
		assert_in_range(++runs, 0, RUNS_MAX);
}

void serial_rig_replace(struct serial_rig *rig, void (*add)(struct serial_rig *rig))
{
	void *before = device_rig_abandon(&rig->base);

	for (uint32_t i = 0; i < SERIAL_RIG_LINES; i++)
		rig->line[i].line.user = NULL;
	make_device(rig);
	add(rig);
	free(before);
}

void serial_rig_move(struct serial_rig *rig, void (*add)(struct serial_rig *rig))
{
	uint8_t *state;
	size_t bytes;

	device_rig_pause(&rig->base);
	state = device_rig_save(&rig->base, &bytes);
	serial_rig_replace(rig, add);
	device_rig_resume(&rig->base, state, bytes);
}
