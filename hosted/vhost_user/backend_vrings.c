/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rings of a back-end: a ring runs once it has been described, kicked (which means: its kick
 * descriptor has come) and enabled, and its memory is there.
 *
 * #syscalls close read timerfd_settime
 */
#include "hosted/vhost_user/backend_internal.h"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ring/barrier.h"
#include "ring/err.h"

/*
 * Base 0 of a packed ring means both wrap counters clear: the beginning of a second lap. UML says
 * it for a fresh ring, whose counters are set. It means that here if we did not name this base
 * ourselves and no descriptor bears the mark of a lap that is over. (One may well not: those of a
 * chain but its first are left as they were, and a whole chain on an in-order queue.)
 *
 * DPDK says the driver's half alone, and 0 for ours, which would be a lap behind: the same is true
 * of that.
 */
static bool is_fresh(struct pv_vhu_backend *backend, const struct pv_vhu_vring *vring,
                     const struct pv_ring_config *config)
{
	const struct pvirtq_desc *desc;
	struct pv_mem_view view;

	if ((vring->base != 0 && vring->base != VHOST_USER_BASE_AVAIL_WRAP) || vring->is_base_ours)
		return false;
	pv_mem_view_init(&view, backend->memory->table);
	desc = pv_mem_span(&view, config->desc_area, sizeof(*desc) * (uint64_t)vring->size);
	/* A ring that is off its alignment does not start, but is not read either. */
	if (!desc || (uintptr_t)desc % VIRTQ_ALIGN_DESC != 0)
		return false;
	for (uint16_t i = 0; i < vring->size; i++)
		if (pv_read_le16(&desc[i].flags) & VIRTQ_DESC_F_USED)
			return false;
	return true;
}

static struct pv_ring_position position_of(struct pv_vhu_backend *backend,
                                           const struct pv_vhu_vring *vring,
                                           const struct pv_ring_config *config)
{
	const uint32_t base = vring->base;

	if (!(backend->options.device->features & VIRTIO_F_RING_PACKED))
		return (struct pv_ring_position){ .avail = (uint16_t)base, .used = (uint16_t)base };
	if (is_fresh(backend, vring, config))
		return pv_ring_position_fresh();
	return (struct pv_ring_position){
		.avail = base & (VHOST_USER_BASE_AVAIL_WRAP - 1),
		.avail_wrap = base & VHOST_USER_BASE_AVAIL_WRAP,
		.used = (base >> VHOST_USER_BASE_USED_SHIFT) & (VHOST_USER_BASE_AVAIL_WRAP - 1),
		.used_wrap = base & VHOST_USER_BASE_USED_WRAP,
	};
}

uint32_t pv_vhu_vring_base(struct pv_vhu_backend *backend, uint16_t index)
{
	const struct pv_device *device = backend->options.device;
	const struct pv_ring_position *at = &device->queue[index].position;

	if (!(device->features & VIRTIO_F_RING_PACKED))
		return at->avail;
	return at->avail | (at->avail_wrap ? VHOST_USER_BASE_AVAIL_WRAP : 0) |
	       (uint32_t)at->used << VHOST_USER_BASE_USED_SHIFT |
	       (at->used_wrap ? VHOST_USER_BASE_USED_WRAP : 0);
}

/* The ring's areas are given in the front-end's own addresses; ours are the guest's. */
static bool config_of(struct pv_vhu_backend *backend, const struct pv_vhu_vring *vring,
                      struct pv_ring_config *config)
{
	const struct pv_vhu_memory *memory = backend->memory;

	config->size = vring->size;
	return pv_vhu_memory_gpa_of(memory, vring->addr.desc, &config->desc_area) &&
	       pv_vhu_memory_gpa_of(memory, vring->addr.avail, &config->driver_area) &&
	       pv_vhu_memory_gpa_of(memory, vring->addr.used, &config->device_area);
}

static const char *start_error(int err)
{
	switch (err) {
	case -PV_EINVAL:
		return "its size or base cannot be";
	case -PV_EALIGN:
		return "its areas are not aligned";
	case -PV_EFAULT:
		return "its areas are not in memory";
	case -PV_ENOMEM:
		return "there is no memory for it";
	case -PV_ESTATE:
		return "its in-flight region makes no sense";
	case -PV_ELOCKED:
		return "its disk is locked, somebody else uses the image; end that, or give "
		       "--locking off";
	default:
		return "it cannot be started now";
	}
}

/* Returns 0 or an error of the ring's or the device's. */
static int start(struct pv_vhu_backend *backend, uint16_t index)
{
	struct pv_device *device = backend->options.device;
	struct pv_vhu_vring *vring = &backend->vring[index];
	struct pv_ring_config config = { 0 };
	struct pv_ring_position position;
	int err;

	if (!pv_vhu_inflight_attach(backend, index, &config))
		return -PV_ESTATE;
	if (!config_of(backend, vring, &config))
		return -PV_EFAULT;
	position = position_of(backend, vring, &config);
	err = pv_device_queue_set(device, index, &config, &position);
	if (!err)
		err = pv_device_queue_start(device, index);
	if (!err)
		vring->is_reset = false;
	return err;
}

static enum pv_vhu_handled handled_as(struct pv_vhu_backend *backend, uint16_t index, int err)
{
	if (!err)
		return PV_VHU_OK;
	pv_vhu_complain(backend, "queue %u does not start: %s", index, start_error(err));
	return PV_VHU_REFUSED;
}

/* ---- waiting for a lock ---- */

/*
 * A back-end that was killed holds the lock on its image until the kernel has finished its I/O, and
 * whoever comes after it may be here before: so a lock is waited for, a little. It is well that
 * there is one, for what that I/O still does would come on top of ours.
 */
#define LOCK_TRY_EVERY_NS 10000000
#define LOCK_TRIES        200u

static bool set_timer(const struct pv_vhu_backend *backend)
{
	const struct itimerspec soon = { .it_value.tv_nsec = LOCK_TRY_EVERY_NS };

	return timerfd_settime(backend->lock_wait.timer_fd, 0, &soon, NULL) == 0;
}

static void try_again(void *arg, int events)
{
	struct pv_vhu_backend *backend = arg;
	uint16_t index = backend->lock_wait.queue;
	uint64_t expirations;
	int err;

	(void)events;
	(void)!read(backend->lock_wait.timer_fd, &expirations, sizeof(expirations));
	err = start(backend, index);
	if (err == -PV_ELOCKED && --backend->lock_wait.tries > 0 && !backend->must_leave &&
	    set_timer(backend))
		return;
	pv_loop_unwatch(backend->options.control, backend->lock_wait.watch);
	backend->lock_wait.watch = NULL;
	pv_vhu_backend_answered(backend, handled_as(backend, index, err));
}

static enum pv_vhu_handled wait_for_lock(struct pv_vhu_backend *backend, uint16_t index)
{
	if (!set_timer(backend))
		return handled_as(backend, index, -PV_ELOCKED);
	backend->lock_wait.watch = pv_loop_watch(
		backend->options.control, backend->lock_wait.timer_fd, POLLIN, try_again, backend);
	if (!backend->lock_wait.watch)
		return handled_as(backend, index, -PV_ELOCKED);
	backend->lock_wait.queue = index;
	backend->lock_wait.tries = LOCK_TRIES;
	return PV_VHU_LATER;
}

enum pv_vhu_handled pv_vhu_vring_try_start(struct pv_vhu_backend *backend, uint16_t index)
{
	const struct pv_vhu_vring *vring = &backend->vring[index];
	int err;

	if (backend->options.device->queue[index].state != PV_QUEUE_IDLE || !vring->is_kicked ||
	    !vring->is_enabled || !vring->has_addr || !backend->memory)
		return PV_VHU_OK;
	err = start(backend, index);
	return err == -PV_ELOCKED ? wait_for_lock(backend, index) : handled_as(backend, index, err);
}

/* ---- stopping ---- */

/* The ring has stopped: it would go on where it is. */
static void vring_stopped(void *arg)
{
	struct pv_vhu_backend *backend = arg;
	uint16_t index = (uint16_t)backend->pending.payload.state.index;

	backend->vring[index].base = pv_vhu_vring_base(backend, index);
	backend->vring[index].is_base_ours = true;
	backend->vring[index].has_stopped = true;
	backend->vring[index].end = backend->vring[index].base;
	pv_vhu_log_look(backend);
	pv_vhu_backend_answered(backend, PV_VHU_OK);
}

enum pv_vhu_handled pv_vhu_vring_stop(struct pv_vhu_backend *backend, uint16_t index)
{
	struct pv_waiter waiter = { vring_stopped, backend };

	if (backend->options.device->queue[index].state == PV_QUEUE_IDLE)
		return PV_VHU_OK;
	if (pv_device_queue_stop(backend->options.device, index, waiter))
		return PV_VHU_FATAL;
	return PV_VHU_LATER;
}

/* What the front-end said about a ring, forgotten; the ring is stopped. */
void pv_vhu_vring_forget(struct pv_vhu_backend *backend, uint16_t index)
{
	struct pv_vhu_vring *vring = &backend->vring[index];

	pv_host_set_kick(backend->options.host, index, -1, false);
	pv_host_set_call(backend->options.host, index, -1);
	if (vring->err_fd >= 0)
		close(vring->err_fd);
	*vring = (struct pv_vhu_vring){ .err_fd = -1 };
}

void pv_vhu_vrings_forget(struct pv_vhu_backend *backend)
{
	for (uint16_t i = 0; i < backend->options.device->queues; i++)
		pv_vhu_vring_forget(backend, i);
}
