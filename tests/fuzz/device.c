/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/device.h"

#include "ring/err.h"
#include "tests/fuzz/moved.h"

#define RINGS_GPA FUZZ_HIGH_GPA

/* Of features, those of the ring. */
#define RING_FEATURES 0xff0000000ull

struct fuzz_host *fuzz_device_host(struct fuzz_device *device)
{
	return &device->host[device->current];
}

static uint8_t *ring_of(struct fuzz_device *device, uint16_t queue)
{
	return device->memory.host[2] + queue * FUZZ_PUT_BYTES;
}

static void negotiate(const struct fuzz_device *device, struct pv_device *with)
{
	const uint64_t features = pv_device_features(with) & ~device->refused;
	const uint64_t least = features & (RING_FEATURES | VIRTIO_F_VERSION_1);

	if (pv_device_features_set(with, features))
		pv_bug_on(!device->is_wild || pv_device_features_set(with, least));
}

static void start(struct fuzz_device *device)
{
	struct pv_device *started = fuzz_device_host(device)->device;

	negotiate(device, started);
	pv_device_status_set(started, 0xf);
	for (uint16_t i = 0; i < started->queues; i++)
		fuzz_put_start(started, i, ring_of(device, i), RINGS_GPA + i * FUZZ_PUT_BYTES,
		               &device->place[i]);
}

void fuzz_device_open(struct fuzz_device *device, void (*furnish)(void))
{
	device->kind->make(fuzz_device_host(device));
	if (furnish)
		furnish();
	start(device);
}

void fuzz_device_restart(struct fuzz_device *device)
{
	pv_bug_on(pv_device_reset(fuzz_device_host(device)->device, (struct pv_waiter){ 0 }));
	start(device);
}

void fuzz_device_put(struct fuzz_device *device, uint16_t queue, const struct fuzz_piece *piece,
                     uint16_t pieces)
{
	fuzz_put(ring_of(device, queue), &device->place[queue],
	         fuzz_device_host(device)->device->features & VIRTIO_F_RING_PACKED, piece, pieces);
}

void fuzz_device_put_any(struct fuzz_device *device, struct fuzz_input *input)
{
	const struct fuzz_device_kind *kind = device->kind;
	const uint8_t what = fuzz_u8(input), wild = fuzz_u8(input);
	const uint16_t queue = what % fuzz_device_host(device)->device->queues;
	const uint16_t pieces = 1 + what / 8 % FUZZ_DEVICE_PIECES;
	struct fuzz_piece piece[FUZZ_DEVICE_PIECES];

	for (uint16_t i = 0; i < pieces; i++)
		piece[i] =
			fuzz_any_piece(input, kind->places, kind->step,
		                       kind->is_for_writing(queue, i, pieces) != (wild >> i & 1));
	fuzz_device_put(device, queue, piece, pieces);
}

void fuzz_device_expect_rest(struct fuzz_device *device)
{
	const struct pv_device *at_rest = fuzz_device_host(device)->device;

	for (uint16_t i = 0; i < at_rest->queues; i++) {
		const struct pv_dev_ring *ring = &at_rest->queue[i].ring;

		pv_bug_on(ring->fault == PV_RING_SOUND && ring->in_flight > 0);
	}
}

void fuzz_device_move(struct fuzz_device *device, struct fuzz_input *changes, void (*furnish)(void))
{
	static struct fuzz_state state;
	struct fuzz_host *from = fuzz_device_host(device);

	fuzz_state_save(&state, from->device, changes);
	device->kind->make(&device->host[!device->current]);
	pv_bug_on(pv_device_abandon(from->device));
	device->current = !device->current;
	if (furnish)
		furnish();
	if (!fuzz_state_load(&state, fuzz_device_host(device), changes || from->has_broken))
		fuzz_device_restart(device);
	fuzz_host_close(from);
}
