/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/engine.h"
#include "tests/support/line_rig.h"

#define SECONDS_AT_MOST 60u
#define BURST_MAX       100000u
#define PIECES_MAX      5u

/* ---- the stream ---- */

uint8_t line_rig_byte(uint64_t at)
{
	uint64_t word = (at >> 3) * 0x9e3779b97f4a7c15u;

	return (uint8_t)((word ^ word >> 29) >> (at & 7) * 8);
}

static void make_bytes(uint8_t *to, uint64_t at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = line_rig_byte(at + i);
}

static void expect_bytes(const uint8_t *bytes, uint64_t at, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != line_rig_byte(at + i))
			fail_msg("byte %llu of the stream is wrong", (unsigned long long)(at + i));
}

/* ---- the device ---- */

static uint8_t memory[BURST_MAX];

static uint16_t cut(struct pv_random *random, size_t bytes, struct pv_iov *iov)
{
	uint16_t pieces = 0;
	uint8_t *at = memory;

	while (bytes > 0) {
		size_t piece = pieces == PIECES_MAX - 1
		                       ? bytes
		                       : 1 + pv_random_below(random, (uint32_t)bytes);

		iov[pieces++] = (struct pv_iov){ at, piece };
		at += piece;
		bytes -= piece;
	}
	return pieces;
}

static size_t some(struct line_rig *rig, uint64_t most)
{
	uint32_t limit = pv_random_chance(&rig->random, 30) ? 100 : BURST_MAX;

	return 1 + pv_random_below(&rig->random, most < limit ? (uint32_t)most : limit);
}

static bool write_some(struct line_rig *rig)
{
	struct pv_iov iov[PIECES_MAX];
	size_t bytes, written;

	if (!rig->line->has_room || rig->written == rig->to_write)
		return false;
	bytes = some(rig, rig->to_write - rig->written);
	make_bytes(memory, rig->written, bytes);
	written = rig->line->ops->write(rig->line, iov, cut(&rig->random, bytes, iov));
	assert_true(written <= bytes);
	assert_true(written == bytes || !rig->line->has_room);
	rig->written += written;
	return written > 0;
}

static bool read_some(struct line_rig *rig)
{
	struct pv_iov iov[PIECES_MAX];
	size_t bytes = some(rig, BURST_MAX), got;

	if (rig->is_deaf || !rig->line->has_input)
		return false;
	got = rig->line->ops->read(rig->line, iov, cut(&rig->random, bytes, iov));
	assert_true(got <= bytes);
	assert_true(got > 0 || !rig->line->has_input);
	if (!rig->is_careless)
		expect_bytes(memory, rig->read_at, got);
	rig->read_at += got;
	rig->read += got;
	return got > 0;
}

static bool poll_device(struct pv_poller *poller)
{
	struct line_rig *rig =
		(struct line_rig *)((char *)poller - offsetof(struct line_rig, poller));
	bool has_worked = rig->also && rig->also(rig);

	has_worked |= read_some(rig);
	has_worked |= write_some(rig);
	if (rig->is_done && rig->is_done(rig))
		pv_loop_stop(rig->loop);
	return has_worked;
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

static void count_change(void *arg)
{
	((struct line_rig *)arg)->changes++;
}

static void ignore_input(void *arg)
{
	(void)arg;
}

static const struct pv_line_user user = { count_change, ignore_input };

static void count_peer(void *arg, bool is_open)
{
	struct line_rig *rig = arg;

	if (is_open)
		rig->comings++;
	else
		rig->goings++;
}

static void note_escape(void *arg, char key)
{
	((struct line_rig *)arg)->escaped = key;
}

/* ---- its life ---- */

static void bark(void *arg, int events)
{
	struct line_rig *rig = arg;

	(void)events;
	rig->is_late = true;
	pv_loop_stop(rig->loop);
}

static void run(struct line_rig *rig, uint32_t ms)
{
	const struct itimerspec when = { .it_value = { ms / 1000, (long)(ms % 1000) * 1000000 } };

	rig->is_late = false;
	timerfd_settime(rig->watchdog_fd, 0, &when, NULL);
	pv_loop_run(rig->loop);
}

void line_rig_open(struct line_rig *rig, struct pv_line_options options)
{
	const struct pv_loop_options loop_options = { .name = "test", .engine = test_engine() };
	char error[256] = "";

	*rig = (struct line_rig){
		.poller = { .poll = poll_device, .arm = arm, .disarm = disarm },
		.random = pv_random_start(pv_random_seed(), 1),
	};
	assert_int_equal(pv_loop_create(&rig->loop, &loop_options), 0);
	options.loop = rig->loop;
	options.name = "test";
	options.open_changed = count_peer;
	if (options.escaped)
		options.escaped = note_escape;
	options.arg = rig;
	if (pv_line_open(&rig->line, &options, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	rig->line->user = &user;
	rig->line->arg = rig;
	assert_int_equal(pv_line_start(rig->line), 0);
	rig->watchdog_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	rig->watchdog = pv_loop_watch(rig->loop, rig->watchdog_fd, POLLIN, bark, rig);
	pv_loop_poller_add(rig->loop, &rig->poller);
}

void line_rig_close(struct line_rig *rig)
{
	pv_line_stop(rig->line);
	pv_line_close(rig->line);
	/* The loop lets go of the files that it watched. */
	pv_loop_poller_remove(rig->loop, &rig->poller);
	for (int i = 0; i < 2; i++) {
		pv_loop_stop(rig->loop);
		pv_loop_run(rig->loop);
	}
	pv_loop_destroy(rig->loop);
	close(rig->watchdog_fd);
}

void line_rig_run_until(struct line_rig *rig, bool (*is_done)(struct line_rig *rig))
{
	rig->is_done = is_done;
	run(rig, SECONDS_AT_MOST * 1000);
	rig->is_done = NULL;
	if (rig->is_late)
		fail_msg("written %llu of %llu, read %llu", (unsigned long long)rig->written,
		         (unsigned long long)rig->to_write, (unsigned long long)rig->read);
}

void line_rig_run_ms(struct line_rig *rig, uint32_t ms)
{
	run(rig, ms);
}

bool line_rig_has_written(struct line_rig *rig)
{
	return rig->written == rig->to_write;
}

void line_rig_is_quiet(struct line_rig *rig)
{
	uint64_t before;

	/* What has happened before is seen to first. */
	line_rig_run_ms(rig, 20);
	before = pv_loop_counters(rig->loop).iterations;
	line_rig_run_ms(rig, 50);
	assert_in_range(pv_loop_counters(rig->loop).iterations - before, 0, 20);
}

void line_rig_refuses(struct pv_line_options options, const char *words)
{
	const struct pv_loop_options loop_options = { .name = "test", .engine = test_engine() };
	char error[256] = "";
	struct pv_line *line;

	assert_int_equal(pv_loop_create(&options.loop, &loop_options), 0);
	assert_true(pv_line_open(&line, &options, error, sizeof(error)) < 0);
	if (!strstr(error, words))
		fail_msg("%s", error);
	pv_loop_destroy(options.loop);
}

static char folder[] = "line-XXXXXX";

static void leave_folder(void)
{
	if (chdir("..") < 0 || rmdir(folder) < 0)
		fprintf(stderr, "%s: is left behind\n", folder);
}

void line_rig_enter_folder(void)
{
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	atexit(leave_folder);
}

/* ---- peers ---- */

static void wake(void *arg, int events)
{
	(void)arg;
	(void)events;
}

static bool peer_takes(struct line_peer *peer)
{
	static uint8_t bytes[BURST_MAX];
	ssize_t got;

	if (peer->is_deaf || peer->has_ended)
		return false;
	got = read(peer->in_fd, bytes, 1 + pv_random_below(&peer->random, sizeof(bytes)));
	if (got == 0 || (got < 0 && errno != EAGAIN))
		peer->has_ended = true;
	if (got <= 0)
		return false;
	expect_bytes(bytes, peer->got_at, (size_t)got);
	peer->got_at += (uint64_t)got;
	peer->got += (uint64_t)got;
	return true;
}

static bool peer_gives(struct line_peer *peer)
{
	static uint8_t bytes[BURST_MAX];
	uint64_t left = peer->to_send - peer->sent;
	ssize_t sent;

	if (left == 0)
		return false;
	if (left > sizeof(bytes))
		left = sizeof(bytes);
	left = 1 + pv_random_below(&peer->random, (uint32_t)left);
	make_bytes(bytes, peer->send_at, left);
	sent = write(peer->out_fd, bytes, left);
	if (sent <= 0)
		return false;
	peer->send_at += (uint64_t)sent;
	peer->sent += (uint64_t)sent;
	return true;
}

static bool serve_peer(struct line_rig *rig)
{
	struct line_peer *peer = rig->arg;
	bool has_worked = peer_takes(peer);

	return peer_gives(peer) || has_worked;
}

void line_peer_join(struct line_rig *rig, struct line_peer *peer, int in_fd, int out_fd)
{
	*peer = (struct line_peer){ .in_fd = in_fd, .out_fd = out_fd };
	peer->random = pv_random_start(pv_random_seed(), 2);
	peer->watch[0] = pv_loop_watch(rig->loop, in_fd, POLLIN, wake, NULL);
	peer->watch[1] = pv_loop_watch(rig->loop, out_fd, POLLOUT, wake, NULL);
	rig->arg = peer;
	rig->also = serve_peer;
}

/* Nothing that holds the descriptors is left. */
void line_peer_leave(struct line_rig *rig, struct line_peer *peer)
{
	rig->also = NULL;
	pv_loop_unwatch(rig->loop, peer->watch[0]);
	pv_loop_unwatch(rig->loop, peer->watch[1]);
	close(peer->in_fd);
	if (peer->out_fd != peer->in_fd)
		close(peer->out_fd);
	line_rig_run_ms(rig, 1);
}

bool line_peer_is_through(struct line_rig *rig)
{
	const struct line_peer *peer = rig->arg;

	return peer->got_at == rig->to_write && peer->sent == peer->to_send &&
	       rig->read_at == peer->send_at;
}

int line_peer_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

bool line_rig_has_peer(struct line_rig *rig)
{
	return pv_line_has_peer(rig->line);
}

bool line_rig_has_no_peer(struct line_rig *rig)
{
	return !pv_line_has_peer(rig->line);
}

void line_peer_join_at(struct line_rig *rig, struct line_peer *peer, const char *path, uint64_t got,
                       uint64_t sent)
{
	int fd = line_peer_connect(path);

	line_peer_join(rig, peer, fd, fd);
	peer->got_at = got;
	peer->send_at = sent;
	line_rig_run_until(rig, line_rig_has_peer);
}
