/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A console (virtio 1.3, section 5.3) with one port: a device of one's own on libparavane's core.
 * What the guest writes goes to a function; what is typed waits here until the guest takes it.
 */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <paravane/devices/core/device.h>

struct console_options {
	/* Whoever runs the queue. Text of the guest, in whatever bytes it likes. */
	void (*output)(void *arg, const void *text, size_t bytes);
	void *arg;
};

/* Bytes of storage that console_init() needs, cache-line aligned and zeroed. */
size_t console_bytes(void);

/* On the caller's storage. Returns the common part. `port` must outlive it. */
struct pv_device *console_init(void *storage, struct pv_port *port,
                               const struct console_options *options);

/* Whoever runs the queues. For how many bytes there is room; and what was typed, no more than that.
 */
size_t console_room(const struct pv_device *device);
void console_input(struct pv_device *device, const void *text, size_t bytes);

#endif
