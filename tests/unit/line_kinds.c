/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that end in memory, files and named pipes, and what all lines have in common. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/support/descriptors.h"
#include "tests/support/line_rig.h"

#define FILE_PATH "line_kinds.file"
#define PIPE_PATH "line_kinds.pipe"
#define MIB       (1u << 20)

/* ---- null, echo ---- */

static void null_takes_all_and_gives_nothing(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_NULL, .fd = -1 };
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, options);
	assert_true(rig.line->is_open);
	assert_true(pv_line_has_peer(rig.line));
	rig.to_write = MIB;
	line_rig_run_until(&rig, line_rig_has_written);
	line_rig_is_quiet(&rig);
	assert_int_equal(rig.read, 0);
	line_rig_close(&rig);
}

static bool has_read_all(struct line_rig *rig)
{
	return rig->read == rig->to_write;
}

static void echo_gives_back_what_it_takes(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_ECHO, .fd = -1 };
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, options);
	rig.is_deaf = true;
	rig.to_write = 20 * MIB;
	line_rig_run_ms(&rig, 20);
	assert_in_range(rig.written, 1, MIB);
	rig.is_deaf = false;
	line_rig_run_until(&rig, has_read_all);
	line_rig_is_quiet(&rig);
	line_rig_close(&rig);
}

/* ---- what other threads do ---- */

static bool is_80_by_24(struct line_rig *rig)
{
	return rig->line->columns == 80 && rig->line->rows == 24;
}

static void *resize(void *arg)
{
	struct line_rig *rig = arg;

	for (uint16_t i = 0; i < 1000; i++)
		pv_line_resize(rig->line, i, i);
	pv_line_resize(rig->line, 80, 24);
	return NULL;
}

static void another_thread_can_tell_the_size(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_NULL, .fd = -1 };
	struct line_rig rig;
	pthread_t thread;

	(void)state;
	line_rig_open(&rig, options);
	assert_int_equal(pthread_create(&thread, NULL, resize, &rig), 0);
	line_rig_run_until(&rig, is_80_by_24);
	pthread_join(thread, NULL);
	assert_true(rig.changes > 0);
	line_rig_close(&rig);
}

static void *cry(void *arg)
{
	struct line_rig *rig = arg;

	for (uint64_t i = 0; i < 50; i++)
		rig->line->ops->write_emergency(rig->line, line_rig_byte(i));
	return NULL;
}

static bool has_read_50(struct line_rig *rig)
{
	return rig->read == 50;
}

static void another_thread_can_write_in_an_emergency(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_ECHO, .fd = -1 };
	struct line_rig rig;
	pthread_t thread;

	(void)state;
	line_rig_open(&rig, options);
	assert_int_equal(pthread_create(&thread, NULL, cry, &rig), 0);
	line_rig_run_until(&rig, has_read_50);
	pthread_join(thread, NULL);
	line_rig_close(&rig);
}

static void emergencies_that_nobody_takes_are_bounded_and_counted(void **state)
{
	const struct pv_line_options options = {
		.kind = PV_LINE_SOCKET, .is_server = true, .path = "line_kinds.sock", .fd = -1
	};
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, options);
	for (int i = 0; i < 1000; i++)
		rig.line->ops->write_emergency(rig.line, 'x');
	line_rig_is_quiet(&rig);
	assert_int_equal(pv_line_counters(rig.line).dropped, 1000);
	line_rig_close(&rig);
}

/* ---- ring buffers ---- */

static const struct pv_line_options ringbuf = { .kind = PV_LINE_RINGBUF,
	                                        .fd = -1,
	                                        .ring_bytes = 5000 };

struct copier {
	struct line_rig *rig;
	uint64_t in, out, all;
	bool is_wrong;
};

/* It reads what the guest writes, and writes as much. */
static void *copy(void *arg)
{
	struct copier *copier = arg;
	uint8_t bytes[700];

	while (copier->in < copier->all || copier->out < copier->all) {
		size_t got = pv_line_ring_read(copier->rig->line, bytes, sizeof(bytes));

		for (size_t i = 0; i < got; i++)
			copier->is_wrong |= bytes[i] != line_rig_byte(copier->out + i);
		copier->out += got;
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = line_rig_byte(copier->in + i);
		if (copier->in < copier->all)
			copier->in += pv_line_ring_write(
				copier->rig->line, bytes,
				copier->all - copier->in < 700 ? copier->all - copier->in : 700);
	}
	return NULL;
}

static bool is_copied(struct line_rig *rig)
{
	return rig->written == rig->to_write && rig->read == rig->to_write;
}

static void a_ring_loses_nothing_between_threads(void **state)
{
	struct copier copier = { .all = 2 * MIB };
	struct line_rig rig;
	pthread_t thread;

	(void)state;
	line_rig_open(&rig, ringbuf);
	copier.rig = &rig;
	rig.to_write = 2 * MIB;
	assert_int_equal(pthread_create(&thread, NULL, copy, &copier), 0);
	line_rig_run_until(&rig, is_copied);
	pthread_join(thread, NULL);
	assert_false(copier.is_wrong);
	assert_int_equal(pv_line_counters(rig.line).dropped, 0);
	line_rig_is_quiet(&rig);
	line_rig_close(&rig);
}

static void a_ring_that_is_full_waits_drops_or_forgets(void **state)
{
	const struct {
		enum pv_line_closed policy;
		uint64_t written, dropped, first;
	} cases[] = { { PV_LINE_WAIT, 5000, 0, 0 },
		      { PV_LINE_DROP, 8000, 3000, 0 },
		      { PV_LINE_KEEP, 8000, 3000, 3000 } };
	uint8_t bytes[8000];
	struct line_rig rig;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct pv_line_options options = ringbuf;

		options.on_closed = cases[i].policy;
		line_rig_open(&rig, options);
		rig.to_write = 8000;
		line_rig_is_quiet(&rig);
		assert_int_equal(rig.written, cases[i].written);
		assert_int_equal(pv_line_counters(rig.line).dropped, cases[i].dropped);
		assert_int_equal(pv_line_ring_read(rig.line, bytes, sizeof(bytes)), 5000);
		for (uint64_t at = 0; at < 5000; at++)
			assert_int_equal(bytes[at], line_rig_byte(cases[i].first + at));
		line_rig_run_until(&rig, line_rig_has_written);
		line_rig_close(&rig);
	}
}

static void what_is_written_to_a_guest_that_does_not_read_is_bounded(void **state)
{
	uint8_t bytes[8000] = { 0 };
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, ringbuf);
	rig.is_deaf = rig.is_careless = true;
	assert_int_equal(pv_line_ring_write(rig.line, bytes, sizeof(bytes)), 5000);
	assert_int_equal(pv_line_ring_write(rig.line, bytes, sizeof(bytes)), 0);
	line_rig_is_quiet(&rig);
	line_rig_close(&rig);
}

/* ---- files ---- */

static uint64_t size_of_file(void)
{
	struct stat is;

	assert_int_equal(stat(FILE_PATH, &is), 0);
	return (uint64_t)is.st_size;
}

static void check_file(uint64_t from, uint64_t bytes)
{
	FILE *file = fopen(FILE_PATH, "r");

	assert_non_null(file);
	assert_int_equal(fseek(file, (long)from, SEEK_SET), 0);
	for (uint64_t i = 0; i < bytes; i++)
		assert_int_equal(getc(file), line_rig_byte(i));
	fclose(file);
}

static void write_file(bool is_appending)
{
	const struct pv_line_options options = {
		.kind = PV_LINE_FILE, .path = FILE_PATH, .fd = -1, .is_appending = is_appending
	};
	struct line_rig rig;

	line_rig_open(&rig, options);
	assert_true(rig.line->is_open);
	rig.to_write = MIB;
	line_rig_run_until(&rig, line_rig_has_written);
	line_rig_is_quiet(&rig);
	line_rig_close(&rig);
}

static void a_file_gets_all_at_its_beginning_or_at_its_end(void **state)
{
	int before = descriptors_open();

	(void)state;
	unlink(FILE_PATH);
	write_file(false);
	assert_int_equal(size_of_file(), MIB);
	check_file(0, MIB);
	write_file(true);
	assert_int_equal(size_of_file(), 2 * MIB);
	check_file(MIB, MIB);
	write_file(false);
	assert_int_equal(size_of_file(), MIB);
	unlink(FILE_PATH);
	assert_int_equal(descriptors_open(), before);
}

static void a_disk_that_is_full_loses_bytes_and_says_so(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_FILE,
		                                 .path = "/dev/full",
		                                 .fd = -1 };
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, options);
	rig.to_write = MIB;
	line_rig_run_until(&rig, line_rig_has_written);
	assert_int_equal(pv_line_counters(rig.line).dropped, MIB);
	line_rig_close(&rig);
}

/* ---- named pipes ---- */

static void make_pipe(const char *path)
{
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
}

static int open_end(const char *path, int flags)
{
	int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Whoever reads goes, and comes again: the pipe keeps what it holds. */
static void pipes_go_both_ways_and_wait_for_who_reads(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_PIPE,
		                                 .path = PIPE_PATH,
		                                 .fd = -1 };
	struct line_peer peer;
	struct line_rig rig;
	uint64_t sent = 0, got = 0;

	(void)state;
	make_pipe(PIPE_PATH ".in");
	make_pipe(PIPE_PATH ".out");
	line_rig_open(&rig, options);
	rig.to_write = 10 * MIB;
	line_rig_is_quiet(&rig);
	assert_in_range(rig.written, 1, 2 * MIB);
	for (int i = 0; i < 3; i++) {
		line_peer_join(&rig, &peer, open_end(PIPE_PATH ".out", O_RDONLY),
		               open_end(PIPE_PATH ".in", O_WRONLY));
		peer.got_at = got;
		peer.send_at = sent;
		peer.to_send = MIB;
		rig.to_write = (10 + (unsigned int)i) * MIB;
		line_rig_run_until(&rig, line_peer_is_through);
		sent = peer.send_at;
		got = peer.got_at;
		line_peer_leave(&rig, &peer);
		line_rig_is_quiet(&rig);
	}
	line_rig_close(&rig);
	unlink(PIPE_PATH ".in");
	unlink(PIPE_PATH ".out");
}

static void one_pipe_is_for_output(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_PIPE,
		                                 .path = PIPE_PATH,
		                                 .fd = -1 };
	struct line_rig rig;
	uint8_t byte;
	int fd;

	(void)state;
	make_pipe(PIPE_PATH);
	line_rig_open(&rig, options);
	rig.to_write = 1;
	line_rig_run_until(&rig, line_rig_has_written);
	line_rig_is_quiet(&rig);
	assert_int_equal(rig.read, 0);
	fd = open_end(PIPE_PATH, O_RDONLY);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, line_rig_byte(0));
	close(fd);
	line_rig_close(&rig);
	unlink(PIPE_PATH);
}

static void what_cannot_be_opened_is_refused_with_a_remedy(void **state)
{
	struct pv_line_options options = { .kind = PV_LINE_FILE, .fd = -1 };

	(void)state;
	line_rig_refuses(options, "file: the path is missing");
	options.path = "nowhere/file";
	line_rig_refuses(options, "file=nowhere/file: its folder does not exist; make it");
	options.kind = PV_LINE_PIPE;
	line_rig_refuses(options, "make it: mkfifo nowhere/file.in");
	options.path = "/dev/null";
	line_rig_refuses(options, "there is no pipe /dev/null");
	options.on_closed = PV_LINE_DROP;
	line_rig_refuses(options, "leave it at wait");
	options.path = NULL;
	line_rig_refuses(options, "pipe: the path is missing");
	options.kind = (enum pv_line_kind)99;
	line_rig_refuses(options, "no such kind");
}

/* ---- more pieces than one call takes ---- */

static void a_write_of_many_pieces_goes_out_whole(void **state)
{
	const struct pv_line_options options = { .kind = PV_LINE_FILE,
		                                 .path = FILE_PATH,
		                                 .fd = -1 };
	static uint8_t bytes[5000];
	static struct pv_iov iov[5000];
	struct line_rig rig;

	(void)state;
	line_rig_open(&rig, options);
	for (size_t i = 0; i < 5000; i++) {
		bytes[i] = line_rig_byte(i);
		iov[i] = (struct pv_iov){ &bytes[i], 1 };
	}
	assert_int_equal(rig.line->ops->write(rig.line, iov, 5000), 5000);
	line_rig_close(&rig);
	assert_int_equal(size_of_file(), 5000);
	check_file(0, 5000);
	unlink(FILE_PATH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_takes_all_and_gives_nothing),
		cmocka_unit_test(echo_gives_back_what_it_takes),
		cmocka_unit_test(another_thread_can_tell_the_size),
		cmocka_unit_test(another_thread_can_write_in_an_emergency),
		cmocka_unit_test(emergencies_that_nobody_takes_are_bounded_and_counted),
		cmocka_unit_test(a_ring_loses_nothing_between_threads),
		cmocka_unit_test(a_ring_that_is_full_waits_drops_or_forgets),
		cmocka_unit_test(what_is_written_to_a_guest_that_does_not_read_is_bounded),
		cmocka_unit_test(a_file_gets_all_at_its_beginning_or_at_its_end),
		cmocka_unit_test(a_disk_that_is_full_loses_bytes_and_says_so),
		cmocka_unit_test(pipes_go_both_ways_and_wait_for_who_reads),
		cmocka_unit_test(one_pipe_is_for_output),
		cmocka_unit_test(what_cannot_be_opened_is_refused_with_a_remedy),
		cmocka_unit_test(a_write_of_many_pieces_goes_out_whole),
	};

	line_rig_enter_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
