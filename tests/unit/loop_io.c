/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop: I/O on files, one at a time and far more than its queues hold. */
#define _GNU_SOURCE /* memfd_create, fallocate's flags */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/loop_rig.h"

#define BLOCK 512

struct io {
	struct pv_loop_io io;
	struct iovec iov;
	int *ended;
	int64_t result;
	uint8_t data[BLOCK];
};

static void ended(struct pv_loop_io *io, int64_t result)
{
	struct io *own = (struct io *)io;

	own->result = result;
	++*own->ended;
}

static void set_up_io(struct io *io, enum pv_loop_io_op op, int fd, uint64_t block, int *count)
{
	io->iov = (struct iovec){ io->data, BLOCK };
	io->ended = count;
	io->result = -1000000;
	io->io = (struct pv_loop_io){
		.op = op,
		.fd = fd,
		.iov = &io->iov,
		.iovs = 1,
		.offset = block * BLOCK,
		.done = ended,
	};
}

/* More than submission queue and completion queue hold together. */
#define MANY 6000

static void any_number_of_ios_may_be_pending(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct io *ios = calloc(MANY, sizeof(*ios));
	int fd = memfd_create("disk", 0), count = 0;

	(void)state;
	/* Before the loop runs nothing can be submitted: all of these wait. */
	for (int i = 0; i < MANY; i++) {
		set_up_io(&ios[i], PV_LOOP_WRITE, fd, (uint64_t)i, &count);
		memset(ios[i].data, i % 251, BLOCK);
		pv_loop_io_submit(loop, &ios[i].io);
	}
	loop_rig_run_until(loop, &count, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(ios[i].result, BLOCK);
		memset(ios[i].data, 0xff, BLOCK);
		set_up_io(&ios[i], PV_LOOP_READ, fd, (uint64_t)i, &count);
		pv_loop_io_submit(loop, &ios[i].io);
	}
	loop_rig_run_until(loop, &count, 2 * MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(ios[i].result, BLOCK);
		assert_int_equal(ios[i].data[0], i % 251);
		assert_int_equal(ios[i].data[BLOCK - 1], i % 251);
	}
	assert_int_equal(pv_loop_counters(loop).ios, 2 * MANY);
	close(fd);
	free(ios);
	pv_loop_destroy(loop);
}

struct burst {
	struct pv_loop *loop;
	struct io *ios;
	int count;
};

static void submit_burst(void *arg)
{
	struct burst *burst = arg;

	for (int i = 0; i < burst->count; i++)
		pv_loop_io_submit(burst->loop, &burst->ios[i].io);
}

/* From within the loop, when the submission queue overflows under its hands. */
static void a_burst_beyond_the_queue_is_submitted_in_pieces(void **state)
{
	struct burst burst = { loop_rig_make(), calloc(MANY, sizeof(struct io)), MANY };
	struct task task = loop_rig_task(submit_burst, &burst);
	int fd = memfd_create("disk", 0), count = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		set_up_io(&burst.ios[i], PV_LOOP_WRITE, fd, (uint64_t)i, &count);
	pv_loop_post(burst.loop, &task.message);
	loop_rig_run_until(burst.loop, &count, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(burst.ios[i].result, BLOCK);
	close(fd);
	free(burst.ios);
	pv_loop_destroy(burst.loop);
}

/* From a file that is read without waiting, so that nothing depends on when a disk answers. */
static void a_batch_costs_one_system_call_for_four_and_for_eight_beside_a_busy_disk(void **state)
{
	struct burst burst = { loop_rig_make(), calloc(100, sizeof(struct io)), 100 };
	struct task task = loop_rig_task(submit_burst, &burst);
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC), count = 0;
	uint64_t submits;

	(void)state;
	for (int i = 0; i < 100; i++)
		set_up_io(&burst.ios[i], PV_LOOP_READ, fd, (uint64_t)i, &count);
	loop_rig_run_a_while(burst.loop, 2);
	submits = pv_loop_counters(burst.loop).submits;
	pv_loop_post(burst.loop, &task.message);
	loop_rig_run_until(burst.loop, &count, 100);
	assert_int_equal(pv_loop_counters(burst.loop).submits - submits, 2 + (100 - 8 + 7) / 8);
	close(fd);
	free(burst.ios);
	pv_loop_destroy(burst.loop);
}

static void errors_and_short_transfers_are_told_as_the_system_call_would(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct io *io = calloc(6, sizeof(*io));
	int fd = memfd_create("disk", 0), count = 0;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, BLOCK + 100), 0);
	set_up_io(&io[0], PV_LOOP_READ, 12345, 0, &count);
	set_up_io(&io[1], PV_LOOP_WRITE, null, 0, &count);
	set_up_io(&io[2], PV_LOOP_READ, fd, 1, &count);
	set_up_io(&io[3], PV_LOOP_READ, fd, 2, &count);
	set_up_io(&io[4], PV_LOOP_ALLOCATE, fd, 0, &count);
	set_up_io(&io[5], PV_LOOP_READ, fd, 0, &count);
	io[5].io.iovs = 2000;
	for (int i = 0; i < 6; i++)
		pv_loop_io_submit(loop, &io[i].io);
	loop_rig_run_until(loop, &count, 6);
	assert_int_equal(io[0].result, -EBADF);
	assert_int_equal(io[1].result, -EBADF);
	assert_int_equal(io[2].result, 100);
	assert_int_equal(io[3].result, 0);
	assert_int_equal(io[4].result, -EINVAL);
	assert_int_equal(io[5].result, -EINVAL);
	close(fd);
	close(null);
	free(io);
	pv_loop_destroy(loop);
}

static void vectors_sync_and_allocation_do_what_they_say(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct io *io = calloc(1, sizeof(*io));
	struct iovec parts[2] = { { io->data, 10 }, { io->data + 100, 20 } };
	int fd = memfd_create("disk", 0), count = 0;
	struct stat stat;
	char text[31] = "";

	(void)state;
	set_up_io(io, PV_LOOP_WRITE, fd, 0, &count);
	memset(io->data, 'a', 100);
	memset(io->data + 100, 'b', 100);
	io->io.iov = parts;
	io->io.iovs = 2;
	pv_loop_io_submit(loop, &io->io);
	loop_rig_run_until(loop, &count, 1);
	assert_int_equal(io->result, 30);
	assert_int_equal(pread(fd, text, 30, 0), 30);
	assert_string_equal(text, "aaaaaaaaaabbbbbbbbbbbbbbbbbbbb");

	set_up_io(io, PV_LOOP_SYNC, fd, 0, &count);
	pv_loop_io_submit(loop, &io->io);
	loop_rig_run_until(loop, &count, 2);
	assert_int_equal(io->result, 0);

	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	set_up_io(io, PV_LOOP_ALLOCATE, fd, 0, &count);
	io->io.flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	io->io.bytes = 1 << 20;
	pv_loop_io_submit(loop, &io->io);
	loop_rig_run_until(loop, &count, 3);
	assert_int_equal(io->result, 0);
	assert_int_equal(fstat(fd, &stat), 0);
	assert_int_equal(stat.st_blocks, 0);
	close(fd);
	free(io);
	pv_loop_destroy(loop);
}

/* On a pipe, by its own position: what is written waits until somebody reads. */
static void fill_pipe(int fd)
{
	static const char page[4096];

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (write(fd, page, sizeof(page)) > 0)
		;
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

/* Until all that is stuck has gone through: who empties a pipe once may leave a writer asleep. */
static void drain_until(struct pv_loop *loop, int fd, const int *written, int wanted)
{
	time_t deadline = time(NULL) + 20;
	char page[4096];

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (*written < wanted) {
		assert_true(time(NULL) < deadline);
		while (read(fd, page, sizeof(page)) > 0)
			;
		loop_rig_run_a_while(loop, 1);
	}
}

#define STUCK 100

static void writes_that_must_be_stable_hold_up_no_reads(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct io *stuck = calloc(STUCK, sizeof(*stuck)), read;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC), pipes[2];
	int written = 0, count = 0;

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	fill_pipe(pipes[1]);
	for (int i = 0; i < STUCK; i++) {
		set_up_io(&stuck[i], PV_LOOP_WRITE, pipes[1], 0, &written);
		stuck[i].io.offset = UINT64_MAX;
		stuck[i].io.flags = RWF_DSYNC;
		pv_loop_io_submit(loop, &stuck[i].io);
	}
	loop_rig_run_a_while(loop, 3);
	for (int i = 1; i <= 100; i++) {
		set_up_io(&read, PV_LOOP_READ, fd, 0, &count);
		pv_loop_io_submit(loop, &read.io);
		loop_rig_run_until(loop, &count, i);
		assert_int_equal(read.result, BLOCK);
	}
	assert_int_equal(written, 0);
	drain_until(loop, pipes[0], &written, STUCK);
	for (int i = 0; i < STUCK; i++)
		assert_int_equal(stuck[i].result, BLOCK);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
	free(stuck);
	pv_loop_destroy(loop);
}

/* ---- the threads that do it where there is no io_uring ---- */

struct thread_seen {
	int transfers;
	int flushes;
	int wrong; /* of their signals */
};

static bool status_has(const char *status, const char *wanted)
{
	return strstr(status, wanted) != NULL;
}

static void look_at_thread(const char *tid, struct thread_seen *seen)
{
	char path[64], status[4096] = "";
	unsigned long long blocked;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) /* it has ended meanwhile: one of the kernel's, for an earlier ring */
		return;
	(void)!read(fd, status, sizeof(status) - 1);
	close(fd);
	if (status_has(status, "Name:\ttest-io\n"))
		seen->transfers++;
	else if (status_has(status, "Name:\ttest-flush\n"))
		seen->flushes++;
	else
		return;
	assert_int_equal(sscanf(strstr(status, "SigBlk:"), "SigBlk: %llx", &blocked), 1);
	seen->wrong += !(blocked >> (SIGTERM - 1) & 1) || !(blocked >> (SIGALRM - 1) & 1) ||
	               (blocked >> (SIGBUS - 1) & 1) || (blocked >> (SIGSEGV - 1) & 1);
}

static struct thread_seen look_at_threads(void)
{
	struct thread_seen seen = { 0 };
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;

	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			look_at_thread(entry->d_name, &seen);
	closedir(dir);
	return seen;
}

static void the_threads_are_few_and_there_before_the_loop_runs(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	uint64_t end_us = loop_rig_now_us() + 10000000;
	struct thread_seen seen = look_at_threads();

	(void)state;
	/* Each gives itself its name. */
	while (seen.transfers + seen.flushes < 12 && loop_rig_now_us() < end_us)
		seen = look_at_threads();
	assert_int_equal(seen.transfers, 8);
	assert_int_equal(seen.flushes, 4);
	assert_int_equal(seen.wrong, 0);
	pv_loop_destroy(loop);
	seen = look_at_threads();
	assert_int_equal(seen.transfers + seen.flushes, 0);
}

static void a_loop_without_io_has_no_threads_for_it(void **state)
{
	const struct pv_loop_options options = { .name = "test", .is_without_io = true };
	struct pv_loop *loop;
	struct thread_seen seen;

	(void)state;
	assert_int_equal(pv_loop_create_on(&loop, &options, &pv_epoll_ops), 0);
	usleep(10000);
	seen = look_at_threads();
	assert_int_equal(seen.transfers + seen.flushes, 0);
	pv_loop_destroy(loop);
}

/* While I/O floods the completion queue the kernel lets go of watches. */
static void a_watch_survives_an_overflow_of_completions(void **state)
{
	struct burst burst = { loop_rig_make(), calloc(MANY, sizeof(struct io)), MANY };
	struct task task = loop_rig_task(submit_burst, &burst);
	int fd = memfd_create("disk", 0), wake = eventfd(0, 0), count = 0;
	struct seen seen = { 0 };

	(void)state;
	for (int i = 0; i < MANY; i++)
		set_up_io(&burst.ios[i], PV_LOOP_READ, fd, (uint64_t)i, &count);
	pv_loop_watch(burst.loop, wake, POLLIN, loop_rig_see, &seen);
	loop_rig_run_a_while(burst.loop, 2);
	pv_loop_post(burst.loop, &task.message);
	for (int i = 0; i < 100; i++) {
		loop_rig_write_one(wake);
		loop_rig_run_a_while(burst.loop, 1);
	}
	loop_rig_run_until(burst.loop, &count, MANY);
	loop_rig_run_a_while(burst.loop, 5);
	seen.calls = 0;
	loop_rig_write_one(wake);
	loop_rig_run_until(burst.loop, &seen.calls, 1);
	close(fd);
	close(wake);
	free(burst.ios);
	pv_loop_destroy(burst.loop);
}

static void the_ring_does_what_devices_need_and_nothing_else(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct io io;
	struct io_uring_sqe *sqe;
	int count = 0;

	(void)state;
	loop_rig_run_a_while(loop, 1);
	sqe = io_uring_get_sqe(&loop->uring.ring);
	io_uring_prep_rw(IORING_OP_OPENAT, sqe, AT_FDCWD, "/etc/passwd", 0, 0);
	set_up_io(&io, PV_LOOP_READ, -1, 0, &count);
	sqe->user_data = (uintptr_t)&io.io;
	loop_rig_run_until(loop, &count, 1);
	assert_int_equal(io.result, -EACCES);
	pv_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_of_ios_may_be_pending),
		cmocka_unit_test(a_burst_beyond_the_queue_is_submitted_in_pieces),
		cmocka_unit_test(errors_and_short_transfers_are_told_as_the_system_call_would),
		cmocka_unit_test(vectors_sync_and_allocation_do_what_they_say),
		cmocka_unit_test(writes_that_must_be_stable_hold_up_no_reads),
		cmocka_unit_test(a_watch_survives_an_overflow_of_completions),
	};
	const struct CMUnitTest uring_tests[] = {
		cmocka_unit_test(
			a_batch_costs_one_system_call_for_four_and_for_eight_beside_a_busy_disk),
		cmocka_unit_test(the_ring_does_what_devices_need_and_nothing_else),
	};

	const struct CMUnitTest epoll_tests[] = {
		cmocka_unit_test(the_threads_are_few_and_there_before_the_loop_runs),
		cmocka_unit_test(a_loop_without_io_has_no_threads_for_it),
	};

	return loop_rig_run_on_each_engine(tests) + loop_rig_run_on_io_uring(uring_tests) +
	       loop_rig_run_on_epoll(epoll_tests);
}
