/* SPDX-License-Identifier: BSD-2-Clause */
/* Within drivers/serial/: the driver, its ports, and its control queues. */
#ifndef PV_DRIVERS_SERIAL_INTERNAL_H
#define PV_DRIVERS_SERIAL_INTERNAL_H

#include "drivers/serial/serial.h"

/* Buffers of the driver's own in shared memory, side by side. */
struct pv_serdrv_own_buffer {
	struct pv_driver_request base;
	uint8_t *memory;
	struct pv_sg piece;
	bool is_posted;
};

struct pv_serdrv_own {
	uint16_t buffers;
	struct pv_serdrv_own_buffer *buffer;
	uint8_t *memory;
	size_t bytes;
};

struct pv_serdrv_port {
	struct pv_serdrv *serial;
	struct pv_serdrv_state state;
	struct pv_driver_queue in, out;
	struct pv_serdrv_counters counters;
	uint64_t turn; /* of the next write or read */

	/* Came into a buffer of the driver's, and was not taken yet; NULL: nothing. */
	struct pv_serdrv_own own;
	struct pv_serdrv_own_buffer *waiting;
	uint32_t waiting_at;
	uint32_t waiting_bytes;
	bool has_news; /* for pv_serdrv_get(): bytes, or the end of them */

	/* pv_serdrv_put(). */
	struct pv_serdrv_own put_memory;
	struct pv_serdrv_data put;

	/* What the device is to be told, and the next port that it is to be told of. */
	bool says_open;
	bool owes_ready;
	bool owes_open;
	bool is_owing;
	struct pv_serdrv_port *next_owing;

	bool is_missing; /* since the device was reset */
	bool is_awaited; /* it was added, but the device has writes still of what was there before
	                  */
};

struct pv_serdrv_control {
	struct pv_driver_queue in, out;
	struct pv_serdrv_own in_own, out_own;
	struct pv_serdrv_control_counters counters;

	/* What the device is to be told. */
	bool owes_device_ready;
	struct pv_serdrv_port *first_owing, *last_owing;
	uint32_t refused[VIRTIO_CONSOLE_PORTS_MAX / 32 + 1]; /* a bit for each port: not ready */

	/* After a reset: ports that are to come back. */
	uint32_t missing;
	bool are_all_back;
};

struct pv_serdrv {
	struct pv_driver driver;
	struct pv_serdrv_info info;
	struct pv_serdrv_options options;
	size_t bytes;
	struct pv_serdrv_control control;
	struct pv_serdrv_port port[]; /* options.ports_max of them */
};

/* ---- config.c ---- */

/* Reads and checks the configuration. Returns 0, -PV_EBROKEN or an error of the bus. */
int pv_serdrv_config_load(struct pv_serdrv *serial);

/* ---- own.c ---- */

/* Buffers of so many bytes each. Returns 0 or -PV_ENOMEM; pv_serdrv_own_free() is for both. */
int pv_serdrv_own_alloc(struct pv_os *os, struct pv_serdrv_own *own, uint16_t buffers,
                        uint32_t bytes);

/* The shared part stays with a device that has not confirmed its reset. */
void pv_serdrv_own_free(struct pv_driver *driver, struct pv_serdrv_own *own);

/* Adds those that the device does not have, but for one, for it to write. */
int pv_serdrv_own_post(struct pv_driver_queue *queue, struct pv_serdrv_own *own,
                       const struct pv_serdrv_own_buffer *but);
int pv_serdrv_own_add(struct pv_driver_queue *queue, struct pv_serdrv_own_buffer *buffer);

extern const struct pv_driver_request_ops pv_serdrv_own_ops;

/* ---- port.c ---- */

int pv_serdrv_port_setup(struct pv_serdrv *serial, uint16_t number);
void pv_serdrv_port_teardown(struct pv_serdrv_port *port);
void pv_serdrv_changed(struct pv_serdrv_port *port, uint32_t what);

/* It is there, from here on or as soon as the device has dropped what it has of the one before. */
void pv_serdrv_port_add(struct pv_serdrv_port *port);
void pv_serdrv_port_remove(struct pv_serdrv_port *port);

/* After a reset it is there once more: what was in flight goes on. */
void pv_serdrv_port_come_back(struct pv_serdrv_port *port);

/* ---- data.c, receive.c ---- */

extern const struct pv_driver_request_ops pv_serdrv_write_ops;
extern const struct pv_driver_request_ops pv_serdrv_read_ops;
uint32_t pv_serdrv_poll_writes(struct pv_serdrv_port *port);
uint32_t pv_serdrv_poll_reads(struct pv_serdrv_port *port);
uint32_t pv_serdrv_poll_own(struct pv_serdrv_port *port);

/* Bytes of what waits are taken; the buffer goes back to the device behind the last of them. */
void pv_serdrv_take_waiting(struct pv_serdrv_port *port, uint32_t bytes);

/* ---- control.c ---- */

int pv_serdrv_control_setup(struct pv_serdrv *serial);
void pv_serdrv_control_teardown(struct pv_serdrv *serial);

/* The device works, for the first time or again: messages can come, and it is told so. */
int pv_serdrv_control_start(struct pv_serdrv *serial);
uint32_t pv_serdrv_control_poll(struct pv_serdrv *serial);

/* Something is owed to the device about this port; sent by pv_serdrv_control_tell(). */
void pv_serdrv_control_owe(struct pv_serdrv_port *port);
void pv_serdrv_control_tell(struct pv_serdrv *serial);

/* ---- recover.c ---- */

bool pv_serdrv_has_broken_queue(const struct pv_serdrv *serial);

/* ---- events.c ---- */

/* A message of the device's, `bytes` of it. False: it makes no sense. */
bool pv_serdrv_event(struct pv_serdrv *serial, const uint8_t *message, uint32_t bytes);

/* ---- name.c ---- */

/* Is it UTF-8 that can be shown, and fits? */
bool pv_serdrv_name_is_good(const uint8_t *name, uint32_t bytes);

#endif
