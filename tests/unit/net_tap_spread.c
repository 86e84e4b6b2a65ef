/* SPDX-License-Identifier: BSD-2-Clause */
/* The program that spreads frames over a tap's queues, handed to the kernel under bad weather. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/time.h>

#include "hosted/backends/net_tap_spread.h"

static volatile sig_atomic_t interrupts;

static void count(int signal)
{
	(void)signal;
	interrupts++;
}

/*
 * The kernel breaks off its look at the program when a signal waits for the caller, and so it does
 * when io_uring has something to tell.
 */
static void interrupts_do_not_cost_the_program(void **state)
{
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	const struct sigaction counting = { .sa_handler = count, .sa_flags = SA_RESTART };
	struct sigaction before;
	struct pv_tap_spread spread;
	int err = pv_tap_spread_init(&spread);

	(void)state;
	if (err == -EPERM || err == -ENOSYS) {
		print_message("skipped: this kernel or user has no programs for frames (bpf)\n");
		skip();
	}
	assert_int_equal(err, 0);
	pv_tap_spread_fini(&spread);
	sigaction(SIGALRM, &counting, &before);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 200 && err == 0; i++) {
		err = pv_tap_spread_init(&spread);
		if (err == 0)
			pv_tap_spread_fini(&spread);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(err, 0);
	assert_true(interrupts > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupts_do_not_cost_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
