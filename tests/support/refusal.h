/* SPDX-License-Identifier: BSD-2-Clause */
/* A seccomp filter as containers have it: it refuses io_uring. */
#ifndef PV_TESTS_REFUSAL_H
#define PV_TESTS_REFUSAL_H

/*
 * From now on the three calls of io_uring fail with `error` (EPERM, ENOSYS), for this process and
 * all that it executes. Ends the process, with status 126, if that cannot be had.
 */
void refusal_enter(int error);

/* Enters it with the error that PV_TEST_IO_URING names; without that does nothing. */
void refusal_enter_if_asked(void);

#endif
