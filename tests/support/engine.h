/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine that a test's loops run on: that of PV_TEST_ENGINE, so that one test proves several.
 */
#ifndef PV_TESTS_ENGINE_H
#define PV_TESTS_ENGINE_H

#include <stdlib.h>
#include <string.h>

#include "hosted/loop/loop.h"
#include "ring/err.h"

static inline enum pv_loop_engine test_engine(void)
{
	const char *name = getenv("PV_TEST_ENGINE");

	if (!name)
		return PV_LOOP_ENGINE_AUTO;
	pv_bug_on(strcmp(name, "epoll") != 0);
	return PV_LOOP_ENGINE_EPOLL;
}

#endif
