/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rigs have in common that put a device under a driver which is the test itself: the
 * device's host, the memory, the rings (by our own driver's role), and a device that is paused,
 * saved and followed by another one.  One thread; when lanes run is the affair of the device's own
 * rig (balloon_rig, serial_rig).  Include after cmocka.
 */
#ifndef PV_TESTS_DEVICE_RIG_H
#define PV_TESTS_DEVICE_RIG_H

#include "devices/core/device.h"
#include "ring/drv_ring.h"
#include "tests/support/ring_kinds.h"

#define DEVICE_RIG_SIZE         64u
#define DEVICE_RIG_INDIRECT_MAX 16u
#define DEVICE_RIG_CRUMBS_GPA   0x40000000u
#define DEVICE_RIG_NOWHERE      0x7000000000ull

struct device_rig_queue {
	struct pv_drv_ring ring;
	struct pv_ring_config config;
	void *private_area;
	bool is_attached, is_detaching, has_event;
	bool is_due;       /* it has a reason to run */
	uint64_t timer_ns; /* when it goes off; 0: not at all */
	uint32_t interrupts;
};

struct device_rig_shape {
	uint16_t queues;
	uint32_t area_bytes; /* what the driver has for itself */
	uint32_t crumbs;     /* regions of a byte */
	uint32_t more;       /* regions that are added */
};

struct device_rig {
	struct pv_port port;
	struct pv_port_ops ops;
	struct device_rig_shape shape;
	/* Lets lanes run, at least until this is so. */
	void (*run)(struct device_rig *rig, const bool *until);
	void *storage;
	struct pv_device *device;
	uint64_t features;
	struct device_rig_queue *queue;

	struct pv_mem *mem;
	uint8_t *memory; /* the rings', and the driver's */
	struct pv_gpa area, crumbs;
	uint8_t *area_host, *crumbs_host; /* of a crumb only every other byte is one */
	uint32_t area_at;                 /* what lies behind it was not given out */

	uint64_t now_ns;
	bool is_slow;     /* a lane that is to stop does so when it is run */
	size_t allocated; /* through the port, and not freed */
	uint32_t wakes, config_changes, needs_resets, logs;
};

/* ---- its life ---- */

/* Memory and queues; no device. */
void device_rig_open(struct device_rig *rig, const struct device_rig_shape *shape,
                     void (*run)(struct device_rig *rig, const bool *until));

/* Frees all. The device has been reset; nothing of it may be left. */
void device_rig_close(struct device_rig *rig);

/* Memory that is all zero, to be freed. */
void *device_rig_zeroed(size_t align, size_t bytes);

/* One more region, before there is a device. */
void device_rig_add_region(struct device_rig *rig, const struct pv_region *region);

/* Storage for a device that is not there yet; and the device that was made on it. */
void *device_rig_storage(struct device_rig *rig, size_t bytes);
void device_rig_set_device(struct device_rig *rig, struct pv_device *device);

/* ---- lanes and queues ---- */

/* What a lane has to say to the control side is said. Returns whether there was anything. */
bool device_rig_answer(struct device_rig *rig, uint16_t index);

/* Features of these that are offered, and DRIVER_OK. */
void device_rig_negotiate(struct device_rig *rig, uint64_t features);

/* A fresh ring for a queue, which is idle, and its start: what pv_device_queue_start() says. */
int device_rig_start_queue(struct device_rig *rig, uint16_t index);

/* Stops it; it goes on, with what is on its ring, where it stopped. */
void device_rig_stop_queue(struct device_rig *rig, uint16_t index);
void device_rig_continue_queue(struct device_rig *rig, uint16_t index);

/* ---- a device that is followed by another one ---- */

void device_rig_pause(struct device_rig *rig);

/* The state of a device that is at rest: to be freed. */
uint8_t *device_rig_save(struct device_rig *rig, size_t *bytes);

/* This one is over. Returns its storage, to be freed when the next one is there. */
void *device_rig_abandon(struct device_rig *rig);

/* A fresh one goes on with a state, which is freed. */
void device_rig_resume(struct device_rig *rig, uint8_t *state, size_t bytes);

/* ---- what the driver does ---- */

/* Memory of the driver's. What is none of it lies, on this side, where it begins. */
struct pv_sg device_rig_alloc(struct device_rig *rig, uint32_t bytes);
uint8_t *device_rig_at(const struct device_rig *rig, struct pv_gpa gpa);

/*
 * Puts a chain on a ring, and kicks: the lane is due, and does not run yet. Its token is where its
 * first buffer lies.
 */
void device_rig_offer(struct device_rig *rig, uint16_t queue, const struct pv_sg *sg,
                      uint16_t readable, uint16_t writable);

/* Takes a chain that came back: where it lies, or NULL, and what was written. */
uint8_t *device_rig_take(struct device_rig *rig, uint16_t queue, uint32_t *written_bytes);

#endif
