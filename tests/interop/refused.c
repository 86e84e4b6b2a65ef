/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program in a container that refuses io_uring: what it says, and that it serves all the same.
 * How well it serves there is shown by the tests of own.c, which run once more under the same
 * filter.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/refusal.h"

#define PATIENCE_MS 20000

/* What it says, and where it would listen. */
static int log_fd;
static char folder[64], path[96], text[4096];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/pv-engine-XXXXXX");
	log_fd = memfd_create("log", MFD_CLOEXEC);
	if (log_fd < 0 || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(log_fd);
	unlink(path);
	return rmdir(folder);
}

static pid_t start(int error, const char *engine)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(log_fd, STDERR_FILENO);
	if (error)
		refusal_enter(error);
	execl(getenv("PARAVANE"), "paravane", "serve", "blk", "--null", "1M", "--socket-path", path,
	      "--engine", engine, NULL);
	_exit(127);
}

static const char *said(void)
{
	ssize_t bytes = pread(log_fd, text, sizeof(text) - 1, 0);

	assert_true(bytes >= 0);
	text[bytes] = 0;
	return text;
}

static void nap(void)
{
	const struct timespec ten_ms = { 0, 10000000 };

	nanosleep(&ten_ms, NULL);
}

static void wait_until_it_serves(pid_t pid)
{
	for (int waited_ms = 0; !strstr(said(), ": serving "); waited_ms += 10) {
		if (waited_ms > PATIENCE_MS || waitpid(pid, NULL, WNOHANG) != 0)
			fail_msg("it does not serve, and says: %s", text);
		nap();
	}
}

static int status_at_the_end(pid_t pid)
{
	int status;

	for (int waited_ms = 0; waited_ms < PATIENCE_MS; waited_ms += 10) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		nap();
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fail_msg("it does not end, and says: %s", text);
	return -1;
}

static int count(const char *word)
{
	int times = 0;

	for (const char *at = strstr(said(), word); at; at = strstr(at + 1, word))
		times++;
	return times;
}

static void serves_and_says(int error, const char *engine, int times, const char *reason)
{
	pid_t pid = start(error, engine);

	wait_until_it_serves(pid);
	kill(pid, SIGTERM);
	assert_int_equal(status_at_the_end(pid), 0);
	assert_int_equal(count("io_uring"), 2 * times);
	assert_int_equal(count(reason), times);
	assert_int_equal(count("at more CPU time"), times);
}

static void a_refusal_is_told_once_with_its_reason(void **state)
{
	(void)state;
	serves_and_says(EPERM, "auto", 1, "refused here (Operation not permitted)");
}

static void a_kernel_without_io_uring_will_do(void **state)
{
	(void)state;
	serves_and_says(ENOSYS, "auto", 1, "refused here (Function not implemented)");
}

static void where_epoll_is_asked_for_nobody_hears_of_a_refusal(void **state)
{
	(void)state;
	serves_and_says(EPERM, "epoll", 0, "refused");
}

static void where_io_uring_is_asked_for_a_refusal_is_an_error(void **state)
{
	pid_t pid = start(EPERM, "io_uring");

	(void)state;
	assert_int_equal(status_at_the_end(pid), 1);
	assert_int_equal(count("\n"), 1);
	assert_int_equal(count("option '--engine': io_uring is refused here (Operation not "
	                       "permitted)"),
	                 1);
	assert_int_equal(access(path, F_OK), -1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_refusal_is_told_once_with_its_reason),
		TEST(a_kernel_without_io_uring_will_do),
		TEST(where_epoll_is_asked_for_nobody_hears_of_a_refusal),
		TEST(where_io_uring_is_asked_for_a_refusal_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
