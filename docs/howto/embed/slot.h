/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A slot of the machine: a device behind its registers, on one thread.  This is what libparavane
 * asks of whoever hosts a device, and would be the same in any emulator that has one thread.
 */
#ifndef SLOT_H
#define SLOT_H

#include <paravane/paravane.h>

#define SLOT_QUEUES_MAX 2u

struct lane {
	bool must_run;
	bool has_event;
	uint64_t timer_ns; /* 0: it is not set */
};

struct slot {
	struct pv_port port;
	struct pv_virtio_mmio mmio;
	struct pv_device *device;
	void *device_storage;
	void *mmio_storage;
	struct lane lane[SLOT_QUEUES_MAX];
	bool is_line_high;
};

/* Zeroed memory for cache lines, or NULL. */
void *slot_alloc(size_t bytes);

/* An empty slot. The device is made next, on `slot->port`, and put into it. */
void slot_open(struct slot *slot);

/* `storage` is the device's, from slot_alloc(), and goes with the slot. Returns false: no memory.
 */
bool slot_put(struct slot *slot, struct pv_device *device, void *storage, const struct pv_mem *mem);

/* All goes, while the guest is off or after slot_save(): its memory is not touched. */
void slot_close(struct slot *slot);

/* Each queue that has something to do has one turn. Returns whether there is more. */
bool slot_run(struct slot *slot);

/*
 * The device stops where it is; what it and its registers are is written to `state`. Returns the
 * bytes that this takes; 0: there is no room for it.
 */
size_t slot_save(struct slot *slot, uint8_t *state, size_t capacity);

/* A device that has just been put goes on from there. Returns false for what is no such state. */
bool slot_load(struct slot *slot, const uint8_t *state, size_t bytes);

#endif
