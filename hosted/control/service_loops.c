/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loops of a service, and which queue runs on which.
 *
 * Unless the user says otherwise queue i of device d runs on loop d + i, modulo their number: the
 * queues of one device are spread, and so are the first queues of many, which are the only ones
 * that small guests use.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosted/control/service_internal.h"
#include "ring/err.h"

/* Those that this process may run on. */
static unsigned int processors(void)
{
	cpu_set_t set;
	long online;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned int)CPU_COUNT(&set);
	/* More than a set of the C library has room for. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned int)online : 1;
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static unsigned int loops_wanted(const struct pv_service *service)
{
	const struct pv_service_extent *extent = &service->extent;
	unsigned int of_use =
		extent->queues - extent->queues_on_own_loops - extent->queues_with_others;

	if (service->options.loops != PV_OPTION_UNSET)
		return (unsigned int)service->options.loops;
	return least(least(processors(), of_use), PV_SERVICE_LOOPS_MAX);
}

static int create_data_loop(struct pv_service *service)
{
	struct pv_data_loop *data = &service->data[service->loops];
	const struct pv_loop_options options = {
		.name = data->name,
		.poll_max_us = (uint32_t)service->options.poll_max_us,
		.engine = (enum pv_loop_engine)service->options.engine,
	};
	int error;

	snprintf(data->name, sizeof(data->name), "data%u", service->loops);
	error = pv_loop_create(&data->loop, &options);
	if (!error)
		service->loops++;
	return error;
}

int pv_service_loops_create(struct pv_service *service)
{
	const struct pv_loop_options control = {
		.name = "control",
		.lock = service->extent.lock,
		.engine = (enum pv_loop_engine)service->options.engine,
		.is_without_io = true,
	};
	unsigned int shared = loops_wanted(service), wanted = shared + service->extent.own_loops;
	int error = pv_loop_create(&service->control, &control);

	service->shared = shared;
	service->data = calloc(wanted, sizeof(*service->data));
	if (!service->data)
		return -ENOMEM;
	while (!error && service->loops < wanted)
		error = create_data_loop(service);
	return error;
}

void pv_service_loops_destroy(struct pv_service *service)
{
	while (service->loops > 0)
		pv_loop_destroy(service->data[--service->loops].loop);
	free(service->data);
	if (service->control)
		pv_loop_destroy(service->control);
}

/* ---- threads ---- */

bool pv_service_loops_start(struct pv_service *service, char sentence[static PV_SENTENCE_BYTES])
{
	int error = 0;

	while (service->threads < service->loops && !error) {
		error = pv_loop_thread_start(service->data[service->threads].loop);
		service->threads += !error;
	}
	return !error || pv_sentence_wrong(sentence, "cannot start a thread: %s", strerror(-error));
}

void pv_service_loops_join(struct pv_service *service)
{
	while (service->threads > 0)
		pv_loop_thread_join(service->data[--service->threads].loop);
}

/* ---- places ---- */

static bool are_there(const struct pv_service *service, const struct pv_option_list *list,
                      char sentence[static PV_SENTENCE_BYTES])
{
	for (unsigned int i = 0; i < list->count; i++)
		if (list->number[i] >= service->shared)
			return pv_sentence_wrong(
				sentence,
				"option '--queue-loops' names loop %u, and there are %u, counted "
				"from 0; choose a smaller number or give --loops %u",
				list->number[i], service->shared, list->number[i] + 1u);
	return true;
}

/* The loop of a device's queue i. */
static unsigned int place(const struct pv_export *export, unsigned int i)
{
	const struct pv_service *service = export->service;
	unsigned int device = (unsigned int)(export - service->export);

	if (export->options.own_loops > 0)
		return service->shared + service->given + i;
	if (export->options.queue_loops.count > 0)
		return export->options.queue_loops.number[i];
	return (device + i) % service->shared;
}

bool pv_export_place(struct pv_export *export, char sentence[static PV_SENTENCE_BYTES])
{
	struct pv_service *service = export->service;
	const struct pv_option_list *list = &export->options.queue_loops;
	unsigned int own = (unsigned int)export->options.own_loops;
	unsigned int count = own ? own : list->count ? list->count : service->shared;

	if (own > 0 && list->count > 0)
		return pv_sentence_wrong(sentence,
		                         "'queue-loops' and 'iothreads' of '%s' exclude "
		                         "each other; leave one out",
		                         export->name);
	if (!are_there(service, list, sentence))
		return false;
	export->loop = calloc(count, sizeof(struct pv_loop *));
	if (!export->loop)
		return pv_sentence_wrong(sentence, "%s", strerror(ENOMEM));
	export->loops = (uint16_t)count;
	for (unsigned int i = 0; i < count; i++)
		export->loop[i] = service->data[place(export, i)].loop;
	service->given += own;
	pv_bug_on(service->shared + service->given > service->loops);
	return true;
}
