/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk that another process of ours serves, behind our PCI and MMIO transports, with our driver
 * in front: what a monitor with a remote device is made of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/blk/blk.h"
#include "ring/err.h"
#include "tests/support/each.h"
#include "tests/support/remote_rig.h"
#include "tests/support/server.h"

#define DISK_BYTES (4u << 20)
#define SECTORS    64u
#define REQUESTS   16u
#define TIMEOUT_NS 20000000000ull

static struct server server;
static struct remote_rig rig;
static struct pv_blkdrv *blk;
static uint8_t *block[REQUESTS];
static struct pv_buffer buffer[REQUESTS];
static struct pv_blkdrv_request request[REQUESTS];

static const struct {
	uint64_t features;
} rings[] = {
	{ 0 },
	{ VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC },
	{ VIRTIO_F_RING_PACKED },
	{ VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC },
};

#define RINGS (sizeof(rings) / sizeof(rings[0]))

/* ---- from the beginning to the end ---- */

static void open_device(enum remote_bus kind, bool reconnects)
{
	remote_rig_init(&rig, PV_REMOTE_BLK, kind);
	rig.path = server.socket;
	rig.options.queues = 2;
	rig.options.reconnects = reconnects;
	if (remote_rig_open(&rig))
		fail_msg("%s", rig.sentence);
}

static void create_driver(uint64_t ring_features)
{
	const uint64_t choice = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_RING_PACKED;
	const struct pv_blkdrv_options options = {
		.required = ring_features,
		.wanted = (PV_BLKDRV_FEATURES & ~choice) | ring_features,
		.queues = 2,
	};
	struct pv_gpa gpa;

	assert_int_equal(pv_blkdrv_create(&blk, rig.bus, &rig.guest.base.os, &options), 0);
	assert_int_equal(pv_blkdrv_disk(blk)->queues, 2);
	assert_int_equal(pv_blkdrv_capacity(blk), DISK_BYTES / 512);
	remote_rig_set_vectors(&rig);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		block[i] =
			rig.guest.base.os.ops->shared_alloc(&rig.guest.base.os, 4096, 4096, &gpa);
		assert_non_null(block[i]);
	}
}

static void open_all(enum remote_bus kind, uint64_t ring_features, bool reconnects)
{
	open_device(kind, reconnects);
	create_driver(ring_features);
}

static void close_all(void)
{
	pv_blkdrv_destroy(blk);
	assert_int_equal(pv_device_status(rig.device), 0);
	remote_rig_close(&rig);
}

/* ---- a load ---- */

static void submit(uint32_t i, enum pv_blkdrv_op op, uint8_t salt)
{
	if (op == PV_BLKDRV_WRITE)
		memset(block[i], (int)(salt + i), 4096);
	else
		memset(block[i], 0xee, 4096);
	buffer[i] = (struct pv_buffer){ .memory = block[i], .bytes = 4096 };
	request[i] = (struct pv_blkdrv_request){
		.op = op, .sector = 8 * i, .buffers = 1, .buffer = &buffer[i]
	};
	assert_int_equal(pv_blkdrv_submit(pv_blkdrv_queue(blk, (uint16_t)(i % 2)), &request[i]), 0);
}

static void submit_all(enum pv_blkdrv_op op, uint8_t salt)
{
	for (uint32_t i = 0; i < REQUESTS; i++)
		submit(i, op, salt);
	pv_blkdrv_publish(pv_blkdrv_queue(blk, 0));
	pv_blkdrv_publish(pv_blkdrv_queue(blk, 1));
}

static void wait_all(void)
{
	for (uint32_t i = 0; i < REQUESTS; i++) {
		assert_int_equal(pv_blkdrv_wait(pv_blkdrv_queue(blk, (uint16_t)(i % 2)),
		                                &request[i], TIMEOUT_NS),
		                 0);
		assert_int_equal(request[i].error, 0);
	}
}

static void check_all(uint8_t salt)
{
	submit_all(PV_BLKDRV_READ, 0);
	wait_all();
	for (uint32_t i = 0; i < REQUESTS; i++)
		for (uint32_t byte = 0; byte < 4096; byte++)
			assert_int_equal(block[i][byte], (uint8_t)(salt + i));
}

static void round_trip(uint8_t salt)
{
	submit_all(PV_BLKDRV_WRITE, salt);
	wait_all();
	check_all(salt);
}

/* ---- the tests ---- */

static void on_every_bus_and_ring(void (*body)(void))
{
	for (int kind = 0; kind < REMOTE_BUSES; kind++)
		for (size_t i = 0; i < RINGS; i++) {
			open_all((enum remote_bus)kind, rings[i].features, false);
			body();
			close_all();
		}
}

#define ON_EVERY_BUS_AND_RING(name) PV_TEST_EACH(on_every_bus_and_ring, name)

ON_EVERY_BUS_AND_RING(requests_go_through)
{
	for (uint8_t i = 0; i < 5; i++)
		round_trip((uint8_t)(31 * i));
}

ON_EVERY_BUS_AND_RING(a_queue_is_reset_and_works_again)
{
	for (uint8_t i = 0; i < 3; i++) {
		round_trip(i);
		assert_int_equal(pv_blkdrv_queue_reset(pv_blkdrv_queue(blk, 1)), 0);
		round_trip((uint8_t)(i + 100));
	}
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

/* What the far side had begun is finished, what it had not is done when the device goes on. */
ON_EVERY_BUS_AND_RING(a_device_is_paused_and_goes_on_under_load)
{
	for (uint8_t i = 0; i < 5; i++) {
		bool is_paused = false;

		submit_all(PV_BLKDRV_WRITE, i);
		assert_int_equal(
			pv_device_pause(rig.device, (struct pv_waiter){ note, &is_paused }), 0);
		assert_true(is_paused);
		assert_int_equal(rig.device->queue[0].state, PV_QUEUE_PAUSED);
		pv_device_resume(rig.device);
		wait_all();
		check_all(i);
	}
}

ON_EVERY_BUS_AND_RING(a_driver_comes_after_another)
{
	round_trip(1);
	pv_blkdrv_destroy(blk);
	create_driver(0);
	round_trip(2);
	pv_blkdrv_destroy(blk);
	create_driver(VIRTIO_F_RING_PACKED);
	round_trip(3);
}

/* No loop of ours runs between the kick and the interrupt. */
static void kicks_and_interrupts_pass_us_by(void **state)
{
	uint32_t calls;

	(void)state;
	open_all(REMOTE_ON_PCI, 0, false);
	round_trip(1);
	calls = remote_rig_calls(&rig);
	for (uint32_t i = 0; i < 20; i++) {
		struct pv_blkdrv_queue *queue = pv_blkdrv_queue(blk, (uint16_t)(i % 2));

		while (remote_rig_is_interrupted(&rig, (uint16_t)(i % 2), 0))
			;
		assert_false(pv_blkdrv_interrupts_on(queue));
		submit(i % REQUESTS, PV_BLKDRV_READ, 0);
		pv_blkdrv_publish(queue);
		assert_true(remote_rig_is_interrupted(&rig, (uint16_t)(i % 2), 20000));
		assert_int_equal(pv_blkdrv_poll(queue), 1);
	}
	assert_int_equal(remote_rig_calls(&rig), calls);
	close_all();
}

/* Without vectors it is a function of ours that interrupts. */
static void without_a_vector_we_interrupt(void **state)
{
	(void)state;
	for (int kind = REMOTE_ON_PCI_WITHOUT_VECTORS; kind < REMOTE_BUSES; kind++) {
		open_all((enum remote_bus)kind, 0, false);
		for (uint32_t i = 0; i < 5; i++) {
			struct pv_blkdrv_queue *queue = pv_blkdrv_queue(blk, 0);
			uint32_t calls = remote_rig_calls(&rig);

			if (kind == REMOTE_ON_MMIO)
				pv_mmio_bus_interrupt_take(&rig.mmio.bus);
			else
				pv_pci_bus_isr_get(&rig.pci_bus);
			assert_false(pv_blkdrv_interrupts_on(queue));
			submit(0, PV_BLKDRV_READ, 0);
			pv_blkdrv_publish(queue);
			while (remote_rig_calls(&rig) == calls)
				rig.guest.base.os.ops->wait(&rig.guest.base.os, 0);
			assert_int_equal(pv_blkdrv_poll(queue), 1);
		}
		close_all();
	}
}

static bool is_larger(void *arg)
{
	(void)arg;
	return pv_blkdrv_config_changed(blk) == 0 && pv_blkdrv_capacity(blk) == DISK_BYTES / 256;
}

static void the_driver_hears_of_another_size(void **state)
{
	char answer[4096], command[160];

	(void)state;
	open_all(REMOTE_ON_PCI, 0, false);
	while (remote_rig_is_interrupted(&rig, REMOTE_CONFIGURATION, 0))
		;
	snprintf(command, sizeof(command),
	         "{\"execute\":\"block_resize\",\"arguments\":{\"device\":\"blk0\",\"size\":%u},"
	         "\"id\":7}",
	         2 * DISK_BYTES);
	assert_true(server_qmp(&server, command, answer, sizeof(answer)));
	remote_rig_turn_until(&rig, is_larger, NULL);
	assert_true(remote_rig_is_interrupted(&rig, REMOTE_CONFIGURATION, 20000));
	snprintf(command, sizeof(command),
	         "{\"execute\":\"block_resize\",\"arguments\":{\"device\":\"blk0\",\"size\":%u},"
	         "\"id\":7}",
	         DISK_BYTES);
	assert_true(server_qmp(&server, command, answer, sizeof(answer)));
	close_all();
}

static void the_write_cache_is_switched_over_there(void **state)
{
	bool is_on;

	(void)state;
	open_all(REMOTE_ON_PCI, 0, false);
	assert_int_equal(pv_blkdrv_set_write_cache(blk, false), 0);
	assert_int_equal(pv_blkdrv_write_cache(blk, &is_on), 0);
	assert_false(is_on);
	assert_int_equal(pv_blkdrv_set_write_cache(blk, true), 0);
	assert_int_equal(pv_blkdrv_write_cache(blk, &is_on), 0);
	assert_true(is_on);
	close_all();
}

static void what_the_back_end_keeps_is_not_saved(void **state)
{
	char sentence[PV_FAR_SENTENCE_BYTES];

	(void)state;
	open_device(REMOTE_ON_PCI, false);
	assert_false(pv_remote_can_be_saved(rig.remote, sentence));
	assert_non_null(strstr(sentence, "cannot be moved"));
	remote_rig_close(&rig);
}

/* ---- the back-end dies ---- */

/* Each request is done once, whichever instant the back-end dies at; the driver notices nothing. */
static void a_load_does_not_notice_that_the_back_end_was_killed(void **state)
{
	(void)state;
	for (size_t i = 0; i < RINGS; i++) {
		open_all(i % 2 ? REMOTE_ON_PCI : REMOTE_ON_MMIO, rings[i].features, true);
		for (uint8_t kill = 0; kill < 4; kill++) {
			submit_all(PV_BLKDRV_WRITE, kill);
			server_kill(&server);
			server_start_again(&server);
			wait_all();
			assert_true(pv_remote_is_connected(rig.remote));
			check_all(kill);
		}
		assert_false(pv_blkdrv_is_broken(blk));
		close_all();
	}
}

static bool is_broken(void *arg)
{
	(void)arg;
	return pv_blkdrv_is_broken(blk);
}

static void without_another_try_the_driver_is_told(void **state)
{
	(void)state;
	open_all(REMOTE_ON_PCI, 0, false);
	round_trip(1);
	server_kill(&server);
	remote_rig_turn_until(&rig, is_broken, NULL);
	assert_false(pv_remote_is_connected(rig.remote));
	assert_true(pv_device_status(rig.device) & VIRTIO_STATUS_NEEDS_RESET);
	close_all();
	server_start_again(&server);
}

/* A guest that starts while nobody is there waits for whoever comes. */
static void a_driver_may_start_before_the_back_end_is_back(void **state)
{
	(void)state;
	open_device(REMOTE_ON_PCI, true);
	server_kill(&server);
	while (pv_remote_is_connected(rig.remote))
		rig.guest.base.os.ops->wait(&rig.guest.base.os, 0);
	create_driver(0);
	submit_all(PV_BLKDRV_WRITE, 9);
	server_start_again(&server);
	wait_all();
	check_all(9);
	close_all();
}

/* qemu-storage-daemon in place of ours. */
static void a_foreign_back_end_does_as_well(void **state)
{
	(void)state;
	if (!server_is_foreign_there())
		skip();
	server_stop(&server);
	server_start_foreign(&server, DISK_BYTES, ",writable=on,num-queues=2");
	for (int kind = 0; kind < REMOTE_BUSES; kind++) {
		open_all((enum remote_bus)kind, VIRTIO_F_EVENT_IDX, false);
		round_trip(1);
		assert_int_equal(pv_blkdrv_queue_reset(pv_blkdrv_queue(blk, 1)), 0);
		round_trip(2);
		close_all();
	}
}

static int setup(void **state)
{
	static const char *const options[] = { "--num-queues", "2", NULL };

	(void)state;
	server_start_own(&server, DISK_BYTES, options);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	server_stop(&server);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_go_through),
		cmocka_unit_test(a_queue_is_reset_and_works_again),
		cmocka_unit_test(a_device_is_paused_and_goes_on_under_load),
		cmocka_unit_test(a_driver_comes_after_another),
		cmocka_unit_test(kicks_and_interrupts_pass_us_by),
		cmocka_unit_test(without_a_vector_we_interrupt),
		cmocka_unit_test(the_driver_hears_of_another_size),
		cmocka_unit_test(the_write_cache_is_switched_over_there),
		cmocka_unit_test(what_the_back_end_keeps_is_not_saved),
		cmocka_unit_test(a_load_does_not_notice_that_the_back_end_was_killed),
		cmocka_unit_test(without_another_try_the_driver_is_told),
		cmocka_unit_test(a_driver_may_start_before_the_back_end_is_back),
		cmocka_unit_test(a_foreign_back_end_does_as_well),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
