/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: messages, watches, I/O, pollers, sleeping and stopping, on the engine as the
 * kernel offers it and as an old kernel would.
 */
#define _GNU_SOURCE /* memfd_create, fallocate's flags */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "hosted/loop/loop_internal.h"

static bool is_plain;

static struct pv_loop *loop_polling(uint32_t poll_max_us)
{
	const struct pv_loop_options options = { .name = "test", .poll_max_us = poll_max_us };
	struct pv_loop *loop;

	assert_int_equal(pv_loop_create_plain(&loop, &options, is_plain), 0);
	return loop;
}

static struct pv_loop *a_loop(void)
{
	return loop_polling(50);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

static void write_one(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* A message that calls a function. */
struct task {
	struct pv_loop_message message;
	void (*call)(void *arg);
	void *arg;
};

static void run_task(struct pv_loop_message *message)
{
	struct task *task = (struct task *)message;

	task->call(task->arg);
}

static struct task task_of(void (*call)(void *arg), void *arg)
{
	return (struct task){ .message.run = run_task, .call = call, .arg = arg };
}

static void stop(void *arg)
{
	pv_loop_stop(arg);
}

/* Lets the loop run until it has done all that it can do by itself. */
static void run_a_while(struct pv_loop *loop, int iterations)
{
	for (int i = 0; i < iterations; i++) {
		struct task end = task_of(stop, loop);

		pv_loop_post(loop, &end.message);
		pv_loop_run(loop);
	}
}

/* Runs until `*count` is `wanted`; fails after some seconds. */
static void run_until(struct pv_loop *loop, const int *count, int wanted)
{
	uint64_t end_us = now_us() + 10000000;

	while (*count < wanted && now_us() < end_us)
		run_a_while(loop, 1);
	assert_int_equal(*count, wanted);
}

/* ---- messages ---- */

#define SENDERS  3
#define MESSAGES 20000

struct numbered {
	struct pv_loop_message message;
	struct post_office *office;
	int sender, number;
};

struct post_office {
	struct pv_loop *loop;
	int next[SENDERS];
	int disorders, received;
	struct numbered letter[SENDERS][MESSAGES];
};

static void receive(struct pv_loop_message *message)
{
	struct numbered *letter = (struct numbered *)message;
	struct post_office *office = letter->office;

	if (office->next[letter->sender]++ != letter->number)
		office->disorders++;
	if (++office->received == SENDERS * MESSAGES)
		pv_loop_stop(office->loop);
}

static void *send_letters(void *arg)
{
	struct numbered *letters = arg;

	for (int i = 0; i < MESSAGES; i++)
		pv_loop_post(letters[i].office->loop, &letters[i].message);
	return NULL;
}

static void messages_of_each_thread_arrive_in_their_order(void **state)
{
	struct post_office *office = calloc(1, sizeof(*office));
	pthread_t sender[SENDERS];

	(void)state;
	office->loop = a_loop();
	for (int i = 0; i < SENDERS; i++) {
		for (int k = 0; k < MESSAGES; k++)
			office->letter[i][k] = (struct numbered){ { receive, NULL }, office, i, k };
		pthread_create(&sender[i], NULL, send_letters, office->letter[i]);
	}
	pv_loop_run(office->loop);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(sender[i], NULL);
	assert_int_equal(office->disorders, 0);
	assert_int_equal(office->received, SENDERS * MESSAGES);
	assert_int_equal(pv_loop_counters(office->loop).messages, SENDERS * MESSAGES);
	pv_loop_destroy(office->loop);
	free(office);
}

struct echo {
	struct pv_loop_message message;
	struct pv_loop *loop;
	int runs, depth;
};

static void post_again(struct pv_loop_message *message)
{
	struct echo *echo = (struct echo *)message;

	assert_int_equal(echo->depth++, 0);
	if (++echo->runs < 3)
		pv_loop_post(echo->loop, message);
	else
		pv_loop_stop(echo->loop);
	echo->depth--;
}

static void a_message_posted_by_itself_runs_in_the_next_iteration(void **state)
{
	struct echo echo = { .message.run = post_again, .loop = a_loop() };

	(void)state;
	pv_loop_post(echo.loop, &echo.message);
	pv_loop_run(echo.loop);
	assert_int_equal(echo.runs, 3);
	assert_int_equal(pv_loop_counters(echo.loop).iterations, 3);
	pv_loop_destroy(echo.loop);
}

/* ---- watches ---- */

struct seen {
	int calls;
	int events; /* of the last call */
};

static void see(void *arg, int events)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->events = events;
}

static void each_write_to_an_eventfd_that_nobody_reads_is_told(void **state)
{
	struct pv_loop *loop = a_loop();
	struct seen seen = { 0 };
	int fd = eventfd(0, 0);

	(void)state;
	assert_non_null(pv_loop_watch(loop, fd, POLLIN, see, &seen));
	run_a_while(loop, 2);
	assert_int_equal(seen.calls, 0);
	for (int i = 1; i <= 1000; i++) {
		write_one(fd);
		run_until(loop, &seen.calls, i);
		assert_int_equal(seen.events, POLLIN);
	}
	run_a_while(loop, 3);
	assert_int_equal(seen.calls, 1000);
	close(fd);
	pv_loop_destroy(loop);
}

static void a_write_before_the_watch_is_told_too(void **state)
{
	struct pv_loop *loop = a_loop();
	struct seen seen = { 0 };
	int fd = eventfd(1, 0);

	(void)state;
	pv_loop_watch(loop, fd, POLLIN, see, &seen);
	run_until(loop, &seen.calls, 1);
	close(fd);
	pv_loop_destroy(loop);
}

static void a_socket_whose_other_end_leaves_is_told(void **state)
{
	struct pv_loop *loop = a_loop();
	struct seen seen = { 0 };
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	pv_loop_watch(loop, fd[0], POLLIN, see, &seen);
	run_a_while(loop, 2);
	close(fd[1]);
	while (!(seen.events & POLLHUP))
		run_until(loop, &seen.calls, seen.calls + 1);
	close(fd[0]);
	pv_loop_destroy(loop);
}

struct ending {
	struct pv_loop *loop;
	struct pv_watch *watch[2];
	int calls;
};

static void end_both(void *arg, int events)
{
	struct ending *ending = arg;

	(void)events;
	ending->calls++;
	pv_loop_unwatch(ending->loop, ending->watch[0]);
	pv_loop_unwatch(ending->loop, ending->watch[1]);
}

static void a_callback_may_end_its_own_watch_and_one_that_is_ready_too(void **state)
{
	struct ending ending = { .loop = a_loop() };
	int fd[2] = { eventfd(0, 0), eventfd(0, 0) };

	(void)state;
	for (int i = 0; i < 2; i++)
		ending.watch[i] = pv_loop_watch(ending.loop, fd[i], POLLIN, end_both, &ending);
	run_a_while(ending.loop, 2);
	for (int k = 0; k < 10; k++)
		for (int i = 0; i < 2; i++)
			write_one(fd[i]);
	run_a_while(ending.loop, 5);
	assert_int_equal(ending.calls, 1);
	/* Only the loop's own is left. */
	assert_ptr_equal(ending.loop->watches, ending.loop->wake);
	assert_null(ending.loop->wake->next);
	close(fd[0]);
	close(fd[1]);
	pv_loop_destroy(ending.loop);
}

static void a_watch_ended_before_the_loop_ran_was_never_there(void **state)
{
	struct pv_loop *loop = a_loop();
	struct seen seen = { 0 };
	int fd = eventfd(1, 0);

	(void)state;
	pv_loop_unwatch(loop, pv_loop_watch(loop, fd, POLLIN, see, &seen));
	run_a_while(loop, 3);
	assert_int_equal(seen.calls, 0);
	assert_ptr_equal(loop->watches, loop->wake);
	close(fd);
	pv_loop_destroy(loop);
}

static void a_descriptor_closed_and_taken_by_another_file_is_not_mixed_up(void **state)
{
	struct pv_loop *loop = a_loop();
	struct seen before = { 0 }, after = { 0 };
	struct pv_watch *watch;
	int fd = eventfd(0, 0), again;

	(void)state;
	watch = pv_loop_watch(loop, fd, POLLIN, see, &before);
	run_a_while(loop, 2);
	pv_loop_unwatch(loop, watch);
	close(fd);
	again = eventfd(0, 0);
	assert_int_equal(again, fd);
	pv_loop_watch(loop, again, POLLIN, see, &after);
	run_a_while(loop, 2);
	write_one(again);
	run_until(loop, &after.calls, 1);
	assert_int_equal(before.calls, 0);
	close(again);
	pv_loop_destroy(loop);
}

/* The other end of a pair of which a watched end was closed learns of it once the watch is gone. */
static void a_socket_closed_after_its_watch_ended_is_really_closed(void **state)
{
	struct pv_loop *loop = a_loop();
	struct seen seen = { 0 };
	struct pv_watch *watch;
	int fd[2];
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	watch = pv_loop_watch(loop, fd[0], POLLIN, see, &seen);
	run_a_while(loop, 2);
	pv_loop_unwatch(loop, watch);
	close(fd[0]);
	run_a_while(loop, 2);
	assert_int_equal(read(fd[1], &byte, 1), 0);
	close(fd[1]);
	pv_loop_destroy(loop);
}

static void what_cannot_be_waited_for_is_told_once(void **state)
{
	struct pv_loop *loop = a_loop();
	struct seen seen = { 0 };
	struct pv_watch *watch;

	(void)state;
	watch = pv_loop_watch(loop, 12345, POLLIN, see, &seen);
	run_a_while(loop, 5);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.events, -EBADF);
	pv_loop_unwatch(loop, watch);
	run_a_while(loop, 2);
	assert_ptr_equal(loop->watches, loop->wake);
	pv_loop_destroy(loop);
}

static void a_file_that_is_always_ready_is_told_once(void **state)
{
	struct pv_loop *loop = a_loop();
	struct seen seen = { 0 };
	int fd = memfd_create("file", 0);

	(void)state;
	pv_loop_watch(loop, fd, POLLIN, see, &seen);
	run_a_while(loop, 5);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.events, POLLIN);
	close(fd);
	pv_loop_destroy(loop);
}

/* ---- I/O ---- */

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
	struct pv_loop *loop = a_loop();
	struct io *ios = calloc(MANY, sizeof(*ios));
	int fd = memfd_create("disk", 0), count = 0;

	(void)state;
	/* Before the loop runs nothing can be submitted: all of these wait. */
	for (int i = 0; i < MANY; i++) {
		set_up_io(&ios[i], PV_LOOP_WRITE, fd, (uint64_t)i, &count);
		memset(ios[i].data, i % 251, BLOCK);
		pv_loop_io_submit(loop, &ios[i].io);
	}
	run_until(loop, &count, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(ios[i].result, BLOCK);
		memset(ios[i].data, 0xff, BLOCK);
		set_up_io(&ios[i], PV_LOOP_READ, fd, (uint64_t)i, &count);
		pv_loop_io_submit(loop, &ios[i].io);
	}
	run_until(loop, &count, 2 * MANY);
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
	struct burst burst = { a_loop(), calloc(MANY, sizeof(struct io)), MANY };
	struct task task = task_of(submit_burst, &burst);
	int fd = memfd_create("disk", 0), count = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		set_up_io(&burst.ios[i], PV_LOOP_WRITE, fd, (uint64_t)i, &count);
	pv_loop_post(burst.loop, &task.message);
	run_until(burst.loop, &count, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(burst.ios[i].result, BLOCK);
	close(fd);
	free(burst.ios);
	pv_loop_destroy(burst.loop);
}

/* From a file that is read without waiting, so that nothing depends on when a disk answers. */
static void a_batch_of_ios_costs_one_system_call_for_four(void **state)
{
	struct burst burst = { a_loop(), calloc(100, sizeof(struct io)), 100 };
	struct task task = task_of(submit_burst, &burst);
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC), count = 0;
	uint64_t submits;

	(void)state;
	for (int i = 0; i < 100; i++)
		set_up_io(&burst.ios[i], PV_LOOP_READ, fd, (uint64_t)i, &count);
	run_a_while(burst.loop, 2);
	submits = pv_loop_counters(burst.loop).submits;
	pv_loop_post(burst.loop, &task.message);
	run_until(burst.loop, &count, 100);
	assert_int_equal(pv_loop_counters(burst.loop).submits - submits, 100 / 4);
	close(fd);
	free(burst.ios);
	pv_loop_destroy(burst.loop);
}

static void errors_and_short_transfers_are_told_as_the_system_call_would(void **state)
{
	struct pv_loop *loop = a_loop();
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
	run_until(loop, &count, 6);
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
	struct pv_loop *loop = a_loop();
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
	run_until(loop, &count, 1);
	assert_int_equal(io->result, 30);
	assert_int_equal(pread(fd, text, 30, 0), 30);
	assert_string_equal(text, "aaaaaaaaaabbbbbbbbbbbbbbbbbbbb");

	set_up_io(io, PV_LOOP_SYNC, fd, 0, &count);
	pv_loop_io_submit(loop, &io->io);
	run_until(loop, &count, 2);
	assert_int_equal(io->result, 0);

	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	set_up_io(io, PV_LOOP_ALLOCATE, fd, 0, &count);
	io->io.flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	io->io.bytes = 1 << 20;
	pv_loop_io_submit(loop, &io->io);
	run_until(loop, &count, 3);
	assert_int_equal(io->result, 0);
	assert_int_equal(fstat(fd, &stat), 0);
	assert_int_equal(stat.st_blocks, 0);
	close(fd);
	free(io);
	pv_loop_destroy(loop);
}

/* While I/O floods the completion queue the kernel lets go of watches. */
static void a_watch_survives_an_overflow_of_completions(void **state)
{
	struct burst burst = { a_loop(), calloc(MANY, sizeof(struct io)), MANY };
	struct task task = task_of(submit_burst, &burst);
	int fd = memfd_create("disk", 0), wake = eventfd(0, 0), count = 0;
	struct seen seen = { 0 };

	(void)state;
	for (int i = 0; i < MANY; i++)
		set_up_io(&burst.ios[i], PV_LOOP_READ, fd, (uint64_t)i, &count);
	pv_loop_watch(burst.loop, wake, POLLIN, see, &seen);
	run_a_while(burst.loop, 2);
	pv_loop_post(burst.loop, &task.message);
	for (int i = 0; i < 100; i++) {
		write_one(wake);
		run_a_while(burst.loop, 1);
	}
	run_until(burst.loop, &count, MANY);
	run_a_while(burst.loop, 5);
	seen.calls = 0;
	write_one(wake);
	run_until(burst.loop, &seen.calls, 1);
	close(fd);
	close(wake);
	free(burst.ios);
	pv_loop_destroy(burst.loop);
}

static void the_ring_does_what_devices_need_and_nothing_else(void **state)
{
	struct pv_loop *loop = a_loop();
	struct io io;
	struct io_uring_sqe *sqe;
	int count = 0;

	(void)state;
	run_a_while(loop, 1);
	sqe = io_uring_get_sqe(&loop->uring.ring);
	io_uring_prep_rw(IORING_OP_OPENAT, sqe, AT_FDCWD, "/etc/passwd", 0, 0);
	set_up_io(&io, PV_LOOP_READ, -1, 0, &count);
	sqe->user_data = (uintptr_t)&io.io;
	run_until(loop, &count, 1);
	assert_int_equal(io.result, -EACCES);
	pv_loop_destroy(loop);
}

/* ---- stopping ---- */

static void *stop_later(void *arg)
{
	usleep(20000);
	pv_loop_stop(arg);
	return NULL;
}

static void another_thread_stops_a_sleeping_loop(void **state)
{
	struct pv_loop *loop = a_loop();
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, stop_later, loop);
	pv_loop_run(loop);
	pthread_join(thread, NULL);
	assert_int_equal(pv_loop_counters(loop).sleeps, 1);
	pv_loop_destroy(loop);
}

static struct pv_loop *loop_of_signal;

static void stop_by_signal(int number)
{
	(void)number;
	pv_loop_stop(loop_of_signal);
}

static void a_signal_handler_stops_the_loop(void **state)
{
	struct sigaction action = { .sa_handler = stop_by_signal }, before;
	struct itimerval timer = { .it_value.tv_usec = 1 };

	(void)state;
	loop_of_signal = a_loop();
	sigaction(SIGALRM, &action, &before);
	for (int i = 0; i < 200; i++) {
		timer.it_value.tv_usec = 1 + i;
		setitimer(ITIMER_REAL, &timer, NULL);
		pv_loop_run(loop_of_signal);
	}
	sigaction(SIGALRM, &before, NULL);
	pv_loop_destroy(loop_of_signal);
}

static void a_loop_stopped_before_it_ran_returns_at_once_and_can_run_again(void **state)
{
	struct pv_loop *loop = a_loop();

	(void)state;
	pv_loop_stop(loop);
	pv_loop_run(loop);
	assert_int_equal(pv_loop_counters(loop).iterations, 0);
	run_a_while(loop, 1);
	assert_int_equal(pv_loop_counters(loop).iterations, 1);
	pv_loop_destroy(loop);
}

static void note_thread(void *arg)
{
	sigset_t *blocked = arg;

	pthread_sigmask(SIG_SETMASK, NULL, blocked);
}

static void a_thread_of_the_loop_takes_no_signals_but_faults(void **state)
{
	struct pv_loop *loop = a_loop();
	sigset_t blocked;
	struct task task = task_of(note_thread, &blocked);

	(void)state;
	pv_loop_post(loop, &task.message);
	assert_int_equal(pv_loop_thread_start(loop), 0);
	while (pv_loop_counters(loop).messages == 0)
		usleep(1000);
	pv_loop_thread_join(loop);
	assert_true(sigismember(&blocked, SIGTERM));
	assert_true(sigismember(&blocked, SIGALRM));
	assert_false(sigismember(&blocked, SIGBUS));
	assert_false(sigismember(&blocked, SIGSEGV));
	pv_loop_destroy(loop);
}

/* ---- pollers ---- */

struct probe {
	struct pv_poller poller;
	struct pv_loop *loop;
	int work;     /* polls that will find something */
	int refusals; /* times it will say there is work after all */
	int polls, arms, disarms;
	bool is_armed, was_asleep_unarmed;
	struct pv_poller *leaves; /* removed at the next poll */
	bool must_stop;
};

static bool probe_poll(struct pv_poller *poller)
{
	struct probe *probe = (struct probe *)poller;

	probe->polls++;
	if (probe->leaves)
		pv_loop_poller_remove(probe->loop, probe->leaves);
	probe->leaves = NULL;
	if (probe->work == 1 && probe->must_stop)
		pv_loop_stop(probe->loop);
	return probe->work > 0 && probe->work-- > 0;
}

static bool probe_arm(struct pv_poller *poller)
{
	struct probe *probe = (struct probe *)poller;

	probe->arms++;
	probe->is_armed = true;
	return probe->refusals > 0 && probe->refusals-- > 0;
}

static void probe_disarm(struct pv_poller *poller)
{
	struct probe *probe = (struct probe *)poller;

	probe->disarms++;
	probe->is_armed = false;
}

static struct probe probe_on(struct pv_loop *loop)
{
	return (struct probe){ .poller = { probe_poll, probe_arm, probe_disarm, NULL },
		               .loop = loop };
}

static void a_loop_with_work_neither_sleeps_nor_calls_the_kernel(void **state)
{
	struct pv_loop *loop = a_loop();
	struct probe probe = probe_on(loop);
	uint64_t submits;

	(void)state;
	run_a_while(loop, 2);
	probe.work = 1000;
	probe.must_stop = true;
	pv_loop_poller_add(loop, &probe.poller);
	submits = pv_loop_counters(loop).submits;
	pv_loop_run(loop);
	assert_int_equal(probe.polls, 1000);
	assert_int_equal(pv_loop_counters(loop).submits, submits);
	assert_int_equal(probe.arms, 0);
	pv_loop_destroy(loop);
}

static void before_a_sleep_pollers_are_armed_and_after_it_disarmed(void **state)
{
	struct pv_loop *loop = loop_polling(0);
	struct probe one = probe_on(loop), two = probe_on(loop);
	pthread_t thread;

	(void)state;
	pv_loop_poller_add(loop, &one.poller);
	pv_loop_poller_add(loop, &two.poller);
	pthread_create(&thread, NULL, stop_later, loop);
	pv_loop_run(loop);
	pthread_join(thread, NULL);
	assert_int_equal(pv_loop_counters(loop).sleeps, 1);
	assert_int_equal(one.arms, 1);
	assert_int_equal(two.arms, 1);
	assert_false(one.is_armed);
	assert_false(two.is_armed);
	pv_loop_destroy(loop);
}

static void a_poller_with_work_after_all_keeps_the_loop_awake(void **state)
{
	struct pv_loop *loop = loop_polling(0);
	struct probe probe = probe_on(loop);
	pthread_t thread;

	(void)state;
	probe.refusals = 100;
	pv_loop_poller_add(loop, &probe.poller);
	pthread_create(&thread, NULL, stop_later, loop);
	pv_loop_run(loop);
	pthread_join(thread, NULL);
	assert_int_equal(probe.arms, 101);
	assert_int_equal(pv_loop_counters(loop).sleeps, 1);
	assert_true(pv_loop_counters(loop).yields > 0);
	pv_loop_destroy(loop);
}

static void a_poller_may_remove_itself_and_the_one_behind_it(void **state)
{
	struct pv_loop *loop = a_loop();
	struct probe first = probe_on(loop), second = probe_on(loop), third = probe_on(loop);

	(void)state;
	/* The newest is polled first. */
	pv_loop_poller_add(loop, &third.poller);
	pv_loop_poller_add(loop, &second.poller);
	pv_loop_poller_add(loop, &first.poller);
	first.leaves = &second.poller;
	run_a_while(loop, 1);
	assert_int_equal(second.polls, 0);
	assert_int_equal(third.polls, 1);
	first.leaves = &first.poller;
	run_a_while(loop, 2);
	assert_int_equal(first.polls, 2);
	assert_int_equal(third.polls, 3);
	third.leaves = &third.poller;
	run_a_while(loop, 2);
	assert_int_equal(third.polls, 4);
	pv_loop_destroy(loop);
}

/* Counters instead of CPU time: a loop that does not iterate uses none. */
static void an_idle_loop_does_nothing_at_all(void **state)
{
	struct pv_loop *loop = loop_polling(200);
	struct probe probe = probe_on(loop);
	struct pv_loop_counters before, after;

	(void)state;
	probe.work = 1000;
	pv_loop_poller_add(loop, &probe.poller);
	assert_int_equal(pv_loop_thread_start(loop), 0);
	while (pv_loop_counters(loop).sleeps == 0)
		usleep(1000);
	usleep(100000);
	before = pv_loop_counters(loop);
	usleep(300000);
	after = pv_loop_counters(loop);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(after.sleeps, 1);
	pv_loop_thread_join(loop);
	pv_loop_destroy(loop);
}

/* ---- a ring in miniature, and no wake-up lost ---- */

struct ping {
	struct pv_poller poller;
	struct pv_loop *loop;
	uint32_t asked __attribute__((aligned(64)));
	uint32_t answered __attribute__((aligned(64)));
	bool wants_kicks __attribute__((aligned(64)));
	uint32_t seen;
	int kick;
};

static bool ping_poll(struct pv_poller *poller)
{
	struct ping *ping = (struct ping *)poller;
	uint32_t asked = __atomic_load_n(&ping->asked, __ATOMIC_ACQUIRE);

	if (asked == ping->seen)
		return false;
	ping->seen = asked;
	__atomic_store_n(&ping->answered, asked, __ATOMIC_RELEASE);
	return true;
}

static bool ping_arm(struct pv_poller *poller)
{
	struct ping *ping = (struct ping *)poller;

	__atomic_store_n(&ping->wants_kicks, true, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&ping->asked, __ATOMIC_SEQ_CST) != ping->seen;
}

static void ping_disarm(struct pv_poller *poller)
{
	__atomic_store_n(&((struct ping *)poller)->wants_kicks, false, __ATOMIC_RELAXED);
}

static bool ask(struct ping *ping)
{
	uint64_t end_us = now_us() + 5000000;
	uint32_t asked = ping->asked + 1;

	__atomic_store_n(&ping->asked, asked, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&ping->wants_kicks, __ATOMIC_SEQ_CST))
		write_one(ping->kick);
	while (__atomic_load_n(&ping->answered, __ATOMIC_ACQUIRE) != asked)
		if (now_us() > end_us)
			return false;
	return true;
}

static void count_message(struct pv_loop_message *message)
{
	struct numbered *letter = (struct numbered *)message;

	__atomic_add_fetch(&letter->number, 1, __ATOMIC_RELEASE);
}

static bool send_and_wait(struct pv_loop *loop, struct numbered *letter)
{
	uint64_t end_us = now_us() + 5000000;
	int before = __atomic_load_n(&letter->number, __ATOMIC_ACQUIRE);

	pv_loop_post(loop, &letter->message);
	while (__atomic_load_n(&letter->number, __ATOMIC_ACQUIRE) == before)
		if (now_us() > end_us)
			return false;
	return true;
}

/*
 * Requests and messages at all distances from the moment the loop falls asleep; those about as long
 * as it polls, and as it takes to arm, are the dangerous ones.
 */
static void no_kick_and_no_message_is_lost(void **state)
{
	struct ping ping = { .poller = { ping_poll, ping_arm, ping_disarm, NULL } };
	struct numbered letter = { .message.run = count_message };
	uint64_t end_us = now_us() + 800000;
	const char *env = getenv("PV_SEED");
	unsigned int seed = env ? (unsigned int)strtoul(env, NULL, 0) : (unsigned int)now_us();

	(void)state;
	print_message("PV_SEED=%u\n", seed);
	ping.loop = loop_polling(20);
	ping.kick = eventfd(0, 0);
	pv_loop_poller_add(ping.loop, &ping.poller);
	pv_loop_watch(ping.loop, ping.kick, POLLIN, see, &(struct seen){ 0 });
	assert_int_equal(pv_loop_thread_start(ping.loop), 0);
	while (now_us() < end_us) {
		for (int pause = rand_r(&seed) % 3000; pause > 0; pause--)
			__asm__ volatile("");
		if (rand_r(&seed) % 64 == 0)
			usleep(60);
		if (rand_r(&seed) % 4)
			assert_true(ask(&ping));
		else
			assert_true(send_and_wait(ping.loop, &letter));
	}
	print_message("%u requests, %d messages, %llu sleeps\n", ping.asked, letter.number,
	              (unsigned long long)pv_loop_counters(ping.loop).sleeps);
	pv_loop_thread_join(ping.loop);
	close(ping.kick);
	pv_loop_destroy(ping.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_each_thread_arrive_in_their_order),
		cmocka_unit_test(a_message_posted_by_itself_runs_in_the_next_iteration),
		cmocka_unit_test(each_write_to_an_eventfd_that_nobody_reads_is_told),
		cmocka_unit_test(a_write_before_the_watch_is_told_too),
		cmocka_unit_test(a_socket_whose_other_end_leaves_is_told),
		cmocka_unit_test(a_callback_may_end_its_own_watch_and_one_that_is_ready_too),
		cmocka_unit_test(a_watch_ended_before_the_loop_ran_was_never_there),
		cmocka_unit_test(a_descriptor_closed_and_taken_by_another_file_is_not_mixed_up),
		cmocka_unit_test(a_socket_closed_after_its_watch_ended_is_really_closed),
		cmocka_unit_test(what_cannot_be_waited_for_is_told_once),
		cmocka_unit_test(a_file_that_is_always_ready_is_told_once),
		cmocka_unit_test(any_number_of_ios_may_be_pending),
		cmocka_unit_test(a_burst_beyond_the_queue_is_submitted_in_pieces),
		cmocka_unit_test(a_batch_of_ios_costs_one_system_call_for_four),
		cmocka_unit_test(errors_and_short_transfers_are_told_as_the_system_call_would),
		cmocka_unit_test(vectors_sync_and_allocation_do_what_they_say),
		cmocka_unit_test(a_watch_survives_an_overflow_of_completions),
		cmocka_unit_test(the_ring_does_what_devices_need_and_nothing_else),
		cmocka_unit_test(another_thread_stops_a_sleeping_loop),
		cmocka_unit_test(a_signal_handler_stops_the_loop),
		cmocka_unit_test(a_loop_stopped_before_it_ran_returns_at_once_and_can_run_again),
		cmocka_unit_test(a_thread_of_the_loop_takes_no_signals_but_faults),
		cmocka_unit_test(a_loop_with_work_neither_sleeps_nor_calls_the_kernel),
		cmocka_unit_test(before_a_sleep_pollers_are_armed_and_after_it_disarmed),
		cmocka_unit_test(a_poller_with_work_after_all_keeps_the_loop_awake),
		cmocka_unit_test(a_poller_may_remove_itself_and_the_one_behind_it),
		cmocka_unit_test(an_idle_loop_does_nothing_at_all),
		cmocka_unit_test(no_kick_and_no_message_is_lost),
	};
	int failed;

	failed = cmocka_run_group_tests_name("engine as offered", tests, NULL, NULL);
	is_plain = true;
	return failed + cmocka_run_group_tests_name("engine of an old kernel", tests, NULL, NULL);
}
