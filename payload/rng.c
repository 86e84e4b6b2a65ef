/* SPDX-License-Identifier: BSD-2-Clause */
/* The self test of an entropy device. */
#include "drivers/rng/rng.h"
#include "payload/payload.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"

#define BYTES      64u
#define ALONE      8u
#define TIMEOUT_NS 5000000000ull

/* Not on the stack: one that was given up is in flight until the driver ends. */
static struct pv_rngdrv_request request;

/* All of a piece may come in several. */
static uint32_t fill(struct pv_rngdrv *rng, uint8_t *bytes)
{
	uint32_t have = 0;

	while (have < BYTES) {
		request = (struct pv_rngdrv_request){
			.buffer = { bytes + have, BYTES - have },
		};

		if (pv_rngdrv_do(rng, &request, TIMEOUT_NS))
			break;
		have += request.random_bytes;
	}
	return have;
}

/* A source that gives one byte again and again, or the same twice, is none. */
static bool looks_random(const uint8_t *first, const uint8_t *second)
{
	uint32_t bits = 0;

	for (unsigned int i = 0; i < 8 * BYTES; i++)
		bits += (uint32_t)(first[i / 8] ^ second[i / 8]) >> i % 8 & 1;
	return bits > BYTES && bits < 7 * BYTES;
}

/* One after the other; nobody looks at the ring but when an interrupt has come. */
static bool are_announced(struct pv_rngdrv *rng, uint8_t *bytes)
{
	bool is_good = true;

	for (unsigned int i = 0; i < ALONE && is_good; i++) {
		const uint32_t before = interrupts_of_queue(VIRTIO_RNG_REQUESTQ);

		request = (struct pv_rngdrv_request){ .buffer = { bytes, BYTES } };
		is_good = !pv_rngdrv_interrupts_on(rng) && pv_rngdrv_submit(rng, &request) == 0;
		if (!is_good)
			break;
		pv_rngdrv_publish(rng);
		is_good = payload_sleep(VIRTIO_RNG_REQUESTQ, before, TIMEOUT_NS) &&
		          pv_rngdrv_poll(rng) == 1 && request.error == 0;
	}
	pv_rngdrv_interrupts_off(rng);
	return is_good;
}

void payload_test_rng(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_rngdrv_options wanted = { .timeout_ns = TIMEOUT_NS };
	struct pv_rngdrv *rng;
	uint8_t *bytes;
	int error;

	(void)options;
	bare_forget();
	error = pv_rngdrv_create(&rng, bus, &bare_os, &wanted);
	if (!payload_ok(error == 0, "it comes up")) {
		payload_note("error", (uint64_t)-error);
		return;
	}
	bytes = bare_alloc(2 * BYTES, BYTES);
	if (interrupts_are_on()) {
		payload_ok(are_announced(rng, bytes), "bytes are announced by interrupts");
		payload_note("interrupts", interrupts_taken());
	}
	if (payload_ok(fill(rng, bytes) == BYTES && fill(rng, bytes + BYTES) == BYTES,
	               "it gives bytes"))
		payload_ok(looks_random(bytes, bytes + BYTES), "they look random");
	payload_ok(!pv_rngdrv_is_broken(rng), "it is sound in the end");
	pv_rngdrv_destroy(rng);
}
