/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user front-end on a fake back-end, for one test at a time. */
#ifndef PV_TESTS_FRONTEND_RIG_H
#define PV_TESTS_FRONTEND_RIG_H

#include "hosted/vhost_user/frontend.h"
#include "tests/support/fake_backend.h"

#define FRONTEND_TIMEOUT_MS 200u

extern struct fake_backend fake;
extern struct pv_vhu_frontend *frontend; /* NULL as long as there is none */
extern char sentence[256];

/* For cmocka. No descriptor may be left at the end, whatever the back-end did. */
int frontend_setup(void **state);
int frontend_teardown(void **state);

/* Starts the back-end and connects. Returns what pv_vhu_frontend_create() does. */
int frontend_make(uint64_t protocol_features);
/* The same with all that the front-end can do, or the test has failed. */
void frontend_make_well(void);

/* An error of the front-end, in these words. */
void frontend_expect_error(int code, int expected, const char *words);

/* A twist that never answers. */
bool frontend_stay_silent(struct fake_backend *back, struct pv_vhu_message *message);

uint64_t frontend_now_ms(void);

#endif
