/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/support/remote_rig.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "abi/pci.h"
#include "ring/err.h"
#include "tests/support/engine.h"

#define MEMBER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static bool take(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

/* ---- time ---- */

static void end(struct pv_loop_message *message)
{
	struct remote_rig *rig = MEMBER_OF(message, struct remote_rig, end);

	pv_loop_stop(rig->control);
}

void remote_rig_turn(struct remote_rig *rig)
{
	rig->end.run = end;
	pv_loop_post(rig->control, &rig->end);
	pv_loop_run(rig->control);
}

void remote_rig_turn_until(struct remote_rig *rig, bool (*is_true)(void *arg), void *arg)
{
	time_t deadline = time(NULL) + 60;

	while (!is_true(arg)) {
		assert_true(time(NULL) < deadline);
		remote_rig_turn(rig);
		usleep(1000);
	}
}

bool remote_rig_is_interrupted(struct remote_rig *rig, uint16_t queue, int ms)
{
	struct pollfd fd = { .fd = rig->vector[(uint16_t)(queue + 1)], .events = POLLIN };

	return poll(&fd, 1, ms) == 1 && take(fd.fd);
}

/* ---- PCI ---- */

static struct remote_rig *of_function(struct pv_pci_function *function)
{
	return MEMBER_OF(function, struct remote_rig, pci.function);
}

static struct remote_rig *of_pci(struct pv_virtio_pci *virtio)
{
	return MEMBER_OF(virtio, struct remote_rig, pci);
}

static void windows_changed(struct pv_pci_function *function)
{
	(void)function;
}

static void vector_set(struct pv_pci_function *function, uint16_t index,
                       const struct pv_msi_message *message)
{
	(void)function;
	(void)index;
	(void)message;
}

static bool vector_is_pending(struct pv_pci_function *function, uint16_t vector)
{
	(void)function;
	(void)vector;
	return false;
}

static void intx_raised(struct pv_pci_function *function)
{
	of_function(function)->calls++;
}

static const struct pv_pci_bus_ops pci_bus_ops = {
	.windows_changed = windows_changed,
	.vector_set = vector_set,
	.vector_is_pending = vector_is_pending,
	.intx_raised = intx_raised,
};

/* As hosted/vmm/pci_slot.c does. */
static void pci_route(struct pv_virtio_pci *virtio, uint16_t queue, uint16_t vector)
{
	struct remote_rig *rig = of_pci(virtio);
	bool has_vector = vector < virtio->msix.vectors;

	pv_host_set_call(rig->host, queue, has_vector ? rig->vector[vector] : -1);
}

static void pci_send(struct pv_virtio_pci *virtio, uint16_t vector)
{
	signal_fd(of_pci(virtio)->vector[vector]);
}

static void pci_kick(struct pv_virtio_pci *virtio, uint16_t queue)
{
	signal_fd(of_pci(virtio)->kick[queue]);
}

static void pci_wait(struct pv_virtio_pci *virtio)
{
	remote_rig_turn(of_pci(virtio));
}

static const struct pv_virtio_pci_host_ops pci_host_ops = {
	.route = pci_route,
	.send = pci_send,
	.kick = pci_kick,
	.wait = pci_wait,
};

static void pci_call(void *arg, uint16_t queue)
{
	struct remote_rig *rig = arg;

	(void)queue;
	pv_virtio_pci_call(&rig->pci);
}

static void pci_config_changed(void *arg)
{
	struct remote_rig *rig = arg;

	pv_virtio_pci_config_changed(&rig->pci);
}

static const struct pv_host_ops pci_transport = { pci_call, pci_config_changed };

static struct pv_pci_function *function_of(struct pv_pci_port *port)
{
	return &MEMBER_OF(port, struct remote_rig, pci_port)->pci.function;
}

static uint32_t config_read(struct pv_pci_port *port, uint32_t offset, unsigned int bytes)
{
	return (uint32_t)pv_pci_config_read(function_of(port), offset, bytes);
}

static void config_write(struct pv_pci_port *port, uint32_t offset, unsigned int bytes,
                         uint32_t value)
{
	pv_pci_config_write(function_of(port), offset, bytes, value);
}

static uint64_t bar_bytes(struct pv_pci_port *port, unsigned int bar)
{
	return function_of(port)->bar_bytes[bar];
}

static uint32_t bar_read(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                         unsigned int bytes)
{
	return (uint32_t)pv_pci_bar_read(function_of(port), bar, offset, bytes);
}

static void bar_write(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                      unsigned int bytes, uint32_t value)
{
	pv_pci_bar_write(function_of(port), bar, offset, bytes, value);
}

static const struct pv_pci_port_ops pci_port_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_bytes = bar_bytes,
	.bar_read = bar_read,
	.bar_write = bar_write,
};

static void storage_alloc(struct remote_rig *rig, size_t bytes)
{
	bytes = (bytes + 63) & ~(size_t)63;
	rig->storage = aligned_alloc(64, bytes);
	memset(rig->storage, 0, bytes);
}

static void pci_make(struct remote_rig *rig)
{
	const struct pv_virtio_pci_options options = {
		.bus = &pci_bus_ops,
		.host = &pci_host_ops,
		.device = rig->device,
		.class_code = PCI_CLASS_OTHERS,
		.is_transitional = true,
		.has_notification_data = true,
	};

	storage_alloc(rig, pv_virtio_pci_storage_bytes(rig->device));
	pv_virtio_pci_init(&rig->pci, &options, rig->storage);
	pv_host_set_transport(rig->host, &pci_transport, rig);
	rig->pci_port.ops = &pci_port_ops;
	assert_int_equal(pv_pci_bus_init(&rig->pci_bus, &rig->pci_port), 0);
	rig->bus = &rig->pci_bus.bus;
}

static void msix_on(struct remote_rig *rig)
{
	const struct pv_msix *msix = &rig->pci.msix;

	for (uint32_t i = 0; i < msix->vectors; i++)
		pv_pci_bar_write(&rig->pci.function, PV_VIRTIO_PCI_BAR_MSIX, i * 16 + 12, 4, 0);
	pv_pci_config_write(&rig->pci.function, msix->capability + PCI_MSIX_CONTROL, 2,
	                    PCI_MSIX_ENABLE);
}

void remote_rig_set_vectors(struct remote_rig *rig)
{
	if (rig->kind != REMOTE_ON_PCI)
		return;
	msix_on(rig);
	assert_int_equal(pv_pci_bus_config_vector_set(&rig->pci_bus, 0), 0);
	for (uint16_t i = 0; i < rig->device->queues; i++)
		assert_int_equal(pv_pci_bus_queue_vector_set(&rig->pci_bus, i, (uint16_t)(i + 1)),
		                 0);
}

/* ---- what both need ---- */

static void turn(void *arg)
{
	remote_rig_turn(arg);
}

static void wait_a_little(void *arg)
{
	remote_rig_turn(arg);
	usleep(200);
}

/* ---- the whole ---- */

void remote_rig_init(struct remote_rig *rig, enum pv_remote_type type, enum remote_bus kind)
{
	memset(rig, 0, sizeof(*rig));
	rig->kind = kind;
	rig->fd = -1;
	rig->timeout_ms = 5000;
	rig->options = (struct pv_remote_options){
		.type = type,
		.queues = 1,
		.queue_size_max = 64,
		.net.pairs = 1,
		.reconnect_ms_min = 10,
	};
}

static void host_make(struct remote_rig *rig, uint16_t queues)
{
	const struct pv_loop_options loop = { .name = "control",
		                              .engine = test_engine(),
		                              .is_without_io = true };
	struct pv_host_options host = { .name = "far", .loops = 1, .queues = queues };

	assert_true(queues <= REMOTE_QUEUES_MAX);
	assert_int_equal(pv_loop_create(&rig->control, &loop), 0);
	host.control = rig->control;
	host.loop = &rig->control;
	assert_int_equal(pv_host_create(&rig->host, &host), 0);
}

static void pci_open(struct remote_rig *rig)
{
	for (uint16_t i = 0; i <= REMOTE_QUEUES_MAX; i++)
		rig->vector[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (uint16_t i = 0; i < REMOTE_QUEUES_MAX; i++)
		rig->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (uint16_t i = 0; i < rig->device->queues; i++)
		assert_int_equal(pv_host_set_kick(rig->host, i, rig->kick[i], false), 0);
	pci_make(rig);
}

static void pci_close(struct remote_rig *rig)
{
	for (uint16_t i = 0; i <= REMOTE_QUEUES_MAX; i++)
		close(rig->vector[i]);
	for (uint16_t i = 0; i < REMOTE_QUEUES_MAX; i++)
		close(rig->kick[i]);
	free(rig->storage);
}

static void transport_make(struct remote_rig *rig)
{
	if (rig->kind == REMOTE_ON_MMIO) {
		mmio_front_open(&rig->mmio, rig->host, rig->device, turn, rig);
		rig->bus = &rig->mmio.bus.bus;
	} else {
		pci_open(rig);
	}
}

uint32_t remote_rig_calls(const struct remote_rig *rig)
{
	return rig->kind == REMOTE_ON_MMIO ? rig->mmio.calls : rig->calls;
}

static void undo(struct remote_rig *rig)
{
	pv_host_destroy(rig->host);
	pv_loop_destroy(rig->control);
	arena_os_close(&rig->guest);
}

int remote_rig_open(struct remote_rig *rig)
{
	const struct pv_far_vhost_user_options options = {
		.path = rig->path,
		.fd = rig->fd,
		.timeout_ms = rig->timeout_ms,
		.queues = pv_remote_queues_wanted(&rig->options),
		.queue_size = rig->options.queue_size_max,
	};
	struct pv_far *far;
	int error = pv_far_vhost_user_create(&far, &options, rig->sentence);

	if (error)
		return error;
	host_make(rig, pv_remote_queues(&rig->options, far));
	arena_os_open(&rig->guest, 8u << 20, wait_a_little, rig);
	error = pv_remote_create(&rig->remote, &rig->options, far, rig->host, rig->control,
	                         rig->sentence);
	if (error) {
		far->ops->destroy(far);
		undo(rig);
		return error;
	}
	rig->device = pv_remote_device(rig->remote);
	pv_device_mem_set(rig->device, rig->guest.table);
	pv_remote_set_memory(rig->remote, rig->guest.base.arena.fd, rig->guest.base.arena.base);
	transport_make(rig);
	return 0;
}

void remote_rig_close(struct remote_rig *rig)
{
	pv_device_reset(rig->device, (struct pv_waiter){ 0 });
	while (pv_device_status(rig->device) != 0 || !pv_device_is_idle(rig->device))
		remote_rig_turn(rig);
	remote_rig_turn(rig);
	pv_remote_destroy(rig->remote);
	if (rig->kind == REMOTE_ON_MMIO)
		mmio_front_close(&rig->mmio);
	else
		pci_close(rig);
	undo(rig);
}
