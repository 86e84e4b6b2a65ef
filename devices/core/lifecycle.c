/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting, pausing, stopping, resetting: all that waits for lanes.
 *
 * A stop marks its queues as stopping and then asks their lanes.  Each answer leaves a queue
 * paused, or idle if it was to be for good; the last one tells whoever waits.  A reset that comes
 * meanwhile lets that stop end first and then stops the rest; a pause that comes meanwhile is last.
 * Lanes may answer at once, from within the asking, so marking comes before asking and nothing is
 * assumed after a call out.
 */
#include "devices/core/lifecycle.h"

#include "ring/err.h"

static void free_ring_storage(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	if (queue->ring_storage)
		port->ops->free(port, queue->ring_storage, queue->ring_storage_bytes);
	queue->ring_storage = NULL;
}

/*
 * The device's own part comes first: where another process has the disk, it may be about to finish
 * what is in flight on this very ring, and opening a journal writes to both.
 */
static int start_own_and_ring(struct pv_queue *queue)
{
	struct pv_device *device = queue->device;
	int err = device->ops->virtio->queue_start(queue);

	if (err)
		return err;
	err = pv_dev_ring_init(&queue->ring, &queue->config, &queue->position, device->mem,
	                       queue->ring_storage);
	if (err) {
		device->ops->virtio->queue_stop(queue);
		queue->own = NULL;
	}
	queue->is_interrupt_due = !err && pv_dev_ring_was_in_use(&queue->ring);
	return err;
}

int pv_queue_prepare(struct pv_queue *queue)
{
	struct pv_device *device = queue->device;
	struct pv_port *port = device->port;
	int err;

	if (!device->mem)
		return -PV_EFAULT;
	if (queue->is_elsewhere) {
		queue->ring = (struct pv_dev_ring){ 0 };
		return device->ops->virtio->queue_start(queue);
	}
	queue->ring_storage_bytes = pv_dev_ring_storage_bytes(&queue->config);
	if (queue->ring_storage_bytes > 0) {
		queue->ring_storage = port->ops->alloc(port, queue->ring_storage_bytes);
		if (!queue->ring_storage)
			return -PV_ENOMEM;
	}
	queue->held = 0;
	queue->is_draining = false;
	queue->is_stalled = queue->is_woken = false;
	queue->is_broke_reported = false;
	queue->is_bad_chain_reported = false;
	err = start_own_and_ring(queue);
	if (err)
		free_ring_storage(queue);
	else
		pv_queue_log(queue);
	return err;
}

static void finish_ring(struct pv_queue *queue)
{
	if (queue->ring.fault == PV_RING_SOUND)
		pv_queue_publish(queue);
	queue->position = queue->ring.at;
	free_ring_storage(queue);
}

void pv_queue_finish(struct pv_queue *queue)
{
	queue->device->ops->virtio->queue_stop(queue);
	if (!queue->is_elsewhere)
		finish_ring(queue);
	queue->own = NULL;
	queue->state = PV_QUEUE_IDLE;
}

int pv_device_queue_start(struct pv_device *device, uint16_t index)
{
	struct pv_queue *queue;
	int err;

	if (index >= device->queues)
		return -PV_EINVAL;
	queue = &device->queue[index];
	if (queue->state != PV_QUEUE_IDLE || device->is_resetting)
		return -PV_EBUSY;
	err = pv_queue_prepare(queue);
	if (err)
		return err;
	queue->state = PV_QUEUE_RUNNING;
	device->port->ops->queue_attach(device->port, queue);
	return 0;
}

static void tell(struct pv_waiter *waiter)
{
	struct pv_waiter told = *waiter;

	*waiter = (struct pv_waiter){ 0 };
	if (told.call)
		told.call(told.arg);
}

static bool is_any_queue_stopping(const struct pv_device *device)
{
	for (uint16_t i = 0; i < device->queues; i++)
		if (device->queue[i].state == PV_QUEUE_STOPPING)
			return true;
	return false;
}

/* Has the running queues among these stop; the paused ones too where it is for good. */
static void detach_some(struct pv_device *device, uint16_t first, uint16_t end, bool is_for_good)
{
	struct pv_port *port = device->port;

	for (uint16_t i = first; i < end; i++) {
		struct pv_queue *queue = &device->queue[i];

		queue->is_finishing = is_for_good;
		if (queue->state == PV_QUEUE_RUNNING) {
			queue->state = PV_QUEUE_STOPPING;
			queue->is_asked = false;
		} else if (is_for_good && queue->state == PV_QUEUE_PAUSED) {
			pv_queue_finish(queue);
		}
	}
	for (uint16_t i = first; i < end; i++) {
		struct pv_queue *queue = &device->queue[i];

		if (queue->state != PV_QUEUE_STOPPING || queue->is_asked)
			continue;
		queue->is_asked = true;
		port->ops->queue_detach(port, queue);
	}
}

static void finish_reset(struct pv_device *device)
{
	for (uint16_t i = 0; i < device->queues; i++) {
		device->queue[i].config = (struct pv_ring_config){ 0 };
		device->queue[i].position = pv_ring_position_fresh();
	}
	device->ops->reset(device);
	device->features = 0;
	device->status = 0;
	device->is_resetting = false;
	tell(&device->reset_waiter);
}

static void settle(struct pv_device *device);

static void begin_pause(struct pv_device *device)
{
	device->is_pause_due = false;
	device->is_stopping = true;
	device->stop_waiter = device->pause_waiter;
	detach_some(device, 0, device->queues, false);
	settle(device);
}

static void settle_reset(struct pv_device *device)
{
	detach_some(device, 0, device->queues, true);
	if (device->is_resetting && !is_any_queue_stopping(device))
		finish_reset(device);
}

/*
 * Something has stopped, or nothing had to: whoever waits for the last one is told, and what waited
 * for that is begun. Who is told may begin something else first.
 */
static void settle(struct pv_device *device)
{
	if (is_any_queue_stopping(device))
		return;
	if (device->is_stopping) {
		device->is_stopping = false;
		tell(&device->stop_waiter);
	}
	if (device->is_resetting && !device->is_stopping)
		settle_reset(device);
	if (device->is_pause_due && !device->is_resetting && !device->is_stopping)
		begin_pause(device);
}

void pv_queue_stopped(struct pv_queue *queue)
{
	pv_bug_on(queue->state != PV_QUEUE_STOPPING || !pv_queue_is_quiet(queue));
	queue->state = PV_QUEUE_PAUSED;
	if (!queue->is_elsewhere)
		queue->position = queue->ring.at;
	if (queue->is_finishing)
		pv_queue_finish(queue);
	if (queue->device->ops->virtio->queue_rested)
		queue->device->ops->virtio->queue_rested(queue);
	settle(queue->device);
}

static int stop_some(struct pv_device *device, uint16_t first, uint16_t end,
                     struct pv_waiter waiter)
{
	if (device->is_stopping || device->is_resetting)
		return -PV_EBUSY;
	device->is_stopping = true;
	device->stop_waiter = waiter;
	detach_some(device, first, end, true);
	settle(device);
	return 0;
}

int pv_device_queue_stop(struct pv_device *device, uint16_t index, struct pv_waiter stopped)
{
	if (index >= device->queues)
		return -PV_EINVAL;
	return stop_some(device, index, (uint16_t)(index + 1), stopped);
}

int pv_device_stop(struct pv_device *device, struct pv_waiter stopped)
{
	return stop_some(device, 0, device->queues, stopped);
}

int pv_device_pause(struct pv_device *device, struct pv_waiter paused)
{
	if (device->is_pause_due)
		return -PV_EBUSY;
	device->is_pause_due = true;
	device->pause_waiter = paused;
	settle(device);
	return 0;
}

void pv_device_resume(struct pv_device *device)
{
	for (uint16_t i = 0; i < device->queues; i++) {
		struct pv_queue *queue = &device->queue[i];

		if (queue->state != PV_QUEUE_PAUSED)
			continue;
		queue->is_draining = false;
		queue->state = PV_QUEUE_RUNNING;
		device->port->ops->queue_attach(device->port, queue);
	}
}

int pv_device_reset(struct pv_device *device, struct pv_waiter done)
{
	if (device->is_resetting && (device->reset_waiter.call || !done.call))
		return -PV_EBUSY;
	device->reset_waiter = done;
	if (device->is_resetting)
		return 0;
	device->is_resetting = true;
	settle(device);
	return 0;
}
