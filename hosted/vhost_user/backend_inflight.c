/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight regions of a back-end: made here, kept by the front-end, and handed to whichever
 * back-end serves its queues next.
 *
 * #syscalls memfd_create ftruncate close
 */
#define _GNU_SOURCE
#include "hosted/vhost_user/backend_internal.h"

#include <sys/mman.h>
#include <unistd.h>

#include "abi/vhost_inflight.h"
#include "ring/barrier.h"

static const char *check_shape(const struct pv_vhu_backend *backend,
                               const struct vhost_user_inflight *shape)
{
	const struct pv_device *device = backend->options.device;

	if (shape->num_queues == 0 || shape->num_queues > device->queues)
		return "in-flight regions for queues that are not there";
	if (shape->queue_size == 0 || shape->queue_size > device->queue_size_max)
		return "in-flight regions larger than --queue-size allows, or empty";
	return NULL;
}

void pv_vhu_inflight_forget(struct pv_vhu_backend *backend)
{
	pv_vhu_memory_destroy(backend->inflight);
	backend->inflight = NULL;
}

static const char *map(struct pv_vhu_backend *backend, const struct vhost_user_inflight *shape,
                       int fd)
{
	const char *error;
	struct pv_vhu_memory *memory =
		pv_vhu_memory_of_file(backend, shape->mmap_size, shape->mmap_offset, fd, &error);

	if (error)
		return error;
	pv_vhu_inflight_forget(backend);
	backend->inflight = memory;
	backend->inflight_shape = *shape;
	for (uint16_t i = 0; i < backend->options.device->queues; i++)
		backend->vring[i].has_stopped = false;
	return NULL;
}

/* Puts those in force that a front-end has kept. */
static const char *regions_set(struct pv_vhu_backend *backend,
                               const struct vhost_user_inflight *shape, int fd)
{
	const char *error = check_shape(backend, shape);

	if (!error && shape->mmap_offset % sizeof(uint64_t))
		error = "in-flight regions off their alignment";
	return error ? error : map(backend, shape, fd);
}

/*
 * Makes regions for the queues and the queue size in `shape`, puts them in force and says how long
 * they are: as long as either format needs, for the features may still change. `*fd` is for the
 * front-end to keep them, and the caller's to close.
 */
static const char *regions_make(struct pv_vhu_backend *backend, struct vhost_user_inflight *shape,
                                int *fd)
{
	const char *error = check_shape(backend, shape);
	uint64_t bytes = shape->num_queues * vhost_inflight_bytes(true, shape->queue_size);

	if (error)
		return error;
	*fd = memfd_create("paravane-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return "there is no memory for it";
	shape->mmap_size = bytes;
	error = ftruncate(*fd, (off_t)bytes) ? "there is no memory for it"
	                                     : map(backend, shape, *fd);
	if (error) {
		close(*fd);
		*fd = -1;
		shape->mmap_size = 0;
	}
	return error;
}

/*
 * A ring that has stopped here and is set up at another place is a new one: nothing of it is in
 * flight.  (A front-end that means the old one hands its region over again.)
 */
static bool is_void(const struct pv_vhu_vring *vring)
{
	return vring->has_stopped && vring->base != vring->end;
}

_Static_assert(offsetof(struct vhost_inflight_split, state.version) ==
                       offsetof(struct vhost_inflight_packed, heads.version),
               "a region's version is at the same place");

bool pv_vhu_inflight_attach(struct pv_vhu_backend *backend, uint16_t index,
                            struct pv_ring_config *config)
{
	const struct vhost_user_inflight *shape = &backend->inflight_shape;
	bool is_packed = backend->options.device->features & VIRTIO_F_RING_PACKED;
	uint64_t bytes = vhost_inflight_bytes(is_packed, shape->queue_size);
	struct vhost_inflight_split *region;

	if (!backend->inflight || index >= shape->num_queues)
		return true;
	if ((index + 1u) * bytes > shape->mmap_size)
		return false;
	region = (void *)(backend->inflight->table->region[0].host + index * bytes);
	if (is_void(&backend->vring[index]))
		pv_note_u16(&region->state.version, 0);
	config->inflight = region;
	config->inflight_places = shape->queue_size;
	return true;
}

/* ---- the messages ---- */

static const char *inflight_obstacle(const struct pv_vhu_backend *backend)
{
	if (!(backend->protocol_features & VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return "INFLIGHT_SHMFD was not negotiated";
	return pv_device_is_idle(backend->options.device) ? NULL : "queues are running";
}

/* It has an answer of its own, which says by an empty region that there is none to be had. */
enum pv_vhu_handled pv_vhu_get_inflight_fd(struct pv_vhu_backend *backend,
                                           struct pv_vhu_message *message)
{
	const char *error = inflight_obstacle(backend);
	struct vhost_user_inflight *shape = &message->payload.inflight;
	enum pv_vhu_handled handled;
	int fd = -1;

	shape->mmap_size = 0;
	shape->mmap_offset = 0;
	if (!error)
		error = regions_make(backend, shape, &fd);
	if (error)
		pv_vhu_refuse(backend, message, error);
	handled = pv_vhu_reply_fd(backend, message, shape, message->size, fd);
	if (fd >= 0)
		close(fd);
	return handled;
}

enum pv_vhu_handled pv_vhu_set_inflight_fd(struct pv_vhu_backend *backend,
                                           struct pv_vhu_message *message)
{
	const char *error = inflight_obstacle(backend);

	if (!error)
		error = regions_set(backend, &message->payload.inflight, message->fd[0]);
	return error ? pv_vhu_refuse(backend, message, error) : PV_VHU_OK;
}
