/* SPDX-License-Identifier: BSD-2-Clause */
/* The QMP server, as a client sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/control/qmp_input.h"
#include "tests/support/qmp_peer.h"
#include "tests/support/random.h"

static struct pv_qmp_peer *peer;

static int begin(void **state)
{
	(void)state;
	peer = pv_qmp_peer_create();
	return 0;
}

static int end(void **state)
{
	(void)state;
	pv_qmp_peer_destroy(peer);
	return 0;
}

static void assert_begins(const char *text, const char *start)
{
	assert_non_null(text);
	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("'%s' does not begin with '%s'", text, start);
}

static void assert_has(const char *text, const char *part)
{
	assert_non_null(text);
	if (!strstr(text, part))
		fail_msg("'%s' does not have '%s'", text, part);
}

#define GENERIC   "{\"error\":{\"class\":\"GenericError\",\"desc\":\""
#define NOT_FOUND "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\""
#define STATUS    "{\"return\":{\"status\":\"running\",\"singlestep\":false,\"running\":true}}"

static void a_client_is_greeted_and_negotiates(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_connect(peer);

	(void)state;
	assert_begins(pv_qmp_caller_line(client), "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":");
	assert_begins(pv_qmp_caller_ask(client, "{\"execute\":\"query-status\"}"), NOT_FOUND);
	assert_begins(pv_qmp_caller_ask(client, "{\"execute\":\"nonsense\"}"), NOT_FOUND);
	assert_string_equal(pv_qmp_caller_ask(client, "{\"execute\":\"qmp_capabilities\","
	                                              "\"arguments\":{\"enable\":[\"oob\"]}}"),
	                    GENERIC "capability 'oob' is not offered\"}}");
	assert_begins(pv_qmp_caller_ask(client, "{\"execute\":\"query-status\"}"), NOT_FOUND);
	assert_string_equal(pv_qmp_caller_ask(client, "{\"execute\":\"qmp_capabilities\","
	                                              "\"arguments\":{\"enable\":[]}}"),
	                    "{\"return\":{}}");
	assert_begins(pv_qmp_caller_ask(client, "{\"execute\":\"qmp_capabilities\"}"), NOT_FOUND);
	assert_string_equal(pv_qmp_caller_ask(client, "{\"execute\":\"query-status\"}"), STATUS);
	pv_qmp_caller_close(client);
}

static void the_version_is_that_of_the_greeting(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_connect(peer);
	char expected[512];
	const char *greeting = pv_qmp_caller_line(client);

	(void)state;
	snprintf(expected, sizeof(expected), "{\"return\":%.*s}",
	         (int)(strstr(greeting, ",\"capabilities\"") - strstr(greeting, "{\"qemu\"")),
	         strstr(greeting, "{\"qemu\""));
	pv_qmp_caller_ask(client, "{\"execute\":\"qmp_capabilities\"}");
	assert_string_equal(pv_qmp_caller_ask(client, "{\"execute\":\"query-version\"}"), expected);
	assert_has(expected, "\"package\":\"paravane ");
	pv_qmp_caller_close(client);
}

static void any_kind_of_id_comes_back(void **state)
{
	static const char *const id[] = { "1",
		                          "\"a\\u00e9\\n\"",
		                          "null",
		                          "true",
		                          "1.50",
		                          "{\"a\":[1,{}]}",
		                          "18446744073709551615" };
	/* What the parser lets through though it is no JSON. */
	static const char *const no_id[] = { "NaN", "[-Infinity]", "{\"a\":[1.]}", "1.e5" };
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);
	char text[256], expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(id) / sizeof(id[0]); i++) {
		snprintf(text, sizeof(text), "{\"execute\":\"qmp_nothing\",\"id\":%s}", id[i]);
		snprintf(expected, sizeof(expected), "\"id\":%s}",
		         i == 1 ? "\"a\xc3\xa9\\n\"" : id[i]);
		assert_has(pv_qmp_caller_ask(client, text), expected);
		snprintf(text, sizeof(text), "{\"id\":%s,\"execute\":\"query-status\"}", id[i]);
		assert_has(pv_qmp_caller_ask(client, text), expected);
	}
	for (size_t i = 0; i < sizeof(no_id) / sizeof(no_id[0]); i++) {
		snprintf(text, sizeof(text), "{\"execute\":\"query-status\",\"id\":%s}", no_id[i]);
		assert_begins(pv_qmp_caller_ask(client, text), GENERIC "JSON parse error, ");
	}
	assert_string_equal(pv_qmp_caller_ask(client, "{\"id\":7}"),
	                    GENERIC "QMP input member 'execute' is missing\"},\"id\":7}");
	pv_qmp_caller_close(client);
}

static void what_is_no_command_is_refused_by_the_name_of_its_fault(void **state)
{
	static const char *const wrong[][2] = {
		{ "[]", GENERIC "QMP input must be a JSON object\"}}" },
		{ "{}", GENERIC "QMP input member 'execute' is missing\"}}" },
		{ "{\"execute\":null}", GENERIC "QMP input member 'execute' must be a string\"}}" },
		{ "{\"execute\":[\"quit\"]}",
		  GENERIC "QMP input member 'execute' must be a string\"}}" },
		{ "{\"execute\":\"echo\",\"arguments\":[]}",
		  GENERIC "QMP input member 'arguments' must be an object\"}}" },
		{ "{\"execute\":\"echo\",\"arguments\":null}",
		  GENERIC "QMP input member 'arguments' must be an object\"}}" },
		{ "{\"exec-oob\":\"echo\"}",
		  GENERIC "QMP input member 'exec-oob' is unexpected\"}}" },
		{ "{\"execute\":\"eco\"}", NOT_FOUND "there is no command 'eco'\"}}" },
		{ "{\"execute\":\"quit\\u0000\"}",
		  GENERIC "QMP input member 'execute' must not have a NUL in it\"}}" },
	};
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_string_equal(pv_qmp_caller_ask(client, wrong[i][0]), wrong[i][1]);
	pv_qmp_caller_close(client);
	assert_int_equal(pv_qmp_peer_quits(peer), 0);
}

static void arguments_are_checked_against_the_table(void **state)
{
	static const char *const wrong[][2] = {
		{ "{}", "Parameter 'text' is missing" },
		{ "{\"text\":\"a\",\"txet\":1}", "Parameter 'txet' is unexpected" },
		{ "{\"text\":1}", "Parameter 'text' must be a string" },
		{ "{\"text\":null}", "Parameter 'text' must be a string" },
		{ "{\"text\":\"a\\u0000b\"}", "Parameter 'text' must not have a NUL in it" },
		{ "{\"text\":\"a\",\"number\":\"1\"}", "Parameter 'number' must be an integer" },
		{ "{\"text\":\"a\",\"number\":1.0}", "Parameter 'number' must be an integer" },
		{ "{\"text\":\"a\",\"number\":9223372036854775808}",
		  "Parameter 'number' is too large" },
		{ "{\"text\":\"a\",\"flag\":1}", "Parameter 'flag' must be true or false" },
		{ "{\"text\":\"a\",\"list\":{}}", "Parameter 'list' must be an array" },
		{ "{\"text\":\"a\",\"object\":[]}", "Parameter 'object' must be an object" },
	};
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);
	char text[256], expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), "{\"execute\":\"echo\",\"arguments\":%s}",
		         wrong[i][0]);
		snprintf(expected, sizeof(expected), GENERIC "%s\"}}", wrong[i][1]);
		assert_string_equal(pv_qmp_caller_ask(client, text), expected);
	}
	assert_string_equal(
		pv_qmp_caller_ask(client,
	                          "{\"execute\":\"echo\",\"arguments\":{\"text\":\"a\",\"flag\":"
	                          "false,\"number\":-9223372036854775808,\"list\":[1],"
	                          "\"object\":{\"b\":null}}}"),
		"{\"return\":{\"text\":\"a\",\"flag\":false,\"number\":-9223372036854775808,"
		"\"list\":[1],\"object\":{\"b\":null}}}");
	assert_string_equal(pv_qmp_caller_ask(client,
	                                      "{\"execute\":\"query-status\",\"arguments\":{}}"),
	                    STATUS);
	pv_qmp_caller_close(client);
}

static void names_from_a_client_are_cut_at_whole_characters(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);
	char text[512] = "{\"execute\":\"aa";

	(void)state;
	for (int i = 0; i < 60; i++)
		strcat(text, "\xc3\xa9");
	strcat(text, "\"}");
	assert_has(pv_qmp_caller_ask(client, text), "\xc3\xa9'\"}}");
	pv_qmp_caller_close(client);
}

static void all_commands_are_listed(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);

	(void)state;
	assert_string_equal(pv_qmp_caller_ask(client, "{\"execute\":\"query-commands\"}"),
	                    "{\"return\":[{\"name\":\"qmp_capabilities\"},"
	                    "{\"name\":\"query-commands\"},{\"name\":\"query-status\"},"
	                    "{\"name\":\"query-version\"},{\"name\":\"quit\"},"
	                    "{\"name\":\"echo\"},{\"name\":\"later\"},{\"name\":\"big\"}]}");
	pv_qmp_caller_close(client);
}

static void after_nonsense_the_next_command_is_understood(void **state)
{
	static const struct {
		const char *text;
		unsigned int errors;
	} nonsense[] = {
		{ "hello world\n", 2 },
		{ "}\n", 1 },
		{ "5 \"x\"\n", 2 },
		{ "{\"execute\" 1}", 1 },
		{ "{\"execute\":1,}", 1 },
		{ "{\"a\":1]", 1 },
		{ "{\"a\":nul}", 1 },
		{ "\xff", 1 },
		{ "\x01", 1 },
		{ "{\"a\":\"b\xff", 1 },
		{ "{\"a\":[[[{\xff", 1 },
		{ "{\"a\":\"b\n", 1 },
		{ "{\"a\":\"\xc3(\"}", 1 },
		{ "{\"a\":/*b*/1}", 1 },
		{ "{\"a\":01}", 1 },
		{ "a\xff\xff", 3 },
		{ " \t\r\n", 0 },
	};
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);

	(void)state;
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		pv_qmp_caller_send(client, nonsense[i].text);
		pv_qmp_caller_send(client, "{\"execute\":\"query-status\"}");
		for (unsigned int e = 0; e < nonsense[i].errors; e++)
			assert_begins(pv_qmp_caller_line(client), GENERIC "JSON parse error, ");
		assert_string_equal(pv_qmp_caller_line(client), STATUS);
	}
	pv_qmp_caller_close(client);
}

static void quotes_may_be_single(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);

	(void)state;
	assert_string_equal(
		pv_qmp_caller_ask(client,
	                          "{'execute':'echo','arguments':{'text':'it\\'s \"so\" \\\\'}}"),
		"{\"return\":{\"text\":\"it's \\\"so\\\" \\\\\"}}");
	pv_qmp_caller_close(client);
}

static void messages_may_come_in_pieces_and_in_heaps(void **state)
{
	static const char text[] = "{\"execute\":\"query-status\",\"id\":\"}\\\"{\"}";
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);

	(void)state;
	for (const char *c = text; *c; c++)
		pv_qmp_caller_send_bytes(client, c, 1);
	assert_has(pv_qmp_caller_line(client), "\"id\":\"}\\\"{\"}");
	for (int i = 0; i < 1000; i++)
		pv_qmp_caller_send(client, text);
	for (int i = 0; i < 1000; i++)
		assert_has(pv_qmp_caller_line(client), "\"id\":\"}\\\"{\"}");
	pv_qmp_caller_close(client);
}

/* A command of exactly so many bytes. */
static char *long_command(size_t bytes)
{
	static const char start[] = "{\"execute\":\"echo\",\"arguments\":{\"text\":\"";
	char *text = malloc(bytes + 1);

	memset(text, 'x', bytes);
	memcpy(text, start, strlen(start));
	strcpy(text + bytes - 3, "\"}}");
	return text;
}

static void a_message_has_at_most_64_kib(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);
	const size_t too_long[] = { PV_QMP_MESSAGE_BYTES + 1, PV_QMP_MESSAGE_BYTES + 2, 300000 };
	char *text = long_command(PV_QMP_MESSAGE_BYTES);

	(void)state;
	assert_begins(pv_qmp_caller_ask(client, text), "{\"return\":{\"text\":\"xxx");
	free(text);
	for (size_t i = 0; i < sizeof(too_long) / sizeof(too_long[0]); i++) {
		text = long_command(too_long[i]);
		assert_begins(pv_qmp_caller_ask(client, text),
		              GENERIC "JSON parse error, the message is");
		assert_string_equal(pv_qmp_caller_ask(client, "{\"execute\":\"query-status\"}"),
		                    STATUS);
		free(text);
	}
	pv_qmp_caller_close(client);
}

static const char *ask_nested(struct pv_qmp_caller *client, unsigned int levels)
{
	char text[2 * 1024 + 64] = "{\"id\":";

	for (unsigned int i = 1; i < levels; i++)
		strcat(text, "[");
	for (unsigned int i = 1; i < levels; i++)
		strcat(text, "]");
	strcat(text, "}");
	return pv_qmp_caller_ask(client, text);
}

static void a_message_has_at_most_64_levels(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);

	(void)state;
	assert_begins(ask_nested(client, PV_QMP_DEPTH), GENERIC "QMP input member 'execute'");
	assert_begins(ask_nested(client, PV_QMP_DEPTH + 1), GENERIC "JSON parse error, nesting");
	assert_begins(ask_nested(client, 1000), GENERIC "JSON parse error, nesting");
	assert_string_equal(pv_qmp_caller_ask(client, "{\"execute\":\"query-status\"}"), STATUS);
	pv_qmp_caller_close(client);
}

static void send_event(struct pv_qmp *qmp, void *arg)
{
	struct json_object *data = NULL;

	if (arg) {
		data = json_object_new_object();
		json_object_object_add(data, "what", json_object_new_string(arg));
	}
	pv_qmp_event(qmp, "NEWS", data);
}

static void events_reach_those_who_have_negotiated(void **state)
{
	struct pv_qmp_caller *first = pv_qmp_caller_open(peer), *second = pv_qmp_caller_open(peer);
	struct pv_qmp_caller *quiet = pv_qmp_caller_connect(peer);
	const char *line;

	(void)state;
	pv_qmp_caller_line(quiet);
	pv_qmp_peer_do(peer, send_event, (char *)"x");
	pv_qmp_peer_do(peer, send_event, NULL);
	for (int i = 0; i < 2; i++) {
		line = pv_qmp_caller_line(i ? second : first);
		assert_begins(line, "{\"timestamp\":{\"seconds\":");
		assert_has(line, ",\"microseconds\":");
		assert_has(line, "},\"event\":\"NEWS\",\"data\":{\"what\":\"x\"}}");
		assert_has(pv_qmp_caller_line(i ? second : first), "},\"event\":\"NEWS\"}");
	}
	assert_string_equal(pv_qmp_caller_ask(quiet, "{\"execute\":\"qmp_capabilities\"}"),
	                    "{\"return\":{}}");
	pv_qmp_caller_close(first);
	pv_qmp_caller_close(second);
	pv_qmp_caller_close(quiet);
}

static void a_late_answer_holds_back_that_client_only(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer), *other = pv_qmp_caller_open(peer);

	(void)state;
	pv_qmp_caller_send(
		client, "{\"execute\":\"later\",\"id\":1}{\"execute\":\"query-status\",\"id\":2}");
	for (int i = 0; i < 10; i++)
		assert_string_equal(pv_qmp_caller_ask(other, "{\"execute\":\"query-status\"}"),
		                    STATUS);
	pv_qmp_peer_do(peer, send_event, NULL);
	pv_qmp_peer_answer_late(peer);
	assert_has(pv_qmp_caller_line(client), "NEWS");
	assert_string_equal(pv_qmp_caller_line(client), "{\"return\":{},\"id\":1}");
	assert_has(pv_qmp_caller_line(client), "\"id\":2}");
	pv_qmp_caller_close(client);
	pv_qmp_caller_close(other);
}

static void an_answer_to_one_who_has_left_is_dropped(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer), *other = pv_qmp_caller_open(peer);

	(void)state;
	pv_qmp_caller_send(client, "{\"execute\":\"later\"}");
	pv_qmp_caller_close(client);
	pv_qmp_peer_answer_late(peer);
	client = pv_qmp_caller_open(peer);
	pv_qmp_caller_send(client, "{\"execute\":\"later\"}");
	pv_qmp_caller_close(client);
	assert_string_equal(pv_qmp_caller_ask(other, "{\"execute\":\"query-status\"}"), STATUS);
	pv_qmp_caller_close(other);
}

static void clients_beyond_the_bound_are_closed_until_one_leaves(void **state)
{
	struct pv_qmp_caller *clients[PV_QMP_CLIENTS], *other;

	(void)state;
	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++)
		clients[i] = pv_qmp_caller_open(peer);
	other = pv_qmp_caller_connect(peer);
	assert_null(pv_qmp_caller_line(other));
	pv_qmp_caller_close(other);
	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++)
		assert_string_equal(pv_qmp_caller_ask(clients[i], "{\"execute\":\"query-status\"}"),
		                    STATUS);
	pv_qmp_caller_close(clients[3]);
	/* The server notices when it comes to it. */
	for (int tries = 0;; tries++) {
		other = pv_qmp_caller_connect(peer);
		if (pv_qmp_caller_line(other) || tries == 1000)
			break;
		pv_qmp_caller_close(other);
		usleep(1000);
	}
	assert_string_equal(pv_qmp_caller_ask(other, "{\"execute\":\"qmp_capabilities\"}"),
	                    "{\"return\":{}}");
	pv_qmp_caller_close(other);
	for (unsigned int i = 0; i < PV_QMP_CLIENTS; i++)
		if (i != 3)
			pv_qmp_caller_close(clients[i]);
}

static void answers_that_pile_up_hold_back_commands_and_are_not_lost(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer), *other = pv_qmp_caller_open(peer);

	(void)state;
	/* Far more than socket and server keep. */
	for (int i = 0; i < 100; i++)
		pv_qmp_caller_send(client, "{\"execute\":\"big\",\"arguments\":{\"bytes\":60000}}");
	for (int i = 0; i < 10; i++)
		assert_string_equal(pv_qmp_caller_ask(other, "{\"execute\":\"query-status\"}"),
		                    STATUS);
	for (int i = 0; i < 100; i++)
		assert_int_equal(strlen(pv_qmp_caller_line(client)),
		                 60000 + strlen("{\"return\":\"\"}"));
	pv_qmp_caller_close(client);
	pv_qmp_caller_close(other);
}

static void an_answer_that_is_longer_than_what_may_pile_up_arrives(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);
	const size_t bytes = PV_QMP_OUTPUT_BYTES + PV_QMP_OUTPUT_BYTES / 2;
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "{\"execute\":\"big\",\"arguments\":{\"bytes\":%zu}}",
	         bytes);
	for (int i = 0; i < 3; i++) {
		pv_qmp_caller_send(client, command);
		/* What comes behind it does not harm. */
		pv_qmp_caller_send(client, "{\"execute\":\"query-status\"}");
		assert_int_equal(strlen(pv_qmp_caller_line(client)),
		                 bytes + strlen("{\"return\":\"\"}"));
		assert_string_equal(pv_qmp_caller_line(client), STATUS);
	}
	pv_qmp_caller_close(client);
}

static void send_many_events(struct pv_qmp *qmp, void *arg)
{
	static char text[50000];

	(void)arg;
	memset(text, 'e', sizeof(text) - 1);
	send_event(qmp, text);
}

static void a_client_that_never_reads_is_dropped(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer), *other = pv_qmp_caller_open(peer);
	unsigned int events = 0;

	(void)state;
	for (int i = 0; i < 60; i++) {
		pv_qmp_peer_do(peer, send_many_events, NULL);
		assert_has(pv_qmp_caller_line(other), "NEWS");
	}
	assert_string_equal(pv_qmp_caller_ask(other, "{\"execute\":\"query-status\"}"), STATUS);
	while (pv_qmp_caller_line(client))
		events++;
	assert_in_range(events, 1, 59);
	pv_qmp_caller_close(client);
	pv_qmp_caller_close(other);
}

static void who_only_writes_gets_all_answers_and_the_end(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_connect(peer);
	unsigned int answers = 0;

	(void)state;
	pv_qmp_caller_send(client, "{\"execute\":\"qmp_capabilities\"}");
	for (int i = 0; i < 50; i++)
		pv_qmp_caller_send(client, "{\"execute\":\"big\",\"arguments\":{\"bytes\":30000}}");
	pv_qmp_caller_send(client, "{\"execute\":\"later\"}");
	shutdown(client->fd, SHUT_WR);
	for (; answers < 1 + 1 + 50; answers++)
		assert_non_null(pv_qmp_caller_line(client));
	pv_qmp_peer_answer_late(peer);
	assert_string_equal(pv_qmp_caller_line(client), "{\"return\":{}}");
	assert_null(pv_qmp_caller_line(client));
	pv_qmp_caller_close(client);
}

static void quit_is_answered_and_nothing_after_it_counts(void **state)
{
	struct pv_qmp_caller *client = pv_qmp_caller_open(peer);

	(void)state;
	pv_qmp_caller_send(client, "{\"execute\":\"quit\"}{\"execute\":\"quit\"}");
	assert_string_equal(pv_qmp_caller_line(client), "{\"return\":{}}");
	assert_int_equal(pv_qmp_peer_quits(peer), 1);
	pv_qmp_caller_close(client);
}

/* ---- where a message ends ---- */

/* Writes what is found, one letter a piece, with the messages between them. */
static void split(const char *data, size_t bytes, size_t step, char *found_text)
{
	char text[512];
	struct pv_qmp_input input = { .text = text, .text_max = sizeof(text) - 1 };

	*found_text = '\0';
	for (size_t at = 0; at < bytes;) {
		enum pv_qmp_found found;
		size_t some = step < bytes - at ? step : bytes - at;

		at += pv_qmp_input_feed(&input, data + at, some, &found);
		if (found == PV_QMP_MESSAGE)
			strcat(found_text, input.text);
		else if (found != PV_QMP_MORE)
			strcat(found_text, found == PV_QMP_GARBAGE ? "G" : "L");
	}
}

static void messages_do_not_depend_on_how_their_bytes_arrive(void **state)
{
	struct pv_random random = pv_random_start(pv_random_seed(), 0);
	static const char alphabet[] = "{}[]{}[]\"\"''\\,:a1 \n\x01\xff";

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char data[200], whole[1024], pieces[1024];
		size_t bytes = 1 + pv_random_below(&random, sizeof(data));

		for (size_t i = 0; i < bytes; i++)
			data[i] = alphabet[pv_random_below(&random, sizeof(alphabet) - 1)];
		split(data, bytes, bytes, whole);
		split(data, bytes, 1 + pv_random_below(&random, 7), pieces);
		assert_string_equal(pieces, whole);
	}
}

int main(void)
{
#define with_peer(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		with_peer(a_client_is_greeted_and_negotiates),
		with_peer(the_version_is_that_of_the_greeting),
		with_peer(any_kind_of_id_comes_back),
		with_peer(what_is_no_command_is_refused_by_the_name_of_its_fault),
		with_peer(arguments_are_checked_against_the_table),
		with_peer(names_from_a_client_are_cut_at_whole_characters),
		with_peer(all_commands_are_listed),
		with_peer(after_nonsense_the_next_command_is_understood),
		with_peer(quotes_may_be_single),
		with_peer(messages_may_come_in_pieces_and_in_heaps),
		with_peer(a_message_has_at_most_64_kib),
		with_peer(a_message_has_at_most_64_levels),
		with_peer(events_reach_those_who_have_negotiated),
		with_peer(a_late_answer_holds_back_that_client_only),
		with_peer(an_answer_to_one_who_has_left_is_dropped),
		with_peer(clients_beyond_the_bound_are_closed_until_one_leaves),
		with_peer(answers_that_pile_up_hold_back_commands_and_are_not_lost),
		with_peer(an_answer_that_is_longer_than_what_may_pile_up_arrives),
		with_peer(a_client_that_never_reads_is_dropped),
		with_peer(who_only_writes_gets_all_answers_and_the_end),
		with_peer(quit_is_answered_and_nothing_after_it_counts),
		cmocka_unit_test(messages_do_not_depend_on_how_their_bytes_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
