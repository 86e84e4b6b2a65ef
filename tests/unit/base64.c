/* SPDX-License-Identifier: BSD-2-Clause */
/* Base64: the examples of RFC 4648, all bytes there and back, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "hosted/control/base64.h"

static void the_examples_of_the_standard_come_out(void **state)
{
	static const char *const examples[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};
	char text[16], back[16];
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		pv_base64_write(examples[i][0], strlen(examples[i][0]), text);
		assert_string_equal(text, examples[i][1]);
		assert_int_equal(strlen(text) + 1, pv_base64_text_bytes(strlen(examples[i][0])));
		assert_true(pv_base64_read(text, back, &bytes));
		assert_int_equal(bytes, strlen(examples[i][0]));
		assert_memory_equal(back, examples[i][0], bytes);
	}
}

static void all_bytes_go_there_and_back(void **state)
{
	uint8_t all[256], back[258];
	char text[345];
	size_t bytes;

	(void)state;
	for (unsigned int i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	for (size_t from = 0; from < 4; from++) {
		assert_true(pv_base64_text_bytes(sizeof(all) - from) <= sizeof(text));
		pv_base64_write(all + from, sizeof(all) - from, text);
		assert_true(pv_base64_read(text, back, &bytes));
		assert_int_equal(bytes, sizeof(all) - from);
		assert_true(bytes <= pv_base64_bytes(strlen(text)));
		assert_memory_equal(back, all + from, bytes);
	}
}

static void what_is_no_base64_is_refused(void **state)
{
	static const char *const bad[] = {
		"Z",     "Zg",       "Zg=",     "=",    "====", "Z===", "Zg=a",  "Zm8",
		"Zm9v=", "Zg==Zg==", "Zm9\xc3", "Zh==", "Zm9=", "Zm 9", "Zm9v\n"
	};
	uint8_t back[16];
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(pv_base64_read(bad[i], back, &bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_standard_come_out),
		cmocka_unit_test(all_bytes_go_there_and_back),
		cmocka_unit_test(what_is_no_base64_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
