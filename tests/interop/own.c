/* SPDX-License-Identifier: BSD-2-Clause */
/* Our driver and our program, each in a process of its own, with a socket between them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "drivers/blk/blk.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "ring/barrier.h"
#include "ring/err.h"
#include "tests/support/disk_load.h"
#include "tests/support/server.h"

#define SECTOR     VIRTIO_BLK_SECTOR_BYTES
#define DISK_BYTES DISK_LOAD_DISK_BYTES
#define LOAD_TURNS 1000u
#define TIMEOUT_NS 20000000000ull
#define BUFFER     (64u << 10)

static struct server server;
static struct pv_vhu_bus *bus;
static struct pv_blkdrv *blk;
static uint8_t *buffer;

/* ---- connecting ---- */

static void connect_bus(uint64_t protocol_features)
{
	const struct pv_vhu_bus_options options = { .path = server.socket,
		                                    .device_id = VIRTIO_ID_BLOCK,
		                                    .protocol_features = protocol_features,
		                                    .memory_bytes = 32u << 20 };
	char sentence[256];

	if (pv_vhu_bus_create(&bus, &options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
}

static void driver_create(uint64_t without, uint16_t queues)
{
	struct pv_os *os = pv_vhu_bus_os(bus);
	const struct pv_blkdrv_options options = { .wanted = PV_BLKDRV_FEATURES & ~without,
		                                   .queues = queues };
	struct pv_gpa gpa;

	assert_int_equal(pv_blkdrv_create(&blk, pv_vhu_bus_bus(bus), os, &options), 0);
	assert_int_equal(pv_blkdrv_disk(blk)->features & without, 0);
	buffer = os->ops->shared_alloc(os, BUFFER, 4096, &gpa);
	assert_non_null(buffer);
}

static void connect_with(uint64_t without, uint16_t queues)
{
	connect_bus(0);
	driver_create(without, queues);
}

static void disconnect(void)
{
	if (blk)
		pv_blkdrv_destroy(blk);
	pv_vhu_bus_destroy(bus);
	blk = NULL;
	bus = NULL;
}

static int setup(void **state)
{
	(void)state;
	server_start_own(&server, DISK_BYTES,
	                 (const char *const[]){ "--serial", "interop-1", "--num-queues", "2",
	                                        NULL });
	return 0;
}

static int setup_in_order(void **state)
{
	(void)state;
	server_start_own(&server, DISK_BYTES, (const char *const[]){ "--in-order", NULL });
	return 0;
}

/* Each write is stable before it ends. */
static int setup_stable(void **state)
{
	(void)state;
	server_start_own(&server, DISK_BYTES,
	                 (const char *const[]){ "--write-cache", "off", NULL });
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	disconnect();
	server_stop(&server);
	return 0;
}

static void expect_good(const char *wrong)
{
	if (wrong)
		fail_msg("%s", wrong);
}

static int request_at(enum pv_blkdrv_op op, uint64_t offset, void *memory, uint32_t bytes)
{
	const struct pv_buffer data = { memory, bytes };
	struct pv_blkdrv_request request = {
		.op = op, .sector = offset / SECTOR, .buffers = 1, .buffer = &data
	};

	return pv_blkdrv_do(pv_blkdrv_queue(blk, 0), &request, TIMEOUT_NS);
}

/* ---- loads ---- */

static void a_load_keeps_its_data_on_every_kind_of_ring(void **state)
{
	const uint64_t bits[] = { VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC,
		                  VIRTIO_F_EVENT_IDX };

	(void)state;
	for (uint32_t kind = 0; kind < 8; kind++) {
		uint64_t without = 0;

		for (uint32_t i = 0; i < 3; i++)
			without |= kind & 1u << i ? bits[i] : 0;
		connect_with(without, 1);
		expect_good(disk_load_run(bus, blk, 0, kind & 1, LOAD_TURNS));
		disconnect();
	}
}

static void a_load_keeps_its_data_in_order(void **state)
{
	(void)state;
	for (uint32_t is_split = 0; is_split < 2; is_split++) {
		connect_with(is_split ? VIRTIO_F_RING_PACKED : 0, 1);
		assert_true(pv_blkdrv_disk(blk)->features & VIRTIO_F_IN_ORDER);
		expect_good(disk_load_run(bus, blk, 0, true, LOAD_TURNS));
		disconnect();
	}
}

static void a_load_keeps_its_data_on_a_disk_without_a_cache(void **state)
{
	(void)state;
	connect_with(0, 1);
	expect_good(disk_load_run(bus, blk, 0, true, LOAD_TURNS));
}

static int request_without_data(enum pv_blkdrv_op op, uint64_t offset, uint32_t bytes)
{
	struct pv_blkdrv_request request = { .op = op,
		                             .sector = offset / SECTOR,
		                             .sectors = bytes / SECTOR };

	return pv_blkdrv_do(pv_blkdrv_queue(blk, 0), &request, TIMEOUT_NS);
}

static void what_is_discarded_or_zeroed_reads_as_zeros(void **state)
{
	static const uint8_t zeros[BUFFER];

	(void)state;
	connect_with(0, 1);
	memset(buffer, 0x5a, BUFFER);
	assert_int_equal(request_at(PV_BLKDRV_WRITE, 0, buffer, BUFFER), 0);
	assert_int_equal(request_without_data(PV_BLKDRV_FLUSH, 0, 0), 0);
	assert_int_equal(request_without_data(PV_BLKDRV_WRITE_ZEROES, 0, BUFFER / 2), 0);
	if (pv_blkdrv_disk(blk)->discard_sectors_max > 0)
		assert_int_equal(request_without_data(PV_BLKDRV_DISCARD, BUFFER / 2, BUFFER / 4),
		                 0);
	else
		assert_int_equal(
			request_without_data(PV_BLKDRV_WRITE_ZEROES, BUFFER / 2, BUFFER / 4), 0);
	assert_int_equal(request_at(PV_BLKDRV_READ, 0, buffer, BUFFER), 0);
	assert_memory_equal(buffer, zeros, BUFFER / 4 * 3);
	for (uint32_t i = BUFFER / 4 * 3; i < BUFFER; i++)
		assert_int_equal(buffer[i], 0x5a);
}

/* Front-ends differ in what they know of the protocol. */
static void a_load_keeps_its_data_without_each_protocol_feature(void **state)
{
	const uint64_t without[] = { VHOST_USER_PROTOCOL_F_REPLY_ACK,
		                     VHOST_USER_PROTOCOL_F_BACKEND_REQ,
		                     VHOST_USER_PROTOCOL_F_MQ,
		                     VHOST_USER_PROTOCOL_F_RESET_DEVICE,
		                     VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
		                     VHOST_USER_PROTOCOL_F_STATUS,
		                     PV_VHU_BUS_FEATURES & ~VHOST_USER_PROTOCOL_F_CONFIG };

	(void)state;
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		connect_bus(PV_VHU_BUS_FEATURES & ~without[i]);
		driver_create(0, 1);
		expect_good(disk_load_run(bus, blk, 0, true, LOAD_TURNS / 4));
		disconnect();
	}
}

static void a_load_keeps_its_data_with_in_band_notifications(void **state)
{
	(void)state;
	connect_bus(PV_VHU_FRONTEND_FEATURES);
	driver_create(0, 1);
	assert_true(pv_vhu_frontend_protocol_features(pv_vhu_bus_frontend(bus)) &
	            VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS);
	expect_good(disk_load_run(bus, blk, 0, true, LOAD_TURNS));
}

static void two_queues_on_two_threads_keep_their_data(void **state)
{
	(void)state;
	connect_with(0, 2);
	expect_good(disk_load_run_two(bus, blk, LOAD_TURNS));
}

static void a_queue_goes_on_after_a_reset_of_its_own(void **state)
{
	(void)state;
	for (uint32_t is_split = 0; is_split < 2; is_split++) {
		connect_with(is_split ? VIRTIO_F_RING_PACKED : 0, 2);
		expect_good(disk_load_run(bus, blk, 1, true, LOAD_TURNS / 4));
		assert_int_equal(pv_blkdrv_queue_reset(pv_blkdrv_queue(blk, 1)), 0);
		expect_good(disk_load_run(bus, blk, 1, true, LOAD_TURNS / 4));
		expect_good(disk_load_run(bus, blk, 0, true, LOAD_TURNS / 4));
		disconnect();
	}
}

/* ---- what the device says ---- */

static void the_serial_number_is_the_users(void **state)
{
	char id[VIRTIO_BLK_ID_BYTES + 1];

	(void)state;
	connect_with(0, 1);
	assert_int_equal(pv_blkdrv_id(pv_blkdrv_queue(blk, 0), id, TIMEOUT_NS), 0);
	assert_string_equal(id, "interop-1");
}

static void qmp(const char *command)
{
	char answer[4096];

	assert_true(server_qmp(&server, command, answer, sizeof(answer)));
	if (strstr(answer, "\"error\""))
		fail_msg("%s", answer);
}

static void a_resized_disk_is_heard_of(void **state)
{
	struct pv_vhu_frontend *frontend;

	(void)state;
	connect_with(0, 1);
	frontend = pv_vhu_bus_frontend(bus);
	assert_int_equal(pv_blkdrv_capacity(blk), DISK_BYTES / SECTOR);
	assert_int_equal(request_at(PV_BLKDRV_READ, DISK_BYTES, buffer, SECTOR), -PV_EINVAL);
	qmp("{\"execute\": \"block_resize\", \"id\": 7, \"arguments\": "
	    "{\"device\": \"blk0\", \"size\": 67108864}}");
	for (int i = 0; i < 2000 && pv_vhu_frontend_config_changes(frontend) == 0; i++)
		pv_vhu_bus_wait(bus, 0, 10000000);
	assert_int_equal(pv_vhu_frontend_config_changes(frontend), 1);
	assert_int_equal(pv_blkdrv_config_changed(blk), 0);
	assert_int_equal(pv_blkdrv_capacity(blk), 2 * DISK_BYTES / SECTOR);
	assert_int_equal(request_at(PV_BLKDRV_READ, DISK_BYTES, buffer, SECTOR), 0);
}

/* ---- memory that comes and goes ---- */

#define EXTRA_GPA   0x7700000000ull
#define EXTRA_BYTES (1u << 20)

static uint8_t *extra;
static const struct pv_os_ops *bus_port;

/* The bus's port knows its own memory only. */
static uint32_t map_extra(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                          struct pv_gpa *addr)
{
	size_t offset = (size_t)((uintptr_t)memory - (uintptr_t)extra);

	if (offset >= EXTRA_BYTES)
		return bus_port->map(os, memory, bytes, is_written, addr);
	*addr = pv_gpa_of(EXTRA_GPA + offset);
	return bytes;
}

static void memory_comes_and_goes_while_the_device_runs(void **state)
{
	struct pv_vhu_frontend *frontend;
	int fd = memfd_create("extra", MFD_CLOEXEC);
	struct pv_os_ops port;
	struct pv_vhu_region region = { { EXTRA_GPA, EXTRA_BYTES, 0, 0 }, fd };

	(void)state;
	assert_int_equal(ftruncate(fd, EXTRA_BYTES), 0);
	extra = mmap(NULL, EXTRA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	region.region.user_addr = (uintptr_t)extra;
	connect_with(0, 1);
	frontend = pv_vhu_bus_frontend(bus);
	bus_port = pv_vhu_bus_os(bus)->ops;
	port = *bus_port;
	port.map = map_extra;
	pv_vhu_bus_os(bus)->ops = &port;
	assert_int_equal(request_at(PV_BLKDRV_READ, 0, extra, 4096), -PV_EIO);
	for (int turn = 0; turn < 20; turn++) {
		assert_int_equal(pv_vhu_frontend_mem_add(frontend, &region), 0);
		memset(extra, 0x41 + turn, 4096);
		assert_int_equal(request_at(PV_BLKDRV_WRITE, 0, extra, 4096), 0);
		assert_int_equal(pv_vhu_frontend_mem_remove(frontend, &region), 0);
		assert_int_equal(request_at(PV_BLKDRV_READ, 0, buffer, 4096), 0);
		assert_int_equal(buffer[4095], 0x41 + turn);
	}
	assert_int_equal(request_at(PV_BLKDRV_READ, 0, extra, 4096), -PV_EIO);
	pv_vhu_bus_os(bus)->ops = bus_port;
	munmap(extra, EXTRA_BYTES);
	close(fd);
}

/* ---- a driver that breaks the rules ---- */

static bool needs_reset_soon(struct pv_driver *driver)
{
	const struct timespec nap = { 0, 10000000 };

	for (int i = 0; i < 1000; i++) {
		if (pv_driver_needs_reset(driver))
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

static void ring_break(struct pv_driver *driver)
{
	const struct pv_driver_queue_options options = { .size_max = 16 };
	struct pv_driver_queue queue;
	struct virtq_avail *avail;

	assert_int_equal(pv_driver_queue_init(&queue, driver, 0, &options), 0);
	assert_int_equal(pv_driver_start(driver), 0);
	assert_false(pv_driver_needs_reset(driver));
	avail = queue.memory.driver_area;
	pv_write_le16(&avail->idx, 1000);
	driver->bus->ops->kick(driver->bus, 0, 0);
	assert_true(needs_reset_soon(driver));
	assert_int_equal(pv_driver_stop(driver), 0);
	pv_driver_queue_fini(&queue);
}

/* With the device's own status, and with the bus's where the protocol has none. */
static void a_broken_ring_needs_a_reset_and_one_mends_it(void **state)
{
	const struct pv_driver_wish wish = { .wanted = PV_DRIVER_FEATURES & ~VIRTIO_F_RING_PACKED };

	(void)state;
	for (int has_status = 0; has_status < 2; has_status++) {
		struct pv_driver driver;

		connect_bus(PV_VHU_BUS_FEATURES & ~(has_status ? 0 : VHOST_USER_PROTOCOL_F_STATUS));
		for (int turn = 0; turn < 3; turn++) {
			assert_int_equal(pv_driver_init(&driver, pv_vhu_bus_bus(bus),
			                                pv_vhu_bus_os(bus), &wish),
			                 0);
			ring_break(&driver);
		}
		driver_create(0, 1);
		expect_good(disk_load_run(bus, blk, 0, true, LOAD_TURNS / 4));
		disconnect();
	}
}

/* ---- rest ---- */

/* How often all threads of the server together went to sleep: none does without waking. */
static uint64_t sleeps_of_server(void)
{
	char path[320], line[256];
	unsigned long long sleeps, all = 0;
	const struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", server.pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		FILE *status;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", server.pid, entry->d_name);
		status = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
		while (status && fgets(line, sizeof(line), status))
			if (sscanf(line, "voluntary_ctxt_switches: %llu", &sleeps) == 1)
				all += sleeps;
		if (status)
			fclose(status);
	}
	closedir(dir);
	return all;
}

/* It may take a moment to come to rest; once it has, it stays so for a whole second. */
static void a_server_without_requests_does_nothing(void **state)
{
	const struct timespec second = { 1, 0 };
	uint64_t before, after;
	int tries = 0;

	(void)state;
	connect_with(0, 1);
	expect_good(disk_load_run(bus, blk, 0, true, LOAD_TURNS / 4));
	after = sleeps_of_server();
	do {
		before = after;
		nanosleep(&second, NULL);
		after = sleeps_of_server();
	} while (after != before && ++tries < 20);
	assert_true(before > 0);
	assert_int_equal(after, before);
	assert_int_equal(request_at(PV_BLKDRV_READ, 0, buffer, 4096), 0);
}

/* ---- the end ---- */

static void a_server_that_is_told_to_end_ends_well_under_a_front_end(void **state)
{
	int waited = 0;

	(void)state;
	connect_with(0, 1);
	expect_good(disk_load_run(bus, blk, 0, true, LOAD_TURNS / 4));
	assert_int_equal(server_end(&server), 0);
	assert_int_equal(access(server.socket, F_OK), -1);
	/* The channel may go first. */
	for (int i = 0; i < 3 && waited == 0; i++)
		waited = pv_vhu_bus_wait(bus, 0, TIMEOUT_NS);
	assert_int_equal(waited, -PV_EIO);
	assert_true(pv_blkdrv_is_broken(blk));
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_DISK(a_load_keeps_its_data_on_every_kind_of_ring),
		cmocka_unit_test_setup_teardown(a_load_keeps_its_data_in_order, setup_in_order,
		                                teardown),
		cmocka_unit_test_setup_teardown(a_load_keeps_its_data_on_a_disk_without_a_cache,
		                                setup_stable, teardown),
		ON_DISK(what_is_discarded_or_zeroed_reads_as_zeros),
		ON_DISK(a_load_keeps_its_data_without_each_protocol_feature),
		ON_DISK(a_load_keeps_its_data_with_in_band_notifications),
		ON_DISK(two_queues_on_two_threads_keep_their_data),
		ON_DISK(a_queue_goes_on_after_a_reset_of_its_own),
		ON_DISK(the_serial_number_is_the_users),
		ON_DISK(a_resized_disk_is_heard_of),
		ON_DISK(memory_comes_and_goes_while_the_device_runs),
		ON_DISK(a_broken_ring_needs_a_reset_and_one_mends_it),
		ON_DISK(a_server_without_requests_does_nothing),
		ON_DISK(a_server_that_is_told_to_end_ends_well_under_a_front_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
