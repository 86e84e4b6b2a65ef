/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A couple whose device moves: it is paused and saved, and its state goes into a fresh one, whose
 * memory is mapped elsewhere.  In this order, with what is the device's own in between:
 *
 *     pv_couple_pause()    and pv_device_save()
 *     pv_couple_leave()    then a fresh device is put in place: pv_couple_set_device()
 *     pv_device_load()     and pv_couple_forget(), or pv_device_abandon(), of the old one
 *     pv_couple_resume()
 *
 * Include after cmocka.
 */
#ifndef PV_TESTS_COUPLE_MOVE_H
#define PV_TESTS_COUPLE_MOVE_H

#include "tests/support/couple.h"

/* Lets lanes run until this is so; before each time `look` is called, unless it is NULL. */
void pv_couple_run_until(struct pv_couple *couple, const bool *is_so, void (*look)(void *arg),
                         void *arg);

/* Pauses the device, which has until then what pv_couple_run_until() does. */
void pv_couple_pause(struct pv_couple *couple, void (*look)(void *arg), void *arg);

/* Memory is out of reach where the device has it. Returns the view that the next one has. */
enum pv_twin_view pv_couple_leave(struct pv_couple *couple);

/* What the old device allocated is forgotten with it, as when its process ends. */
void pv_couple_forget(struct pv_couple *couple, struct pv_device *old);

/* The device in place goes on, and looks at all its queues. */
void pv_couple_resume(struct pv_couple *couple);

#endif
