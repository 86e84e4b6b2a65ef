/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/refusal.h"

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void refusal_enter(int error)
{
	const int calls[] = { SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
		              SCMP_SYS(io_uring_register) };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int wrong = filter ? 0 : -ENOMEM;

	for (size_t i = 0; !wrong && i < sizeof(calls) / sizeof(calls[0]); i++)
		wrong = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)error), calls[i], 0);
	if (wrong || seccomp_load(filter))
		_exit(126);
	seccomp_release(filter);
}

void refusal_enter_if_asked(void)
{
	const char *name = getenv("PV_TEST_IO_URING");

	if (!name)
		return;
	if (strcmp(name, "EPERM") == 0)
		refusal_enter(EPERM);
	else if (strcmp(name, "ENOSYS") == 0)
		refusal_enter(ENOSYS);
	else
		_exit(126);
}
