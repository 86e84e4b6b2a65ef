/* SPDX-License-Identifier: BSD-2-Clause */
/* The 16550, register by register, and both ends of its line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/vmm/uart.h"

#define PIPE_BYTES 4096

static struct rig {
	struct pv_uart serial;
	struct pv_loop *loop;
	struct pv_console console;
	int in[2], out[2];
	bool is_line_high;
	unsigned int edges;
} rig;

static void set_line(void *arg, bool is_high)
{
	struct rig *r = arg;

	assert_int_not_equal(r->is_line_high, is_high);
	r->is_line_high = is_high;
	r->edges++;
}

static int setup(void **state)
{
	const struct pv_loop_options options = { .name = "test", .is_without_io = true };

	(void)state;
	memset(&rig, 0, sizeof(rig));
	assert_int_equal(pv_loop_create(&rig.loop, &options), 0);
	assert_int_equal(pipe2(rig.in, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(pipe2(rig.out, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(fcntl(rig.out[1], F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
	rig.serial.set_line = set_line;
	rig.serial.arg = &rig;
	rig.console = (struct pv_console){ .in_fd = rig.in[0], .out_fd = rig.out[1], .pty_fd = -1 };
	assert_int_equal(pv_uart_init(&rig.serial, rig.loop, &rig.console), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (rig.loop)
		pv_loop_destroy(rig.loop);
	for (int i = 0; i < 2; i++) {
		close(rig.in[i]);
		close(rig.out[i]);
	}
	return 0;
}

static uint8_t in(unsigned int offset)
{
	return (uint8_t)pv_uart_io_ops.read(&rig.serial, offset, 1);
}

static void out(unsigned int offset, uint8_t value)
{
	pv_uart_io_ops.write(&rig.serial, offset, 1, value);
}

struct once {
	struct pv_loop_message message;
};

static void stop(struct pv_loop_message *message)
{
	(void)message;
	pv_loop_stop(rig.loop);
}

/* One turn after another, until the loop has seen what there is. */
static void run_loop(void)
{
	for (int i = 0; i < 5; i++) {
		struct once once = { { .run = stop } };

		pv_loop_post(rig.loop, &once.message);
		pv_loop_run(rig.loop);
	}
}

static void what_is_sent_comes_out(void **state)
{
	char text[8] = { 0 };

	(void)state;
	out(0, 'h');
	out(0, 'i');
	assert_int_equal(read(rig.out[0], text, sizeof(text)), 2);
	assert_string_equal(text, "hi");
	assert_int_equal(in(5) & 0x60, 0x60);
}

/* Whoever looks whether there is room waits, and nothing is lost; nor does it wait for ever. */
static void a_reader_that_does_not_read_holds_the_guest_back(void **state)
{
	uint8_t got[1024], next = 0;
	unsigned int sent = 0, taken = 0;
	ssize_t bytes;

	(void)state;
	while (in(5) & 0x20) {
		out(0, (uint8_t)(sent % 251));
		assert_in_range(++sent, 1, 3 * PIPE_BYTES);
	}
	assert_true(sent > PIPE_BYTES);
	while (taken < sent) {
		run_loop();
		bytes = read(rig.out[0], got, sizeof(got));
		assert_true(bytes > 0);
		for (ssize_t i = 0; i < bytes; i++) {
			assert_int_equal(got[i], next);
			next = (uint8_t)((next + 1) % 251);
		}
		taken += (unsigned int)bytes;
	}
	assert_int_equal(in(5) & 0x60, 0x60);
}

static void what_the_host_types_is_read(void **state)
{
	char text[41] = "more than fits into the register's queue";

	(void)state;
	out(1, 1); /* interrupts for data */
	out(4, 8);
	assert_int_equal(write(rig.in[1], text, 40), 40);
	run_loop();
	assert_true(rig.is_line_high);
	assert_int_equal(in(2) & 0x0f, 0x04);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(in(5) & 1, 1);
		assert_int_equal(in(0), text[i]);
	}
	assert_int_equal(in(5) & 1, 0);
	assert_false(rig.is_line_high);
	assert_int_equal(in(2) & 0x0f, 0x01);
}

static void an_empty_transmitter_is_told_once(void **state)
{
	(void)state;
	out(4, 8);
	out(1, 2);
	assert_true(rig.is_line_high);
	assert_int_equal(in(2) & 0x0f, 0x02);
	assert_false(rig.is_line_high);
	assert_int_equal(in(2) & 0x0f, 0x01);
	out(0, 'x');
	assert_true(rig.is_line_high);
	out(4, 0); /* without OUT2 no interrupt gets out */
	assert_false(rig.is_line_high);
}

/* What drivers look at to find out what there is. */
static void it_is_found(void **state)
{
	(void)state;
	out(7, 0x5a);
	assert_int_equal(in(7), 0x5a);
	out(2, 0);
	assert_int_equal(in(2) & 0xc0, 0);
	out(2, 1);
	assert_int_equal(in(2) & 0xc0, 0xc0);
	out(3, 0x83);
	out(0, 0x34);
	out(1, 0x12);
	assert_int_equal(in(0), 0x34);
	assert_int_equal(in(1), 0x12);
	out(3, 0x03);
	assert_int_equal(in(1), 0);
	out(4, 0x10 | 0x0a);
	assert_int_equal(in(6) & 0xf0, 0x90);
	out(0, 'l'); /* the loop */
	assert_int_equal(in(5) & 1, 1);
	assert_int_equal(in(0), 'l');
}

static void any_access_is_answered(void **state)
{
	(void)state;
	for (unsigned int bytes = 1; bytes <= 8; bytes *= 2)
		for (unsigned int offset = 0; offset + bytes <= PV_SERIAL_PORTS; offset++)
			for (int i = 0; i < 300; i++) {
				pv_uart_io_ops.write(&rig.serial, offset, bytes,
				                     (uint64_t)i * 0x0101010101010101u);
				pv_uart_io_ops.read(&rig.serial, offset, bytes);
			}
	pv_uart_reset(&rig.serial);
	assert_false(rig.is_line_high);
	out(4, 0x10);
	out(0, 'a');
	assert_int_equal(in(0), 'a');
}

/* A terminal that nobody looks at holds nobody back, and has the end of what was sent. */
static void a_pty_drops_what_nobody_reads(void **state)
{
	char sentence[PV_SENTENCE_BYTES], text[65536];
	struct pv_console console;
	ssize_t bytes, got = 0;
	int fd;

	(void)state;
	assert_true(pv_console_open(&console, "pty", sentence));
	rig.serial.console = &console;
	for (unsigned int i = 0; i < 300000; i++) {
		assert_int_equal(in(5) & 0x20, 0x20);
		out(0, (uint8_t)('a' + i % 26));
	}
	fd = open(console.pty.path, O_RDWR | O_NOCTTY | O_NONBLOCK);
	assert_true(fd >= 0);
	while ((bytes = read(fd, text + got, sizeof(text) - (size_t)got)) > 0 || got == 0)
		got += bytes > 0 ? bytes : 0;
	assert_int_equal(text[got - 1], 'a' + 299999 % 26);
	for (ssize_t i = 1; i < got; i++)
		assert_int_equal((text[i] - 'a') % 26, (text[i - 1] - 'a' + 1) % 26);
	close(fd);
	pv_console_close(&console);
	rig.serial.console = &rig.console;
}

static void what_is_typed_at_a_pty_is_read_as_it_is(void **state)
{
	char sentence[PV_SENTENCE_BYTES], text[8];
	struct pv_console console;
	struct pv_uart serial = { .set_line = set_line, .arg = &rig };
	int fd;

	(void)state;
	assert_true(pv_console_open(&console, "pty", sentence));
	assert_int_equal(pv_uart_init(&serial, rig.loop, &console), 0);
	fd = open(console.pty.path, O_RDWR | O_NOCTTY | O_NONBLOCK);
	assert_int_equal(write(fd, "\003\r", 2), 2);
	run_loop();
	assert_int_equal(pv_uart_io_ops.read(&serial, 0, 1), 3);
	assert_int_equal(pv_uart_io_ops.read(&serial, 0, 1), '\r');
	assert_int_equal(read(fd, text, sizeof(text)), -1); /* no echo */
	close(fd);
	pv_loop_destroy(rig.loop);
	pv_console_close(&console);
	rig.loop = NULL;
}

static void a_console_is_a_file_or_nothing(void **state)
{
	char path[] = "/tmp/pv-console-XXXXXX", option[64], sentence[PV_SENTENCE_BYTES], text[8];
	struct pv_console console;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "old text", 8), 8);
	snprintf(option, sizeof(option), "file=%s", path);
	assert_true(pv_console_open(&console, option, sentence));
	assert_int_equal(console.in_fd, -1);
	rig.serial.console = &console;
	out(0, 'n');
	rig.serial.console = &rig.console;
	pv_console_close(&console);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 1);
	close(fd);
	unlink(path);
	assert_true(pv_console_open(&console, "off", sentence));
	assert_int_equal(console.out_fd, -1);
	pv_console_close(&console);
	assert_false(pv_console_open(&console, "file=/nowhere/log", sentence));
	assert_false(pv_console_open(&console, "file=", sentence));
	assert_string_equal(sentence,
	                    "option '--console' takes stdio, pty, file=PATH or off, not 'file='");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_sent_comes_out),
		TEST(a_reader_that_does_not_read_holds_the_guest_back),
		TEST(what_the_host_types_is_read),
		TEST(an_empty_transmitter_is_told_once),
		TEST(it_is_found),
		TEST(any_access_is_answered),
		TEST(a_pty_drops_what_nobody_reads),
		TEST(what_is_typed_at_a_pty_is_read_as_it_is),
		TEST(a_console_is_a_file_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
