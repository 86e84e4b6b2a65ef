/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of a device over MMIO, by any accesses in any order; a queue that gets to run does so
 * on memory that holds anything.  In the end the registers are saved and loaded, and after a reset
 * there is nothing left.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/transport/mmio/virtio.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define STATE_BYTES 512u

static void interrupt_changed(struct pv_virtio_mmio *mmio)
{
	pv_bug_on(pv_virtio_mmio_has_interrupt(mmio) &&
	          pv_virtio_mmio_read(mmio, VIRTIO_MMIO_INTERRUPT_STATUS, 4) == 0);
}

static void kick(struct pv_virtio_mmio *mmio, uint16_t queue)
{
	pv_bug_on(queue >= mmio->transport.device->queues);
}

/* All that this device does it does at once. */
static void wait(struct pv_virtio_mmio *mmio)
{
	(void)mmio;
	pv_bug_on(true);
}

static const struct pv_virtio_mmio_host_ops host_ops = { interrupt_changed, kick, wait };

/* What an access begins with: where it goes, by 4 bytes in the registers and by 1 beyond. */
enum { ACCESS_READ = 1, ACCESS_CONFIG = 2, ACCESS_WILD = 4, ACCESS_RUN = 8, ACCESS_EVENT = 16 };

static void one_access(struct pv_virtio_mmio *mmio, struct fuzz_input *input)
{
	uint8_t kind = fuzz_u8(input), at = fuzz_u8(input);
	uint64_t offset = kind & ACCESS_CONFIG ? VIRTIO_MMIO_CONFIG + at : at % 64u * 4u;
	unsigned int bytes = 4;

	if (kind & ACCESS_WILD) {
		bytes = fuzz_u8(input);
		offset += fuzz_u16(input) * (uint64_t)at;
	}
	if (kind & ACCESS_READ)
		pv_bug_on(bytes < 8 && pv_virtio_mmio_read(mmio, offset, bytes) >> 8 * bytes != 0);
	else
		pv_virtio_mmio_write(mmio, offset, bytes, fuzz_u32(input));
	if (kind & ACCESS_EVENT)
		pv_virtio_mmio_call(mmio);
}

static void use(struct pv_virtio_mmio *mmio, struct fuzz_blk *blk, struct fuzz_memory *memory,
                struct fuzz_input *input)
{
	while (input->bytes > 0) {
		uint8_t kind = *input->data;

		one_access(mmio, input);
		if (!(kind & ACCESS_RUN))
			continue;
		fuzz_host_run(&blk->host);
		fuzz_memory_scribble(memory, input);
	}
}

static void save_and_load(struct pv_virtio_mmio *mmio)
{
	uint8_t data[2][STATE_BYTES];
	struct pv_state_writer to[2] = { { data[0], STATE_BYTES, 0 }, { data[1], STATE_BYTES, 0 } };
	struct pv_state_reader from;

	pv_virtio_mmio_save(mmio, &to[0]);
	from = (struct pv_state_reader){ .data = data[0], .bytes = to[0].bytes };
	pv_virtio_mmio_load(mmio, &from);
	pv_bug_on(from.is_bad || from.bytes > 0);
	pv_virtio_mmio_save(mmio, &to[1]);
	pv_bug_on(to[0].bytes != to[1].bytes || memcmp(data[0], data[1], to[0].bytes) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	struct pv_transport_queue queue = { 0 };
	struct fuzz_memory memory;
	struct pv_virtio_mmio mmio;
	struct fuzz_blk blk;
	uint8_t options = fuzz_u8(&input);

	fuzz_memory_open(&memory);
	fuzz_blk_open(&blk);
	pv_device_mem_set(blk.host.device, memory.mem);
	if (options & 2)
		fuzz_memory_fill(&memory, &input);
	pv_bug_on(pv_virtio_mmio_storage_bytes(blk.host.device) != sizeof(queue));
	pv_virtio_mmio_init(&mmio,
	                    &(struct pv_virtio_mmio_options){ .host = &host_ops,
	                                                      .device = blk.host.device,
	                                                      .is_legacy = options & 1 },
	                    &queue);
	use(&mmio, &blk, &memory, &input);
	save_and_load(&mmio);
	pv_virtio_mmio_reset(&mmio);
	pv_bug_on(pv_device_status(blk.host.device) != 0 || !pv_device_is_idle(blk.host.device));
	pv_bug_on(pv_virtio_mmio_has_interrupt(&mmio));
	fuzz_blk_close(&blk);
	fuzz_memory_close(&memory);
	return 0;
}
