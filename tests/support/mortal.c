/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/support/mortal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/vhost_inflight.h"
#include "abi/virtio_features.h"
#include "ring/barrier.h"
#include "ring/err.h"

#define MEMORY_BYTES 0x5000u
#define MEMORY_GPA   0x40000000ull
#define INDIRECT_MAX 6u
#define CELL_BYTES   64u
#define NUMBER_BYTES 8u
#define ANSWER_AT    32u
#define POISON       0xeeeeeeeeeeeeeeeeull
#define ANSWER_OF(n) ((n)*0x9e3779b97f4a7c15ull + 1)

/* Where things are in the shared memory. */
#define DESC_AT      0x0000u
#define DRIVER_AT    0x0400u
#define DEVICE_AT    0x0800u
#define TABLES_AT    0x1000u
#define CELLS_AT     0x2800u
#define JOURNAL_AT   0x3800u
#define COMPLAINT_AT 0x4f00u

static struct pv_gpa gpa_at(size_t offset)
{
	return pv_gpa_of(MEMORY_GPA + offset);
}

static uint8_t *cell_of(const struct mortal_world *world, const struct mortal_request *request)
{
	return world->memory + CELLS_AT + (size_t)(request - world->request) * CELL_BYTES;
}

static void table_make(struct mortal_world *world)
{
	world->table = malloc(pv_mem_table_bytes(1));
	pv_bug_on(!world->table);
	world->table->count = 1;
	world->table->region[0] =
		(struct pv_region){ .gpa = gpa_at(0), .bytes = JOURNAL_AT, .host = world->memory };
	pv_bug_on(pv_mem_seal(world->table));
}

void mortal_world_open(struct mortal_world *world, uint64_t features, uint16_t size)
{
	*world = (struct mortal_world){ .features = features, .size = size };
	snprintf(world->name, sizeof(world->name), "%s size %u%s%s%s",
	         features & VIRTIO_F_RING_PACKED ? "packed" : "split", size,
	         features & VIRTIO_F_INDIRECT_DESC ? " indirect" : "",
	         features & VIRTIO_F_EVENT_IDX ? " event" : "",
	         features & VIRTIO_F_IN_ORDER ? " in-order" : "");
	world->memory =
		mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pv_bug_on(world->memory == MAP_FAILED);
	world->complaint = (void *)(world->memory + COMPLAINT_AT);
	table_make(world);
	world->config = (struct pv_ring_config){ .features = features,
		                                 .size = size,
		                                 .desc_area = gpa_at(DESC_AT),
		                                 .driver_area = gpa_at(DRIVER_AT),
		                                 .device_area = gpa_at(DEVICE_AT),
		                                 .inflight = world->memory + JOURNAL_AT,
		                                 .inflight_places = (uint16_t)(size + size / 2) };
	world->areas = (struct pv_drv_ring_memory){
		.desc_area = world->memory + DESC_AT,
		.driver_area = world->memory + DRIVER_AT,
		.device_area = world->memory + DEVICE_AT,
		.private_area = calloc(1, pv_drv_ring_private_bytes(size)),
	};
	if (features & VIRTIO_F_INDIRECT_DESC) {
		world->areas.indirect = world->memory + TABLES_AT;
		world->areas.indirect_gpa = gpa_at(TABLES_AT);
		world->areas.indirect_max = INDIRECT_MAX;
	}
	pv_bug_on(pv_drv_ring_init(&world->driver, features, size, &world->areas));
}

void mortal_world_close(struct mortal_world *world)
{
	munmap(world->memory, MEMORY_BYTES);
	free(world->areas.private_area);
	free(world->table);
}

/* ---- the driver ---- */

/* Cuts eight bytes into one to three pieces. */
static uint16_t cut(struct pv_sg *sg, struct pv_gpa at, struct pv_random *random)
{
	uint16_t pieces = 0;

	for (uint32_t left = NUMBER_BYTES; left > 0; pieces++) {
		uint32_t bytes = pieces == 2 ? left : 1 + pv_random_below(random, left);

		sg[pieces] = (struct pv_sg){ at, bytes };
		at = pv_gpa_add(at, bytes);
		left -= bytes;
	}
	return pieces;
}

static struct mortal_request *unused_request(struct mortal_world *world)
{
	for (uint16_t i = 0; i < world->size; i++)
		if (!world->request[i].is_out)
			return &world->request[i];
	return NULL;
}

const char *mortal_driver_adds(struct mortal_world *world, struct pv_random *random)
{
	struct mortal_request *request = unused_request(world);
	struct pv_sg sg[MORTAL_PIECES];
	uint16_t readable, writable;
	uint8_t *cell;

	if (!request)
		return NULL;
	cell = cell_of(world, request);
	request->number = world->added;
	memcpy(cell, &request->number, NUMBER_BYTES);
	memset(cell + ANSWER_AT, 0, NUMBER_BYTES);
	readable = cut(sg, gpa_at((size_t)(cell - world->memory)), random);
	writable = cut(sg + readable, gpa_at((size_t)(cell - world->memory) + ANSWER_AT), random);
	switch (pv_drv_ring_add(&world->driver, sg, readable, writable, request)) {
	case 0:
		break;
	case -PV_ENOSPC:
	case -PV_EINVAL: /* more pieces than a small ring has places */
		return NULL;
	default:
		return "a request cannot be added";
	}
	request->is_out = true;
	world->added++;
	pv_drv_ring_publish(&world->driver);
	return NULL;
}

static const char *check_answer(struct mortal_world *world, struct mortal_request *request,
                                uint32_t written_bytes)
{
	uint8_t *cell = cell_of(world, request);
	const uint64_t poison = POISON;
	uint64_t answer;

	memcpy(&answer, cell + ANSWER_AT, NUMBER_BYTES);
	if (!request->is_out)
		return "a request came back twice";
	if (written_bytes != NUMBER_BYTES || answer != ANSWER_OF(request->number))
		return "a request came back without its effect";
	memcpy(cell, &poison, NUMBER_BYTES);
	request->is_out = false;
	world->done++;
	return NULL;
}

const char *mortal_driver_takes(struct mortal_world *world)
{
	const char *wrong = NULL;
	uint32_t written_bytes;
	void *token;

	while (!wrong) {
		switch (pv_drv_ring_take(&world->driver, &token, &written_bytes)) {
		case PV_DRV_TAKEN:
			wrong = check_answer(world, token, written_bytes);
			break;
		case PV_DRV_NONE:
			return world->driver.lies ? "the device lies about lengths"
			                          : *world->complaint;
		case PV_DRV_BROKEN:
			return "the device broke the ring";
		}
	}
	return wrong;
}

bool mortal_is_done(const struct mortal_world *world)
{
	return world->done == world->added;
}

/* ---- the device ---- */

/* A front-end knows the used index of a split ring, and nothing of a packed one. */
static struct pv_ring_position base_of(const struct mortal_world *world)
{
	const struct virtq_used *used = (void *)(world->memory + DEVICE_AT);
	struct pv_ring_position at = pv_ring_position_fresh();

	if (!(world->features & VIRTIO_F_RING_PACKED))
		at.avail = at.used = pv_read_le16(&used->idx);
	return at;
}

int mortal_device_start(struct mortal_device *device, struct mortal_world *world,
                        const struct pv_random *random)
{
	struct pv_ring_position at = base_of(world);

	*device = (struct mortal_device){ .world = world, .random = *random };
	device->storage = calloc(1, pv_dev_ring_storage_bytes(&world->config));
	pv_bug_on(!device->storage);
	return pv_dev_ring_init(&device->ring, &world->config, &at, world->table, device->storage);
}

void mortal_device_forget(struct mortal_device *device)
{
	free(device->storage);
	device->storage = NULL;
}

static void complain(struct mortal_device *device, const char *what)
{
	*device->world->complaint = what;
}

static void take(struct mortal_device *device)
{
	struct mortal_held *held;
	struct pv_cursor reader;
	uint64_t number = 0;

	if (device->held == device->world->size)
		return;
	held = &device->slot[device->held];
	held->chain.iov = held->iov;
	held->chain.capacity = MORTAL_PIECES;
	switch (pv_dev_ring_take(&device->ring, &held->chain)) {
	case PV_TAKE_NONE:
		return;
	case PV_TAKE_BROKEN:
		complain(device, pv_ring_fault_name(device->ring.fault));
		return;
	case PV_TAKEN:
		break;
	}
	if (pv_random_chance(&device->random, 10)) {
		pv_dev_ring_put_back(&device->ring, &held->chain);
		return;
	}
	reader = pv_chain_reader(&held->chain);
	if (held->chain.is_incomplete ||
	    pv_cursor_read(&reader, &number, NUMBER_BYTES) != NUMBER_BYTES)
		complain(device, "a chain is not what the driver made");
	else if (number == POISON)
		complain(device, "a request is done again after the driver has seen its end");
	else if (number < device->taken_last)
		complain(device, "requests are taken in another order");
	device->taken_last = number + 1;
	device->held++;
}

static void answer(struct mortal_held *held)
{
	struct pv_cursor reader = pv_chain_reader(&held->chain);
	struct pv_cursor writer = pv_chain_writer(&held->chain);
	uint64_t number, answer;

	pv_cursor_read(&reader, &number, NUMBER_BYTES);
	answer = ANSWER_OF(number);
	pv_cursor_write(&writer, &answer, NUMBER_BYTES);
}

static void give_back(struct mortal_device *device)
{
	uint32_t pick;

	if (device->held == 0)
		return;
	pick = pv_random_below(&device->random, device->held);
	answer(&device->slot[pick]);
	pv_dev_ring_return(&device->ring, &device->slot[pick].chain, NUMBER_BYTES);
	/* The chain's pieces are not needed any more: the last one takes its place. */
	device->slot[pick].chain = device->slot[--device->held].chain;
	memcpy(device->slot[pick].iov, device->slot[device->held].iov,
	       sizeof(device->slot[pick].iov));
	device->slot[pick].chain.iov = device->slot[pick].iov;
}

void mortal_device_step(struct mortal_device *device)
{
	uint32_t dice = pv_random_below(&device->random, 100);

	if (dice < 45)
		take(device);
	else if (dice < 80)
		give_back(device);
	else if (dice < 96)
		pv_dev_ring_publish(&device->ring);
	else if (dice < 98)
		pv_dev_ring_kicks_on(&device->ring);
	else
		pv_dev_ring_kicks_off(&device->ring);
}
