/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients that mean harm, or are broken: whatever they send and however they leave, the server goes
 * on, and a well-behaved client beside them notices nothing.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/qmp_peer.h"
#include "tests/support/random.h"

#define STATUS "{\"return\":{\"status\":\"running\",\"singlestep\":false,\"running\":true}}"

static struct pv_random random_source;
static struct pv_qmp_peer *peer;
static struct pv_qmp_caller *good;

static int begin(void **state)
{
	(void)state;
	peer = pv_qmp_peer_create();
	good = pv_qmp_caller_open(peer);
	return 0;
}

static int end(void **state)
{
	(void)state;
	pv_qmp_caller_close(good);
	pv_qmp_peer_destroy(peer);
	return 0;
}

static size_t below(size_t bound)
{
	return pv_random_below(&random_source, (uint32_t)bound);
}

static void assert_the_good_one_is_served(void)
{
	assert_string_equal(pv_qmp_caller_ask(good, "{\"execute\":\"query-status\"}"), STATUS);
}

/* Hostile clients do not read, and must not wait for the server either. */
static struct pv_qmp_caller *hostile(void)
{
	struct pv_qmp_caller *client = pv_qmp_caller_connect(peer);

	fcntl(client->fd, F_SETFL, O_NONBLOCK);
	return client;
}

static void shout(struct pv_qmp_caller *client, const char *data, size_t bytes)
{
	while (bytes > 0) {
		size_t some = 1 + below(bytes);

		if (send(client->fd, data, some, MSG_NOSIGNAL) != (ssize_t)some)
			return;
		data += some;
		bytes -= some;
	}
}

static const char *const sane[] = {
	"{\"execute\":\"qmp_capabilities\"}",
	"{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}",
	"{\"execute\":\"query-status\",\"id\":{\"a\":[1,2.5e3,\"x\\u0041\\n\",null,true]}}",
	"{\"execute\":\"echo\",\"arguments\":{\"text\":\"x\",\"number\":-1,\"list\":[[],[{}]]}}",
	"{\"execute\":\"later\"}",
	"{\"execute\":\"big\",\"arguments\":{\"bytes\":5000}}",
	"{'execute':'query-commands','id':'it\\'s'}",
};

/* Some commands, with bytes changed, taken out, doubled or swapped. */
static size_t mutated(char *data, size_t room)
{
	static const char spice[] = "{}[]\"'\\:,\xff\x00\x01\n eE+-.0123456789ntfu\xc3\xed\xa0\x80";
	size_t bytes = 0;

	for (size_t i = 1 + below(6); i > 0; i--) {
		const char *text = sane[below(sizeof(sane) / sizeof(sane[0]))];

		memcpy(data + bytes, text, strlen(text));
		bytes += strlen(text);
	}
	for (size_t i = below(8); i > 0 && bytes > 2; i--) {
		size_t at = below(bytes);

		switch (below(3)) {
		case 0:
			data[at] = spice[below(sizeof(spice))];
			break;
		case 1:
			memmove(data + at, data + at + 1, --bytes - at);
			break;
		case 2:
			memmove(data + at + 1, data + at, bytes - at);
			bytes += bytes + 1 < room;
			break;
		}
	}
	return bytes;
}

static void broken_commands_harm_only_who_sent_them(void **state)
{
	char data[2048];

	(void)state;
	for (int round = 0; round < 600; round++) {
		struct pv_qmp_caller *client = hostile();

		for (size_t i = 1 + below(4); i > 0; i--)
			shout(client, data, mutated(data, sizeof(data)));
		if (below(2))
			shutdown(client->fd, SHUT_WR);
		assert_the_good_one_is_served();
		pv_qmp_caller_close(client);
	}
}

static void noise_harms_only_who_makes_it(void **state)
{
	static char data[100000];

	(void)state;
	for (int round = 0; round < 30; round++) {
		struct pv_qmp_caller *client = hostile();

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (char)below(256);
		shout(client, data, 1 + below(sizeof(data)));
		assert_the_good_one_is_served();
		pv_qmp_caller_close(client);
	}
}

/* Never an end: brackets, a string, a number, a name, white space. */
static void endless_things_are_bounded(void **state)
{
	static const char *const start[] = { "", "{\"a\":\"", "{\"a\":", "[", "{\"execute\":", "" };
	static const char more[] = { '[', 'x', '1', '{', '\\', ' ' };
	static char data[8192];

	(void)state;
	for (size_t kind = 0; kind < sizeof(more); kind++) {
		struct pv_qmp_caller *client = hostile();

		shout(client, start[kind], strlen(start[kind]));
		memset(data, more[kind], sizeof(data));
		for (int i = 0; i < 100; i++) {
			shout(client, data, sizeof(data));
			if (i % 10 == 0)
				assert_the_good_one_is_served();
		}
		pv_qmp_caller_close(client);
	}
}

static void a_crowd_that_never_reads_is_kept_out(void **state)
{
	struct pv_qmp_caller *crowd[40];

	(void)state;
	for (size_t i = 0; i < 40; i++) {
		crowd[i] = hostile();
		for (int j = 0; j < 40; j++) {
			shout(crowd[i], sane[0], strlen(sane[0]));
			shout(crowd[i], sane[5], strlen(sane[5]));
		}
	}
	for (int i = 0; i < 20; i++)
		assert_the_good_one_is_served();
	for (size_t i = 0; i < 40; i++)
		pv_qmp_caller_close(crowd[i]);
}

static void who_leaves_at_any_moment_leaves_nothing_behind(void **state)
{
	static const char text[] = "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"later\"}"
				   "{\"execute\":\"big\",\"arguments\":{\"bytes\":100000}}";

	(void)state;
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		struct pv_qmp_caller *client = hostile();

		shout(client, text, cut);
		pv_qmp_caller_close(client);
	}
	assert_the_good_one_is_served();
}

int main(void)
{
#define with_peer(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		with_peer(broken_commands_harm_only_who_sent_them),
		with_peer(noise_harms_only_who_makes_it),
		with_peer(endless_things_are_bounded),
		with_peer(a_crowd_that_never_reads_is_kept_out),
		with_peer(who_leaves_at_any_moment_leaves_nothing_behind),
	};

	random_source = pv_random_start(pv_random_seed(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
