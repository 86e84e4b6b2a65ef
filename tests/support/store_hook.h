/* SPDX-License-Identifier: BSD-2-Clause */
/* Included before all else in a build of ring/ whose stores to shared memory a test counts. */
#ifndef PV_TESTS_STORE_HOOK_H
#define PV_TESTS_STORE_HOOK_H

void before_store(void);
#define PV_BEFORE_STORE() before_store()

#endif
