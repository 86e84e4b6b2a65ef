/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/moved.h"

#include "ring/err.h"

#define HEADER_BYTES 16u
#define CHECKSUM_AT  12u

static void change(struct fuzz_state *state, struct fuzz_input *input)
{
	uint8_t *body = state->data + HEADER_BYTES;
	const size_t bytes = state->bytes - HEADER_BYTES;
	uint32_t sum;

	for (uint8_t n = fuzz_u8(input) % 4; n > 0; n--)
		body[fuzz_u16(input) % bytes] = fuzz_u8(input);
	sum = pv_state_checksum(body, bytes);
	for (uint32_t i = 0; i < 4; i++)
		state->data[CHECKSUM_AT + i] = (uint8_t)(sum >> 8 * i);
}

void fuzz_state_save(struct fuzz_state *state, struct pv_device *device, struct fuzz_input *input)
{
	struct pv_state_writer to = { .data = state->data, .capacity = sizeof(state->data) };

	pv_bug_on(pv_device_pause(device, (struct pv_waiter){ 0 }));
	pv_bug_on(pv_device_save(device, &to));
	state->bytes = to.bytes;
	if (input)
		change(state, input);
}

bool fuzz_state_load(const struct fuzz_state *state, struct fuzz_host *to, bool may_fail)
{
	int error = pv_device_load(to->device, state->data, state->bytes);

	pv_bug_on(error && !may_fail);
	if (!error)
		pv_device_resume(to->device);
	return !error;
}
