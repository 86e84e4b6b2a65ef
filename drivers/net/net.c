/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/net.h"

#include "drivers/net/internal.h"
#include "ring/err.h"

/* As many pages as the longest packet may touch, its header, and one to spare. */
#define SEGMENTS_MAX_DEFAULT 18u

static int setup_queues(struct pv_netdrv *net)
{
	int error = 0;

	for (uint16_t i = 0; !error && i < 2 * net->info.pairs; i++)
		error = pv_netdrv_queue_setup(net, i);
	return error ? error : pv_netdrv_control_setup(net);
}

/* Not before all queues have it: a device may look at any of them once it works. */
static int start(struct pv_netdrv *net)
{
	int error = pv_driver_start(&net->driver);

	for (uint32_t i = 0; !error && i < net->started; i += 2)
		error = pv_netdrv_post_own(&net->queue[i]);
	return error;
}

static int bring_up(struct pv_driver *driver)
{
	struct pv_netdrv *net = (struct pv_netdrv *)driver;
	int error = pv_netdrv_config_load(net);

	if (!error)
		error = setup_queues(net);
	return error ? error : start(net);
}

static void release(struct pv_netdrv *net)
{
	struct pv_os *os = net->driver.os;

	for (uint32_t i = 0; i < net->started; i++)
		pv_netdrv_queue_teardown(&net->queue[i]);
	pv_netdrv_control_teardown(net);
	os->ops->free(os, net, net->bytes);
}

static struct pv_netdrv *alloc_driver(struct pv_os *os, const struct pv_netdrv_options *options)
{
	const size_t queues = options->pairs ? 2u * (size_t)options->pairs : 2;
	size_t bytes = sizeof(struct pv_netdrv) + sizeof(struct pv_netdrv_queue) * queues;
	struct pv_netdrv *net = os->ops->alloc(os, bytes);

	if (!net)
		return NULL;
	net->bytes = bytes;
	net->options = *options;
	net->segments_max = options->segments_max ? options->segments_max : SEGMENTS_MAX_DEFAULT;
	pv_netdrv_control_init(&net->control, options);
	return net;
}

int pv_netdrv_create(struct pv_netdrv **net, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_netdrv_options *options)
{
	const struct pv_driver_wish wish = {
		.required = options->required,
		.wanted = options->wanted ? options->wanted : PV_NETDRV_FEATURES,
		.timeout_ns = options->timeout_ns,
		.choose = pv_netdrv_choose,
		.bring_up = bring_up,
	};
	struct pv_netdrv *made = alloc_driver(os, options);
	int error;

	if (!made)
		return -PV_ENOMEM;
	error = pv_driver_init(&made->driver, bus, os, &wish);
	if (error)
		release(made);
	else
		*net = made;
	return error;
}

int pv_netdrv_fail(struct pv_netdrv *net)
{
	int error = pv_driver_stop(&net->driver);

	for (uint32_t i = 0; i < net->started; i++)
		pv_driver_queue_end_all(&net->queue[i].base, -PV_EBROKEN);
	if (net->has_control)
		pv_driver_queue_end_all(&net->control.queue, -PV_EBROKEN);
	return error;
}

void pv_netdrv_destroy(struct pv_netdrv *net)
{
	pv_netdrv_fail(net);
	release(net);
}

bool pv_netdrv_is_broken(struct pv_netdrv *net)
{
	for (uint32_t i = 0; i < net->started; i++)
		if (pv_netdrv_queue_is_broken(&net->queue[i]))
			return true;
	if (net->has_control && net->control.queue.ring.is_broken)
		return true;
	return pv_driver_needs_reset(&net->driver);
}

const struct pv_netdrv_info *pv_netdrv_info(const struct pv_netdrv *net)
{
	return &net->info;
}

struct pv_netdrv_queue *pv_netdrv_rx(struct pv_netdrv *net, uint16_t pair)
{
	return pair < net->info.pairs ? &net->queue[2 * pair] : NULL;
}

struct pv_netdrv_queue *pv_netdrv_tx(struct pv_netdrv *net, uint16_t pair)
{
	return pair < net->info.pairs ? &net->queue[2 * pair + 1] : NULL;
}
