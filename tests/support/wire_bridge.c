/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wire_bridge KIND KEY=VALUE...: a wire whose other side is a datagram socket, descriptor 3, a
 * frame a message, so that a script can play the driver.  Ends when its standard input does.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosted/backends/net_wire.h"
#include "hosted/control/sandbox.h"
#include "tests/support/engine.h"

#define FORWARDS_MAX 8

static const char *hostfwd[FORWARDS_MAX];
static struct pv_net_wire_options options = { .pairs = 1, .loops = 1, .hostfwd = hostfwd };
static struct pv_net_wire *wire[2];
static struct pv_loop *loop;

static void set_flag(const char *word)
{
	options.is_server |= strcmp(word, "server") == 0;
	options.is_restricted |= strcmp(word, "restrict") == 0;
	options.has_no_ipv4 |= strcmp(word, "no-ipv4") == 0;
	options.has_no_ipv6 |= strcmp(word, "no-ipv6") == 0;
}

static void set(char *word)
{
	const struct {
		const char *key;
		const char **value;
	} keys[] = {
		{ "pcap", &options.pcap },         { "path", &options.path },
		{ "net", &options.net },           { "net6", &options.net6 },
		{ "hostname", &options.hostname }, { "dns", &options.dns },
		{ "domain", &options.domain },     { "tftp", &options.tftp },
		{ "bootfile", &options.bootfile },
	};
	char *value = strchr(word, '=');

	if (!value) {
		set_flag(word);
		return;
	}
	*value++ = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i].key, word) == 0)
			*keys[i].value = value;
	if (strcmp(word, "hostfwd") == 0 && options.hostfwds < FORWARDS_MAX)
		hostfwd[options.hostfwds++] = value;
	if (strcmp(word, "reconnect") == 0)
		options.reconnect_ms = (uint32_t)atoi(value);
	if (strcmp(word, "mtu") == 0) {
		options.has_mtu = true;
		options.mtu = (uint16_t)atoi(value);
	}
}

/* What the one gives the other takes; one that is full loses it, as a driver's ring might. */
static bool carry(struct pv_net_wire *from, struct pv_net_wire *to)
{
	static uint8_t memory[PV_NET_FRAME_MAX];
	const struct pv_iov room = { memory, sizeof(memory) };
	struct virtio_net_hdr hdr = { 0 };
	struct pv_iov iov = { memory, 0 };
	struct pv_net_frame frame = { .iov = &iov, .pieces = 1 };

	frame.bytes = from->ops->receive(from, 0, &room, 1, &hdr);
	iov.bytes = frame.bytes;
	if (frame.bytes)
		to->ops->send(to, 0, &frame, 1);
	return frame.bytes;
}

static bool carry_both(struct pv_poller *poller)
{
	bool has_worked = carry(wire[0], wire[1]);

	(void)poller;
	return carry(wire[1], wire[0]) || has_worked;
}

static bool arm(struct pv_poller *poller)
{
	(void)poller;
	return false;
}

static void disarm(struct pv_poller *poller)
{
	(void)poller;
}

static void end(void *arg, int events)
{
	char bytes[64];

	(void)arg;
	(void)events;
	if (read(STDIN_FILENO, bytes, sizeof(bytes)) <= 0)
		pv_loop_stop(loop);
}

static void open_or_exit(struct pv_net_wire **opened, const struct pv_net_wire_options *how)
{
	char error[256];

	if (pv_net_wire_open(opened, how, error, sizeof(error)) == 0)
		return;
	fprintf(stderr, "%s\n", error);
	exit(1);
}

static void close_doors(void)
{
	unsigned int needs = pv_net_wire_needs(wire[0]);

	if (needs & PV_NET_WIRE_NEEDS_DIAL)
		pv_sandbox_allow(PV_SANDBOX_DIAL);
	if (needs & PV_NET_WIRE_NEEDS_INTERNET)
		pv_sandbox_allow(PV_SANDBOX_INTERNET);
	pv_bug_on(pv_sandbox_prepare());
	pv_bug_on(pv_sandbox_enter());
}

int main(int argc, char **argv)
{
	const struct pv_loop_options loop_options = { .name = "bridge", .engine = test_engine() };
	const char *const kinds[] = { "user", "tap", "stream", "dgram", "null", "echo" };
	struct pv_net_wire_options script = { .kind = PV_NET_WIRE_DGRAM,
		                              .pairs = 1,
		                              .loops = 1,
		                              .fd = (const int[]){ 3 },
		                              .fds = 1 };
	struct pv_poller poller = { .poll = carry_both, .arm = arm, .disarm = disarm };

	for (int i = 2; i < argc; i++)
		set(argv[i]);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (argc > 1 && strcmp(argv[1], kinds[i]) == 0)
			options.kind = (enum pv_net_wire_kind)i;
	pv_bug_on(pv_loop_create(&loop, &loop_options));
	options.loop = script.loop = &loop;
	open_or_exit(&wire[0], &options);
	open_or_exit(&wire[1], &script);
	pv_loop_watch(loop, STDIN_FILENO, POLLIN, end, NULL);
	pv_loop_poller_add(loop, &poller);
	close_doors();
	printf("%s\n", pv_net_wire_text(wire[0]));
	fflush(stdout);
	pv_loop_run(loop);
	pv_net_wire_close(wire[1]);
	pv_net_wire_close(wire[0]);
	pv_loop_destroy(loop);
	return 0;
}
