/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/frontend_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/loop/clock.h"
#include "tests/support/descriptors.h"

struct fake_backend fake;
struct pv_vhu_frontend *frontend;
char sentence[256];
static int fds_before;

int frontend_setup(void **state)
{
	(void)state;
	fds_before = descriptors_open();
	frontend = NULL;
	fake_backend_init(&fake);
	return 0;
}

int frontend_teardown(void **state)
{
	(void)state;
	pv_vhu_frontend_destroy(frontend);
	fake_backend_stop(&fake);
	return descriptors_open() == fds_before ? 0 : -1;
}

int frontend_make(uint64_t protocol_features)
{
	struct pv_vhu_frontend_options options = { .protocol_features = protocol_features,
		                                   .timeout_ms = FRONTEND_TIMEOUT_MS };
	int code;

	fake_backend_start(&fake);
	options.fd = fake.front;
	code = pv_vhu_frontend_create(&frontend, &options, sentence, sizeof(sentence));
	if (code)
		close(fake.front);
	return code;
}

void frontend_make_well(void)
{
	if (frontend_make(PV_VHU_FRONTEND_FEATURES))
		fail_msg("%s", sentence);
}

void frontend_expect_error(int code, int expected, const char *words)
{
	assert_int_equal(code, expected);
	assert_string_equal(pv_vhu_frontend_error(frontend), words);
}

bool frontend_stay_silent(struct fake_backend *back, struct pv_vhu_message *message)
{
	(void)back;
	(void)message;
	return true;
}

uint64_t frontend_now_ms(void)
{
	return pv_clock_ns(CLOCK_MONOTONIC) / 1000000;
}
