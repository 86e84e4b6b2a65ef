/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/fake_bus.h"

#include <stdlib.h>
#include <string.h>

#include "ring/err.h"

static struct pv_fake_bus *of_bus(struct pv_bus *bus)
{
	return (struct pv_fake_bus *)((char *)bus - offsetof(struct pv_fake_bus, bus));
}

static struct pv_fake_bus *of_os(struct pv_os *os)
{
	return (struct pv_fake_bus *)((char *)os - offsetof(struct pv_fake_bus, os));
}

void *pv_fake_at(struct pv_gpa gpa)
{
	return (void *)(uintptr_t)(gpa.v - PV_FAKE_GPA_OFFSET);
}

struct pv_gpa pv_fake_gpa(const void *memory)
{
	return pv_gpa_of((uintptr_t)memory + PV_FAKE_GPA_OFFSET);
}

/* ---- the bus ---- */

/* Each of the driver's steps ends here. */
static int answer(struct pv_fake_bus *fake)
{
	if (++fake->steps == fake->trouble_at && fake->trouble == PV_FAKE_NEEDS_RESET)
		fake->status |= VIRTIO_STATUS_NEEDS_RESET;
	else if (fake->steps == fake->trouble_at && fake->trouble == PV_FAKE_FORGETS)
		fake->status = 0;
	else if (fake->steps == fake->trouble_at)
		return -PV_EIO;
	return fake->is_gone ? -PV_EIO : 0;
}

static int features_get(struct pv_bus *bus, uint64_t *features)
{
	*features = of_bus(bus)->offered;
	return answer(of_bus(bus));
}

static int features_set(struct pv_bus *bus, uint64_t features)
{
	struct pv_fake_bus *fake = of_bus(bus);

	fake->accepted = features;
	fake->has_late_features |= fake->status & VIRTIO_STATUS_FEATURES_OK;
	return answer(fake);
}

static int status_get(struct pv_bus *bus, uint8_t *status)
{
	struct pv_fake_bus *fake = of_bus(bus);

	if (fake->resets_left > 0) {
		if (fake->resets_left != UINT32_MAX)
			fake->resets_left--;
		if (fake->resets_left == 0)
			fake->status = 0;
	}
	*status = fake->status;
	return answer(fake);
}

static int status_set(struct pv_bus *bus, uint8_t status)
{
	struct pv_fake_bus *fake = of_bus(bus);

	if (fake->status_count < PV_FAKE_STATUSES)
		fake->statuses[fake->status_count++] = status;
	if (status == 0) {
		fake->resets_left = fake->reset_looks;
		if (fake->reset_looks > 0)
			return answer(fake);
		memset(fake->avail, 0, sizeof(fake->avail));
	}
	fake->status = status;
	if (fake->refuses_features)
		fake->status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	return answer(fake);
}

static int config_read(struct pv_bus *bus, uint32_t offset, void *to, uint32_t bytes)
{
	struct pv_fake_bus *fake = of_bus(bus);

	if (offset > fake->config_bytes || bytes > fake->config_bytes - offset)
		return -PV_EINVAL;
	memcpy(to, fake->config + offset, bytes);
	if (fake->torn_reads > 0) {
		if (fake->torn_reads != UINT32_MAX)
			fake->torn_reads--;
		fake->generation++;
	}
	return answer(fake);
}

static int config_write(struct pv_bus *bus, uint32_t offset, const void *from, uint32_t bytes)
{
	struct pv_fake_bus *fake = of_bus(bus);

	memcpy(fake->config + offset, from, bytes);
	return answer(fake);
}

static int config_generation(struct pv_bus *bus, uint32_t *generation)
{
	*generation = of_bus(bus)->generation;
	return answer(of_bus(bus));
}

static int queue_size_max(struct pv_bus *bus, uint16_t index, uint16_t *size)
{
	*size = index < PV_FAKE_QUEUES ? of_bus(bus)->size_max[index] : 0;
	return answer(of_bus(bus));
}

static int queue_enable(struct pv_bus *bus, uint16_t index, const struct pv_bus_queue *queue)
{
	struct pv_fake_bus *fake = of_bus(bus);

	fake->queue[index] = *queue;
	fake->is_enabled[index] = true;
	fake->avail[index] = 0;
	return answer(fake);
}

static int queue_reset(struct pv_bus *bus, uint16_t index)
{
	of_bus(bus)->is_enabled[index] = false;
	return answer(of_bus(bus));
}

static void kick(struct pv_bus *bus, uint16_t index, uint16_t next)
{
	struct pv_fake_bus *fake = of_bus(bus);

	fake->kicks++;
	fake->kick_next = next;
	if (fake->on_kick)
		fake->on_kick(fake, index);
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

static void *count_alloc(struct pv_fake_bus *fake, size_t bytes, size_t align, uint32_t *out)
{
	void *memory;

	if (++fake->allocs == fake->fail_alloc)
		return NULL;
	memory = aligned_alloc(align, (bytes + align - 1) / align * align);
	pv_bug_on(!memory);
	memset(memory, 0, bytes);
	++*out;
	return memory;
}

static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	struct pv_fake_bus *fake = of_os(os);
	void *memory;

	if (fake->shared_max && bytes > fake->shared_max)
		return NULL;
	memory = count_alloc(fake, bytes, align, &fake->shared_out);
	if (memory)
		*addr = pv_fake_gpa(memory);
	return memory;
}

static void shared_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)bytes;
	of_os(os)->shared_out--;
	free(memory);
}

static uint32_t map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                    struct pv_gpa *addr)
{
	struct pv_fake_bus *fake = of_os(os);

	if (++fake->maps == fake->fail_map)
		return 0;
	fake->mapped_out++;
	fake->is_mapped_written = is_written;
	*addr = pv_fake_gpa(memory);
	return fake->map_max && bytes > fake->map_max ? fake->map_max : bytes;
}

static void unmap(struct pv_os *os, struct pv_gpa addr, uint32_t bytes, bool is_written)
{
	(void)addr;
	(void)bytes;
	(void)is_written;
	of_os(os)->mapped_out--;
}

static void *private_alloc(struct pv_os *os, size_t bytes)
{
	return count_alloc(of_os(os), bytes, 16, &of_os(os)->private_out);
}

static void private_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)bytes;
	of_os(os)->private_out--;
	free(memory);
}

static uint64_t now_ns(struct pv_os *os)
{
	return of_os(os)->now_ns;
}

static void wait(struct pv_os *os, uint64_t ns)
{
	struct pv_fake_bus *fake = of_os(os);

	fake->waits++;
	fake->now_ns += ns;
	if (fake->on_wait)
		fake->on_wait(fake);
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

void pv_fake_bus_open(struct pv_fake_bus *fake, uint64_t offered)
{
	*fake = (struct pv_fake_bus){
		.bus = { .ops = &bus_ops },
		.os = { .ops = &os_ops },
		.offered = offered,
		.config_bytes = PV_FAKE_CONFIG_BYTES,
		.status = 0x5f, /* of an earlier driver */
	};
	for (uint32_t i = 0; i < PV_FAKE_QUEUES; i++)
		fake->size_max[i] = 16;
}

/* ---- the device's side of a split ring ---- */

uint16_t pv_fake_take(struct pv_fake_bus *fake, uint16_t queue, struct virtq_desc *desc,
                      uint16_t max, uint16_t *head)
{
	const struct pv_bus_queue *place = &fake->queue[queue];
	const struct virtq_avail *avail = pv_fake_at(place->driver_area);
	const struct virtq_desc *table = pv_fake_at(place->desc_area);
	uint16_t count = 0, at;

	if (pv_le16_get(avail->idx) == fake->avail[queue])
		return 0;
	*head = pv_le16_get(avail->ring[fake->avail[queue]++ % place->size]);
	for (at = *head;; at = pv_le16_get(table[at].next)) {
		pv_bug_on(count == max || at >= place->size);
		desc[count++] = table[at];
		if (!(pv_le16_get(table[at].flags) & VIRTQ_DESC_F_NEXT))
			return count;
	}
}

void pv_fake_return(struct pv_fake_bus *fake, uint16_t queue, uint16_t head, uint32_t bytes)
{
	const struct pv_bus_queue *place = &fake->queue[queue];
	struct virtq_used *used = pv_fake_at(place->device_area);
	uint16_t idx = pv_le16_get(used->idx);

	used->ring[idx % place->size] =
		(struct virtq_used_elem){ pv_le32_of(head), pv_le32_of(bytes) };
	used->idx = pv_le16_of((uint16_t)(idx + 1));
}

bool pv_fake_serve(struct pv_fake_bus *fake, uint16_t queue, uint8_t status)
{
	struct virtq_desc desc[16];
	uint16_t head, count = pv_fake_take(fake, queue, desc, 16, &head);
	uint32_t written_bytes = 0;

	if (count == 0)
		return false;
	for (uint16_t i = 0; i < count; i++)
		if (pv_le16_get(desc[i].flags) & VIRTQ_DESC_F_WRITE)
			written_bytes += pv_le32_get(desc[i].len);
	*(uint8_t *)pv_fake_at(pv_gpa_of(pv_le64_get(desc[count - 1].addr))) = status;
	pv_fake_return(fake, queue, head, written_bytes);
	return true;
}
