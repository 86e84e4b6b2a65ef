/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block driver on a device by script: whatever that does, each request ends once, says no more
 * than was asked for, and nothing is left behind.
 */
#include <string.h>

#include "drivers/blk/blk.h"
#include "ring/err.h"
#include "tests/fuzz/scripted.h"

#define TIMEOUT_NS 20000000u

static struct scripted scripted;
static struct pv_blkdrv *blk;

static struct slot {
	struct pv_blkdrv_request request;
	struct pv_buffer data[2];
	bool is_out;
} slots[SCRIPTED_BUFFERS];

static void done(struct pv_blkdrv_request *request)
{
	struct slot *slot = (struct slot *)(void *)request;

	pv_bug_on(!slot->is_out || !request->is_done);
	pv_bug_on(request->written_bytes > scripted.buffer[0].bytes);
	slot->is_out = false;
}

/* A plausible disk, of which the script then changes this and that. */
static void configure(struct fuzz_input *input)
{
	struct virtio_blk_config config = {
		.capacity = pv_le64_of(1000),
		.size_max = pv_le32_of(1024),
		.seg_max = pv_le32_of(6),
		.blk_size = pv_le32_of(512),
		.writeback = 1,
		.num_queues = pv_le16_of(2),
		.max_discard_sectors = pv_le32_of(100),
		.max_discard_seg = pv_le32_of(1),
		.max_write_zeroes_sectors = pv_le32_of(100),
		.max_write_zeroes_seg = pv_le32_of(1),
	};

	memcpy(scripted.config, &config,
	       sizeof(config) < SCRIPTED_CONFIG ? sizeof(config) : SCRIPTED_CONFIG);
	for (uint8_t n = fuzz_u8(input) % 4; n > 0; n--)
		fuzz_copy(input, scripted.config + fuzz_u8(input) % (SCRIPTED_CONFIG - 1), 2);
}

static void submit(struct pv_blkdrv_queue *queue, struct slot *slot, struct fuzz_input *input)
{
	const uint32_t i = (uint32_t)(slot - slots);
	uint8_t op = fuzz_u8(input);
	uint32_t first = fuzz_u16(input) % 1024;
	uint32_t bytes = (1 + op / 64u % 3) * 512;

	if (slot->is_out)
		return;
	first = first > 0 && first < bytes ? first : bytes / 2;
	slot->data[0] = (struct pv_buffer){ scripted.buffer[i].memory, first };
	slot->data[1] = (struct pv_buffer){ scripted.buffer[i].memory + first, bytes - first };
	slot->request = (struct pv_blkdrv_request){ .op = op % 8,
		                                    .may_unmap = op & 8,
		                                    .sector = fuzz_u8(input) * 4u,
		                                    .sectors = 1 + op / 64u,
		                                    .buffers = 2,
		                                    .buffer = slot->data,
		                                    .timeout_ns = op & 16 ? TIMEOUT_NS : 0,
		                                    .done = done };
	slot->is_out = true;
	if (pv_blkdrv_submit(queue, &slot->request))
		slot->is_out = false;
}

static void step(struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input);
	struct pv_blkdrv_queue *queue =
		pv_blkdrv_queue(blk, what / 16 % pv_blkdrv_disk(blk)->queues);
	char id[VIRTIO_BLK_ID_BYTES + 1];
	bool is_on;

	switch (what % 16) {
	case 0:
		pv_blkdrv_publish(queue);
		break;
	case 1:
		pv_blkdrv_tend(blk);
		break;
	case 2:
		pv_blkdrv_config_changed(blk);
		break;
	case 3:
		pv_blkdrv_queue_reset(queue);
		break;
	case 4:
		if (pv_blkdrv_id(queue, id, TIMEOUT_NS) == 0)
			pv_bug_on(strlen(id) > VIRTIO_BLK_ID_BYTES);
		break;
	case 5:
		if (pv_blkdrv_set_write_cache(blk, what & 16) == 0)
			pv_blkdrv_write_cache(blk, &is_on);
		break;
	case 6:
		if (!pv_blkdrv_interrupts_on(queue))
			pv_blkdrv_interrupts_off(queue);
		break;
	case 7:
		scripted.now_ns += 10000000;
		break;
	case 8:
	case 9:
		pv_bug_on(pv_blkdrv_poll(queue) > pv_blkdrv_queue_size(queue));
		break;
	case 10:
	case 11:
	case 12:
		scripted_act(&scripted);
		break;
	default:
		submit(queue, &slots[what / 16 % SCRIPTED_BUFFERS], input);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	uint8_t bits = fuzz_u8(&input);
	const struct pv_blkdrv_options options = {
		.queues = 2,
		.segments_max = bits & 1 ? 2 : 0,
		.queue_size = bits & 2 ? 4 : 0,
		.fails_on_reset = bits & 4,
		.request_timeout_ns = bits & 8 ? TIMEOUT_NS : 0,
	};

	memset(slots, 0, sizeof(slots));
	scripted_open(&scripted, &input);
	configure(&input);
	if (pv_blkdrv_create(&blk, &scripted.bus, &scripted.os, &options) == 0) {
		while (input.bytes > 0)
			step(&input);
		pv_blkdrv_destroy(blk);
	}
	for (uint32_t i = 0; i < SCRIPTED_BUFFERS; i++)
		pv_bug_on(slots[i].is_out);
	scripted_close(&scripted);
	return 0;
}
