/* SPDX-License-Identifier: BSD-2-Clause */
/* Command lines: what is taken, what is refused and with which words, and what --help prints. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/control/disk.h"
#include "hosted/control/options.h"
#include "hosted/control/service.h"

struct values {
	bool is_quiet;
	const char *path;
	uint64_t depth;
	uint64_t ms;
	uint64_t bytes;
	unsigned int mode;
	int fd;
};

struct more {
	uint64_t level;
	struct pv_option_list places;
};

struct words {
	bool is_quiet;
	struct pv_option_texts words;
};

static const char *const modes[] = { "off", "on", "auto", NULL };

static const struct pv_option first_options[] = {
	{ "quiet", NULL, "say nothing", PV_OPTION_FLAG_AT(struct values, is_quiet) },
	{ "path", "PATH", "where it is", PV_OPTION_TEXT_AT(struct values, path) },
	{ "depth", "N", "how deep", PV_OPTION_NUMBER_AT(struct values, depth, 1, 100) },
	{ "seconds", "N", "how long", PV_OPTION_SECONDS_AT(struct values, ms, 1, 60000) },
	{ "block-size", "SIZE", "how large",
	  PV_OPTION_SIZE_AT(struct values, bytes, 512, 1 << 20) },
	{ "mode", "MODE", "how", PV_OPTION_CHOICE_AT(struct values, mode, modes) },
	{ "fd", "N", "which", PV_OPTION_FD_AT(struct values, fd) },
	{ 0 },
};

static const struct pv_option second_options[] = {
	{ "level", "N",
	  "a level that needs more words than a single line of a terminal has room for beside it",
	  PV_OPTION_NUMBER_AT(struct more, level, 0, 9) },
	{ "places", "LIST", "where", PV_OPTION_LIST_AT(struct more, places, 0, 7) },
	{ 0 },
};

static const struct pv_option_group first = { "First", first_options };
static const struct pv_option_group second = { "Second", second_options };
static const struct pv_option_group *const both[] = { &first, &second, NULL };
static const struct pv_command_line command = { "test", "--path PATH", "Tests.", both, NULL, NULL };

static struct values values;
static struct more more;
static char sentence[PV_SENTENCE_BYTES];

/* The words after the program's name, ended by NULL. */
static enum pv_options_outcome parse(const char *word, ...)
{
	void *const to[] = { &values, &more };
	char *argv[16] = { (char *)"test", (char *)word };
	int argc = 1;
	va_list words;

	memset(&values, 0, sizeof(values));
	memset(&more, 0, sizeof(more));
	sentence[0] = '\0';
	va_start(words, word);
	while (argv[argc])
		argv[++argc] = va_arg(words, char *);
	va_end(words);
	return pv_options_parse(&command, to, argc, argv, sentence);
}

#define assert_refused(words, ...)                                                                 \
	do {                                                                                       \
		assert_int_equal(parse(__VA_ARGS__, NULL), PV_OPTIONS_WRONG);                      \
		assert_string_equal(sentence, words);                                              \
	} while (0)

static void every_type_arrives_where_it_belongs(void **state)
{
	(void)state;
	assert_int_equal(parse("--quiet", "--path", "/a b", "--depth=7", "--block-size", "4k",
	                       "--mode=auto", "--fd", "0", "--level", "3", NULL),
	                 PV_OPTIONS_GOOD);
	assert_true(values.is_quiet);
	assert_string_equal(values.path, "/a b");
	assert_int_equal(values.depth, 7);
	assert_int_equal(values.bytes, 4096);
	assert_int_equal(values.mode, 2);
	assert_int_equal(values.fd, 0);
	assert_int_equal(more.level, 3);
}

static void what_is_not_given_keeps_its_default(void **state)
{
	void *const to[] = { &values, &more };
	char *argv[] = { (char *)"test", (char *)"--quiet", NULL };

	(void)state;
	values = (struct values){ .depth = 32, .path = "default" };
	assert_int_equal(pv_options_parse(&command, to, 2, argv, sentence), PV_OPTIONS_GOOD);
	assert_int_equal(values.depth, 32);
	assert_string_equal(values.path, "default");
}

static void a_value_may_contain_an_equals_sign_and_look_like_an_option(void **state)
{
	(void)state;
	assert_int_equal(parse("--path=a=b", NULL), PV_OPTIONS_GOOD);
	assert_string_equal(values.path, "a=b");
	assert_int_equal(parse("--path=--odd", NULL), PV_OPTIONS_GOOD);
	assert_string_equal(values.path, "--odd");
	assert_int_equal(parse("--path", "-", NULL), PV_OPTIONS_GOOD);
}

static void a_list_is_taken_whole_or_refused(void **state)
{
	const char *const wrong[] = { "8", "1,", ",1", "1,,2", "1 2", "x", "-1", "1;2" };

	(void)state;
	assert_int_equal(parse("--places", "0,7,7", NULL), PV_OPTIONS_GOOD);
	assert_int_equal(more.places.count, 3);
	assert_int_equal(more.places.number[0], 0);
	assert_int_equal(more.places.number[2], 7);
	assert_int_equal(parse("--places=3", NULL), PV_OPTIONS_GOOD);
	assert_int_equal(more.places.count, 1);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(parse("--places", wrong[i], NULL), PV_OPTIONS_WRONG);
		assert_int_equal(more.places.count, 0);
	}
	assert_refused("option '--places' takes up to 256 numbers from 0 to 7, with commas between "
	               "them, not '9'",
	               "--places", "9");
}

static void the_first_option_of_a_group_is_found(void **state)
{
	/* The value of --path is no option, whatever it looks like behind its first letters. */
	char *argv[] = { (char *)"test",      (char *)"--path",  (char *)"xxlevel",
		         (char *)"--depth=3", (char *)"--quiet", (char *)"--level=2",
		         (char *)"--places",  (char *)"0" };

	(void)state;
	assert_string_equal(pv_options_first_of(&command, &first, 8, argv), "path");
	assert_string_equal(pv_options_first_of(&command, &second, 8, argv), "level");
	assert_null(pv_options_first_of(&command, &second, 5, argv));
	assert_null(pv_options_first_of(&command, &first, 1, argv));
}

static void an_unknown_option_is_told_its_nearest(void **state)
{
	(void)state;
	assert_refused("unknown option '--pat'; did you mean '--path'?", "--pat");
	assert_refused("unknown option '--dpeth'; did you mean '--depth'?", "--dpeth", "1");
	assert_refused("unknown option '--blocksize'; did you mean '--block-size'?",
	               "--blocksize=4");
	assert_refused("unknown option '-depth'; did you mean '--depth'?", "-depth", "1");
	assert_refused("unknown option '--hlep'; did you mean '--help'?", "--hlep");
	assert_refused("unknown option '--frobnicate'; --help lists them all", "--frobnicate");
	assert_refused("unknown option '--'; --help lists them all", "--");
	assert_refused("unknown option '-'; --help lists them all", "-");
}

static void a_word_that_is_no_option_is_refused(void **state)
{
	(void)state;
	assert_refused("unexpected argument 'disk.img'; options begin with '--'", "--quiet",
	               "disk.img");
	assert_refused("unexpected argument ''; options begin with '--'", "");
}

static void words_go_where_a_command_wants_them(void **state)
{
	struct words words = { 0 };
	static const struct pv_option quiet[] = {
		{ "quiet", NULL, "", PV_OPTION_FLAG_AT(struct words, is_quiet) },
		{ 0 },
	};
	static const struct pv_option words_option = { "words", NULL, NULL,
		                                       PV_OPTION_TEXTS_AT(struct words, words) };
	static const struct pv_option_group group = { "All", quiet };
	static const struct pv_option_group *const groups[] = { &group, NULL };
	const struct pv_command_line line = { "test", "WORD...",     "Tests.",
		                              groups, &words_option, NULL };
	char *argv[] = { (char *)"test", (char *)"a=1", (char *)"--quiet", (char *)"", NULL };
	void *const to[] = { &words };

	(void)state;
	assert_int_equal(pv_options_parse(&line, to, 4, argv, sentence), PV_OPTIONS_GOOD);
	assert_true(words.is_quiet);
	assert_int_equal(words.words.count, 2);
	assert_ptr_equal(words.words.text[0], argv[1]);
	assert_ptr_equal(words.words.text[1], argv[3]);
}

static void a_missing_value_is_named(void **state)
{
	(void)state;
	assert_refused("option '--path' needs a value: --path PATH", "--path");
	assert_refused("option '--path' needs a value: --path PATH", "--path", "");
	assert_refused("option '--path' needs a value: --path PATH", "--path=");
	assert_refused("option '--path' needs a value: --path PATH", "--path", "--quiet");
	assert_refused("option '--quiet' takes no value", "--quiet=yes");
}

static void an_option_is_given_once(void **state)
{
	(void)state;
	assert_refused("option '--depth' is given twice", "--depth", "1", "--depth=2");
	assert_refused("option '--level' is given twice", "--level", "1", "--level", "1");
}

static void numbers_are_checked_against_their_bounds(void **state)
{
	static const char *const bad[] = { "0",  "101", "-1",
		                           "+1", "1x",  "0x1",
		                           " 1", "1e1", "18446744073709551617" };

	(void)state;
	assert_refused("option '--depth' takes a number from 1 to 100, not '0'", "--depth", "0");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse("--depth", bad[i], NULL), PV_OPTIONS_WRONG);
	assert_int_equal(parse("--depth", "1", NULL), PV_OPTIONS_GOOD);
	assert_int_equal(parse("--depth", "100", NULL), PV_OPTIONS_GOOD);
}

static void seconds_may_have_decimals(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = { { "5", 5000 },   { "0.2", 200 },      { "0.25", 250 },    { "0.001", 1 },
		     { "1.0", 1000 }, { "59.999", 59999 }, { "60.000", 60000 } };
	static const char *const bad[] = { "0",
		                           "0.0",
		                           "0.0001",
		                           ".5",
		                           "1.",
		                           "1.2.3",
		                           "-1",
		                           "1e",
		                           "1,5",
		                           "60.001",
		                           "1s",
		                           "0x1",
		                           "18446744073709551615" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse("--seconds", good[i].text, NULL), PV_OPTIONS_GOOD);
		assert_int_equal(values.ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse("--seconds", bad[i], NULL), PV_OPTIONS_WRONG);
	assert_refused("option '--seconds' takes seconds from 0.001 to 60, such as 5 or 0.25, not "
	               "'61'",
	               "--seconds", "61");
}

static void sizes_take_suffixes_of_powers_of_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = { { "512", 512 },       { "4k", 4096 },
		     { "4K", 4096 },       { "4KiB", 4096 },
		     { "4kib", 4096 },     { "3m", 3 << 20 },
		     { "2G", 2ull << 30 }, { "1TiB", 1ull << 40 },
		     { "1P", 1ull << 50 }, { "1PiB", 1ull << 50 },
		     { "0", 0 },           { "18446744073709551615", UINT64_MAX } };
	static const char *const bad[] = { "",      "k",         "1kb",    "1.5G",
		                           "1Kibi", "-1k",       "1 k",    "1kk",
		                           "1i",    "16777216T", "16384P", "18446744073709551616" };
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(pv_size_parse(good[i].text, &bytes));
		assert_true(bytes == good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(pv_size_parse(bad[i], &bytes));
	assert_refused("option '--block-size' takes a size such as 4096, 4k, 512M or 1GiB, not 'x'",
	               "--block-size", "x");
	assert_refused("option '--block-size' takes a size from 512 bytes to 1 MiB, not '2M'",
	               "--block-size", "2M");
}

static void sizes_are_written_for_people(void **state)
{
	char text[PV_SIZE_TEXT_BYTES];

	(void)state;
	assert_string_equal(pv_size_text(0, text), "0 bytes");
	assert_string_equal(pv_size_text(1000, text), "1000 bytes");
	assert_string_equal(pv_size_text(1024, text), "1 KiB");
	assert_string_equal(pv_size_text(512ull << 20, text), "512 MiB");
	assert_string_equal(pv_size_text(3ull << 29, text), "1.5 GiB");
	assert_string_equal(pv_size_text(UINT64_C(1) << 63, text), "8 EiB");
}

static void choices_and_descriptors_are_checked(void **state)
{
	(void)state;
	assert_refused("option '--mode' takes off, on or auto, not 'maybe'", "--mode", "maybe");
	assert_refused("option '--fd' takes the number of an open descriptor, not 'x'", "--fd",
	               "x");
	assert_refused(
		"option '--fd': descriptor 999 is not open; whoever starts this program must "
		"pass it",
		"--fd", "999");
}

static void help_is_asked_for_anywhere_but_in_a_value(void **state)
{
	(void)state;
	assert_int_equal(parse("--help", NULL), PV_OPTIONS_HELP);
	assert_int_equal(parse("--quiet", "-h", "--nonsense", NULL), PV_OPTIONS_HELP);
	assert_int_equal(parse("--path", "-h", NULL), PV_OPTIONS_GOOD);
}

static char *help_of(const struct pv_command_line *line)
{
	char *text = NULL;
	size_t bytes;
	FILE *to = open_memstream(&text, &bytes);

	pv_options_help(line, to);
	fclose(to);
	return text;
}

static void help_is_sorted_within_groups_and_wrapped(void **state)
{
	char *text = help_of(&command);

	(void)state;
	assert_string_equal(
		text,
		"usage: test --path PATH\n"
		"\n"
		"Tests.\n"
		"\n"
		"First:\n"
		"  --block-size SIZE           how large\n"
		"  --depth N                   how deep\n"
		"  --fd N                      which\n"
		"  --mode MODE                 how\n"
		"  --path PATH                 where it is\n"
		"  --quiet                     say nothing\n"
		"  --seconds N                 how long\n"
		"\n"
		"Second:\n"
		"  --level N                   a level that needs more words than a single line\n"
		"                              of a terminal has room for beside it\n"
		"  --places LIST               where\n"
		"\n"
		"Other:\n"
		"  --help                      print this text and end\n");
	free(text);
}

static void help_shows_the_longest_argument_whole(void **state)
{
#define LONG "type=one|two|three,path=SOCKET,and=MORE,than=ONE,would=THINK[,KEY=VALUE...]"
	static const struct pv_option options[] = {
		{ "long", LONG, "much to say", PV_OPTION_FLAG, 0, 0, 0, NULL },
		{ 0 },
	};
	static const struct pv_option_group group = { "Long", options };
	static const struct pv_option_group *const groups[] = { &group, NULL };
	const struct pv_command_line line = { "test", "", "", groups, NULL, groups };
	char *text = help_of(&line);

	(void)state;
	assert_non_null(
		strstr(text, "\n  --long " LONG "\n                              much to say\n"));
	assert_non_null(
		strstr(text, "\n  long=" LONG "\n                              much to say\n"));
	free(text);
}

static void sentences_are_written_anew_for_keys(void **state)
{
	static const struct pv_option keys[] = {
		{ "path", "PATH", "", PV_OPTION_TEXT, 0, 0, 0, NULL },
		{ "readonly", NULL, "", PV_OPTION_FLAG, 0, 0, 0, NULL },
		{ "memory", "SIZE", "", PV_OPTION_SIZE, 0, 0, 0, NULL },
		{ "werror", "WORD", "", PV_OPTION_CHOICE, 0, 0, 0, NULL },
		{ 0 },
	};
	static const struct pv_option_alias aliases[] = { { "path", "blk-file" },
		                                          { "readonly", "read-only" },
		                                          { 0 } };
	static const struct pv_option_spelling spelling = { "disk", aliases, keys };
	static const char *const cases[][2] = {
		{ "no disk: give --blk-file PATH or --memory SIZE",
		  "no disk: give path=PATH or memory=SIZE" },
		{ "give only one of --blk-file, --memory and --qmp",
		  "give only one of path, memory and --qmp" },
		{ "--blk-file /a b: Denied; check it or add --read-only",
		  "path=/a b: Denied; check it or add readonly=on" },
		{ "--memory: none of 'it'; leave out --read-only",
		  "memory: none of 'it'; leave out readonly=on" },
		{ "option '--werror stop' needs --qmp", "'werror=stop' needs --qmp" },
		{ "option '--read-only' goes with --blk-file only",
		  "'readonly' goes with path only" },
		{ "option '--fd': is '--memory' or x--memory", NULL },
		{ "option '--", NULL },
		{ "--", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char said[PV_SENTENCE_BYTES], wanted[PV_SENTENCE_BYTES];

		strcpy(said, cases[i][0]);
		snprintf(wanted, sizeof(wanted), "option '--disk': %s",
		         cases[i][1] ? cases[i][1] : cases[i][0]);
		assert_false(pv_options_spell(&spelling, said));
		assert_string_equal(said, wanted);
	}
}

static void a_sentence_that_is_too_long_when_written_anew_is_cut(void **state)
{
	static const struct pv_option keys[] = {
		{ "a-key-that-is-much-longer-than-the-option", NULL, "", PV_OPTION_FLAG, 0, 0, 0,
		  NULL },
		{ 0 },
	};
	static const struct pv_option_alias aliases[] = {
		{ "a-key-that-is-much-longer-than-the-option", "a" }, { 0 }
	};
	static const struct pv_option_spelling spelling = { "disk", aliases, keys };
	char said[PV_SENTENCE_BYTES] = "";

	(void)state;
	while (strlen(said) + 4 < sizeof(said))
		strcat(said, "--a ");
	assert_false(pv_options_spell(&spelling, said));
	assert_int_equal(strlen(said), PV_SENTENCE_BYTES - 1);
}

static size_t longest_line(const char *text)
{
	size_t longest = 0;

	while (*text) {
		size_t chars = strcspn(text, "\n");

		longest = chars > longest ? chars : longest;
		text += chars + (text[chars] == '\n');
	}
	return longest;
}

static unsigned int times_in(const char *text, const char *part)
{
	unsigned int times = 0;

	for (; (text = strstr(text, part)); text++)
		times++;
	return times;
}

static void the_real_tables_fit_a_terminal_and_have_no_name_twice(void **state)
{
	static const struct pv_option_group *const real[] = { &pv_disk_option_group,
		                                              &pv_export_option_group,
		                                              &pv_service_option_group, NULL };
	const struct pv_command_line line = { "paravane serve blk", "", "", real, NULL, NULL };
	char *text = help_of(&line);
	unsigned int options = 0;

	(void)state;
	assert_in_range(longest_line(text), 40, 80);
	for (size_t g = 0; real[g]; g++) {
		for (const struct pv_option *o = real[g]->options; o->name; o++, options++) {
			char listed[64];

			snprintf(listed, sizeof(listed), "\n  --%s ", o->name);
			assert_int_equal(times_in(text, listed), 1);
			assert_true((o->type == PV_OPTION_FLAG) == (o->argument == NULL));
		}
	}
	assert_in_range(options, 1, PV_OPTIONS_MAX);
	free(text);
}

static void a_key_of_texts_may_be_given_more_than_once(void **state)
{
	static const struct pv_option keys[] = {
		{ "word", "TEXT", "what", PV_OPTION_TEXTS_AT(struct words, words) },
		{ 0 },
	};
	struct words found = { 0 };
	char text[] = "word=a,word=b,,c,word=a";

	(void)state;
	assert_true(pv_options_parse_keys("say", keys, &found, text, sentence));
	assert_int_equal(found.words.count, 3);
	assert_string_equal(found.words.text[0], "a");
	assert_string_equal(found.words.text[1], "b,c");
	assert_string_equal(found.words.text[2], "a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_of_texts_may_be_given_more_than_once),
		cmocka_unit_test(every_type_arrives_where_it_belongs),
		cmocka_unit_test(what_is_not_given_keeps_its_default),
		cmocka_unit_test(a_value_may_contain_an_equals_sign_and_look_like_an_option),
		cmocka_unit_test(a_list_is_taken_whole_or_refused),
		cmocka_unit_test(the_first_option_of_a_group_is_found),
		cmocka_unit_test(an_unknown_option_is_told_its_nearest),
		cmocka_unit_test(a_word_that_is_no_option_is_refused),
		cmocka_unit_test(words_go_where_a_command_wants_them),
		cmocka_unit_test(a_missing_value_is_named),
		cmocka_unit_test(an_option_is_given_once),
		cmocka_unit_test(numbers_are_checked_against_their_bounds),
		cmocka_unit_test(seconds_may_have_decimals),
		cmocka_unit_test(sizes_take_suffixes_of_powers_of_1024),
		cmocka_unit_test(sizes_are_written_for_people),
		cmocka_unit_test(choices_and_descriptors_are_checked),
		cmocka_unit_test(help_is_asked_for_anywhere_but_in_a_value),
		cmocka_unit_test(help_is_sorted_within_groups_and_wrapped),
		cmocka_unit_test(sentences_are_written_anew_for_keys),
		cmocka_unit_test(a_sentence_that_is_too_long_when_written_anew_is_cut),
		cmocka_unit_test(help_shows_the_longest_argument_whole),
		cmocka_unit_test(the_real_tables_fit_a_terminal_and_have_no_name_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
