/* SPDX-License-Identifier: BSD-2-Clause */
/* Options out of a file of JSON: what is taken, what is refused and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <json-c/json_tokener.h>

#include "hosted/control/options_json.h"

struct values {
	bool is_quiet;
	const char *path;
	uint64_t depth;
	uint64_t bytes;
	unsigned int mode;
	int fd;
	struct pv_option_list list;
};

struct more {
	uint64_t level;
};

static const char *const modes[] = { "off", "on", "auto", NULL };

static const struct pv_option first_options[] = {
	{ "quiet", NULL, "say nothing", PV_OPTION_FLAG_AT(struct values, is_quiet) },
	{ "path", "PATH", "where it is", PV_OPTION_TEXT_AT(struct values, path) },
	{ "depth", "N", "how deep", PV_OPTION_NUMBER_AT(struct values, depth, 1, 100) },
	{ "block-size", "SIZE", "how large",
	  PV_OPTION_SIZE_AT(struct values, bytes, 512, 1 << 20) },
	{ "mode", "MODE", "how", PV_OPTION_CHOICE_AT(struct values, mode, modes) },
	{ "fd", "N", "which", PV_OPTION_FD_AT(struct values, fd) },
	{ "places", "LIST", "where", PV_OPTION_LIST_AT(struct values, list, 0, 7) },
	{ 0 },
};

static const struct pv_option second_options[] = {
	{ "level", "N", "how high", PV_OPTION_NUMBER_AT(struct more, level, 0, 9) },
	{ 0 },
};

static const struct pv_option_group first = { "First", first_options };
static const struct pv_option_group second = { "Second", second_options };
static const struct pv_option_group *const both[] = { &first, &second, NULL };

static struct values values;
static struct more more;
static struct json_object *object;
static char sentence[PV_SENTENCE_BYTES];

static int forget(void **state)
{
	(void)state;
	json_object_put(object);
	object = NULL;
	values = (struct values){ .depth = 32, .fd = -1 };
	more = (struct more){ 0 };
	sentence[0] = '\0';
	return 0;
}

static bool parse(const char *text)
{
	void *const to[] = { &values, &more };
	const struct pv_json_form form = { both, to, "list" };

	forget(NULL);
	object = json_tokener_parse(text);
	assert_non_null(object);
	return pv_options_parse_json(&form, object, sentence);
}

#define assert_refused(words, text)                                                                \
	do {                                                                                       \
		assert_false(parse(text));                                                         \
		assert_string_equal(sentence, words);                                              \
	} while (0)

/* ---- objects ---- */

static void every_type_arrives_where_it_belongs(void **state)
{
	(void)state;
	assert_true(parse("{\"quiet\": true, \"path\": \"/a b\", \"depth\": 7, \"block-size\": "
	                  "\"4k\", \"mode\": \"auto\", \"fd\": 0, \"places\": [0, 7, 7], "
	                  "\"level\": 3}"));
	assert_true(values.is_quiet);
	assert_string_equal(values.path, "/a b");
	assert_int_equal(values.depth, 7);
	assert_int_equal(values.bytes, 4096);
	assert_int_equal(values.mode, 2);
	assert_int_equal(values.fd, 0);
	assert_int_equal(values.list.count, 3);
	assert_int_equal(values.list.number[1], 7);
	assert_int_equal(more.level, 3);
}

static void numbers_may_be_texts_and_sizes_numbers(void **state)
{
	(void)state;
	assert_true(parse("{\"depth\": \"9\", \"block-size\": 8192, \"fd\": \"1\", \"places\": "
	                  "\"1,0\"}"));
	assert_int_equal(values.depth, 9);
	assert_int_equal(values.bytes, 8192);
	assert_int_equal(values.fd, 1);
	assert_int_equal(values.list.count, 2);
	assert_int_equal(values.list.number[0], 1);
}

static void what_is_not_there_keeps_its_value(void **state)
{
	(void)state;
	assert_true(parse("{}"));
	assert_int_equal(values.depth, 32);
	assert_true(parse("{\"quiet\": false, \"list\": [{}]}"));
	assert_false(values.is_quiet);
	assert_null(values.path);
}

static void an_unknown_key_is_told_its_nearest(void **state)
{
	(void)state;
	assert_refused("unknown key 'dept'; did you mean 'depth'?", "{\"dept\": 1}");
	assert_refused("unknown key 'lists'; did you mean 'list'?", "{\"lists\": []}");
	assert_refused("unknown key '--depth'; did you mean 'depth'?", "{\"--depth\": 1}");
	assert_refused("unknown key 'colour'; keys are the options of --help without dashes",
	               "{\"colour\": 1}");
}

static void a_value_of_the_wrong_type_is_refused(void **state)
{
	static const char *const flag[] = { "1", "\"true\"", "null", "[]", "{}" };
	static const char *const text[] = { "1", "true", "null", "[]", "{}", "1.5" };
	char line[64], words[128];

	(void)state;
	for (size_t i = 0; i < sizeof(flag) / sizeof(flag[0]); i++) {
		snprintf(line, sizeof(line), "{\"quiet\": %s}", flag[i]);
		assert_false(parse(line));
		assert_memory_equal(sentence, "key 'quiet' takes true or false, not ", 37);
	}
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		const char *is = strcmp(text[i], "[]") == 0   ? "[ ]"
		                 : strcmp(text[i], "{}") == 0 ? "{ }"
		                                              : text[i];

		snprintf(line, sizeof(line), "{\"path\": %s}", text[i]);
		assert_false(parse(line));
		snprintf(words, sizeof(words), "key 'path' takes a text in quotes, not %s", is);
		assert_string_equal(sentence, words);
		snprintf(line, sizeof(line), "{\"mode\": %s}", text[i]);
		assert_false(parse(line));
		assert_memory_equal(sentence, "key 'mode' takes off, on or auto, not ", 38);
	}
}

static void a_number_that_is_none_or_out_of_bounds_is_refused(void **state)
{
	static const char *const wrong[] = {
		"0",    "101",  "-1", "1.5",   "1e1",
		"true", "null", "[]", "\"x\"", "99999999999999999999"
	};
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(line, sizeof(line), "{\"depth\": %s}", wrong[i]);
		assert_false(parse(line));
		assert_memory_equal(sentence, "key 'depth' takes a number from 1 to 100, not '",
		                    47);
		assert_int_equal(values.depth, 32);
	}
	assert_refused("key 'block-size' takes a size from 512 bytes to 1 MiB, not '2M'",
	               "{\"block-size\": \"2M\"}");
	assert_refused("key 'fd': descriptor 777 is not open; whoever starts this program must "
	               "pass it",
	               "{\"fd\": 777}");
}

static void a_list_that_is_none_is_refused(void **state)
{
	static const char *const wrong[] = { "[]",     "[8]",      "[\"a\"]", "[1.5]",   "[[1]]",
		                             "\"1,\"", "\"1,,2\"", "\",\"",   "\"1 2\"", "true",
		                             "[null]", "[\"1\"]",  "[-1]",    "{}" };
	char line[8 * PV_OPTION_LIST_MAX] = "{\"places\": [0";

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[64];

		snprintf(text, sizeof(text), "{\"places\": %s}", wrong[i]);
		assert_false(parse(text));
		assert_memory_equal(sentence, "key 'places' takes up to 256 numbers from 0 to 7",
		                    48);
		assert_int_equal(values.list.count, 0);
	}
	for (size_t i = 1; i < PV_OPTION_LIST_MAX; i++)
		strcat(line, ",7");
	strcat(line, "]}");
	assert_true(parse(line));
	assert_int_equal(values.list.count, PV_OPTION_LIST_MAX);
	strcpy(line + strlen(line) - 2, ",1]}");
	assert_false(parse(line));
}

static void an_empty_text_and_one_with_a_nul_are_refused(void **state)
{
	(void)state;
	assert_refused("key 'path' needs a value; leave the key out for none", "{\"path\": \"\"}");
	assert_refused("key 'path' has a NUL in its text; take it out",
	               "{\"path\": \"a\\u0000b\"}");
	assert_refused("key 'depth' has a NUL in its text; take it out",
	               "{\"depth\": \"1\\u00002\"}");
}

/* ---- files ---- */

#define PATH "/tmp/pv-options-json-XXXXXX"
static char path[] = PATH;

static struct json_object *read_bytes(const void *bytes, size_t count)
{
	struct json_object *read;
	int fd;

	sentence[0] = '\0';
	strcpy(path, PATH);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, count), count);
	close(fd);
	read = pv_json_file_read("--config", path, sentence);
	unlink(path);
	return read;
}

/* The sentence names the file, whose name a test does not know. */
static void assert_file_refused(const void *bytes, size_t count, const char *end)
{
	char words[PV_SENTENCE_BYTES];

	assert_null(read_bytes(bytes, count));
	snprintf(words, sizeof(words), "option '--config': %s %s", path, end);
	assert_string_equal(sentence, words);
}

static void a_file_with_an_object_is_read(void **state)
{
	static const char text[] = "{\n \"a\": [1, 2],\n \"b\": {}}\n\n";
	struct json_object *read = read_bytes(text, strlen(text));

	(void)state;
	assert_non_null(read);
	assert_int_equal(json_object_object_length(read), 2);
	json_object_put(read);
}

static void what_is_no_json_is_told_its_place(void **state)
{
	static const struct {
		const char *text;
		const char *end;
	} wrong[] = {
		{ "{\"a\": 1,\n \"b\" 2}",
		  "is no JSON at line 2, column 6: object property name separator ':' expected" },
		{ "{\"a\": 1}\n\nx", "is no JSON at line 3, column 1: unexpected character" },
		{ "{\"a\": 1} {}", "is no JSON at line 1, column 10: unexpected character" },
		{ "{\"a\": [1,", "is no JSON at line 1, column 10: it ends too early" },
		{ "", "is no JSON at line 1, column 1: it ends too early" },
		{ "{\"a\": 'b'}", "is no JSON at line 1, column 7: unexpected character" },
		{ "{\"'\": [{'b': 1}]}",
		  "is no JSON at line 1, column 9: a key stands in double quotes" },
		{ "[1]", "holds no object; put { before it and } behind it" },
		{ "null", "holds no object; put { before it and } behind it" },
		{ "7", "holds no object; put { before it and } behind it" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_file_refused(wrong[i].text, strlen(wrong[i].text), wrong[i].end);
}

static void a_key_that_comes_again_is_told_its_place(void **state)
{
	static const struct {
		const char *text;
		const char *place;
	} wrong[] = {
		{ "{\"a\": 1, \"a\": 2}", "line 1, column 10" },
		{ "{\"l\": [ {\"b\" : \"\\\"b\\\\\", \"c\":{}},\n{\"b\":[{}],\"b\":1} ] }",
		  "line 2, column 11" },
		{ "{\"l\": [1, \"x\", {}], \"b\": {\"l\": {}}, \"l\": 1}", "line 1, column 37" },
	};
	static const char fine[] = "{\"a\":[{\"b\":1},{\"b\":\"a\"}],\"b\":{\"a\":{\"a\":1}}}";

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char end[128];

		snprintf(end, sizeof(end), "has a key again at %s: leave one of them out",
		         wrong[i].place);
		assert_file_refused(wrong[i].text, strlen(wrong[i].text), end);
	}
	forget(NULL);
	object = read_bytes(fine, strlen(fine));
	assert_non_null(object);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char nul[] = "{\"a\": 1}\0{}";
	static const char not_utf8[] = "{\"a\": \"\xff\"}";

	(void)state;
	assert_file_refused(nul, sizeof(nul) - 1,
	                    "is no JSON at line 1, column 9: nothing may come behind the object");
	assert_null(read_bytes(not_utf8, sizeof(not_utf8) - 1));
	assert_non_null(strstr(sentence, "is no JSON at line 1, column 8: "));
}

static void depth_and_size_are_bounded(void **state)
{
	char *large = malloc(PV_JSON_FILE_BYTES + 1);
	char deep[128] = "{\"a\": ";
	struct json_object *read;

	(void)state;
	memset(large, ' ', PV_JSON_FILE_BYTES + 1);
	memcpy(large, "{}", 2);
	read = read_bytes(large, PV_JSON_FILE_BYTES);
	assert_non_null(read);
	json_object_put(read);
	assert_file_refused(large, PV_JSON_FILE_BYTES + 1,
	                    "is larger than 1048576 bytes; split it");
	memset(large, 0, 2);
	assert_file_refused(large, PV_JSON_FILE_BYTES + 1,
	                    "is larger than 1048576 bytes; give a file of JSON");
	free(large);
	memset(deep + strlen(deep), '[', 100);
	assert_null(read_bytes(deep, strlen(deep)));
	assert_non_null(strstr(sentence, "is no JSON at line 1, column "));
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	assert_null(pv_json_file_read("--config", "/none", sentence));
	assert_string_equal(sentence,
	                    "option '--config': cannot read /none: No such file or directory");
	assert_null(pv_json_file_read("--config", "/", sentence));
	assert_string_equal(sentence, "option '--config': cannot read /: Is a directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_arrives_where_it_belongs),
		cmocka_unit_test(numbers_may_be_texts_and_sizes_numbers),
		cmocka_unit_test(what_is_not_there_keeps_its_value),
		cmocka_unit_test(an_unknown_key_is_told_its_nearest),
		cmocka_unit_test(a_value_of_the_wrong_type_is_refused),
		cmocka_unit_test(a_number_that_is_none_or_out_of_bounds_is_refused),
		cmocka_unit_test(a_list_that_is_none_is_refused),
		cmocka_unit_test(an_empty_text_and_one_with_a_nul_are_refused),
		cmocka_unit_test(a_file_with_an_object_is_read),
		cmocka_unit_test(what_is_no_json_is_told_its_place),
		cmocka_unit_test(a_key_that_comes_again_is_told_its_place),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(depth_and_size_are_bounded),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
	};

	return cmocka_run_group_tests(tests, forget, forget);
}
