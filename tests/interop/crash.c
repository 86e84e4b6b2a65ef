/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our program when it or its disk comes to harm, our driver on it under load: it is killed, the
 * image or the block device under it shrinks to nothing, somebody resizes the disk to nonsense.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/loop.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "drivers/blk/blk.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "hosted/loop/clock.h"
#include "ring/err.h"
#include "tests/support/logged_load.h"
#include "tests/support/server.h"

#define LOG_SECTORS DISK_LOG_SECTORS
#define LOG_BYTES   (LOG_SECTORS * DISK_LOG_SECTOR)
#define DISK_BYTES  (4u << 20)
#define KILLS       8u
#define PATIENCE_S  20

static struct server server;
static struct pv_vhu_bus *bus;
static struct pv_blkdrv *blk;
static struct pv_random random_numbers;
static struct logged_load load;

static const char *const no_options[] = { NULL };

/* ---- the load ---- */

static uint64_t now_ms(void)
{
	return pv_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static void load_connect(void)
{
	const struct pv_vhu_bus_options options = { .path = server.socket,
		                                    .device_id = VIRTIO_ID_BLOCK,
		                                    .memory_bytes = 4u << 20 };
	const struct pv_blkdrv_options wanted = { .wanted = PV_BLKDRV_FEATURES };
	char sentence[256];

	if (pv_vhu_bus_create(&bus, &options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
	logged_load_prepare(&load, pv_vhu_bus_os(bus));
	assert_int_equal(pv_blkdrv_create(&blk, pv_vhu_bus_bus(bus), pv_vhu_bus_os(bus), &wanted),
	                 0);
	/* What a process has written is there when the process is not: no cache is lost with it. */
	logged_load_start(&load, blk, false);
}

static void load_disconnect(void)
{
	pv_blkdrv_destroy(blk);
	logged_load_stop(&load);
	pv_vhu_bus_destroy(bus);
	blk = NULL;
	bus = NULL;
}

static void load_poll(void)
{
	pv_blkdrv_poll(load.queue);
	assert_false(pv_blkdrv_queue_is_broken(load.queue));
}

static void load_for_ms(uint32_t ms)
{
	uint64_t end_ms = now_ms() + ms;

	while (now_ms() < end_ms) {
		logged_load_send(&load);
		load_poll();
	}
}

static void load_settle(void)
{
	uint64_t deadline_ms = now_ms() + PATIENCE_S * 1000;

	while (load.out > 0) {
		load_poll();
		assert_true(now_ms() < deadline_ms);
		usleep(100);
	}
}

/* Sends until so many requests have failed. */
static void load_until_errors(uint64_t errors)
{
	uint64_t deadline_ms = now_ms() + PATIENCE_S * 1000;

	while (load.errors < errors) {
		logged_load_send(&load);
		load_poll();
		if (now_ms() >= deadline_ms)
			fail_msg("only %llu errors, and %u requests in flight",
			         (unsigned long long)load.errors, load.out);
	}
	load_settle();
}

static void load_init(void)
{
	random_numbers = pv_random_start(pv_random_seed(), 0);
	logged_load_init(&load, LOG_SECTORS, &random_numbers);
	load.log.may_tear = true;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&server);
	return 0;
}

/* ---- the program is killed ---- */

struct resizer {
	pthread_t thread;
	uint32_t answers;
};

/* Until the program is gone. No test may fail on this thread. */
static void *resize_again_and_again(void *arg)
{
	struct resizer *resizer = arg;
	char command[128], answer[4096];
	bool is_there = true;

	for (uint32_t i = 0; is_there; i++) {
		snprintf(command, sizeof(command),
		         "{\"execute\": \"block_resize\", \"id\": 7, \"arguments\": "
		         "{\"device\": \"blk0\", \"size\": %u}}",
		         i % 2 ? DISK_BYTES : LOG_BYTES);
		is_there = server_qmp(&server, command, answer, sizeof(answer));
		resizer->answers += is_there;
	}
	return NULL;
}

static void check_image(void)
{
	static uint8_t disk[LOG_BYTES];
	int fd = open(server.image, O_RDONLY | O_CLOEXEC);
	off_t bytes = lseek(fd, 0, SEEK_END);
	const char *wrong;

	assert_true(bytes == LOG_BYTES || bytes == DISK_BYTES);
	assert_int_equal(pread(fd, disk, sizeof(disk), 0), sizeof(disk));
	close(fd);
	wrong = disk_log_restart(&load.log, disk);
	if (wrong)
		fail_msg("%s", wrong);
}

static void kill_under_load(struct resizer *resizer)
{
	load_connect();
	assert_int_equal(pthread_create(&resizer->thread, NULL, resize_again_and_again, resizer),
	                 0);
	load_for_ms(20 + pv_random_below(&random_numbers, 60));
	server_kill(&server);
	/* What it had ended counts, the rest may or may not be there. */
	load_poll();
	load.is_over = true;
	pv_blkdrv_fail(blk);
	pthread_join(resizer->thread, NULL);
	load_disconnect();
	check_image();
}

static void kill_again_and_again(const char *const *options)
{
	uint32_t kills = getenv("PV_LONG") ? 100 * KILLS : KILLS;
	struct resizer resizer = { .answers = 0 };

	load_init();
	server_start_own(&server, DISK_BYTES, options);
	for (uint32_t i = 0; i < kills; i++) {
		kill_under_load(&resizer);
		server_start_again(&server);
	}
	assert_true(resizer.answers > kills);
	assert_true(load.flushes > kills);
	load_connect();
	load_for_ms(20);
	load_settle();
	load_disconnect();
	assert_int_equal(server_end(&server), 0);
	check_image();
}

static void what_ended_before_a_kill_is_on_the_image(void **state)
{
	(void)state;
	kill_again_and_again(no_options);
}

static void what_ended_before_a_kill_is_on_the_image_with_o_direct(void **state)
{
	(void)state;
	kill_again_and_again((const char *const[]){ "--direct", NULL });
}

/* ---- the disk goes away ---- */

static uint64_t cpu_ticks(pid_t pid)
{
	char path[64], text[1024] = "";
	unsigned long user, system;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	/* The 14th and 15th field; the second is in brackets. */
	assert_int_equal(sscanf(strrchr(text, ')') + 2,
	                        "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
	                        &system),
	                 2);
	return user + system;
}

/* It lives, does not spin, and ends when it is told to. */
static void expect_calm(void)
{
	uint64_t ticks;

	usleep(50000);
	ticks = cpu_ticks(server.pid);
	usleep(300000);
	assert_true(cpu_ticks(server.pid) - ticks <= (uint64_t)sysconf(_SC_CLK_TCK) / 20);
	load_disconnect();
	load_connect();
	load_disconnect();
	assert_true(server_end(&server) >= 0);
}

/* Writes make it longer again, so it is cut again and again. */
static void load_beside_cuts(void)
{
	uint64_t deadline_ms = now_ms() + PATIENCE_S * 1000;

	load.is_over = true; /* it holds nothing from now on */
	while (load.errors < 20) {
		assert_int_equal(truncate(server.image, 0), 0);
		load_for_ms(2);
		assert_true(now_ms() < deadline_ms);
	}
	load_settle();
}

static void an_image_cut_to_nothing_under_load_gives_errors_and_no_more(void **state)
{
	const char *const options[][2] = { { NULL }, { "--direct", NULL } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		load_init();
		server_start_own(&server, DISK_BYTES, options[i]);
		load_connect();
		load_for_ms(50);
		assert_int_equal(load.errors, 0);
		load_beside_cuts();
		expect_calm();
		server_stop(&server);
	}
}

/* A block device on a file without a name. It goes with its descriptors, however the test ends. */
static struct loop_device {
	int control_fd, fd, file_fd;
	char path[32];
} loop = { -1, -1, -1, "" };

static void loop_close(void)
{
	int *fds[] = { &loop.fd, &loop.file_fd, &loop.control_fd };

	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int file_without_a_name(void)
{
	char path[] = "/tmp/pv-loop-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	return fd;
}

/* False if somebody else was faster. */
static bool loop_try(int number)
{
	const struct loop_config config = { .fd = (uint32_t)loop.file_fd,
		                            .info.lo_flags = LO_FLAGS_AUTOCLEAR };

	snprintf(loop.path, sizeof(loop.path), "/dev/loop%d", number);
	loop.fd = open(loop.path, O_RDWR | O_CLOEXEC);
	if (loop.fd >= 0 && ioctl(loop.fd, LOOP_CONFIGURE, &config) == 0)
		return true;
	if (loop.fd >= 0)
		close(loop.fd);
	loop.fd = -1;
	return false;
}

/* False if this machine has none for us. */
static bool loop_open(void)
{
	loop.file_fd = file_without_a_name();
	loop.control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 10 && loop.control_fd >= 0; i++) {
		int number = ioctl(loop.control_fd, LOOP_CTL_GET_FREE);

		if (number >= 0 && loop_try(number))
			return true;
	}
	return false;
}

static void serve_lost_device(const char *const *options)
{
	load_init();
	server_start_own_on(&server, loop.path, options);
	load_connect();
	load_for_ms(50);
	assert_int_equal(load.errors, 0);
	load.is_over = true;
	assert_int_equal(ftruncate(loop.file_fd, 0), 0);
	assert_int_equal(ioctl(loop.fd, LOOP_SET_CAPACITY, 0), 0);
	load_until_errors(200);
	expect_calm();
	server_stop(&server);
}

static int loop_teardown(void **state)
{
	teardown(state);
	loop_close();
	return 0;
}

static void a_block_device_that_vanishes_under_load_gives_errors_and_no_more(void **state)
{
	/* The kernel's word for a write behind the end of a device is that there is no space. */
	const char *const options[][4] = { { "--werror", "report", NULL },
		                           { "--werror", "report", "--direct", NULL } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		if (!loop_open()) {
			print_message("no loop device: needs root and /dev/loop-control\n");
			skip();
		}
		serve_lost_device(options[i]);
		loop_close();
	}
}

/* ---- sizes that make no sense ---- */

/* Returns whether it was done; if not, there is one error with one sentence. */
static bool resize(const char *size)
{
	char command[256], answer[4096];
	const char *error;

	snprintf(command, sizeof(command),
	         "{\"execute\": \"block_resize\", \"id\": 7, \"arguments\": "
	         "{\"device\": \"blk0\", \"size\": %s}}",
	         size);
	assert_true(server_qmp(&server, command, answer, sizeof(answer)));
	error = strstr(answer, "\"error\"");
	if (!error)
		return true;
	assert_null(strstr(error + 1, "\"error\""));
	assert_non_null(strstr(error, "\"desc\""));
	assert_null(strstr(error, "\\n"));
	return false;
}

static void sizes_that_make_no_sense_are_refused_under_load(void **state)
{
	static const char *const sizes[] = { "0",
		                             "-1",
		                             "-512",
		                             "511",
		                             "1000",
		                             "9223372036854775807",
		                             "9223372036854775808",
		                             "18446744073709551616",
		                             "1e30",
		                             "512.5",
		                             "null",
		                             "\"1M\"" };

	(void)state;
	load_init();
	server_start_own(&server, DISK_BYTES, no_options);
	load_connect();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		load_for_ms(5);
		assert_false(resize(sizes[i]));
	}
	/* As large as a number can be; some file systems do have room for it. */
	load_for_ms(5);
	resize("9223372036854775296");
	load_for_ms(5);
	assert_true(resize("4194304"));
	load_settle();
	assert_int_equal(load.errors, 0);
	load_disconnect();
	assert_int_equal(server_end(&server), 0);
	check_image();
}

/* Requests beyond the new end fail, others do not, and the disk grows again. */
static void a_disk_that_shrinks_below_what_is_in_flight_fails_that_only(void **state)
{
	(void)state;
	load_init();
	server_start_own(&server, LOG_BYTES, no_options);
	load_connect();
	load.is_over = true;
	load.fails_from = 65536 / DISK_LOG_SECTOR;
	for (uint32_t i = 0; i < 20; i++) {
		load_for_ms(2);
		assert_true(resize("65536"));
		load_for_ms(2);
		assert_true(resize("524288"));
	}
	load_settle();
	assert_true(load.errors > 0);
	load.errors = 0;
	load_for_ms(20);
	load_settle();
	assert_int_equal(load.errors, 0);
	load_disconnect();
	assert_int_equal(server_end(&server), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_ended_before_a_kill_is_on_the_image, teardown),
		cmocka_unit_test_teardown(what_ended_before_a_kill_is_on_the_image_with_o_direct,
		                          teardown),
		cmocka_unit_test_teardown(
			an_image_cut_to_nothing_under_load_gives_errors_and_no_more, teardown),
		cmocka_unit_test_teardown(
			a_block_device_that_vanishes_under_load_gives_errors_and_no_more,
			loop_teardown),
		cmocka_unit_test_teardown(sizes_that_make_no_sense_are_refused_under_load,
		                          teardown),
		cmocka_unit_test_teardown(
			a_disk_that_shrinks_below_what_is_in_flight_fails_that_only, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
