/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of any framing and content through the whole block device. */
#include "abi/virtio_blk.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define ROUNDS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	uint64_t features = fuzz_ring_features(fuzz_u8(&input));
	struct fuzz_memory memory;
	struct fuzz_blk blk;

	fuzz_memory_open(&memory);
	fuzz_memory_fill(&memory, &input);
	fuzz_blk_open(&blk);
	features |= VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES;
	pv_bug_on(fuzz_host_start(&blk.host, &memory, features));
	for (int i = 0; i < ROUNDS; i++) {
		fuzz_host_run(&blk.host);
		fuzz_memory_scribble(&memory, &input);
	}
	pv_bug_on(!pv_queue_is_quiet(&blk.host.device->queue[0]));
	fuzz_blk_close(&blk);
	fuzz_memory_close(&memory);
	return 0;
}
