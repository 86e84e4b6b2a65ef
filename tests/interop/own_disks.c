/* SPDX-License-Identifier: BSD-2-Clause */
/* Our drivers on two disks of one process, at the same time. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "drivers/blk/blk.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "ring/err.h"
#include "tests/support/disk_load.h"
#include "tests/support/random.h"
#include "tests/support/server.h"

#define LOAD_TURNS 1000u
#define TIMEOUT_NS 20000000000ull

/* A disk's driver, and the load that one thread puts on one of its queues. */
struct user {
	struct pv_vhu_bus *bus;
	struct pv_blkdrv *blk;
	pthread_t thread;
	uint16_t queue;
	bool is_blocking;
	const char *wrong;
};

static struct server server;
static struct user first, second;

static void connect_to(struct user *user, const char *path)
{
	const struct pv_vhu_bus_options options = { .path = path,
		                                    .device_id = VIRTIO_ID_BLOCK,
		                                    .memory_bytes = 32u << 20 };
	const struct pv_blkdrv_options wish = { .wanted = PV_BLKDRV_FEATURES, .queues = 2 };
	char sentence[256];

	if (pv_vhu_bus_create(&user->bus, &options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
	assert_int_equal(pv_blkdrv_create(&user->blk, pv_vhu_bus_bus(user->bus),
	                                  pv_vhu_bus_os(user->bus), &wish),
	                 0);
}

static void leave(struct user *user)
{
	if (user->blk)
		pv_blkdrv_destroy(user->blk);
	if (user->bus)
		pv_vhu_bus_destroy(user->bus);
	*user = (struct user){ 0 };
}

static int setup(void **state)
{
	(void)state;
	server_start_two(&server, DISK_LOAD_DISK_BYTES);
	connect_to(&first, server.socket);
	connect_to(&second, server.second_socket);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	leave(&first);
	leave(&second);
	server_stop(&server);
	return 0;
}

static void *run(void *arg)
{
	struct user *user = arg;

	user->wrong =
		disk_load_run(user->bus, user->blk, user->queue, user->is_blocking, LOAD_TURNS);
	return NULL;
}

/* A load keeps its state by queue: the two are on queues of different numbers. */
static void run_both(uint16_t queue_of_first, bool is_blocking)
{
	first.queue = queue_of_first;
	second.queue = !queue_of_first;
	first.is_blocking = is_blocking;
	second.is_blocking = !is_blocking;
	pv_random_seed(); /* is found out once, and not by both at once */
	assert_int_equal(pthread_create(&first.thread, NULL, run, &first), 0);
	assert_int_equal(pthread_create(&second.thread, NULL, run, &second), 0);
	pthread_join(first.thread, NULL);
	pthread_join(second.thread, NULL);
	if (first.wrong)
		fail_msg("first: %s", first.wrong);
	if (second.wrong)
		fail_msg("second: %s", second.wrong);
}

/* Queue 0 of the first and queue 1 of the second are on the same loop, and so are the others. */
static void two_disks_under_load_at_once_keep_their_data(void **state)
{
	(void)state;
	for (uint16_t queue = 0; queue < 2; queue++) {
		run_both(queue, false);
		run_both(queue, true);
	}
}

static void a_disk_whose_neighbour_comes_and_goes_keeps_its_data(void **state)
{
	(void)state;
	first.queue = 0;
	assert_int_equal(pthread_create(&first.thread, NULL, run, &first), 0);
	for (int i = 0; i < 20; i++) {
		leave(&second);
		connect_to(&second, server.second_socket);
	}
	pthread_join(first.thread, NULL);
	if (first.wrong)
		fail_msg("first: %s", first.wrong);
	run_both(0, true);
}

static bool has_heard_of_the_end(const struct user *user)
{
	int waited = 0;

	/* The channel may go first. */
	for (int i = 0; i < 3 && waited == 0; i++)
		waited = pv_vhu_bus_wait(user->bus, 0, TIMEOUT_NS);
	return waited == -PV_EIO && pv_blkdrv_is_broken(user->blk);
}

static void a_server_that_is_told_to_end_ends_all_disks(void **state)
{
	(void)state;
	run_both(0, true);
	assert_int_equal(server_end(&server), 0);
	assert_int_equal(access(server.socket, F_OK), -1);
	assert_int_equal(access(server.second_socket, F_OK), -1);
	assert_true(has_heard_of_the_end(&first));
	assert_true(has_heard_of_the_end(&second));
}

#define ON_DISKS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_DISKS(two_disks_under_load_at_once_keep_their_data),
		ON_DISKS(a_disk_whose_neighbour_comes_and_goes_keeps_its_data),
		ON_DISKS(a_server_that_is_told_to_end_ends_all_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
