/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/rng/rng.h"

#include "ring/err.h"

struct pv_rngdrv {
	struct pv_driver driver;
	struct pv_driver_queue queue;
	struct pv_rngdrv_counters counters;
};

/* ---- control ---- */

static int bring_up(struct pv_rngdrv *rng, const struct pv_rngdrv_options *options)
{
	/* A request is one buffer: it needs no indirect table. */
	const struct pv_driver_queue_options ring = { .size_max = options->queue_size };
	int error = pv_driver_queue_init(&rng->queue, &rng->driver, VIRTIO_RNG_REQUESTQ, &ring);

	if (!error)
		error = pv_driver_start(&rng->driver);
	if (error) {
		pv_driver_fail(&rng->driver);
		pv_driver_stop(&rng->driver);
		pv_driver_queue_fini(&rng->queue);
	}
	return error;
}

int pv_rngdrv_create(struct pv_rngdrv **rng, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_rngdrv_options *options)
{
	const struct pv_driver_wish wish = {
		.required = options->required,
		.wanted = options->wanted ? options->wanted : PV_DRIVER_FEATURES,
		.timeout_ns = options->timeout_ns,
	};
	struct pv_rngdrv *made = os->ops->alloc(os, sizeof(*made));
	int error;

	if (!made)
		return -PV_ENOMEM;
	error = pv_driver_init(&made->driver, bus, os, &wish);
	if (!error)
		error = bring_up(made, options);
	if (error)
		os->ops->free(os, made, sizeof(*made));
	else
		*rng = made;
	return error;
}

static void end(struct pv_rngdrv *rng, struct pv_rngdrv_request *request, int error,
                uint32_t random_bytes)
{
	rng->counters.completions++;
	rng->counters.bytes += random_bytes;
	request->error = error;
	request->random_bytes = random_bytes;
	request->is_done = true;
	if (request->done)
		request->done(request);
}

static void end_all(struct pv_rngdrv *rng, int error)
{
	void *token;

	while ((token = pv_drv_ring_detach(&rng->queue.ring)))
		end(rng, token, error, 0);
}

int pv_rngdrv_fail(struct pv_rngdrv *rng)
{
	int error = pv_driver_stop(&rng->driver);

	end_all(rng, -PV_EBROKEN);
	return error;
}

void pv_rngdrv_destroy(struct pv_rngdrv *rng)
{
	struct pv_os *os = rng->driver.os;

	pv_rngdrv_fail(rng);
	pv_driver_queue_fini(&rng->queue);
	os->ops->free(os, rng, sizeof(*rng));
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
	end_all(rng, -PV_EIO);
	rng->counters.lies += rng->queue.ring.lies;
	return pv_driver_queue_enable(&rng->queue);
}

/* What was in flight, taken off the ring; its order does not matter. */
static struct pv_rngdrv_request *detach_all(struct pv_rngdrv *rng)
{
	struct pv_rngdrv_request *first = NULL, *request;

	while ((request = pv_drv_ring_detach(&rng->queue.ring))) {
		request->next = first;
		first = request;
	}
	return first;
}

/* Each fitted the ring before. */
static void repeat(struct pv_rngdrv *rng, struct pv_rngdrv_request *request)
{
	while (request) {
		struct pv_rngdrv_request *next = request->next;
		int error = pv_drv_ring_add(&rng->queue.ring, &request->sg, 0, 1, request);

		if (error)
			end(rng, request, error, 0);
		else
			rng->counters.repeats++;
		request = next;
	}
	pv_driver_queue_publish(&rng->queue);
}

static void end_list(struct pv_rngdrv *rng, struct pv_rngdrv_request *request)
{
	while (request) {
		struct pv_rngdrv_request *next = request->next;

		end(rng, request, -PV_EBROKEN, 0);
		request = next;
	}
}

int pv_rngdrv_recover(struct pv_rngdrv *rng)
{
	struct pv_rngdrv_request *aside = NULL;
	int error = pv_driver_init_again(&rng->driver);

	if (!error) {
		aside = detach_all(rng);
		rng->counters.lies += rng->queue.ring.lies;
		error = pv_driver_queue_enable(&rng->queue);
	}
	if (!error)
		error = pv_driver_start(&rng->driver);
	if (!error) {
		repeat(rng, aside);
		return 0;
	}
	pv_driver_fail(&rng->driver);
	end_list(rng, aside);
	pv_rngdrv_fail(rng);
	return error;
}

/* ---- requests ---- */

int pv_rngdrv_submit(struct pv_rngdrv *rng, struct pv_rngdrv_request *request)
{
	int error;

	request->is_done = false;
	if (rng->queue.ring.is_broken)
		return -PV_EBROKEN;
	if (request->sg.bytes == 0)
		return -PV_EINVAL;
	error = pv_drv_ring_add(&rng->queue.ring, &request->sg, 0, 1, request);
	if (!error)
		rng->counters.requests++;
	return error;
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

int pv_rngdrv_wait(struct pv_rngdrv *rng, struct pv_rngdrv_request *request, uint64_t timeout_ns)
{
	struct pv_os *os = rng->driver.os;
	uint64_t begin_ns = os->ops->now_ns(os);

	while (!request->is_done) {
		uint64_t waited_ns = os->ops->now_ns(os) - begin_ns;

		if (pv_rngdrv_poll(rng) > 0)
			continue;
		if (rng->queue.ring.is_broken)
			return -PV_EBROKEN;
		if (waited_ns >= timeout_ns)
			return -PV_ETIMEDOUT;
		if (!pv_rngdrv_interrupts_on(rng))
			os->ops->wait(os, timeout_ns - waited_ns);
		pv_rngdrv_interrupts_off(rng);
	}
	return request->error;
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
	counters.lies += rng->queue.ring.lies;
	return counters;
}

uint16_t pv_rngdrv_queue_size(const struct pv_rngdrv *rng)
{
	return rng->queue.ring.size;
}
