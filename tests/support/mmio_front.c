/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/support/mmio_front.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MEMBER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* ---- what the registers ask of their host ---- */

static struct mmio_front *of_mmio(struct pv_virtio_mmio *virtio)
{
	return MEMBER_OF(virtio, struct mmio_front, mmio);
}

static void interrupt_changed(struct pv_virtio_mmio *virtio)
{
	__atomic_add_fetch(&of_mmio(virtio)->calls, pv_virtio_mmio_has_interrupt(virtio),
	                   __ATOMIC_RELAXED);
}

static void kick(struct pv_virtio_mmio *virtio, uint16_t queue)
{
	const uint64_t one = 1;

	assert_int_equal(write(of_mmio(virtio)->kick[queue], &one, sizeof(one)), sizeof(one));
}

static void wait_a_turn(struct pv_virtio_mmio *virtio)
{
	struct mmio_front *front = of_mmio(virtio);

	front->turn(front->arg);
}

static const struct pv_virtio_mmio_host_ops mmio_host_ops = { interrupt_changed, kick,
	                                                      wait_a_turn };

/* ---- what the host asks of them ---- */

static void call(void *arg, uint16_t queue)
{
	struct mmio_front *front = arg;

	(void)queue;
	pv_virtio_mmio_call(&front->mmio);
}

static void config_changed(void *arg)
{
	struct mmio_front *front = arg;

	pv_virtio_mmio_config_changed(&front->mmio);
}

static const struct pv_host_ops transport = { call, config_changed };

/* ---- the driver's port ---- */

static struct mmio_front *of_port(struct pv_mmio_port *port)
{
	return MEMBER_OF(port, struct mmio_front, port);
}

static uint32_t window_bytes(struct pv_mmio_port *port)
{
	(void)port;
	return 4096;
}

static uint32_t window_read(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes)
{
	return (uint32_t)pv_virtio_mmio_read(&of_port(port)->mmio, offset, bytes);
}

static void window_write(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes,
                         uint32_t value)
{
	pv_virtio_mmio_write(&of_port(port)->mmio, offset, bytes, value);
}

static const struct pv_mmio_port_ops port_ops = { window_bytes, window_read, window_write };

/* ---- the whole ---- */

void mmio_front_open(struct mmio_front *front, struct pv_host *host, struct pv_device *device,
                     void (*turn)(void *arg), void *arg)
{
	const struct pv_virtio_mmio_options options = { .host = &mmio_host_ops, .device = device };
	size_t bytes = (pv_virtio_mmio_storage_bytes(device) + 63) & ~(size_t)63;

	assert_true(device->queues <= MMIO_FRONT_QUEUES_MAX);
	*front = (struct mmio_front){ .port = { &port_ops },
		                      .host = host,
		                      .queues = device->queues,
		                      .turn = turn,
		                      .arg = arg };
	for (uint16_t i = 0; i < front->queues; i++) {
		front->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_int_equal(pv_host_set_kick(host, i, front->kick[i], false), 0);
	}
	front->storage = aligned_alloc(64, bytes);
	memset(front->storage, 0, bytes);
	pv_virtio_mmio_init(&front->mmio, &options, front->storage);
	pv_host_set_transport(host, &transport, front);
	assert_int_equal(pv_mmio_bus_init(&front->bus, &front->port), 0);
}

void mmio_front_close(struct mmio_front *front)
{
	for (uint16_t i = 0; i < front->queues; i++)
		close(front->kick[i]);
	free(front->storage);
}
