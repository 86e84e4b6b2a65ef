/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of a device: its port, and the control side's end of its lanes.
 *
 * #syscalls mmap munmap fcntl fstat newfstatat clock_gettime
 */
#include "hosted/loop/host_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "hosted/loop/clock.h"
#include "hosted/loop/discard.h"
#include "hosted/loop/log.h"
#include "ring/err.h"

static struct pv_host *host_of(struct pv_port *port)
{
	return (struct pv_host *)port;
}

static struct pv_lane *lane_of(struct pv_host *host, uint16_t queue)
{
	pv_bug_on(queue >= host->lanes);
	return &host->lane[queue];
}

/* ---- the port: memory ---- */

/* From here on memory comes in pages of its own, which cost nothing until they are touched. */
#define LARGE_BYTES 65536u
#define ALIGN_BYTES 64u

static void *port_alloc(struct pv_port *port, size_t bytes)
{
	void *memory;

	(void)port;
	if (bytes >= LARGE_BYTES) {
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		              0);
		return memory == MAP_FAILED ? NULL : memory;
	}
	bytes = (bytes + ALIGN_BYTES) & ~(size_t)(ALIGN_BYTES - 1);
	memory = aligned_alloc(ALIGN_BYTES, bytes);
	if (memory)
		memset(memory, 0, bytes);
	return memory;
}

static void port_free(struct pv_port *port, void *memory, size_t bytes)
{
	(void)port;
	if (bytes >= LARGE_BYTES)
		munmap(memory, bytes);
	else
		free(memory);
}

/* ---- the port: queues ---- */

static bool is_elsewhere(const struct pv_host *host, uint16_t queue)
{
	return queue < host->queues_elsewhere;
}

static void port_queue_attach(struct pv_port *port, struct pv_queue *queue)
{
	struct pv_host *host = host_of(port);
	struct pv_lane *lane = lane_of(host, queue->index);

	if (is_elsewhere(host, queue->index)) {
		host->elsewhere->attach(host->elsewhere_arg, queue);
		return;
	}
	pv_bug_on(lane->running);
	lane->running = queue;
	queue->lane = lane->loop; /* where the I/O of its requests belongs */
	pv_lane_post(lane, &lane->attach);
}

static void port_queue_detach(struct pv_port *port, struct pv_queue *queue)
{
	struct pv_host *host = host_of(port);
	struct pv_lane *lane = lane_of(host, queue->index);

	if (is_elsewhere(host, queue->index)) {
		host->elsewhere->detach(host->elsewhere_arg, queue);
		return;
	}
	pv_bug_on(lane->running != queue);
	pv_lane_post(lane, &lane->detach);
}

static void stopped(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);
	struct pv_queue *queue = lane->running;

	lane->running = NULL;
	pv_queue_stopped(queue);
}

/*
 * On the lane as a rule; on the control side for what a queue publishes at its very end, when its
 * lane has let go of it. The call descriptor is the lane's all the same.
 */
static void port_interrupt(struct pv_port *port, struct pv_queue *queue)
{
	struct pv_lane *lane = lane_of(host_of(port), queue->index);

	if (lane->queue)
		pv_lane_interrupt(lane);
	else
		pv_lane_post(lane, &lane->interrupt);
}

void pv_host_call(struct pv_host *host, uint16_t queue)
{
	if (host->ops && host->ops->call)
		host->ops->call(host->ops_arg, queue);
}

/* The lane has found that there is no descriptor. */
static void call(struct pv_loop_message *message)
{
	const struct pv_lane *lane = pv_lane_received(message);

	pv_host_call(lane->host, lane->index);
}

static void port_queue_broke(struct pv_port *port, struct pv_queue *queue)
{
	struct pv_lane *lane = lane_of(host_of(port), queue->index);

	pv_lane_answer(lane, &lane->broke);
}

static void broke(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);

	/* It was running when this was sent, and what says that it stopped comes behind. */
	pv_device_needs_reset(lane->running->device);
}

static void port_queue_event(struct pv_port *port, struct pv_queue *queue)
{
	struct pv_lane *lane = lane_of(host_of(port), queue->index);

	pv_lane_answer(lane, &lane->event);
}

static void event(struct pv_loop_message *message)
{
	struct pv_lane *lane = pv_lane_received(message);

	/* As above. */
	pv_queue_event(lane->running);
}

static void port_queue_wake(struct pv_port *port, struct pv_queue *queue)
{
	struct pv_lane *lane = lane_of(host_of(port), queue->index);

	pv_lane_post(lane, &lane->wake);
}

static void port_queue_timer(struct pv_port *port, struct pv_queue *queue, uint64_t ns)
{
	pv_lane_set_timer(lane_of(host_of(port), queue->index), ns);
}

/* ---- the port: the rest ---- */

static uint64_t port_now_ns(struct pv_port *port)
{
	(void)port;
	return pv_clock_ns(CLOCK_MONOTONIC);
}

static int port_discard(struct pv_port *port, const struct pv_region *region,
                        const struct pv_iov *piece, uint32_t pieces)
{
	int error = pv_memory_discard(region, piece, pieces);
	char line[128];

	if (!error)
		return 0;
	snprintf(line, sizeof(line), "memory does not go back to the host: %s", strerror(-error));
	pv_log_paced(&host_of(port)->log_pace, host_of(port)->name, PV_LOG_WARNING, line);
	return -PV_EIO;
}

static void port_config_changed(struct pv_port *port, struct pv_device *device)
{
	struct pv_host *host = host_of(port);

	(void)device;
	if (host->ops && host->ops->config_changed)
		host->ops->config_changed(host->ops_arg);
}

void pv_host_log(const struct pv_host *host, enum pv_log_level level, const char *line)
{
	pv_log(host->name, level, line);
}

static void port_log(struct pv_port *port, enum pv_log_level level, const char *line)
{
	struct pv_host *host = host_of(port);

	pv_log_paced(&host->log_pace, host->name, level, line);
}

static const struct pv_port_ops port_ops = {
	.alloc = port_alloc,
	.free = port_free,
	.queue_attach = port_queue_attach,
	.queue_detach = port_queue_detach,
	.interrupt = port_interrupt,
	.queue_broke = port_queue_broke,
	.queue_event = port_queue_event,
	.queue_wake = port_queue_wake,
	.queue_timer = port_queue_timer,
	.now_ns = port_now_ns,
	.discard = port_discard,
	.config_changed = port_config_changed,
	.log = port_log,
};

/* ---- changes that all lanes make ---- */

/* A paused queue is nobody's but ours; one that stopped meanwhile may be paused too. */
static void change_paused(struct pv_host *host)
{
	struct pv_device *device = host->changing.device;

	for (uint16_t i = 0; i < device->queues; i++)
		if (device->queue[i].state == PV_QUEUE_PAUSED)
			host->changing.change->queue(&device->queue[i], host->changing.what);
}

static void finish_change(struct pv_host *host)
{
	const struct pv_change *change = host->changing.change;

	change_paused(host);
	if (change->device)
		change->device(host->changing.device, host->changing.what);
	host->changing.is_under_way = false;
	host->changing.done(host->changing.arg);
}

static void changed(struct pv_loop_message *message)
{
	struct pv_host *host = pv_lane_received(message)->host;

	if (--host->changing.lanes == 0)
		finish_change(host);
}

static void start_change(struct pv_host *host, struct pv_device *device,
                         const struct pv_change *change, const void *what, void (*done)(void *arg),
                         void *arg)
{
	pv_bug_on(host->changing.is_under_way);
	host->changing.change = change;
	host->changing.device = device;
	host->changing.what = what;
	host->changing.done = done;
	host->changing.arg = arg;
	host->changing.lanes = 0;
	host->changing.is_under_way = true;
	for (uint16_t i = 0; i < host->lanes; i++) {
		struct pv_lane *lane = &host->lane[i];

		if (!lane->running)
			continue;
		host->changing.lanes++;
		pv_lane_post(lane, &lane->change);
	}
	if (host->changing.lanes == 0)
		finish_change(host);
}

/* A ring that is not in the new memory is broken: the next take reports it. */
static void change_queue_memory(struct pv_queue *queue, const void *mem)
{
	if (queue->ring.view.mem != mem)
		pv_queue_mem_switch(queue, mem);
}

static void change_device_memory(struct pv_device *device, const void *mem)
{
	pv_device_mem_set(device, mem);
}

void pv_host_mem_switch(struct pv_host *host, struct pv_device *device, const struct pv_mem *mem,
                        void (*done)(void *arg), void *arg)
{
	static const struct pv_change change = { change_queue_memory, change_device_memory };

	start_change(host, device, &change, mem, done, arg);
}

static void change_queue_log(struct pv_queue *queue, const void *what)
{
	(void)what; /* each queue has its own */
	pv_queue_log(queue);
}

void pv_host_log_switch(struct pv_host *host, struct pv_device *device, void (*done)(void *arg),
                        void *arg)
{
	static const struct pv_change change = { change_queue_log, NULL };

	start_change(host, device, &change, NULL, done, arg);
}

/* ---- birth and death ---- */

static void init_answers(struct pv_lane *lane)
{
	lane->stopped = (struct pv_lane_message){ .message.run = stopped, .lane = lane };
	lane->broke = (struct pv_lane_message){ .message.run = broke, .lane = lane };
	lane->event = (struct pv_lane_message){ .message.run = event, .lane = lane };
	lane->call = (struct pv_lane_message){ .message.run = call, .lane = lane };
	lane->changed = (struct pv_lane_message){ .message.run = changed, .lane = lane };
}

static int make_timers(struct pv_host *host)
{
	int error = 0;

	for (uint16_t i = 0; !error && i < host->lanes; i++)
		error = pv_lane_make_timer(&host->lane[i]);
	return error;
}

int pv_host_create(struct pv_host **created, const struct pv_host_options *options)
{
	size_t bytes = sizeof(struct pv_host) + options->queues * sizeof(struct pv_lane);
	struct pv_host *host = aligned_alloc(_Alignof(struct pv_host), bytes);
	int error;

	if (!host)
		return -ENOMEM;
	memset(host, 0, bytes);
	host->port.ops = &port_ops;
	host->control = options->control;
	host->lanes = options->queues;
	host->may_rest = options->may_rest;
	host->name = strdup(options->name);
	if (!host->name) {
		free(host);
		return -ENOMEM;
	}
	for (uint16_t i = 0; i < host->lanes; i++) {
		pv_lane_init(&host->lane[i], host, options->loop[i % options->loops], i);
		init_answers(&host->lane[i]);
	}
	error = options->has_timers ? make_timers(host) : 0;
	if (error)
		pv_host_destroy(host);
	else
		*created = host;
	return error;
}

void pv_host_destroy(struct pv_host *host)
{
	for (uint16_t i = 0; i < host->lanes; i++) {
		pv_bug_on(host->lane[i].running);
		pv_lane_fini(&host->lane[i]);
	}
	free(host->name);
	free(host);
}

struct pv_port *pv_host_port(struct pv_host *host)
{
	return &host->port;
}

struct pv_loop *pv_host_loop_of(struct pv_host *host, uint16_t queue)
{
	return lane_of(host, queue)->loop;
}

void pv_host_set_transport(struct pv_host *host, const struct pv_host_ops *ops, void *arg)
{
	host->ops = ops;
	host->ops_arg = arg;
}

void pv_host_set_elsewhere(struct pv_host *host, uint16_t queues,
                           const struct pv_host_elsewhere *ops, void *arg)
{
	pv_bug_on(queues > host->lanes);
	host->elsewhere = ops;
	host->elsewhere_arg = arg;
	host->queues_elsewhere = queues;
}

/* ---- kicks and calls ---- */

/*
 * Fills in what is to be known of a peer's descriptor. An eventfd has no type of file; a kick may
 * be nothing else, because it is never read, and a call nothing that a peer could have made to
 * block whoever writes to it, such as a file of a file system of its own.
 */
static int examine(struct pv_notifier *notifier, bool may_be_socket)
{
	struct stat stat;
	int flags;

	if (fstat(notifier->fd, &stat))
		return -errno;
	notifier->is_socket = S_ISSOCK(stat.st_mode);
	if (notifier->is_socket ? !may_be_socket : (stat.st_mode & S_IFMT) != 0)
		return -EINVAL;
	flags = fcntl(notifier->fd, F_GETFL);
	if (flags < 0)
		return -errno;
	notifier->can_block = !(flags & O_NONBLOCK);
	return 0;
}

static int set_notifier(struct pv_lane *lane, struct pv_handover *handover,
                        struct pv_notifier notifier, bool may_be_socket)
{
	if (notifier.fd >= 0) {
		int err = examine(&notifier, may_be_socket);

		if (err)
			return err;
		notifier.fd = fcntl(notifier.fd, F_DUPFD_CLOEXEC, 3);
		if (notifier.fd < 0)
			return -errno;
	}
	pv_lane_hand_over(lane, handover, &notifier);
	return 0;
}

int pv_host_set_kick(struct pv_host *host, uint16_t queue, int fd, bool is_polled)
{
	struct pv_lane *lane = lane_of(host, queue);
	struct pv_notifier kicks = {
		.fd = fd < 0 ? -1 : fd,
		.is_polled = fd < 0 && is_polled,
	};

	if (is_elsewhere(host, queue))
		return host->elsewhere->set_kick(host->elsewhere_arg, queue, kicks.fd);
	return set_notifier(lane, &lane->new_kick, kicks, false);
}

int pv_host_set_call(struct pv_host *host, uint16_t queue, int fd)
{
	struct pv_lane *lane = lane_of(host, queue);
	struct pv_notifier calls = { .fd = fd < 0 ? -1 : fd };

	if (is_elsewhere(host, queue))
		return host->elsewhere->set_call(host->elsewhere_arg, queue, calls.fd);
	return set_notifier(lane, &lane->new_call, calls, true);
}

void pv_host_kick(struct pv_host *host, uint16_t queue)
{
	struct pv_lane *lane = lane_of(host, queue);

	if (is_elsewhere(host, queue))
		host->elsewhere->kick(host->elsewhere_arg, queue);
	else
		pv_lane_post(lane, &lane->kick);
}
