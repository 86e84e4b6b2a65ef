/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dirty log of a front-end that moves its guest: where it is, whether memory is logged
 * (VHOST_F_LOG_ALL), and for each ring whether its own writes are.
 *
 * All of it changes while queues run, so each change is one round through the lanes, and the
 * front-end gets its answer after that: from the answer on, every write is in the log that it named
 * last.
 */
#include "hosted/vhost_user/backend_internal.h"

#include <stdlib.h>

#include "ring/err.h"

struct pv_vhu_log {
	struct pv_dirty_log dirty;
	struct pv_vhu_memory *map; /* one region: the log in its file */
};

static void log_destroy(struct pv_vhu_log *log)
{
	if (!log)
		return;
	pv_vhu_memory_destroy(log->map);
	free(log);
}

static const char *log_map(struct pv_vhu_backend *backend, struct pv_vhu_log *log,
                           const struct vhost_user_log *where, int fd)
{
	const char *error;

	log->map = pv_vhu_memory_of_file(backend, where->mmap_size, where->mmap_offset, fd, &error);
	if (error)
		return error;
	log->dirty.bits = log->map->table->region[0].host;
	log->dirty.bytes = where->mmap_size;
	return NULL;
}

static bool covers(const struct pv_dirty_log *log, const struct pv_vhu_memory *memory)
{
	const struct pv_region *last;

	if (!memory || memory->table->count == 0)
		return true;
	last = &memory->table->region[memory->table->count - 1];
	return (last->gpa.v + last->bytes - 1) / PV_DIRTY_PAGE_BYTES / 8 < log->bytes;
}

void pv_vhu_log_look(struct pv_vhu_backend *backend)
{
	if (!backend->log || !pv_dirty_log_has_missed(&backend->log->dirty) ||
	    backend->is_log_miss_reported)
		return;
	backend->is_log_miss_reported = true;
	pv_vhu_complain(backend, "the dirty log does not reach to all that was written");
}

static struct pv_ring_logging logging_of(struct pv_vhu_backend *backend, uint16_t index)
{
	const struct vhost_user_vring_addr *addr = &backend->vring[index].addr;

	if (!backend->log || !backend->is_logging)
		return (struct pv_ring_logging){ 0 };
	return (struct pv_ring_logging){
		.log = &backend->log->dirty,
		.has_own_writes = addr->flags & VHOST_VRING_F_LOG,
		.device_area = pv_gpa_of(addr->log),
	};
}

static void log_changed(void *arg)
{
	struct pv_vhu_backend *backend = arg;

	log_destroy(backend->old_log);
	backend->old_log = NULL;
	pv_vhu_backend_answered(backend, PV_VHU_OK);
}

static void change(struct pv_vhu_backend *backend)
{
	struct pv_device *device = backend->options.device;

	for (uint16_t i = 0; i < device->queues; i++) {
		const struct pv_ring_logging logging = logging_of(backend, i);

		pv_bug_on(pv_device_queue_log_set(device, i, &logging));
	}
	pv_host_log_switch(backend->options.host, device, log_changed, backend);
}

/* Another log in the place of the one there is: NULL, and the answer follows; or why not. */
static const char *set_base(struct pv_vhu_backend *backend, const struct vhost_user_log *where,
                            int fd)
{
	struct pv_vhu_log *log = calloc(1, sizeof(*log));
	const char *error = log ? log_map(backend, log, where, fd) : "there is no memory for it";

	if (error) {
		log_destroy(log);
		return error;
	}
	if (!covers(&log->dirty, backend->memory))
		pv_vhu_complain(backend, "the dirty log is shorter than the memory it is for");
	pv_vhu_log_look(backend);
	backend->is_log_miss_reported = false;
	backend->old_log = backend->log;
	backend->log = log;
	change(backend);
	return NULL;
}

enum pv_vhu_handled pv_vhu_log_turn(struct pv_vhu_backend *backend, bool is_on)
{
	if (backend->is_logging == is_on)
		return PV_VHU_OK;
	pv_vhu_log_look(backend);
	backend->is_logging = is_on;
	change(backend);
	return PV_VHU_LATER;
}

enum pv_vhu_handled pv_vhu_log_ring(struct pv_vhu_backend *backend, uint16_t index)
{
	const struct pv_ring_logging *is = &backend->options.device->queue[index].logging;
	const struct pv_ring_logging wanted = logging_of(backend, index);

	if (is->log == wanted.log && is->has_own_writes == wanted.has_own_writes &&
	    is->device_area.v == wanted.device_area.v)
		return PV_VHU_OK;
	change(backend);
	return PV_VHU_LATER;
}

void pv_vhu_log_forget(struct pv_vhu_backend *backend)
{
	const struct pv_ring_logging none = { 0 };

	pv_vhu_log_look(backend);
	for (uint16_t i = 0; i < backend->options.device->queues; i++)
		pv_bug_on(pv_device_queue_log_set(backend->options.device, i, &none));
	backend->is_logging = false;
	backend->is_log_miss_reported = false;
	log_destroy(backend->log);
	backend->log = NULL;
}

/* ---- the messages ---- */

enum pv_vhu_handled pv_vhu_set_log_base(struct pv_vhu_backend *backend,
                                        struct pv_vhu_message *message)
{
	const char *error;

	if (!(backend->protocol_features & VHOST_USER_PROTOCOL_F_LOG_SHMFD))
		return pv_vhu_refuse(backend, message, "LOG_SHMFD was not negotiated");
	error = set_base(backend, &message->payload.log, message->fd[0]);
	return error ? pv_vhu_refuse(backend, message, error) : PV_VHU_LATER;
}

/* To be told of each mark is optional, and would cost a system call for each request. */
enum pv_vhu_handled pv_vhu_set_log_fd(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	return pv_vhu_refuse(backend, message,
	                     "nobody is told of marks: the log is there to be read");
}
