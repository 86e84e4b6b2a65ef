/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/couple_move.h"
#include "tests/support/rng_rig.h"

#define MEMORY_BYTES (512u << 10)
#define QUEUE_SIZE   8u
#define UNTOUCHED    0xee
#define STEP_NS      1000000u

/* ---- life ---- */

struct pv_device *rng_rig_make_device(struct rng_rig *rig)
{
	unsigned int which = rig->driver ? !rig->current : rig->current;
	size_t bytes = (pv_rng_bytes() + 63) & ~(size_t)63;

	free(rig->storage[which]);
	rig->storage[which] = aligned_alloc(64, bytes);
	memset(rig->storage[which], 0, bytes);
	return pv_rng_init(rig->storage[which], &rig->couple->port, &rig->source.rng,
	                   &rig->options);
}

static void set_device(struct rng_rig *rig, struct pv_device *device, enum pv_twin_view view)
{
	if (rig->is_on_pci)
		pv_pci_couple_set_device(&rig->pci, device, view, rig->is_transitional);
	else
		pv_couple_set_device(rig->couple, device, view);
}

static void make_driver(struct rng_rig *rig, uint64_t ring_features)
{
	const struct pv_rngdrv_options options = {
		.wanted = (PV_DRIVER_FEATURES & ~PV_RING_BITS) | ring_features,
	};
	struct pv_bus *bus = &rig->couple->bus;

	if (rig->is_on_pci) {
		assert_int_equal(pv_pci_couple_probe(&rig->pci), 0);
		bus = &rig->pci.bus.bus;
	}
	assert_int_equal(bus->device_id, 4);
	assert_int_equal(pv_rngdrv_create(&rig->driver, bus, &rig->couple->os, &options), 0);
	assert_int_equal(pv_rngdrv_features(rig->driver) & PV_RING_BITS, ring_features);
}

void rng_rig_open(struct rng_rig *rig, const struct rng_rig_options *options)
{
	memset(rig, 0, sizeof(*rig));
	rig->random = pv_random_start(pv_random_seed(), options->number);
	rig->couple = &rig->pci.couple;
	rig->is_on_pci = options->is_on_pci;
	rig->is_transitional = options->number % 2;
	rig->options = (struct pv_rng_options){ .max_bytes = options->max_bytes,
		                                .period_ns = options->period_ns,
		                                .queue_size_max = QUEUE_SIZE,
		                                .is_in_order = true };
	pv_stream_source_open(&rig->source, rig->random);
	if (rig->is_on_pci)
		pv_pci_couple_open(&rig->pci, MEMORY_BYTES, rig->random);
	else
		pv_couple_open(rig->couple, MEMORY_BYTES, rig->random);
	set_device(rig, rng_rig_make_device(rig), PV_VIEW_DEVICE);
	for (uint32_t i = 0; i < RNG_RIG_REQUESTS; i++) {
		struct rng_rig_slot *slot = &rig->slot[i];

		slot->buffer = pv_twin_alloc(&rig->couple->twin, RNG_RIG_BUFFER_BYTES, PV_SCATTERED,
		                             200, &rig->random);
		slot->memory = pv_twin_handle(&rig->couple->twin, slot->buffer);
	}
	make_driver(rig, options->ring_features);
}

void rng_rig_close(struct rng_rig *rig)
{
	rig->is_over = true;
	pv_rngdrv_destroy(rig->driver);
	assert_int_equal(rig->out, 0);
	assert_int_equal(pv_device_status(rig->couple->device), 0);
	assert_true(pv_twin_guards_hold(&rig->couple->twin));
	if (rig->is_on_pci)
		pv_pci_couple_close(&rig->pci);
	else
		pv_couple_close(rig->couple);
	free(rig->storage[0]);
	free(rig->storage[1]);
}

/* ---- requests ---- */

static bool is_stretch(const uint8_t *data, uint32_t bytes, uint64_t place)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (data[i] != pv_stream_at(place + i))
			return false;
	return true;
}

/* The stream goes on where it was, or further on where a queue was stopped. */
static void expect_stretch(struct rng_rig *rig, const uint8_t *data, uint32_t bytes)
{
	uint32_t skip = 0;

	while (skip <= rig->may_skip && !is_stretch(data, bytes, rig->place + skip))
		skip++;
	if (skip > rig->may_skip)
		fail_msg("%u bytes are not what the source gave", bytes);
	rig->place += skip + bytes;
}

static void check(struct rng_rig *rig, const struct rng_rig_slot *slot)
{
	const uint32_t bytes = slot->request.random_bytes;
	uint8_t data[RNG_RIG_BUFFER_BYTES];

	assert_in_range(bytes, 1, slot->request.buffer.bytes);
	pv_twin_read(&rig->couple->twin, slot->buffer, data, sizeof(data));
	expect_stretch(rig, data, bytes);
	for (size_t i = rig->is_repeated ? slot->request.buffer.bytes : bytes; i < sizeof(data);
	     i++)
		assert_int_equal(data[i], UNTOUCHED);
	rig->bytes += bytes;
}

static void request_done(struct pv_rngdrv_request *request)
{
	struct rng_rig_slot *slot = (struct rng_rig_slot *)request;
	struct rng_rig *rig = request->arg;

	assert_true(slot->is_out);
	slot->is_out = false;
	rig->out--;
	if (rig->is_over) {
		assert_int_equal(request->random_bytes, 0);
		return;
	}
	assert_int_equal(request->error, 0);
	check(rig, slot);
	rig->done++;
}

static int submit(struct rng_rig *rig, struct rng_rig_slot *slot, uint32_t bytes)
{
	uint8_t before[RNG_RIG_BUFFER_BYTES];
	int error;

	memset(before, UNTOUCHED, sizeof(before));
	pv_twin_write(&rig->couple->twin, slot->buffer, before, sizeof(before));
	slot->request = (struct pv_rngdrv_request){ .buffer = { slot->memory, bytes },
		                                    .done = request_done,
		                                    .arg = rig };
	error = pv_rngdrv_submit(rig->driver, &slot->request);
	if (!error) {
		slot->is_out = true;
		rig->out++;
	}
	return error;
}

void rng_rig_submit(struct rng_rig *rig, uint32_t slot, uint32_t bytes)
{
	assert_int_equal(submit(rig, &rig->slot[slot], bytes), 0);
	pv_rngdrv_publish(rig->driver);
}

/* Memory has its tables when the driver has started. */
void rng_rig_submit_any(struct rng_rig *rig)
{
	struct rng_rig_slot *slot = &rig->slot[pv_random_below(&rig->random, RNG_RIG_REQUESTS)];
	int error;

	if (slot->is_out)
		return;
	error = submit(rig, slot, 1 + pv_random_below(&rig->random, RNG_RIG_BUFFER_BYTES));
	if (error)
		assert_int_equal(error, -PV_ENOSPC);
	if (error || pv_random_chance(&rig->random, 70))
		pv_rngdrv_publish(rig->driver);
}

void rng_rig_settle(struct rng_rig *rig)
{
	pv_rngdrv_publish(rig->driver);
	for (int i = 0; rig->out > 0; i++) {
		assert_in_range(i, 0, 1000000);
		pv_couple_run(rig->couple);
		pv_couple_sleep(rig->couple);
		pv_couple_pass(rig->couple, STEP_NS);
		pv_rngdrv_poll(rig->driver);
	}
}

/* ---- moving ---- */

static void note(void *arg)
{
	*(bool *)arg = true;
}

size_t rng_rig_save(struct rng_rig *rig, uint8_t state[static RNG_RIG_STATE_BYTES],
                    size_t *registers)
{
	struct pv_state_writer to = { .data = state, .capacity = RNG_RIG_STATE_BYTES };
	bool is_paused = false;

	/* Nothing is ever in flight: no lane has to come to an end first. */
	assert_int_equal(
		pv_device_pause(rig->couple->device, (struct pv_waiter){ note, &is_paused }), 0);
	assert_true(is_paused);
	if (rig->is_on_pci)
		pv_virtio_pci_save(&rig->pci.virtio, &to);
	*registers = to.bytes;
	to = (struct pv_state_writer){ .data = state + *registers,
		                       .capacity = RNG_RIG_STATE_BYTES - *registers };
	assert_int_equal(pv_device_save(rig->couple->device, &to), 0);
	return to.bytes;
}

void rng_rig_move(struct rng_rig *rig)
{
	struct pv_device *old = rig->couple->device, *device;
	uint8_t state[RNG_RIG_STATE_BYTES];
	size_t registers, bytes = rng_rig_save(rig, state, &registers);
	struct pv_state_reader from = { .data = state, .bytes = registers };
	enum pv_twin_view view = pv_couple_leave(rig->couple);

	device = rng_rig_make_device(rig);
	rig->current = !rig->current;
	set_device(rig, device, view);
	assert_int_equal(pv_device_load(device, state + registers, bytes), 0);
	pv_couple_forget(rig->couple, old);
	if (rig->is_on_pci) {
		pv_virtio_pci_load(&rig->pci.virtio, &from);
		assert_false(from.is_bad);
	}
	rig->may_skip += RNG_RIG_STOCK_BYTES;
	pv_couple_resume(rig->couple);
}
