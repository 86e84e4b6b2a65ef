/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests of any framing through the whole entropy device, at a limit and from a source that the
 * input chooses; and what it did is saved and loaded again.
 */
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define ROUNDS      4
#define STATE_BYTES 512u

static void save_and_load(struct fuzz_host *host)
{
	uint8_t state[STATE_BYTES];
	struct pv_state_writer to = { .data = state, .capacity = sizeof(state) };

	pv_bug_on(pv_device_stop(host->device, (struct pv_waiter){ 0 }));
	pv_bug_on(pv_device_save(host->device, &to));
	pv_bug_on(pv_device_load_own(host->device, state, to.bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	uint64_t features = fuzz_ring_features(fuzz_u8(&input));
	struct fuzz_memory memory;
	struct fuzz_rng rng;

	fuzz_memory_open(&memory);
	fuzz_rng_open(&rng, &input);
	fuzz_memory_fill(&memory, &input);
	pv_bug_on(fuzz_host_start(&rng.host, &memory, features));
	for (int i = 0; i < ROUNDS; i++) {
		fuzz_host_run(&rng.host);
		/* Nothing is ever held. */
		pv_bug_on(rng.host.device->queue[0].ring.in_flight > 0);
		fuzz_memory_scribble(&memory, &input);
	}
	save_and_load(&rng.host);
	fuzz_rng_close(&rng);
	fuzz_memory_close(&memory);
	return 0;
}
