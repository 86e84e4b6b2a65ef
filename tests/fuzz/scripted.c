/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/scripted.h"

#include <stdlib.h>
#include <string.h>

#include "abi/virtio_features.h"
#include "ring/err.h"

#define PIECES_MAX     40
#define BUFFER_BYTES   1536u
#define QUEUE_SIZE     16u
#define QUEUES_DEFAULT 5u

/* One in so many answers is the input's. */
#define LIES_IN 8u

static struct scripted *of_bus(struct pv_bus *bus)
{
	return (struct scripted *)((char *)bus - offsetof(struct scripted, bus));
}

static struct scripted *of_os(struct pv_os *os)
{
	return (struct scripted *)((char *)os - offsetof(struct scripted, os));
}

static bool lies(struct scripted *scripted)
{
	return fuzz_u8(scripted->input) % LIES_IN == 1;
}

/* What a bus operation returns. */
static int answer(struct scripted *scripted)
{
	return fuzz_u8(scripted->input) == 0xff ? -PV_EIO : 0;
}

/* ---- the rings, in the device's role ---- */

static void queue_down(struct scripted_queue *queue)
{
	free(queue->mem);
	free(queue->storage);
	*queue = (struct scripted_queue){ 0 };
}

static void add_regions(struct pv_mem *mem, const struct scripted_piece *piece, uint32_t pieces)
{
	for (uint32_t i = 0; i < pieces; i++)
		if (piece[i].memory)
			mem->region[mem->count++] =
				(struct pv_region){ .gpa = pv_gpa_of((uintptr_t)piece[i].memory),
				                    .bytes = piece[i].bytes,
				                    .host = piece[i].memory };
}

static void queue_up(struct scripted *scripted, struct scripted_queue *queue,
                     const struct pv_bus_queue *place)
{
	const struct pv_ring_position position = pv_ring_position_fresh();
	const struct pv_ring_config config = { .features = scripted->features,
		                               .size = place->size,
		                               .desc_area = place->desc_area,
		                               .driver_area = place->driver_area,
		                               .device_area = place->device_area };
	size_t bytes = pv_dev_ring_storage_bytes(&config);

	queue_down(queue);
	queue->mem = calloc(1, pv_mem_table_bytes(SCRIPTED_AREAS + SCRIPTED_BUFFERS));
	queue->storage = calloc(1, bytes + 1);
	pv_bug_on(!queue->mem || !queue->storage);
	add_regions(queue->mem, scripted->area, SCRIPTED_AREAS);
	add_regions(queue->mem, scripted->buffer, SCRIPTED_BUFFERS);
	pv_bug_on(pv_mem_seal(queue->mem));
	/* A driver gives a device no ring that cannot be. */
	pv_bug_on(pv_dev_ring_init(&queue->ring, &config, &position, queue->mem, queue->storage));
	queue->is_up = true;
}

/* Writes what the input has, or nothing, and says how much, or another number. */
static void serve_chain(struct scripted *scripted, struct pv_dev_ring *ring,
                        const struct pv_chain *chain)
{
	uint32_t bytes = (uint32_t)chain->writable_bytes;
	struct pv_cursor writer = pv_chain_writer(chain);
	const uint32_t head_bytes = scripted->head_bytes ? scripted->head_bytes : 4;
	uint8_t first[64] = { 0 };

	pv_cursor_write(&writer, first, fuzz_copy(scripted->input, first, head_bytes));
	if (chain->last_writable)
		*chain->last_writable = lies(scripted) ? fuzz_u8(scripted->input) : 0;
	pv_dev_ring_return(ring, chain, lies(scripted) ? fuzz_u32(scripted->input) : bytes);
}

static void serve(struct scripted *scripted, struct scripted_queue *queue, uint32_t chains)
{
	struct pv_iov iov[PIECES_MAX];

	if (!queue->is_up)
		return;
	while (chains-- > 0) {
		struct pv_chain chain = { .iov = iov, .capacity = PIECES_MAX };

		if (pv_dev_ring_take(&queue->ring, &chain) != PV_TAKEN)
			break;
		serve_chain(scripted, &queue->ring, &chain);
	}
	if (pv_dev_ring_publish(&queue->ring))
		pv_dev_ring_must_interrupt(&queue->ring);
	if (lies(scripted))
		pv_dev_ring_kicks_off(&queue->ring);
}

static uint16_t queues(const struct scripted *scripted)
{
	return scripted->queues ? scripted->queues : QUEUES_DEFAULT;
}

static void poke(struct scripted *scripted)
{
	const struct scripted_piece *area =
		&scripted->area[fuzz_u8(scripted->input) % SCRIPTED_AREAS];
	size_t at = fuzz_u16(scripted->input);

	if (area->memory)
		fuzz_copy(scripted->input, area->memory + at % area->bytes,
		          at % area->bytes + 4 <= area->bytes ? 4 : 1);
}

void scripted_act(struct scripted *scripted)
{
	uint8_t what = fuzz_u8(scripted->input);
	struct scripted_queue *queue = &scripted->queue[what / 8 % queues(scripted)];

	switch (what % 8) {
	case 6:
		poke(scripted);
		break;
	case 7:
		if (what == 0x77)
			scripted->status |= VIRTIO_STATUS_NEEDS_RESET;
		else
			fuzz_copy(scripted->input, scripted->config + what / 8 * 2, 2);
		break;
	default:
		serve(scripted, queue, 1 + what % 8);
		break;
	}
}

/* ---- the bus ---- */

static int features_get(struct pv_bus *bus, uint64_t *features)
{
	struct scripted *scripted = of_bus(bus);

	*features = fuzz_ring_features(fuzz_u8(scripted->input)) | fuzz_u16(scripted->input) |
	            VIRTIO_F_RING_RESET | VIRTIO_F_NOTIFICATION_DATA;
	if (!lies(scripted))
		*features |= VIRTIO_F_VERSION_1;
	*features |= scripted->more;
	return answer(scripted);
}

static int features_set(struct pv_bus *bus, uint64_t features)
{
	of_bus(bus)->features = features;
	return answer(of_bus(bus));
}

static int status_get(struct pv_bus *bus, uint8_t *status)
{
	struct scripted *scripted = of_bus(bus);

	*status = lies(scripted) ? fuzz_u8(scripted->input) : scripted->status;
	return answer(scripted);
}

static int status_set(struct pv_bus *bus, uint8_t status)
{
	struct scripted *scripted = of_bus(bus);

	scripted->status = status;
	for (uint32_t i = 0; status == 0 && i < SCRIPTED_QUEUES; i++)
		queue_down(&scripted->queue[i]);
	return answer(scripted);
}

static int config_read(struct pv_bus *bus, uint32_t offset, void *to, uint32_t bytes)
{
	struct scripted *scripted = of_bus(bus);

	memset(to, 0, bytes);
	if (offset < SCRIPTED_CONFIG)
		memcpy(to, scripted->config + offset,
		       bytes < SCRIPTED_CONFIG - offset ? bytes : SCRIPTED_CONFIG - offset);
	return answer(scripted);
}

static int config_write(struct pv_bus *bus, uint32_t offset, const void *from, uint32_t bytes)
{
	(void)offset;
	(void)from;
	(void)bytes;
	return answer(of_bus(bus));
}

static int config_generation(struct pv_bus *bus, uint32_t *generation)
{
	struct scripted *scripted = of_bus(bus);

	*generation = lies(scripted) ? fuzz_u8(scripted->input) : 0;
	return answer(scripted);
}

static int queue_size_max(struct pv_bus *bus, uint16_t index, uint16_t *size)
{
	struct scripted *scripted = of_bus(bus);

	*size = index < queues(scripted) ? QUEUE_SIZE : 0;
	if (lies(scripted))
		*size = fuzz_u16(scripted->input);
	return answer(scripted);
}

static int queue_enable(struct pv_bus *bus, uint16_t index, const struct pv_bus_queue *queue)
{
	struct scripted *scripted = of_bus(bus);

	if (index < SCRIPTED_QUEUES)
		queue_up(scripted, &scripted->queue[index], queue);
	return answer(scripted);
}

static int queue_reset(struct pv_bus *bus, uint16_t index)
{
	struct scripted *scripted = of_bus(bus);
	int error = answer(scripted);

	if (!error && index < SCRIPTED_QUEUES)
		queue_down(&scripted->queue[index]);
	return error;
}

static void kick(struct pv_bus *bus, uint16_t index, uint16_t next)
{
	struct scripted *scripted = of_bus(bus);

	(void)next;
	if (index < SCRIPTED_QUEUES && !lies(scripted))
		serve(scripted, &scripted->queue[index], QUEUE_SIZE);
}

static const struct pv_bus_ops bus_ops = {
	.features_get = features_get,
	.features_set = features_set,
	.status_get = status_get,
	.status_set = status_set,
	.config_read = config_read,
	.config_write = config_write,
	.config_generation = config_generation,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_reset = queue_reset,
	.kick = kick,
};

/* ---- the operating system ---- */

static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	struct scripted *scripted = of_os(os);

	for (uint32_t i = 0; i < SCRIPTED_AREAS; i++) {
		struct scripted_piece *area = &scripted->area[i];

		if (area->memory || fuzz_u8(scripted->input) == 0xff)
			continue;
		area->bytes = (bytes + align - 1) / align * align;
		area->memory = aligned_alloc(align, area->bytes);
		pv_bug_on(!area->memory);
		memset(area->memory, 0, area->bytes);
		*addr = pv_gpa_of((uintptr_t)area->memory);
		return area->memory;
	}
	return NULL;
}

static void shared_free(struct pv_os *os, void *memory, size_t bytes)
{
	struct scripted *scripted = of_os(os);
	uint32_t i = 0;

	(void)bytes;
	while (i < SCRIPTED_AREAS && scripted->area[i].memory != memory)
		i++;
	pv_bug_on(i == SCRIPTED_AREAS);
	/* A device that still looks there has not confirmed its reset. */
	for (uint32_t q = 0; q < SCRIPTED_QUEUES; q++)
		queue_down(&scripted->queue[q]);
	free(memory);
	scripted->area[i] = (struct scripted_piece){ 0 };
}

static void *private_alloc(struct pv_os *os, size_t bytes)
{
	void *memory = fuzz_u8(of_os(os)->input) == 0xff ? NULL : calloc(1, bytes);

	of_os(os)->private_out += memory != NULL;
	return memory;
}

static void private_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)bytes;
	of_os(os)->private_out--;
	free(memory);
}

static uint32_t map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                    struct pv_gpa *addr)
{
	uint8_t limit = fuzz_u8(of_os(os)->input);

	(void)is_written;
	if (limit == 0xff)
		return 0;
	of_os(os)->mapped++;
	*addr = pv_gpa_of((uintptr_t)memory);
	return limit & 1 && bytes > limit ? limit : bytes;
}

static void unmap(struct pv_os *os, struct pv_gpa addr, uint32_t bytes, bool is_written)
{
	(void)addr;
	(void)bytes;
	(void)is_written;
	pv_bug_on(of_os(os)->mapped-- == 0);
}

static uint64_t now_ns(struct pv_os *os)
{
	return of_os(os)->now_ns += of_os(os)->tick_ns;
}

static void wait(struct pv_os *os, uint64_t ns)
{
	of_os(os)->now_ns += ns < 1000000 ? ns : 1000000;
	scripted_act(of_os(os));
}

static const struct pv_os_ops os_ops = {
	.shared_alloc = shared_alloc,
	.shared_free = shared_free,
	.map = map,
	.unmap = unmap,
	.alloc = private_alloc,
	.free = private_free,
	.now_ns = now_ns,
	.wait = wait,
};

/* ---- its life ---- */

void scripted_open(struct scripted *scripted, struct fuzz_input *input)
{
	*scripted = (struct scripted){
		.bus = { .ops = &bus_ops, .has_room_in_kicks = true },
		.os = { &os_ops },
		.input = input,
	};
	for (uint32_t i = 0; i < SCRIPTED_BUFFERS; i++) {
		scripted->buffer[i] =
			(struct scripted_piece){ calloc(1, BUFFER_BYTES), BUFFER_BYTES };
		pv_bug_on(!scripted->buffer[i].memory);
	}
}

void scripted_close(struct scripted *scripted)
{
	pv_bug_on(scripted->private_out != 0 || scripted->mapped != 0);
	for (uint32_t i = 0; i < SCRIPTED_QUEUES; i++)
		queue_down(&scripted->queue[i]);
	for (uint32_t i = 0; i < SCRIPTED_AREAS; i++)
		free(scripted->area[i].memory);
	for (uint32_t i = 0; i < SCRIPTED_BUFFERS; i++)
		free(scripted->buffer[i].memory);
}
