/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/virtio_blk.h"
#include "ring/err.h"

#define DISK_BYTES 16384u
#define RUNS       4
#define CACHE_LINE 64u

/* ---- the input ---- */

size_t fuzz_copy(struct fuzz_input *input, void *to, size_t bytes)
{
	size_t have = bytes < input->bytes ? bytes : input->bytes;

	if (have > 0)
		memcpy(to, input->data, have);
	input->data += have;
	input->bytes -= have;
	return have;
}

uint8_t fuzz_u8(struct fuzz_input *input)
{
	uint8_t value = 0;

	fuzz_copy(input, &value, sizeof(value));
	return value;
}

uint16_t fuzz_u16(struct fuzz_input *input)
{
	uint16_t value = 0;

	fuzz_copy(input, &value, sizeof(value));
	return value;
}

uint32_t fuzz_u32(struct fuzz_input *input)
{
	uint32_t value = 0;

	fuzz_copy(input, &value, sizeof(value));
	return value;
}

uint64_t fuzz_ring_features(uint8_t bits)
{
	return (bits & 1 ? VIRTIO_F_INDIRECT_DESC : 0) | (bits & 2 ? VIRTIO_F_EVENT_IDX : 0) |
	       (bits & 4 ? VIRTIO_F_IN_ORDER : 0) | (bits & 8 ? VIRTIO_F_RING_PACKED : 0);
}

/* ---- memory ---- */

static const struct {
	uint64_t gpa;
	size_t bytes;
} regions[FUZZ_REGIONS] = {
	{ FUZZ_RING_GPA, FUZZ_RING_BYTES }, { FUZZ_LOW_GPA, FUZZ_LOW_BYTES },
	{ FUZZ_HIGH_GPA, FUZZ_HIGH_BYTES }, { FUZZ_TINY_GPA, FUZZ_TINY_BYTES },
	{ FUZZ_TOP_GPA, FUZZ_TOP_BYTES },
};

void fuzz_memory_open(struct fuzz_memory *memory)
{
	memory->mem = calloc(1, pv_mem_table_bytes(FUZZ_REGIONS));
	pv_bug_on(!memory->mem);
	memory->mem->count = FUZZ_REGIONS;
	for (uint32_t i = 0; i < FUZZ_REGIONS; i++) {
		memory->host[i] = calloc(1, regions[i].bytes);
		pv_bug_on(!memory->host[i]);
		memory->mem->region[i] = (struct pv_region){ .gpa = pv_gpa_of(regions[i].gpa),
			                                     .bytes = regions[i].bytes,
			                                     .host = memory->host[i] };
	}
	pv_bug_on(pv_mem_seal(memory->mem));
}

void fuzz_memory_close(struct fuzz_memory *memory)
{
	for (uint32_t i = 0; i < FUZZ_REGIONS; i++)
		free(memory->host[i]);
	free(memory->mem);
}

void fuzz_memory_fill(struct fuzz_memory *memory, struct fuzz_input *input)
{
	fuzz_copy(input, memory->host[0], FUZZ_DRIVER_BYTES);
	fuzz_copy(input, memory->host[1], 0x100);
	fuzz_copy(input, memory->host[2], 0x40);
}

void fuzz_memory_scribble(struct fuzz_memory *memory, struct fuzz_input *input)
{
	for (uint8_t n = fuzz_u8(input) & 15; n > 0; n--) {
		uint8_t where = fuzz_u8(input);
		uint8_t value = fuzz_u8(input);

		if (where < FUZZ_DRIVER_BYTES)
			memory->host[0][where] = value;
		else
			memory->host[1][where - FUZZ_DRIVER_BYTES] = value;
	}
}

bool fuzz_memory_has(const struct fuzz_memory *memory, const void *host, size_t bytes)
{
	for (uint32_t i = 0; i < FUZZ_REGIONS; i++) {
		size_t offset = (uintptr_t)host - (uintptr_t)memory->host[i];

		if (offset < regions[i].bytes && bytes <= regions[i].bytes - offset)
			return true;
	}
	return false;
}

/* ---- the device's host ---- */

static struct fuzz_host *of_port(struct pv_port *port)
{
	return (struct fuzz_host *)port;
}

/*
 * What is large costs nothing where it is not touched: pages of its own. It ends, but for what
 * makes it a multiple of a cache line, where the next page may not be touched.
 */
#define PAGE_BYTES  4096u
#define LARGE_BYTES 32768u

static size_t rounded(size_t bytes, size_t to)
{
	return (bytes + to - 1) & ~(to - 1);
}

static void *large_alloc(size_t bytes)
{
	const size_t pages = rounded(bytes, PAGE_BYTES);
	uint8_t *memory = mmap(NULL, pages + PAGE_BYTES, PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + pages, PAGE_BYTES, PROT_NONE))
		return NULL;
	return memory + pages - rounded(bytes, CACHE_LINE);
}

static void large_free(void *memory, size_t bytes)
{
	const size_t pages = rounded(bytes, PAGE_BYTES);

	munmap((uint8_t *)memory + rounded(bytes, CACHE_LINE) - pages, pages + PAGE_BYTES);
}

static void *port_alloc(struct pv_port *port, size_t bytes)
{
	void *memory;

	(void)port;
	if (bytes >= LARGE_BYTES)
		return large_alloc(bytes);
	memory = aligned_alloc(CACHE_LINE, rounded(bytes, CACHE_LINE));
	return memory ? memset(memory, 0, bytes) : NULL;
}

static void port_free(struct pv_port *port, void *memory, size_t bytes)
{
	(void)port;
	if (bytes >= LARGE_BYTES)
		large_free(memory, bytes);
	else
		free(memory);
}

static void queue_attach(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->attached |= 1u << queue->index;
}

/* The store answers at once: a queue that drains is quiet. */
static void queue_detach(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->attached &= ~(1u << queue->index);
	pv_queue_drain(queue);
	pv_bug_on(!pv_queue_is_quiet(queue));
	pv_queue_stopped(queue);
}

static void interrupt(struct pv_port *port, struct pv_queue *queue)
{
	(void)port;
	(void)queue;
}

static void queue_broke(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->has_broken = true;
	pv_device_needs_reset(queue->device);
}

static void queue_event(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->events |= 1u << queue->index;
}

/* All queues are run anyhow. */
static void queue_wake(struct pv_port *port, struct pv_queue *queue)
{
	pv_bug_on(!(of_port(port)->attached & 1u << queue->index));
}

static void queue_timer(struct pv_port *port, struct pv_queue *queue, uint64_t ns)
{
	const struct fuzz_host *host = of_port(port);

	pv_bug_on(!(host->attached & 1u << queue->index));
	pv_bug_on(!queue->is_stalled && !host->sets_timers);
	(void)ns;
}

static uint64_t now_ns(struct pv_port *port)
{
	return of_port(port)->now_ns;
}

static void config_changed(struct pv_port *port, struct pv_device *device)
{
	(void)port;
	(void)device;
}

static void port_log(struct pv_port *port, enum pv_log_level level, const char *line)
{
	(void)port;
	(void)level;
	(void)line;
}

static const struct pv_port_ops port_ops = {
	.alloc = port_alloc,
	.free = port_free,
	.queue_attach = queue_attach,
	.queue_detach = queue_detach,
	.interrupt = interrupt,
	.queue_broke = queue_broke,
	.queue_event = queue_event,
	.queue_wake = queue_wake,
	.queue_timer = queue_timer,
	.now_ns = now_ns,
	.config_changed = config_changed,
	.log = port_log,
};

/* ---- the store ---- */

static enum pv_blk_submit submit(struct pv_blk_store *store, struct pv_blk_io *io)
{
	struct fuzz_blk *blk =
		(struct fuzz_blk *)((char *)store - offsetof(struct fuzz_blk, store));
	uint8_t *disk = blk->disk + io->offset;
	uint64_t done = 0;

	if (io->op == PV_BLK_FLUSH)
		return PV_BLK_DONE;
	pv_bug_on(io->offset > DISK_BYTES || io->bytes > DISK_BYTES - io->offset);
	if (io->op != PV_BLK_READ && io->op != PV_BLK_WRITE) {
		memset(disk, 0, io->bytes);
		return PV_BLK_DONE;
	}
	/*
	 * One buffer may be several times in a chain, or be the ring: nothing is said of overlaps.
	 */
	for (uint16_t i = 0; i < io->iovs; i++) {
		if (io->op == PV_BLK_READ)
			memmove(io->iov[i].base, disk + done, io->iov[i].bytes);
		else
			memmove(disk + done, io->iov[i].base, io->iov[i].bytes);
		done += io->iov[i].bytes;
	}
	pv_bug_on(done != io->bytes);
	return PV_BLK_DONE;
}

static const struct pv_blk_store_ops store_ops = { .submit = submit };

/* ---- a ring ---- */

#define PIECES_MAX 12

static void check_chain(const struct fuzz_memory *memory, uint16_t places,
                        const struct pv_chain *chain)
{
	const struct pv_iov *writable = chain->iov + chain->readable;

	pv_bug_on(chain->readable + chain->writable > PIECES_MAX);
	pv_bug_on(places > 0 && chain->entry >= places);
	for (uint16_t i = 0; i < chain->readable + chain->writable; i++)
		pv_bug_on(chain->iov[i].bytes == 0 ||
		          !fuzz_memory_has(memory, chain->iov[i].base, chain->iov[i].bytes));
	pv_bug_on(chain->last_writable && !fuzz_memory_has(memory, chain->last_writable, 1));
	if (chain->is_incomplete)
		return;
	pv_bug_on(pv_iov_bytes(chain->iov, chain->readable) != chain->readable_bytes);
	pv_bug_on(pv_iov_bytes(writable, chain->writable) != chain->writable_bytes);
	pv_bug_on(chain->writable > 0 && !chain->last_writable);
}

void fuzz_round_trip(struct pv_dev_ring *ring, const struct fuzz_memory *memory, uint16_t places,
                     struct fuzz_input *input)
{
	struct pv_chain out[FUZZ_SIZE];
	struct pv_iov iov[FUZZ_SIZE][PIECES_MAX];
	uint16_t taken = 0;

	for (uint16_t i = 0; i < FUZZ_SIZE; i++) {
		out[i] = (struct pv_chain){ .iov = iov[i], .capacity = PIECES_MAX };
		if (pv_dev_ring_take(ring, &out[i]) != PV_TAKEN)
			break;
		check_chain(memory, places, &out[i]);
		taken++;
	}
	pv_bug_on(ring->in_flight > FUZZ_SIZE || ring->in_flight_descs > FUZZ_SIZE);
	while (taken > 0) {
		uint16_t which = fuzz_u8(input) % taken;

		pv_dev_ring_return(ring, &out[which], (uint32_t)out[which].writable_bytes);
		out[which] = out[--taken];
		if (fuzz_u8(input) & 1)
			pv_dev_ring_publish(ring);
	}
	if (pv_dev_ring_publish(ring))
		pv_dev_ring_must_interrupt(ring);
	pv_bug_on(ring->in_flight != 0 || ring->in_flight_descs != 0 || ring->waiting != 0);
}

/* ---- the devices ---- */

void *fuzz_storage(size_t bytes)
{
	void *storage = aligned_alloc(CACHE_LINE, rounded(bytes, CACHE_LINE));

	pv_bug_on(!storage);
	return memset(storage, 0, bytes);
}

struct fuzz_host fuzz_host_of(void *storage)
{
	return (struct fuzz_host){ .port = { .ops = &port_ops }, .storage = storage };
}

void fuzz_host_close(struct fuzz_host *host)
{
	pv_device_reset(host->device, (struct pv_waiter){ 0 });
	pv_bug_on(pv_device_status(host->device) != 0 || host->device->is_resetting);
	free(host->storage);
}

void fuzz_blk_open(struct fuzz_blk *blk)
{
	const struct pv_blk_options options = {
		.serial = "FUZZ",
		.queues = 1,
		.queue_size_max = FUZZ_SIZE,
		.has_write_cache = true,
		.is_in_order = true,
	};

	*blk = (struct fuzz_blk){
		.host = fuzz_host_of(fuzz_storage(pv_blk_bytes(1))),
		.store = {
			.ops = &store_ops,
			.capacity_bytes = DISK_BYTES,
			.limits = {
				.logical_block_bytes = 512,
				.physical_block_bytes = 4096,
				.discard_granularity = 512,
				.can_write_zeroes = true,
			},
		},
		.disk = calloc(1, DISK_BYTES),
	};
	pv_bug_on(!blk->disk);
	blk->host.device = pv_blk_init(blk->host.storage, &blk->host.port, &blk->store, &options);
}

void fuzz_blk_close(struct fuzz_blk *blk)
{
	fuzz_host_close(&blk->host);
	free(blk->disk);
}

static size_t fill(struct pv_rng_source *source, void *to, size_t bytes)
{
	struct fuzz_rng *rng =
		(struct fuzz_rng *)((char *)source - offsetof(struct fuzz_rng, source));
	uint8_t choice = fuzz_u8(rng->input);

	if (choice & 1)
		bytes = bytes * (choice >> 1) / 128;
	memset(to, choice, bytes);
	return bytes;
}

static const struct pv_rng_source_ops source_ops = { .fill = fill };

void fuzz_rng_open(struct fuzz_rng *rng, struct fuzz_input *input)
{
	struct pv_rng_options options = { .queue_size_max = FUZZ_SIZE, .is_in_order = true };
	uint8_t limit = fuzz_u8(input);

	if (limit & 1) {
		options.max_bytes = limit;
		options.period_ns = 1000;
	}
	*rng = (struct fuzz_rng){
		.host = fuzz_host_of(fuzz_storage(pv_rng_bytes())),
		.source = { .ops = &source_ops },
		.input = input,
	};
	rng->host.device = pv_rng_init(rng->host.storage, &rng->host.port, &rng->source, &options);
}

void fuzz_rng_close(struct fuzz_rng *rng)
{
	fuzz_host_close(&rng->host);
}

int fuzz_host_start(struct fuzz_host *host, const struct fuzz_memory *memory, uint64_t features)
{
	const struct pv_ring_config config = {
		.size = FUZZ_SIZE,
		.desc_area = pv_gpa_of(FUZZ_DESC_GPA),
		.driver_area = pv_gpa_of(FUZZ_DRIVER_GPA),
		.device_area = pv_gpa_of(FUZZ_DEVICE_GPA),
	};
	const struct pv_ring_position position = pv_ring_position_fresh();
	int err;

	pv_device_mem_set(host->device, memory->mem);
	err = pv_device_features_set(host->device, features | VIRTIO_F_VERSION_1);
	pv_device_status_set(host->device, 0xf);
	if (!err)
		err = pv_device_queue_set(host->device, 0, &config, &position);
	return err ? err : pv_device_queue_start(host->device, 0);
}

static void hear_events(struct fuzz_host *host)
{
	for (uint16_t i = 0; i < host->device->queues; i++)
		if (host->events & 1u << i)
			pv_queue_event(&host->device->queue[i]);
	host->events = 0;
}

static bool run_once(struct fuzz_host *host)
{
	bool has_work = false;

	for (uint16_t i = 0; i < host->device->queues; i++) {
		struct pv_queue *queue = &host->device->queue[i];

		if (!(host->attached & 1u << i))
			continue;
		has_work |= pv_queue_run(queue) || pv_dev_ring_kicks_on(&queue->ring);
		hear_events(host);
	}
	return has_work;
}

void fuzz_host_run(struct fuzz_host *host)
{
	for (int i = 0; i < RUNS && host->attached; i++) {
		host->now_ns += 300;
		if (!run_once(host))
			break;
	}
}
