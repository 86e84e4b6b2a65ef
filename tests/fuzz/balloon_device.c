/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole balloon under a driver by script: chains of any pieces in its queues, lists of pages
 * that are nearly memory, statistics, a configuration that is written to, and a user who wants
 * another size, gives the guest other memory and moves the device.  The host is given whole pages
 * of memory back and nothing else; only statistics are ever held, and one of them; and what was
 * saved loads.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/balloon/balloon.h"
#include "ring/err.h"
#include "tests/fuzz/device.h"

#define QUEUES VIRTIO_BALLOON_QUEUES

/* Beside the memory of all: regions of large pages, one behind the other, which end in half of one.
 */
#define LARGE_BYTES  0x4000u
#define LARGE_GPA    0x10000u
#define LARGE_REGION 0x8000u
#define HALF_GPA     (LARGE_GPA + LARGE_REGION)
#define HALF_REGION  0xa000u
#define SMALL_PAGE   0x100u

#define LISTS_GPA  FUZZ_TOP_GPA
#define LIST_WORDS 64u

static struct fuzz_balloon {
	struct fuzz_device base;
	struct pv_mem *mem[2]; /* with the last region, and without it */
	bool is_short;         /* the latter is in force */
	uint8_t *large, *half;
	struct pv_balloon_options options;
	struct pv_port_ops ops;
} balloon;

static struct pv_device *current(void)
{
	return fuzz_device_host(&balloon.base)->device;
}

/* ---- memory ---- */

static void discard_one(const struct pv_region *region, uint8_t *at, uint64_t bytes)
{
	const struct pv_mem *mem = balloon.mem[balloon.is_short];
	uint64_t first = (uint64_t)(at - region->host);

	pv_bug_on(region < mem->region || region >= mem->region + mem->count);
	pv_bug_on(region->page_bytes == 0 || bytes == 0);
	pv_bug_on(first % region->page_bytes || bytes % region->page_bytes);
	pv_bug_on(first > region->bytes || bytes > region->bytes - first);
	memset(at, 0, (size_t)bytes);
}

static int discard(struct pv_port *port, const struct pv_region *region, const struct pv_iov *piece,
                   uint32_t pieces)
{
	(void)port;
	for (uint32_t i = 0; i < pieces; i++)
		discard_one(region, piece[i].base, piece[i].bytes);
	return 0;
}

static struct pv_mem *make_table(uint32_t regions)
{
	struct pv_mem *mem = calloc(1, pv_mem_table_bytes(FUZZ_REGIONS + 2));

	pv_bug_on(!mem);
	mem->count = FUZZ_REGIONS + regions;
	memcpy(mem->region, balloon.base.memory.mem->region, FUZZ_REGIONS * sizeof(mem->region[0]));
	for (uint32_t i = 0; i < FUZZ_REGIONS; i++)
		mem->region[i].page_bytes = mem->region[i].gpa.v == FUZZ_TOP_GPA ? 0 : SMALL_PAGE;
	mem->region[FUZZ_REGIONS] = (struct pv_region){ pv_gpa_of(LARGE_GPA), LARGE_REGION,
		                                        balloon.large, LARGE_BYTES, false };
	if (regions > 1)
		mem->region[FUZZ_REGIONS + 1] = (struct pv_region){ pv_gpa_of(HALF_GPA),
			                                            HALF_REGION, balloon.half,
			                                            LARGE_BYTES, true };
	pv_bug_on(pv_mem_seal(mem));
	return mem;
}

static void open_memory(void)
{
	fuzz_memory_open(&balloon.base.memory);
	balloon.large = calloc(1, LARGE_REGION);
	balloon.half = calloc(1, HALF_REGION);
	pv_bug_on(!balloon.large || !balloon.half);
	balloon.mem[0] = make_table(2);
	balloon.mem[1] = make_table(1);
}

static void close_memory(void)
{
	fuzz_memory_close(&balloon.base.memory);
	free(balloon.large);
	free(balloon.half);
	free(balloon.mem[0]);
	free(balloon.mem[1]);
}

static void switch_memory(void)
{
	struct pv_device *device = current();

	balloon.is_short = !balloon.is_short;
	for (uint16_t i = 0; i < QUEUES; i++)
		if (device->queue[i].state == PV_QUEUE_RUNNING) {
			pv_queue_mem_switch(&device->queue[i], balloon.mem[balloon.is_short]);
			pv_bug_on(device->queue[i].ring.in_flight_before > 0);
		}
	pv_device_mem_set(device, balloon.mem[balloon.is_short]);
}

/* ---- birth and death ---- */

static void make(struct fuzz_host *made)
{
	*made = fuzz_host_of(fuzz_storage(pv_balloon_bytes()));
	balloon.ops = *made->port.ops;
	balloon.ops.discard = discard;
	made->port.ops = &balloon.ops;
	made->device = pv_balloon_init(made->storage, &made->port, &balloon.options);
	pv_device_mem_set(made->device, balloon.mem[balloon.is_short]);
}

/* Which way the pieces go that a driver of good will puts there. */
static bool is_for_writing(uint16_t queue, uint16_t piece, uint16_t pieces)
{
	(void)piece;
	(void)pieces;
	return queue > VIRTIO_BALLOON_STATSQ;
}

static const struct fuzz_device_kind kind = {
	.make = make,
	.is_for_writing = is_for_writing,
	.places = { FUZZ_LOW_GPA, LARGE_GPA, HALF_GPA, FUZZ_TOP_GPA, LISTS_GPA, LISTS_GPA,
	            FUZZ_TINY_GPA, 0x7000000000000000u },
	.step = 0x400u,
};

static void open_balloon(struct fuzz_input *input)
{
	const uint8_t bits = fuzz_u8(input), more = fuzz_u8(input);

	memset(&balloon, 0, sizeof(balloon));
	balloon.base.kind = &kind;
	open_memory();
	balloon.options = (struct pv_balloon_options){ .queue_size_max = FUZZ_SIZE,
		                                       .is_in_order = bits & 1,
		                                       .reporting = true };
	balloon.base.refused = bits & 2 ? VIRTIO_F_RING_PACKED : 0;
	balloon.base.refused |= bits & 4 ? VIRTIO_F_EVENT_IDX : 0;
	balloon.base.refused |= bits & 8 ? VIRTIO_F_VERSION_1 : 0;
	balloon.base.refused |= bits & 16 ? VIRTIO_BALLOON_F_MUST_TELL_HOST : 0;
	balloon.base.refused |= more & 1 ? VIRTIO_BALLOON_F_STATS_VQ : 0;
	balloon.base.refused |= more & 2 ? VIRTIO_BALLOON_F_PAGE_REPORTING : 0;
	balloon.base.refused |= more & 4 ? VIRTIO_BALLOON_F_PAGE_POISON : 0;
	fuzz_device_open(&balloon.base, NULL);
}

static void close_balloon(void)
{
	fuzz_host_close(fuzz_device_host(&balloon.base));
	close_memory();
}

/* ---- the driver ---- */

/* Pages that there are, or nearly: rows of them, at places of the input's choice. */
static void put_list(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input), length = fuzz_u8(input);
	const uint32_t words = 1 + length % LIST_WORDS;
	const struct fuzz_piece piece = { LISTS_GPA, words * 4 + what / 4 % 2, false };
	struct pv_le32 *list = (struct pv_le32 *)balloon.base.memory.host[4];
	uint32_t number = fuzz_u8(input);

	for (uint32_t i = 0; i < words; i++) {
		list[i] = pv_le32_of(number);
		number += what & 0x80 ? fuzz_u8(input) % 32u : 1;
	}
	fuzz_device_put(&balloon.base, what % 2, &piece, 1);
}

static void put_stats(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	const struct fuzz_piece piece = { FUZZ_LOW_GPA, 10u * (what % 8) + what / 64, false };
	struct virtio_balloon_stat *stat =
		(struct virtio_balloon_stat *)balloon.base.memory.host[1];

	for (uint32_t i = 0; i < what % 8u; i++)
		stat[i] = (struct virtio_balloon_stat){ pv_le16_of(fuzz_u8(input)),
			                                pv_le64_of(fuzz_u32(input)) };
	fuzz_device_put(&balloon.base, VIRTIO_BALLOON_STATSQ, &piece, 1);
}

static void write_config(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	const uint32_t value = what & 0x80 ? 0 : fuzz_u32(input);

	pv_device_config_write(current(), what % 20, &value, 1 + what / 20 % 4u);
}

static void run(void)
{
	struct pv_balloon_stats stats;

	fuzz_host_run(fuzz_device_host(&balloon.base));
	for (uint16_t i = 0; i < QUEUES; i++) {
		const struct pv_queue *queue = &current()->queue[i];
		const uint16_t held = queue->state == PV_QUEUE_RUNNING ? queue->held : 0;

		pv_bug_on(held > (i == VIRTIO_BALLOON_STATSQ));
		pv_bug_on(queue->state == PV_QUEUE_RUNNING && queue->ring.fault == PV_RING_SOUND &&
		          queue->ring.in_flight != held);
	}
	pv_balloon_stats(current(), &stats);
	pv_bug_on(stats.unknown > PV_BALLOON_STATS_UNKNOWN ||
	          stats.known >> VIRTIO_BALLOON_S_KNOWN);
	pv_bug_on(!stats.at_ns != !stats.count);
}

/* ---- the user ---- */

static void interfere(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);

	switch (what % 8) {
	case 0:
		fuzz_device_restart(&balloon.base);
		break;
	case 1:
		fuzz_device_move(&balloon.base, what & 0x80 ? input : NULL, NULL);
		break;
	case 2:
	case 3:
		switch_memory();
		break;
	case 4:
		pv_balloon_target_set(current(), (uint64_t)fuzz_u32(input) << what / 8);
		break;
	case 5:
	case 6:
		pv_balloon_stats_period_set(current(), what / 8 % 4 * 1000u);
		break;
	default:
		pv_device_pause(current(), (struct pv_waiter){ 0 });
		pv_device_resume(current());
		break;
	}
}

static void step(struct fuzz_input *input)
{
	switch (fuzz_u8(input) % 8) {
	case 0:
		fuzz_device_put_any(&balloon.base, input);
		break;
	case 1:
	case 2:
		put_list(input);
		break;
	case 3:
		put_stats(input);
		break;
	case 4:
		write_config(input);
		break;
	case 5:
		interfere(input);
		break;
	default:
		run();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };

	open_balloon(&input);
	while (input.bytes > 0)
		step(&input);
	close_balloon();
	return 0;
}
