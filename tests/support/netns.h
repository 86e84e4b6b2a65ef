/* SPDX-License-Identifier: BSD-2-Clause */
/* A network of this process's own, so that a test may make interfaces. */
#ifndef PV_TESTS_NETNS_H
#define PV_TESTS_NETNS_H

/*
 * Goes there, with its loopback up and no IPv6 on what will be made. Where this is not allowed, or
 * there is no tap interface or no `ip`, says what is missing and ends the program as a skipped
 * test.
 */
void netns_enter(void);

/* Runs `ip` with these words; fails the test where that fails. */
void netns_ip(const char *words);

#endif
