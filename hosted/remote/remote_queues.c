/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queues of a remote device: where the far side finds them, and their two eventfds.
 *
 * #syscalls write poll close fcntl
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "abi/virtio_ring.h"
#include "hosted/remote/remote_internal.h"
#include "ring/barrier.h"
#include "ring/err.h"

/*
 * Never waits: a counter that is full has been signalled. The far side has the same file, and may
 * have let it block.
 */
static void signal_fd(int fd)
{
	static const uint64_t one = 1;
	struct pollfd writable = { .fd = fd, .events = POLLOUT };

	if (poll(&writable, 1, 0) == 1)
		(void)!write(fd, &one, sizeof(one));
}

/* ---- where a ring lies ---- */

struct areas {
	uint8_t *desc, *driver, *device;
};

/* As the specification has it (sections 2.7 and 2.8): bytes of each area, and its alignment. */
static bool find(const struct pv_queue *queue, struct areas *areas)
{
	const struct pv_ring_config *config = &queue->config;
	bool is_packed = config->features & VIRTIO_F_RING_PACKED;
	uint64_t size = config->size;
	struct pv_mem_view view;

	pv_mem_view_init(&view, queue->device->mem);
	areas->desc = pv_mem_span(&view, config->desc_area, 16 * size);
	areas->driver = pv_mem_span(&view, config->driver_area, is_packed ? 4 : 6 + 2 * size);
	areas->device = pv_mem_span(&view, config->device_area, is_packed ? 4 : 6 + 8 * size);
	return areas->desc && areas->driver && areas->device;
}

int pv_remote_queue_check(struct pv_queue *queue)
{
	const struct pv_ring_config *config = &queue->config;
	bool is_packed = config->features & VIRTIO_F_RING_PACKED;
	struct areas areas;

	if (!is_packed && config->size & (config->size - 1))
		return -PV_EINVAL;
	if (config->desc_area.v % 16 || config->driver_area.v % (is_packed ? 4 : 2) ||
	    config->device_area.v % 4)
		return -PV_EALIGN;
	return find(queue, &areas) ? 0 : -PV_EFAULT;
}

/* ---- where it stands ---- */

static uint32_t base_of(const struct pv_queue *queue)
{
	const struct pv_ring_position *at = &queue->position;

	if (!(queue->config.features & VIRTIO_F_RING_PACKED))
		return at->avail;
	return at->avail | (at->avail_wrap ? VHOST_USER_BASE_AVAIL_WRAP : 0) |
	       (uint32_t)at->used << VHOST_USER_BASE_USED_SHIFT |
	       (at->used_wrap ? VHOST_USER_BASE_USED_WRAP : 0);
}

/* The far side may say anything: nobody here goes by it but who starts the queue again. */
static struct pv_ring_position position_of(const struct pv_queue *queue, uint32_t base)
{
	if (!(queue->config.features & VIRTIO_F_RING_PACKED))
		return (struct pv_ring_position){ (uint16_t)base, (uint16_t)base, true, true };
	return (struct pv_ring_position){
		.avail = base & (VHOST_USER_BASE_AVAIL_WRAP - 1),
		.avail_wrap = base & VHOST_USER_BASE_AVAIL_WRAP,
		.used = (base >> VHOST_USER_BASE_USED_SHIFT) & (VHOST_USER_BASE_AVAIL_WRAP - 1),
		.used_wrap = base & VHOST_USER_BASE_USED_WRAP,
	};
}

/*
 * Of a ring whose far side is lost: what was given back can be seen in it. (In a packed ring it can
 * not: its account of what is in flight says where it stands, or nothing does.)
 */
static struct pv_ring_position seen_position(const struct pv_queue *queue)
{
	struct areas areas;
	uint16_t used;

	if (queue->config.features & VIRTIO_F_RING_PACKED || !find(queue, &areas))
		return pv_ring_position_fresh();
	used = pv_read_le16(&((const struct virtq_used *)areas.device)->idx);
	return (struct pv_ring_position){ used, used, true, true };
}

bool pv_remote_can_go_on(const struct pv_remote *remote)
{
	bool is_packed = remote->device.features & VIRTIO_F_RING_PACKED;

	return remote->far->ops->has_account(remote->far) ||
	       (remote->kind->is_in_order && !is_packed);
}

/* ---- starting ---- */

static int tell(struct pv_remote *remote, uint16_t index)
{
	const struct pv_remote_queue *own = &remote->queue[index];
	struct pv_queue *queue = &remote->device_queue[index];
	struct areas areas;
	struct pv_vhu_vring vring;
	int error;

	if (!find(queue, &areas))
		return -EFAULT;
	vring = (struct pv_vhu_vring){
		.size = queue->config.size,
		.base = base_of(queue),
		.desc = (uintptr_t)areas.desc,
		.avail = (uintptr_t)areas.driver,
		.used = (uintptr_t)areas.device,
		.kick_fd = own->kick_fd,
		.call_fd = own->call_fd >= 0 ? own->call_fd : own->own_call_fd,
		.err_fd = remote->error_fd,
	};
	error = remote->far->ops->queue_start(remote->far, index, &vring);
	if (!error && !pv_remote_net_is_on(remote, index))
		error = remote->far->ops->queue_enable(remote->far, index, false);
	return error;
}

/* The driver may have accepted what is our own doing. */
static int begin(struct pv_remote *remote)
{
	uint64_t features = remote->device.features & remote->far->features &
	                    ~remote->kind->own_features;
	int error;

	remote->memory.table = remote->device.mem;
	error = remote->far->ops->begin(remote->far, features, &remote->memory,
	                                remote->is_going_on);
	remote->is_begun = !error;
	return error;
}

static int start(struct pv_remote *remote, uint16_t index)
{
	int error = remote->is_begun ? 0 : begin(remote);

	return error ? error : tell(remote, index);
}

static void fail(struct pv_remote *remote)
{
	pv_remote_complain(remote, "a queue does not start");
	pv_remote_look(remote);
	pv_device_needs_reset(&remote->device);
}

/* Without a far side it waits for the next one, if there may be one. */
static void attach(void *arg, struct pv_queue *queue)
{
	struct pv_remote *remote = arg;
	struct pv_remote_queue *own = &remote->queue[queue->index];

	own->is_told = false;
	if (remote->is_lost && remote->options.reconnects)
		return;
	if (remote->is_lost || start(remote, queue->index)) {
		fail(remote);
		return;
	}
	own->is_told = true;
	/* What the driver made available before may have been announced to nobody. */
	signal_fd(own->kick_fd);
}

static void tell_driver(const struct pv_remote_queue *own)
{
	signal_fd(own->call_fd >= 0 ? own->call_fd : own->own_call_fd);
}

int pv_remote_queues_tell_again(struct pv_remote *remote)
{
	int error = 0;
	bool is_begun = false;

	for (uint16_t i = 0; !error && i < remote->queues; i++) {
		struct pv_queue *queue = &remote->device_queue[i];
		struct pv_remote_queue *own = &remote->queue[i];

		if (queue->state != PV_QUEUE_RUNNING)
			continue;
		if (!is_begun)
			error = begin(remote);
		is_begun = true;
		if (own->is_told)
			queue->position = seen_position(queue);
		if (!error)
			error = tell(remote, i);
		own->is_told = !error;
		/* Kicks and interrupts may have been on their way when the other one was lost. */
		signal_fd(own->kick_fd);
		tell_driver(own);
	}
	return error;
}

/* ---- stopping ---- */

static bool has_stopped(struct pv_remote *remote, struct pv_queue *queue)
{
	uint32_t base;

	if (remote->is_lost || remote->far->ops->queue_stop(remote->far, queue->index, &base)) {
		if (!remote->is_lost)
			pv_remote_look(remote);
		return false;
	}
	queue->position = position_of(queue, base);
	return true;
}

static void detach(void *arg, struct pv_queue *queue)
{
	struct pv_remote *remote = arg;
	struct pv_remote_queue *own = &remote->queue[queue->index];

	if (own->is_told && !has_stopped(remote, queue)) {
		queue->position = seen_position(queue);
		if (!queue->is_finishing && !pv_remote_can_go_on(remote))
			pv_device_needs_reset(&remote->device);
	}
	own->is_told = false;
	pv_queue_stopped(queue);
}

/* ---- kicks and calls ---- */

static int replace(int *fd, int by)
{
	int copy = by < 0 ? -1 : fcntl(by, F_DUPFD_CLOEXEC, 3);

	if (by >= 0 && copy < 0)
		return -errno;
	if (*fd >= 0)
		close(*fd);
	*fd = copy;
	return 0;
}

/* Before the queue starts; transports do so when they are made. */
static int set_kick(void *arg, uint16_t index, int fd)
{
	struct pv_remote *remote = arg;

	return fd < 0 ? 0 : replace(&remote->queue[index].kick_fd, fd);
}

static int set_call(void *arg, uint16_t index, int fd)
{
	struct pv_remote *remote = arg;
	struct pv_remote_queue *own = &remote->queue[index];
	int error = replace(&own->call_fd, fd);

	if (error || !own->is_told || remote->is_lost)
		return error;
	if (remote->far->ops->queue_call(remote->far, index,
	                                 own->call_fd >= 0 ? own->call_fd : own->own_call_fd)) {
		pv_remote_complain(remote, "no other way of interrupts");
		pv_remote_look(remote);
	}
	/* One may have gone to the old descriptor when nobody listened to it any more. */
	tell_driver(own);
	return 0;
}

static void kick(void *arg, uint16_t index)
{
	const struct pv_remote *remote = arg;

	signal_fd(remote->queue[index].kick_fd);
}

static const struct pv_host_elsewhere elsewhere = {
	.attach = attach,
	.detach = detach,
	.set_kick = set_kick,
	.set_call = set_call,
	.kick = kick,
};

/* The transport has no descriptor for it, or has one by now. */
static void called(void *arg, int events)
{
	const struct pv_remote_queue *own = arg;

	if (events >= 0 && own->call_fd < 0)
		pv_host_call(own->remote->host, (uint16_t)(own - own->remote->queue));
}

/* ---- birth and death ---- */

static int open_queue(struct pv_remote *remote, struct pv_remote_queue *own)
{
	own->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	own->own_call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (own->kick_fd < 0 || own->own_call_fd < 0)
		return -errno;
	own->watch = pv_loop_watch(remote->control, own->own_call_fd, POLLIN, called, own);
	return own->watch ? 0 : -ENOMEM;
}

int pv_remote_queues_open(struct pv_remote *remote)
{
	int error = 0;

	for (uint16_t i = 0; !error && i < remote->queues; i++)
		error = open_queue(remote, &remote->queue[i]);
	if (!error)
		pv_host_set_elsewhere(remote->host, remote->queues, &elsewhere, remote);
	return error;
}

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

void pv_remote_queues_close(struct pv_remote *remote)
{
	for (uint16_t i = 0; i < remote->queues; i++) {
		close_one(remote->queue[i].kick_fd);
		close_one(remote->queue[i].call_fd);
		close_one(remote->queue[i].own_call_fd);
	}
}
