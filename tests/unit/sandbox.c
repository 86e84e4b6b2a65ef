/* SPDX-License-Identifier: BSD-2-Clause */
/* Privileges that are given up, and memory that shrinks under us. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/control/guard.h"
#include "hosted/control/sandbox.h"

#define PAGE 4096u

/* In a child there is no cmocka: it says what was wrong and ends badly. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition,  \
			        errno);                                                            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#define must_be_refused(call)                                                                      \
	do {                                                                                       \
		errno = 0;                                                                         \
		must((long)(call) == -1 && errno == EPERM);                                        \
	} while (0)

static int status_of(void (*child)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		child();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_child_succeeds(void (*child)(void))
{
	int status = status_of(child);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void skip_without_filter(void)
{
	if (!pv_sandbox_is_built_in())
		skip();
}

static void enter(void)
{
	must(pv_sandbox_prepare() == 0);
	must(pv_sandbox_enter() == 0);
}

static void try_what_is_refused(void)
{
	char *const argv[] = { (char *)"true", NULL };
	pid_t parent = getppid();

	enter();
	must_be_refused(execve("/bin/true", argv, argv));
	must_be_refused(open("/etc/passwd", O_RDONLY));
	must_be_refused(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	must_be_refused(socket(AF_UNIX, SOCK_STREAM, 0));
	must_be_refused(socket(AF_INET, SOCK_STREAM, 0));
	must_be_refused(connect(-1, NULL, 0));
	must_be_refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	must_be_refused(fork());
	must_be_refused(kill(parent, SIGTERM));
	must_be_refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	must_be_refused(ioctl(0, TIOCSTI, "x"));
	must_be_refused(
		mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must_be_refused(syscall(SYS_io_uring_setup, 1, NULL));
	must_be_refused(rename("/tmp/a", "/tmp/b"));
	must_be_refused(setuid(0));
}

static void inside_the_sandbox_programs_files_and_sockets_are_refused(void **state)
{
	(void)state;
	skip_without_filter();
	assert_child_succeeds(try_what_is_refused);
}

/* A wire connects again; one that is of no file would have been asked about it. */
static void try_networks(void)
{
	struct sockaddr_un nowhere = { .sun_family = AF_UNIX };

	must(pv_sandbox_prepare() == 0);
	pv_sandbox_allow(PV_SANDBOX_DIAL);
	must(pv_sandbox_enter() == 0);
	must(connect(-1, (struct sockaddr *)&nowhere, sizeof(nowhere)) < 0 && errno == EBADF);
	must_be_refused(open("/etc/passwd", O_RDONLY));
}

static void networks_may_connect_and_open_no_files(void **state)
{
	(void)state;
	skip_without_filter();
	assert_child_succeeds(try_networks);
}

static int discard_of_file(void)
{
	int fd = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t *memory = MAP_FAILED;
	int answer;

	if (fd >= 0 && ftruncate(fd, PAGE) == 0)
		memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(memory != MAP_FAILED);
	memory[0] = 1;
	answer = madvise(memory, PAGE, MADV_REMOVE);
	must(memory[0] == (answer < 0));
	return answer;
}

/* Of a list of pages of our own. */
static long advise_all(int advice)
{
	void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec page = { memory, PAGE };

	must(memory != MAP_FAILED);
	return syscall(SYS_process_madvise, -10000, &page, 1ul, advice, 0u);
}

static void try_a_balloon(void)
{
	pv_sandbox_allow(PV_SANDBOX_BALLOON);
	enter();
	must(discard_of_file() == 0);
	must_be_refused(madvise(NULL, 0, MADV_NORMAL));
	must_be_refused(madvise(NULL, 0, MADV_HWPOISON));
	/* Whatever this kernel says of it, and it has no such file. */
	must(advise_all(MADV_DONTNEED) == PAGE || errno != EPERM);
	must_be_refused(advise_all(MADV_REMOVE));
}

static void try_without_a_balloon(void)
{
	enter();
	must(madvise(NULL, 0, MADV_DONTNEED) == 0);
	must_be_refused(discard_of_file());
	must_be_refused(advise_all(MADV_DONTNEED));
}

static void only_a_balloon_makes_holes_in_memory(void **state)
{
	(void)state;
	skip_without_filter();
	assert_child_succeeds(try_a_balloon);
	assert_child_succeeds(try_without_a_balloon);
}

static void try_to_dial(void)
{
	pv_sandbox_allow(PV_SANDBOX_DIAL);
	enter();
	must(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	must_be_refused(socket(AF_INET, SOCK_STREAM, 0));
	must_be_refused(open("/etc/passwd", O_RDONLY));
}

static void try_the_internet(void)
{
	pv_sandbox_allow(PV_SANDBOX_INTERNET);
	enter();
	must(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	must(socket(AF_INET6, SOCK_DGRAM, 0) >= 0);
	must(open("/etc/passwd", O_RDONLY) >= 0);
	must_be_refused(socket(AF_UNIX, SOCK_STREAM, 0));
	must_be_refused(socket(AF_NETLINK, SOCK_RAW, 0));
	must_be_refused(open("/etc/passwd", O_RDWR));
	must_be_refused(open("/tmp/new", O_RDONLY | O_CREAT, 0600));
	must_be_refused(open("/tmp", O_TMPFILE | O_RDWR, 0600));
}

static void a_device_that_needs_more_is_allowed_that_and_no_more(void **state)
{
	(void)state;
	skip_without_filter();
	assert_child_succeeds(try_to_dial);
	assert_child_succeeds(try_the_internet);
}

static void try_what_is_allowed(void)
{
	int event = eventfd(0, EFD_NONBLOCK), memfd = memfd_create("test", 0), pair[2];
	uint64_t number = 5;
	char text[3] = "";
	struct timespec now;
	char *memory;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	enter();
	must(write(event, &number, 8) == 8 && read(event, &number, 8) == 8);
	must(ftruncate(memfd, PAGE) == 0);
	must(pwritev2(memfd, &(struct iovec){ (char *)"ab", 2 }, 1, 0, 0) == 2);
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	must(memory != MAP_FAILED && memcmp(memory, "ab", 2) == 0);
	must(munmap(memory, PAGE) == 0);
	must(send(pair[0], "xy", 2, MSG_NOSIGNAL) == 2 && recv(pair[1], text, 2, 0) == 2);
	must(close(pair[0]) == 0);
	memory = malloc(64 << 20);
	must(memory);
	memset(memory, 1, 64 << 20);
	free(memory);
	must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	must(sched_yield() == 0);
	must(signal(SIGUSR1, SIG_IGN) != SIG_ERR && raise(SIGUSR1) == 0);
	fprintf(stderr, "%s", "");
}

static void inside_the_sandbox_what_serving_needs_still_works(void **state)
{
	(void)state;
	skip_without_filter();
	assert_child_succeeds(try_what_is_allowed);
}

static int go_pipe[2];

static void *open_when_told(void *arg)
{
	char byte;

	must(read(go_pipe[0], &byte, 1) == 1);
	must_be_refused(open("/etc/passwd", O_RDONLY));
	return arg;
}

static void enter_with_a_thread(void)
{
	pthread_t thread;

	must(pipe(go_pipe) == 0);
	must(pthread_create(&thread, NULL, open_when_told, NULL) == 0);
	enter();
	must(write(go_pipe[1], "", 1) == 1);
	must(pthread_join(thread, NULL) == 0);
}

static void threads_that_run_already_are_inside_the_sandbox_too(void **state)
{
	(void)state;
	skip_without_filter();
	assert_child_succeeds(enter_with_a_thread);
}

static void prepare(void)
{
	must(pv_sandbox_prepare() == 0);
	must(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	must(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == (pv_sandbox_is_built_in() ? 0 : 1));
}

static void from_the_beginning_no_privileges_are_gained_and_nothing_is_dumped(void **state)
{
	(void)state;
	assert_child_succeeds(prepare);
}

/* ---- the guard ---- */

struct shared {
	int fd;
	uint8_t *base;
};

static struct shared share(size_t pages)
{
	struct shared shared = { .fd = memfd_create("guest", MFD_CLOEXEC) };

	must(shared.fd >= 0 && ftruncate(shared.fd, (off_t)(pages * PAGE)) == 0);
	shared.base = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, shared.fd, 0);
	must(shared.base != MAP_FAILED);
	memset(shared.base, 0xee, pages * PAGE);
	return shared;
}

static uint8_t look_at(const uint8_t *at)
{
	return *(const volatile uint8_t *)at;
}

static void shrink_while_guarded(void)
{
	int wake = eventfd(0, EFD_NONBLOCK);
	struct shared shared = share(8), other = share(2);
	uint64_t count;

	must(pv_guard_install(wake, 1) == 0);
	pv_guard_mapped(&shared, shared.base, 8 * PAGE);
	pv_guard_mapped(&other, other.base, 2 * PAGE);
	must(!pv_guard_is_any_tripped(&shared) && read(wake, &count, 8) < 0);
	must(ftruncate(shared.fd, 2 * PAGE) == 0);

	must(look_at(shared.base + 2 * PAGE - 1) == 0xee);
	must(look_at(shared.base + 4 * PAGE + 5) == 0);
	must(pv_guard_is_tripped(shared.base) && !pv_guard_is_tripped(other.base));
	must(*pv_guard_trip_of(shared.base) && !*pv_guard_trip_of(other.base));
	must(!pv_guard_trip_of(&other));
	must(pv_guard_is_any_tripped(&shared) && !pv_guard_is_any_tripped(&other));
	must(read(wake, &count, 8) == 8 && count == 1);
	/* The rest behind the fault is mended; what lies before it is when it is touched. */
	must(look_at(shared.base + 8 * PAGE - 1) == 0 && read(wake, &count, 8) < 0);
	must(look_at(shared.base + 2 * PAGE) == 0 && read(wake, &count, 8) == 8);
	shared.base[3 * PAGE] = 7;
	must(look_at(shared.base + 3 * PAGE) == 7);
	must(look_at(shared.base) == 0xee && look_at(other.base) == 0xee);

	pv_guard_unmapped(shared.base);
	must(!pv_guard_is_tripped(shared.base) && !pv_guard_is_any_tripped(&shared));
}

static void memory_that_shrinks_reads_as_zeros_and_is_flagged(void **state)
{
	(void)state;
	assert_child_succeeds(shrink_while_guarded);
}

static void shrink_inside_the_sandbox(void)
{
	struct shared shared = share(2);

	must(pv_guard_install(-1, 1) == 0);
	pv_guard_mapped(&shared, shared.base, 2 * PAGE);
	must(ftruncate(shared.fd, 0) == 0);
	enter();
	must(look_at(shared.base + PAGE) == 0 && look_at(shared.base) == 0);
	must(pv_guard_is_tripped(shared.base));
}

static void the_guard_works_inside_the_sandbox(void **state)
{
	(void)state;
	assert_child_succeeds(shrink_inside_the_sandbox);
}

static void shrink_unguarded(void)
{
	struct shared guarded = share(1), shared = share(1);

	must(pv_guard_install(-1, 1) == 0);
	pv_guard_mapped(&guarded, guarded.base, PAGE);
	must(ftruncate(shared.fd, 0) == 0);
	must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
	look_at(shared.base);
}

static void shrink_after_unmapping(void)
{
	struct shared shared = share(1);

	must(pv_guard_install(-1, 1) == 0);
	pv_guard_mapped(&shared, shared.base, PAGE);
	pv_guard_unmapped(shared.base);
	must(ftruncate(shared.fd, 0) == 0);
	must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
	look_at(shared.base);
}

static void signal_from_outside(void)
{
	struct shared guarded = share(1);

	must(pv_guard_install(-1, 1) == 0);
	pv_guard_mapped(&guarded, guarded.base, PAGE);
	must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
	kill(getpid(), SIGBUS);
}

static void a_fault_anywhere_else_kills_as_it_always_did(void **state)
{
	void (*const child[])(void) = { shrink_unguarded, shrink_after_unmapping,
		                        signal_from_outside };

	(void)state;
	for (size_t i = 0; i < sizeof(child) / sizeof(child[0]); i++) {
		int status = status_of(child[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
	}
}

static void fill_the_table(void)
{
	struct shared shared = share(PV_GUARD_RANGES + 1);

	must(pv_guard_install(-1, 1) == 0);
	for (size_t i = 0; i <= PV_GUARD_RANGES; i++)
		pv_guard_mapped(&shared, shared.base + i * PAGE, PAGE);
	must(ftruncate(shared.fd, PAGE) == 0);
	must(look_at(shared.base + (PV_GUARD_RANGES - 1) * PAGE) == 0);
	must(pv_guard_is_tripped(shared.base + (PV_GUARD_RANGES - 1) * PAGE));
	pv_guard_unmapped(shared.base);
	pv_guard_mapped(&shared, shared.base + PV_GUARD_RANGES * PAGE, PAGE);
	must(look_at(shared.base + PV_GUARD_RANGES * PAGE) == 0);
}

static void guard_nothing(void)
{
	struct shared shared = share(1);

	must(pv_guard_install(-1, 0) == 0);
	pv_guard_mapped(&shared, shared.base, PAGE);
	must(!pv_guard_trip_of(shared.base));
}

static void without_devices_nothing_is_guarded(void **state)
{
	(void)state;
	assert_child_succeeds(guard_nothing);
}

static void a_full_table_guards_what_is_in_it_and_places_are_used_again(void **state)
{
	(void)state;
	assert_child_succeeds(fill_the_table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_the_beginning_no_privileges_are_gained_and_nothing_is_dumped),
		cmocka_unit_test(inside_the_sandbox_programs_files_and_sockets_are_refused),
		cmocka_unit_test(networks_may_connect_and_open_no_files),
		cmocka_unit_test(a_device_that_needs_more_is_allowed_that_and_no_more),
		cmocka_unit_test(only_a_balloon_makes_holes_in_memory),
		cmocka_unit_test(inside_the_sandbox_what_serving_needs_still_works),
		cmocka_unit_test(threads_that_run_already_are_inside_the_sandbox_too),
		cmocka_unit_test(memory_that_shrinks_reads_as_zeros_and_is_flagged),
		cmocka_unit_test(the_guard_works_inside_the_sandbox),
		cmocka_unit_test(a_fault_anywhere_else_kills_as_it_always_did),
		cmocka_unit_test(without_devices_nothing_is_guarded),
		cmocka_unit_test(a_full_table_guards_what_is_in_it_and_places_are_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
