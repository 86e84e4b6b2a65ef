/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop: messages, pollers, sleeping and stopping, on each engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/support/loop_rig.h"

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
	office->loop = loop_rig_make();
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
	struct echo echo = { .message.run = post_again, .loop = loop_rig_make() };

	(void)state;
	pv_loop_post(echo.loop, &echo.message);
	pv_loop_run(echo.loop);
	assert_int_equal(echo.runs, 3);
	assert_int_equal(pv_loop_counters(echo.loop).iterations, 3);
	pv_loop_destroy(echo.loop);
}

/* ---- stopping ---- */

static void *stop_when_asleep(void *arg)
{
	while (pv_loop_counters(arg).sleeps == 0)
		usleep(1000);
	pv_loop_stop(arg);
	return NULL;
}

static void another_thread_stops_a_sleeping_loop(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, stop_when_asleep, loop);
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
	loop_of_signal = loop_rig_make();
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
	struct pv_loop *loop = loop_rig_make();

	(void)state;
	pv_loop_stop(loop);
	pv_loop_run(loop);
	assert_int_equal(pv_loop_counters(loop).iterations, 0);
	loop_rig_run_a_while(loop, 1);
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
	struct pv_loop *loop = loop_rig_make();
	sigset_t blocked;
	struct task task = loop_rig_task(note_thread, &blocked);

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
	struct pv_loop *loop = loop_rig_make();
	struct probe probe = probe_on(loop);
	uint64_t submits, looks = 0;

	(void)state;
	/* Where nothing in memory tells of news, a look now and then is a call. */
	if (loop_rig_engine == &pv_epoll_ops)
		looks = 1000 / PV_EPOLL_ITERATIONS_PER_LOOK;
	loop_rig_run_a_while(loop, 2);
	probe.work = 1000;
	probe.must_stop = true;
	pv_loop_poller_add(loop, &probe.poller);
	submits = pv_loop_counters(loop).submits;
	pv_loop_run(loop);
	assert_int_equal(probe.polls, 1000);
	assert_in_range(pv_loop_counters(loop).submits - submits, looks, looks + (looks > 0));
	assert_int_equal(probe.arms, 0);
	pv_loop_destroy(loop);
}

static void before_a_sleep_pollers_are_armed_and_after_it_disarmed(void **state)
{
	struct pv_loop *loop = loop_rig_make_polling(0);
	struct probe one = probe_on(loop), two = probe_on(loop);
	pthread_t thread;

	(void)state;
	pv_loop_poller_add(loop, &one.poller);
	pv_loop_poller_add(loop, &two.poller);
	pthread_create(&thread, NULL, stop_when_asleep, loop);
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
	struct pv_loop *loop = loop_rig_make_polling(0);
	struct probe probe = probe_on(loop);
	pthread_t thread;

	(void)state;
	probe.refusals = 100;
	pv_loop_poller_add(loop, &probe.poller);
	pthread_create(&thread, NULL, stop_when_asleep, loop);
	pv_loop_run(loop);
	pthread_join(thread, NULL);
	assert_int_equal(probe.arms, 101);
	assert_int_equal(pv_loop_counters(loop).sleeps, 1);
	assert_true(pv_loop_counters(loop).yields > 0);
	pv_loop_destroy(loop);
}

/* It would poll for ten seconds. */
static void beside_a_busy_disk_nothing_is_polled_for(void **state)
{
	struct pv_loop *loop = loop_rig_make_polling(10000000);
	struct probe probe = probe_on(loop);
	pthread_t thread;

	(void)state;
	pv_loop_poller_add(loop, &probe.poller);
	loop->gap = &loop->pace[1];
	loop->gap->budget_ns = loop->gap->max_ns;
	loop->ios_out = 8;
	pthread_create(&thread, NULL, stop_when_asleep, loop);
	pv_loop_run(loop);
	pthread_join(thread, NULL);
	assert_in_range(probe.polls, 10, 30);
	loop->ios_out = 0;
	pv_loop_destroy(loop);
}

static void a_poller_may_remove_itself_and_the_one_behind_it(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct probe first = probe_on(loop), second = probe_on(loop), third = probe_on(loop);

	(void)state;
	/* The newest is polled first. */
	pv_loop_poller_add(loop, &third.poller);
	pv_loop_poller_add(loop, &second.poller);
	pv_loop_poller_add(loop, &first.poller);
	first.leaves = &second.poller;
	loop_rig_run_a_while(loop, 1);
	assert_int_equal(second.polls, 0);
	assert_int_equal(third.polls, 1);
	first.leaves = &first.poller;
	loop_rig_run_a_while(loop, 2);
	assert_int_equal(first.polls, 2);
	assert_int_equal(third.polls, 3);
	third.leaves = &third.poller;
	loop_rig_run_a_while(loop, 2);
	assert_int_equal(third.polls, 4);
	pv_loop_destroy(loop);
}

/* Counters instead of CPU time: a loop that does not iterate uses none. */
static void an_idle_loop_does_nothing_at_all(void **state)
{
	struct pv_loop *loop = loop_rig_make_polling(200);
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
	uint64_t end_us = loop_rig_now_us() + 5000000;
	uint32_t asked = ping->asked + 1;

	__atomic_store_n(&ping->asked, asked, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&ping->wants_kicks, __ATOMIC_SEQ_CST))
		loop_rig_write_one(ping->kick);
	while (__atomic_load_n(&ping->answered, __ATOMIC_ACQUIRE) != asked)
		if (loop_rig_now_us() > end_us)
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
	uint64_t end_us = loop_rig_now_us() + 5000000;
	int before = __atomic_load_n(&letter->number, __ATOMIC_ACQUIRE);

	pv_loop_post(loop, &letter->message);
	while (__atomic_load_n(&letter->number, __ATOMIC_ACQUIRE) == before)
		if (loop_rig_now_us() > end_us)
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
	uint64_t end_us = loop_rig_now_us() + 800000;
	const char *env = getenv("PV_SEED");
	unsigned int seed = env ? (unsigned int)strtoul(env, NULL, 0)
	                        : (unsigned int)loop_rig_now_us();

	(void)state;
	print_message("PV_SEED=%u\n", seed);
	ping.loop = loop_rig_make_polling(20);
	ping.kick = eventfd(0, 0);
	pv_loop_poller_add(ping.loop, &ping.poller);
	pv_loop_watch(ping.loop, ping.kick, POLLIN, loop_rig_see, &(struct seen){ 0 });
	assert_int_equal(pv_loop_thread_start(ping.loop), 0);
	while (loop_rig_now_us() < end_us) {
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

/* The ring's own end comes later, and would hold the file open till then. */
static void what_is_watched_is_let_go_of_with_the_loop(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 200; i++) {
		struct pv_loop *loop = loop_rig_make();
		struct seen seen = { 0 };
		int fd[2];

		assert_int_equal(pipe(fd), 0);
		assert_non_null(pv_loop_watch(loop, fd[0], POLLIN, loop_rig_see, &seen));
		if (i % 2) {
			assert_int_equal(pv_loop_thread_start(loop), 0);
			pv_loop_thread_join(loop);
		} else {
			loop_rig_run_a_while(loop, 3);
		}
		pv_loop_destroy(loop);
		close(fd[0]);
		assert_int_equal(write(fd[1], "x", 1), -1);
		assert_int_equal(errno, EPIPE);
		close(fd[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_each_thread_arrive_in_their_order),
		cmocka_unit_test(a_message_posted_by_itself_runs_in_the_next_iteration),
		cmocka_unit_test(another_thread_stops_a_sleeping_loop),
		cmocka_unit_test(a_signal_handler_stops_the_loop),
		cmocka_unit_test(a_loop_stopped_before_it_ran_returns_at_once_and_can_run_again),
		cmocka_unit_test(a_thread_of_the_loop_takes_no_signals_but_faults),
		cmocka_unit_test(a_loop_with_work_neither_sleeps_nor_calls_the_kernel),
		cmocka_unit_test(before_a_sleep_pollers_are_armed_and_after_it_disarmed),
		cmocka_unit_test(a_poller_with_work_after_all_keeps_the_loop_awake),
		cmocka_unit_test(beside_a_busy_disk_nothing_is_polled_for),
		cmocka_unit_test(a_poller_may_remove_itself_and_the_one_behind_it),
		cmocka_unit_test(an_idle_loop_does_nothing_at_all),
		cmocka_unit_test(no_kick_and_no_message_is_lost),
		cmocka_unit_test(what_is_watched_is_let_go_of_with_the_loop),
	};

	return loop_rig_run_on_each_engine(tests);
}
