/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saved state with anything in its fields, under a header that is right.  What loads goes on: it
 * runs on memory that holds anything too.  First only the device's own part of it is loaded, by who
 * has features and queues from elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define HEADER_BYTES 16u
#define MAGIC        0x54535650u
#define VERSION      1u

static void put_u32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* The first half of the input fills the ring's memory, as far as it goes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	struct fuzz_memory memory;
	struct fuzz_blk blk;
	uint8_t *state;

	fuzz_memory_open(&memory);
	fuzz_blk_open(&blk);
	if (fuzz_u8(&input) & 1)
		fuzz_memory_fill(&memory, &input);
	state = malloc(HEADER_BYTES + input.bytes);
	pv_bug_on(!state);
	memcpy(state + HEADER_BYTES, input.data, input.bytes);
	put_u32(state, MAGIC);
	put_u32(state + 4, VERSION);
	put_u32(state + 8, (uint32_t)input.bytes);
	put_u32(state + 12, pv_state_checksum(state + HEADER_BYTES, input.bytes));
	pv_device_mem_set(blk.host.device, memory.mem);
	if (pv_device_load_own(blk.host.device, state, HEADER_BYTES + input.bytes) == 0)
		pv_bug_on(blk.host.device->features || !pv_device_is_idle(blk.host.device));
	pv_device_reset(blk.host.device, (struct pv_waiter){ 0 });
	if (pv_device_load(blk.host.device, state, HEADER_BYTES + input.bytes) == 0) {
		pv_device_resume(blk.host.device);
		fuzz_host_run(&blk.host);
	}
	free(state);
	fuzz_blk_close(&blk);
	fuzz_memory_close(&memory);
	return 0;
}
