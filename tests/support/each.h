/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A test whose body is run for each of several cases:
 *
 *     PV_TEST_EACH(on_every_ring, requests_go_through)
 *     {
 *             ...
 *     }
 *
 * where on_every_ring(void (*body)(void)) makes each case, calls the body, and clears up.
 */
#ifndef PV_TESTS_EACH_H
#define PV_TESTS_EACH_H

#define PV_TEST_EACH(each, name)                                                                   \
	static void name##_body(void);                                                             \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		each(name##_body);                                                                 \
	}                                                                                          \
	static void name##_body(void)

#endif
