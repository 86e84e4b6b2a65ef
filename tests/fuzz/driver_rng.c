/* SPDX-License-Identifier: BSD-2-Clause */
/* The entropy driver on a device by script, as driver_blk.c. */
#include <string.h>

#include "drivers/rng/rng.h"
#include "ring/err.h"
#include "tests/fuzz/scripted.h"

#define TIMEOUT_NS 20000000u

static struct scripted scripted;
static struct pv_rngdrv *rng;

static struct slot {
	struct pv_rngdrv_request request;
	bool is_out;
} slots[SCRIPTED_BUFFERS];

static void done(struct pv_rngdrv_request *request)
{
	struct slot *slot = (struct slot *)(void *)request;

	pv_bug_on(!slot->is_out || !request->is_done);
	pv_bug_on(request->random_bytes > request->buffer.bytes);
	pv_bug_on((request->random_bytes == 0) == (request->error == 0));
	slot->is_out = false;
}

static void submit(struct slot *slot, uint32_t bytes, bool has_deadline)
{
	if (slot->is_out)
		return;
	slot->request = (struct pv_rngdrv_request){
		.buffer = { scripted.buffer[slot - slots].memory,
		            bytes % ((uint32_t)scripted.buffer[0].bytes + 1) },
		.timeout_ns = has_deadline ? TIMEOUT_NS : 0,
		.done = done,
	};
	slot->is_out = true;
	if (pv_rngdrv_submit(rng, &slot->request))
		slot->is_out = false;
}

static void step(struct fuzz_input *input)
{
	uint8_t what = fuzz_u8(input);

	switch (what % 8) {
	case 0:
		pv_rngdrv_publish(rng);
		break;
	case 1:
		pv_rngdrv_tend(rng);
		break;
	case 2:
		pv_rngdrv_queue_reset(rng);
		break;
	case 3:
		scripted.now_ns += 10000000;
		if (!pv_rngdrv_interrupts_on(rng))
			pv_rngdrv_interrupts_off(rng);
		break;
	case 4:
		pv_bug_on(pv_rngdrv_poll(rng) > pv_rngdrv_queue_size(rng));
		break;
	case 5:
		scripted_act(&scripted);
		break;
	default:
		submit(&slots[what / 8 % SCRIPTED_BUFFERS], fuzz_u16(input), what & 64);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	uint8_t bits = fuzz_u8(&input);
	const struct pv_rngdrv_options options = {
		.queue_size = bits & 2 ? 4 : 0,
		.fails_on_reset = bits & 4,
		.request_timeout_ns = bits & 8 ? TIMEOUT_NS : 0,
	};

	memset(slots, 0, sizeof(slots));
	scripted_open(&scripted, &input);
	if (pv_rngdrv_create(&rng, &scripted.bus, &scripted.os, &options) == 0) {
		while (input.bytes > 0)
			step(&input);
		pv_rngdrv_destroy(rng);
	}
	for (uint32_t i = 0; i < SCRIPTED_BUFFERS; i++)
		pv_bug_on(slots[i].is_out);
	scripted_close(&scripted);
	return 0;
}
