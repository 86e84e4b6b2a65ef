/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts by themselves: the machine's, and those of a device's configuration. */
#include "payload/x86/interrupts.h"

#include "abi/virtio_ids.h"
#include "abi/virtio_ring.h"
#include "drivers/core/bus.h"
#include "payload/payload.h"
#include "payload/x86/os.h"

#define TIMEOUT_NS 5000000000ull
#define ROUNDS     1000u
#define QUICK      50u

/* ---- the machine ---- */

/*
 * It comes while interrupts are disabled, as one does between a look at a queue and the sleep. If
 * it were taken before the sleep, the clock would have to end that, each time: rounds in which the
 * clock did not come show that it was not. How many they are is the host's load.
 */
static bool is_woken_by_earlier(void)
{
	uint32_t quick = 0;

	for (uint32_t i = 0; i < ROUNDS && quick < QUICK; i++) {
		const uint32_t before = interrupts_of_self(), clock = interrupts_of_clock();

		interrupts_send_self();
		do
			interrupts_halt();
		while (interrupts_of_self() == before && interrupts_of_clock() - clock < ROUNDS);
		quick += interrupts_of_self() == before + 1 && interrupts_of_clock() == clock;
	}
	return quick == QUICK;
}

void payload_test_interrupts(void)
{
	const uint32_t clock = interrupts_of_clock();

	interrupts_halt();
	ok(interrupts_of_clock() != clock, "machine: the clock ends a sleep");
	ok(is_woken_by_earlier(), "machine: an interrupt that came before a sleep ends it");
}

bool payload_sleep(uint16_t queue, uint32_t before, uint64_t timeout_ns)
{
	const uint64_t begin = clock_ns();

	while (interrupts_of_queue(queue) == before) {
		const uint64_t waited_ns = clock_ns() - begin;

		if (waited_ns >= timeout_ns || !interrupts_sleep(timeout_ns - waited_ns))
			return false;
	}
	return true;
}

/* ---- a device that is given nonsense ---- */

#define QUEUE_SIZE  8u
#define QUEUE_BYTES 4096u
#define DRIVER_AT   1024u
#define DEVICE_AT   2048u

static bool add_status(struct pv_bus *bus, uint8_t bits)
{
	uint8_t status;

	return bus->ops->status_get(bus, &status) == 0 &&
	       bus->ops->status_set(bus, status | bits) == 0;
}

/* The least that a device asks for (section 3.1.1). */
static bool negotiate(struct pv_bus *bus)
{
	uint64_t offered;

	return bus->ops->status_set(bus, 0) == 0 && add_status(bus, VIRTIO_STATUS_ACKNOWLEDGE) &&
	       add_status(bus, VIRTIO_STATUS_DRIVER) &&
	       bus->ops->features_get(bus, &offered) == 0 &&
	       bus->ops->features_set(bus, offered & (VIRTIO_F_VERSION_1 |
	                                              VIRTIO_F_ACCESS_PLATFORM)) == 0 &&
	       add_status(bus, VIRTIO_STATUS_FEATURES_OK);
}

/* One that a device looks at by itself: of a network or serial device that which sends. */
static uint16_t queue_of(const struct pv_bus *bus)
{
	return bus->device_id == VIRTIO_ID_NET || bus->device_id == VIRTIO_ID_CONSOLE ? 1 : 0;
}

static bool enable(struct pv_bus *bus, uint8_t *memory)
{
	struct pv_bus_queue queue = {
		.size = QUEUE_SIZE,
		.desc_area = pv_gpa_of((uint64_t)memory),
		.driver_area = pv_gpa_of((uint64_t)memory + DRIVER_AT),
		.device_area = pv_gpa_of((uint64_t)memory + DEVICE_AT),
	};
	uint16_t size;

	return bus->ops->queue_size_max(bus, queue_of(bus), &size) == 0 && size >= QUEUE_SIZE &&
	       bus->ops->queue_enable(bus, queue_of(bus), &queue) == 0;
}

/* More is available than it has room for, and of that the first is a descriptor that is not. */
static void make_nonsense(uint8_t *memory)
{
	struct virtq_avail *available = (struct virtq_avail *)(memory + DRIVER_AT);

	available->ring[0] = pv_le16_of(UINT16_MAX);
	available->idx = pv_le16_of(UINT16_MAX / 2);
}

static bool needs_reset(struct pv_bus *bus)
{
	uint8_t status;

	return bus->ops->status_get(bus, &status) == 0 && status & VIRTIO_STATUS_NEEDS_RESET;
}

void payload_test_config_interrupt(struct pv_bus *bus)
{
	const uint64_t begin = clock_ns();
	const uint32_t before = interrupts_of_config();
	bool has_told = false;
	uint8_t *memory;

	/* A legacy device has no way to say it. */
	if (bus->is_legacy)
		return;
	bare_forget();
	memory = bare_alloc(QUEUE_BYTES, QUEUE_BYTES);
	if (memory && negotiate(bus) && enable(bus, memory) &&
	    add_status(bus, VIRTIO_STATUS_DRIVER_OK)) {
		make_nonsense(memory);
		bus->ops->kick(bus, queue_of(bus), 0);
		/* A device that others serve may first say that its configuration has changed. */
		while (!has_told && clock_ns() - begin < TIMEOUT_NS) {
			interrupts_sleep(TIMEOUT_NS);
			has_told = interrupts_of_config() != before && needs_reset(bus);
		}
	}
	payload_ok(has_told && clock_ns() - begin < TIMEOUT_NS,
	           "the configuration's interrupt tells that it found its queue to be nonsense");
}
