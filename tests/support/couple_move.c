/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/couple_move.h"

#define RUNS_MAX 10000

void pv_couple_run_until(struct pv_couple *couple, const bool *is_so, void (*look)(void *arg),
                         void *arg)
{
	for (int i = 0; !*is_so && i < RUNS_MAX; i++) {
		if (look)
			look(arg);
		pv_couple_run(couple);
	}
	assert_true(*is_so);
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

void pv_couple_pause(struct pv_couple *couple, void (*look)(void *arg), void *arg)
{
	bool is_paused = false;

	assert_int_equal(pv_device_pause(couple->device, (struct pv_waiter){ note, &is_paused }),
	                 0);
	pv_couple_run_until(couple, &is_paused, look, arg);
}

enum pv_twin_view pv_couple_leave(struct pv_couple *couple)
{
	enum pv_twin_view next = pv_twin_other(couple->view);

	pv_twin_allow(&couple->twin, couple->view, false);
	pv_twin_allow(&couple->twin, next, true);
	return next;
}

void pv_couple_forget(struct pv_couple *couple, struct pv_device *old)
{
	for (uint16_t i = 0; i < old->queues; i++) {
		struct pv_queue *queue = &old->queue[i];

		couple->allocs -= 1u * (queue->own != NULL) + (queue->ring_storage != NULL);
		free(queue->own);
		free(queue->ring_storage);
	}
}

void pv_couple_resume(struct pv_couple *couple)
{
	pv_device_resume(couple->device);
	for (uint16_t i = 0; i < couple->device->queues; i++)
		couple->lane[i].is_kicked = true;
}
