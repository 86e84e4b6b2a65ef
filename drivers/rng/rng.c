/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/rng/rng.h"

#include "ring/err.h"

struct pv_rngdrv {
	struct pv_driver driver;
	struct pv_driver_queue queue;
	struct pv_rngdrv_options options;
	struct pv_rngdrv_counters counters;
};

/* ---- the way of a request ---- */

static int add(struct pv_rngdrv *rng, struct pv_rngdrv_request *request)
{
	return pv_drv_ring_add(&rng->queue.ring, &request->piece, 0, 1, request);
}

static void end(struct pv_rngdrv *rng, struct pv_rngdrv_request *request, int error,
                uint32_t random_bytes)
{
	pv_driver_unmap(rng->driver.os, &request->piece, 1, true);
	rng->counters.completions++;
	rng->counters.bytes += random_bytes;
	request->error = error;
	request->random_bytes = random_bytes;
	request->is_done = true;
	if (request->done)
		request->done(request);
}

static struct pv_rngdrv *rng_of(struct pv_driver_queue *queue)
{
	return (struct pv_rngdrv *)((uint8_t *)queue - offsetof(struct pv_rngdrv, queue));
}

/* Its buffer is still mapped. */
static int repeat_request(struct pv_driver_queue *queue, struct pv_driver_request *request)
{
	return add(rng_of(queue), (struct pv_rngdrv_request *)request);
}

static void end_request(struct pv_driver_queue *queue, struct pv_driver_request *request, int error)
{
	end(rng_of(queue), (struct pv_rngdrv_request *)request, error, 0);
}

static const struct pv_driver_request_ops request_ops = { repeat_request, end_request };

/* ---- control ---- */

static int bring_up(struct pv_driver *driver)
{
	struct pv_rngdrv *rng = (struct pv_rngdrv *)driver;
	/* A request is one buffer: it needs no indirect table. */
	const struct pv_driver_queue_options ring = { .size_max = rng->options.queue_size,
		                                      .requests = &request_ops };
	int error = pv_driver_queue_init(&rng->queue, &rng->driver, VIRTIO_RNG_REQUESTQ, &ring);

	return error ? error : pv_driver_start(&rng->driver);
}

static void release(struct pv_rngdrv *rng)
{
	struct pv_os *os = rng->driver.os;

	if (rng->queue.driver)
		pv_driver_queue_fini(&rng->queue);
	os->ops->free(os, rng, sizeof(*rng));
}

int pv_rngdrv_create(struct pv_rngdrv **rng, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_rngdrv_options *options)
{
	const struct pv_driver_wish wish = {
		.required = options->required,
		.wanted = options->wanted ? options->wanted : PV_DRIVER_FEATURES,
		.timeout_ns = options->timeout_ns,
		.bring_up = bring_up,
	};
	struct pv_rngdrv *made = os->ops->alloc(os, sizeof(*made));
	int error;

	if (!made)
		return -PV_ENOMEM;
	made->options = *options;
	error = pv_driver_init(&made->driver, bus, os, &wish);
	if (error)
		release(made);
	else
		*rng = made;
	return error;
}

int pv_rngdrv_fail(struct pv_rngdrv *rng)
{
	int error = pv_driver_stop(&rng->driver);

	pv_driver_queue_end_all(&rng->queue, -PV_EBROKEN);
	return error;
}

void pv_rngdrv_destroy(struct pv_rngdrv *rng)
{
	pv_rngdrv_fail(rng);
	release(rng);
}

uint64_t pv_rngdrv_features(const struct pv_rngdrv *rng)
{
	return rng->driver.features;
}

bool pv_rngdrv_is_broken(struct pv_rngdrv *rng)
{
	return rng->queue.ring.is_broken || pv_driver_needs_reset(&rng->driver);
}

int pv_rngdrv_queue_reset(struct pv_rngdrv *rng)
{
	int error = pv_driver_queue_reset(&rng->queue);

	if (error)
		return error;
	pv_driver_queue_end_all(&rng->queue, -PV_EIO);
	return pv_driver_queue_enable(&rng->queue);
}

/* ---- a device that needs a reset ---- */

int pv_rngdrv_recover(struct pv_rngdrv *rng)
{
	int error = pv_driver_init_again(&rng->driver);

	if (!error)
		error = pv_driver_queue_begin_again(&rng->queue);
	if (!error)
		error = pv_driver_start(&rng->driver);
	if (error) {
		pv_driver_fail(&rng->driver);
		pv_rngdrv_fail(rng);
		return error;
	}
	pv_driver_queue_repeat(&rng->queue, rng->options.fails_on_reset);
	return 0;
}

uint64_t pv_rngdrv_deadline_ns(const struct pv_rngdrv *rng)
{
	return pv_driver_queue_deadline_ns(&rng->queue);
}

int pv_rngdrv_tend(struct pv_rngdrv *rng)
{
	struct pv_os *os = rng->driver.os;
	int error;

	pv_rngdrv_poll(rng);
	if (!pv_rngdrv_is_broken(rng) && os->ops->now_ns(os) < pv_rngdrv_deadline_ns(rng))
		return 0;
	error = pv_rngdrv_recover(rng);
	return error ? error : 1;
}

/* ---- requests ---- */

int pv_rngdrv_submit(struct pv_rngdrv *rng, struct pv_rngdrv_request *request)
{
	struct pv_os *os = rng->driver.os;
	int error;

	request->is_done = false;
	if (rng->queue.ring.is_broken)
		return -PV_EBROKEN;
	if (request->buffer.bytes == 0)
		return -PV_EINVAL;
	request->piece.bytes = os->ops->map(os, request->buffer.memory, request->buffer.bytes, true,
	                                    &request->piece.addr);
	if (request->piece.bytes == 0)
		return -PV_ENOMEM;
	error = add(rng, request);
	if (error) {
		pv_driver_unmap(os, &request->piece, 1, true);
		return error;
	}
	pv_driver_request_begin(&rng->queue, &request->base,
	                        request->timeout_ns ? request->timeout_ns
	                                            : rng->options.request_timeout_ns);
	rng->counters.requests++;
	return 0;
}

void pv_rngdrv_publish(struct pv_rngdrv *rng)
{
	pv_driver_queue_publish(&rng->queue);
}

/* What was written beyond what was asked for the ring has cut off (section 5.4.6.1: examine). */
static void take_back(struct pv_rngdrv *rng, struct pv_rngdrv_request *request,
                      uint32_t written_bytes)
{
	if (written_bytes == 0)
		rng->counters.empty++;
	end(rng, request, written_bytes == 0 ? -PV_EIO : 0, written_bytes);
}

uint32_t pv_rngdrv_poll(struct pv_rngdrv *rng)
{
	uint32_t done = 0;
	uint32_t written_bytes;
	void *token;

	while (done < rng->queue.ring.size &&
	       pv_drv_ring_take(&rng->queue.ring, &token, &written_bytes) == PV_DRV_TAKEN) {
		take_back(rng, token, written_bytes);
		done++;
	}
	return done;
}

bool pv_rngdrv_interrupts_on(struct pv_rngdrv *rng)
{
	return pv_drv_ring_interrupts_on(&rng->queue.ring);
}

void pv_rngdrv_interrupts_off(struct pv_rngdrv *rng)
{
	pv_drv_ring_interrupts_off(&rng->queue.ring);
}

static uint32_t poll(void *rng)
{
	return pv_rngdrv_poll(rng);
}

int pv_rngdrv_wait(struct pv_rngdrv *rng, struct pv_rngdrv_request *request, uint64_t timeout_ns)
{
	int error = pv_driver_queue_wait(&rng->queue, &request->is_done, poll, rng, timeout_ns);

	return error ? error : request->error;
}

int pv_rngdrv_do(struct pv_rngdrv *rng, struct pv_rngdrv_request *request, uint64_t timeout_ns)
{
	int error = pv_rngdrv_submit(rng, request);

	if (error)
		return error;
	pv_rngdrv_publish(rng);
	return pv_rngdrv_wait(rng, request, timeout_ns);
}

struct pv_rngdrv_counters pv_rngdrv_counters(const struct pv_rngdrv *rng)
{
	struct pv_rngdrv_counters counters = rng->counters;

	counters.kicks = rng->queue.kicks;
	counters.repeats = rng->queue.repeats;
	counters.overdue = rng->queue.overdue;
	counters.lies = rng->queue.lies + rng->queue.ring.lies;
	return counters;
}

uint16_t pv_rngdrv_queue_size(const struct pv_rngdrv *rng)
{
	return rng->queue.ring.size;
}
