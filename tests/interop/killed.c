/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our program is killed under our driver's load and started again: each request is finished once,
 * every byte is what it should be, and the driver has noticed nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "drivers/blk/blk.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "tests/support/disk_load.h"
#include "tests/support/random.h"
#include "tests/support/server.h"

#define KILLS       4u
#define KILLS_LONG  125u
#define LIFE_NS_MAX 30000000u
/* More than a load can do in that time: it is told to end. */
#define TURNS 100000000u

static struct server server;
static struct pv_vhu_bus *bus;
static struct pv_blkdrv *blk;
static char sentence[256];

static void connect_with(uint64_t without)
{
	const struct pv_vhu_bus_options options = { .path = server.socket,
		                                    .device_id = VIRTIO_ID_BLOCK,
		                                    .may_reconnect = true,
		                                    .memory_bytes = 32u << 20 };
	const struct pv_blkdrv_options wish = { .wanted = PV_BLKDRV_FEATURES & ~without,
		                                .queues = 2 };

	if (pv_vhu_bus_create(&bus, &options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
	assert_int_equal(pv_blkdrv_create(&blk, pv_vhu_bus_bus(bus), pv_vhu_bus_os(bus), &wish), 0);
}

static void disconnect(void)
{
	if (blk)
		pv_blkdrv_destroy(blk);
	pv_vhu_bus_destroy(bus);
	blk = NULL;
	bus = NULL;
}

static void replace_server(void)
{
	server_kill(&server);
	server_start_again(&server);
	if (pv_vhu_bus_reconnect(bus, server.socket, -1, sentence, sizeof(sentence)))
		fail_msg("no second back-end: %s", sentence);
}

static void *load(void *arg)
{
	(void)arg;
	return (void *)(uintptr_t)disk_load_run_two(bus, blk, TURNS);
}

static void kill_under_load(uint64_t without)
{
	struct pv_random random = pv_random_start(pv_random_seed(), without);
	uint32_t kills = getenv("PV_LONG") ? KILLS_LONG : KILLS;
	pthread_t thread;
	void *wrong;

	connect_with(without);
	assert_int_equal(pthread_create(&thread, NULL, load, NULL), 0);
	for (uint32_t i = 0; i < kills; i++) {
		const struct timespec nap = { 0, (long)pv_random_below(&random, LIFE_NS_MAX) };

		nanosleep(&nap, NULL);
		replace_server();
	}
	disk_load_end();
	pthread_join(thread, &wrong);
	if (wrong)
		fail_msg("%s", (const char *)wrong);
	assert_false(pv_blkdrv_is_broken(blk));
	disconnect();
}

static bool has_direct_io(void)
{
	const char *folder = getenv("TMPDIR");
	int fd = open(folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void kill_under_each_kind(const char *const *options)
{
	server_start_own(&server, DISK_LOAD_DISK_BYTES, options);
	for (uint32_t kind = 0; kind < 4; kind++)
		kill_under_load((kind & 1 ? VIRTIO_F_RING_PACKED : 0) |
		                (kind & 2 ? VIRTIO_F_INDIRECT_DESC : 0));
	server_stop(&server);
}

static void a_load_does_not_notice_that_the_back_end_is_killed(void **state)
{
	static const char *const options[] = { "--num-queues", "2", NULL };
	static const char *const direct[] = { "--num-queues", "2", "--direct", NULL };

	(void)state;
	/* Past the page cache they end in another order than they began. */
	kill_under_each_kind(has_direct_io() ? direct : options);
}

static void a_load_in_order_does_not_notice_that_the_back_end_is_killed(void **state)
{
	static const char *const options[] = { "--num-queues", "2", "--in-order", NULL };

	(void)state;
	kill_under_each_kind(options);
}

static void a_back_end_without_the_feature_cannot_be_replaced(void **state)
{
	static const char *const options[] = { "--num-queues", "2", NULL };
	const struct pv_vhu_bus_options wish = {
		.path = server.socket,
		.device_id = VIRTIO_ID_BLOCK,
		.may_reconnect = true,
		.protocol_features = PV_VHU_BUS_FEATURES & ~VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
		.memory_bytes = 32u << 20
	};
	const struct pv_blkdrv_options driver = { .wanted = PV_BLKDRV_FEATURES, .queues = 1 };

	(void)state;
	server_start_own(&server, DISK_LOAD_DISK_BYTES, options);
	assert_int_equal(pv_vhu_bus_create(&bus, &wish, sentence, sizeof(sentence)), 0);
	assert_int_equal(pv_blkdrv_create(&blk, pv_vhu_bus_bus(bus), pv_vhu_bus_os(bus), &driver),
	                 0);
	server_kill(&server);
	server_start_again(&server);
	assert_int_equal(pv_vhu_bus_reconnect(bus, server.socket, -1, sentence, sizeof(sentence)),
	                 -ENOTSUP);
	assert_string_equal(sentence, "the back-end has kept no account of what is in flight");
	disconnect();
	server_stop(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_load_does_not_notice_that_the_back_end_is_killed),
		cmocka_unit_test(a_load_in_order_does_not_notice_that_the_back_end_is_killed),
		cmocka_unit_test(a_back_end_without_the_feature_cannot_be_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
