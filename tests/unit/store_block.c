/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device that can erase, or not: the test stands between the store and the kernel, makes a
 * block device of a file, and carries out what the device is asked.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/backends/store.h"
#include "ring/err.h"
#include "tests/support/engine.h"

#define DISK_BYTES  (1u << 20)
#define BLOCK_BYTES 4096

/* What the device does, and what it was asked. */
static struct {
	int refusal;    /* of an erase: what the kernel says of any; 0: it can */
	int error;      /* of an erase it can do */
	bool must_wait; /* until `may_go_on` */
	sem_t may_go_on;
	uint32_t erases;
	uint64_t range[2];
	pthread_t thread;
	/* What its folder in /sys says; NULL: there is no such file. */
	const char *zoned;
	const char *discard_granularity;
	const char *discard_max_bytes;
} device;

static struct pv_loop *loop;
static char path[64];

/* ---- the kernel ---- */

int __real_fstat64(int fd, struct stat *status);
int __wrap_fstat64(int fd, struct stat *status);
int __wrap_ioctl(int fd, unsigned long request, void *argument);
FILE *__wrap_fopen64(const char *name, const char *mode);

/* There is no device of this number. */
int __wrap_fstat64(int fd, struct stat *status)
{
	int result = __real_fstat64(fd, status);

	status->st_mode = (status->st_mode & ~(mode_t)S_IFMT) | S_IFBLK;
	status->st_rdev = makedev(0, 0);
	return result;
}

static int answer(int error)
{
	errno = error;
	return error ? -1 : 0;
}

/* Errors in the order in which the kernel finds them. */
static int erase(int fd, const uint64_t range[2])
{
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return answer(EBADF);
	if (device.refusal)
		return answer(device.refusal);
	if ((range[0] | range[1]) % 512 || range[0] + range[1] > DISK_BYTES)
		return answer(EINVAL);
	device.erases++;
	memcpy(device.range, range, sizeof(device.range));
	device.thread = pthread_self();
	while (device.must_wait && sem_wait(&device.may_go_on))
		;
	return answer(device.error);
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	switch (request) {
	case BLKGETSIZE64:
		*(uint64_t *)argument = DISK_BYTES;
		return 0;
	case BLKSSZGET:
	case BLKPBSZGET:
		*(int *)argument = BLOCK_BYTES;
		return 0;
	case BLKSECDISCARD:
		return erase(fd, argument);
	}
	return answer(ENOTTY);
}

/* The store opens nothing else this way. */
FILE *__wrap_fopen64(const char *name, const char *mode)
{
	const struct {
		const char *name;
		const char *text;
	} files[] = { { "/queue/zoned", device.zoned },
		      { "/queue/discard_granularity", device.discard_granularity },
		      { "/queue/discard_max_bytes", device.discard_max_bytes } };

	assert_string_equal(mode, "r");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i].text && strstr(name, files[i].name))
			return fmemopen((void *)(uintptr_t)files[i].text, strlen(files[i].text),
			                "r");
	errno = ENOENT;
	return NULL;
}

/* ---- the store ---- */

struct step {
	struct pv_blk_io io;
	int error;
	bool is_done;
};

static void done(struct pv_blk_io *io, int error)
{
	struct step *step = (struct step *)io;

	assert_false(step->is_done);
	step->is_done = true;
	step->error = error;
	pv_loop_stop(loop);
}

static void submit(struct pv_store *store, struct step *step)
{
	struct pv_blk_store *blk = pv_store_blk(store);

	step->io.done = done;
	step->io.lane = loop;
	assert_int_equal(blk->ops->submit(blk, &step->io), PV_BLK_PENDING);
}

static int erase_block(struct pv_store *store, bool is_stable)
{
	struct step step = {
		.io = { .op = PV_BLK_SECURE_ERASE, .bytes = BLOCK_BYTES, .is_stable = is_stable },
	};

	submit(store, &step);
	pv_loop_run(loop);
	assert_true(step.is_done);
	return step.error;
}

static char error[256];

static int try_disk(struct pv_store **store, enum pv_store_erase how, bool is_read_only)
{
	const struct pv_store_options options = { .path = path,
		                                  .null_bytes = -1,
		                                  .memory_bytes = -1,
		                                  .is_read_only = is_read_only,
		                                  .has_no_locks = true,
		                                  .erase = how };

	return pv_store_open(store, &options, error, sizeof(error));
}

static struct pv_store *open_disk(enum pv_store_erase how, bool is_read_only)
{
	struct pv_store *store;

	if (try_disk(&store, how, is_read_only))
		fail_msg("%s", error);
	assert_string_equal(pv_store_kind(store), "block");
	return store;
}

static uint32_t granularity(enum pv_store_erase how, bool is_read_only)
{
	struct pv_store *store = open_disk(how, is_read_only);
	uint32_t bytes = pv_store_blk(store)->limits.erase_granularity;

	pv_store_close(store);
	return bytes;
}

static void erasing_is_offered_where_the_device_can_and_one_wants_it(void **state)
{
	(void)state;
	assert_int_equal(granularity(PV_STORE_ERASE_AUTO, false), BLOCK_BYTES);
	assert_int_equal(granularity(PV_STORE_ERASE_OVERWRITE, false), BLOCK_BYTES);
	assert_int_equal(granularity(PV_STORE_ERASE_OFF, false), 0);
	assert_int_equal(granularity(PV_STORE_ERASE_AUTO, true), 0);
	assert_int_equal(granularity(PV_STORE_ERASE_OVERWRITE, true), 0);
	device.refusal = EOPNOTSUPP;
	assert_int_equal(granularity(PV_STORE_ERASE_AUTO, false), 0);
	device.refusal = ENOTTY;
	assert_int_equal(granularity(PV_STORE_ERASE_AUTO, false), 0);
	assert_int_equal(granularity(PV_STORE_ERASE_OVERWRITE, false), BLOCK_BYTES);
	assert_int_equal(device.erases, 0);
}

/* What it can erase it tells by what it can discard, though it may be told not to discard. */
static void erasing_is_as_fine_as_discarding(void **state)
{
	struct pv_store *store;

	(void)state;
	device.discard_granularity = "65536\n";
	device.discard_max_bytes = "0\n";
	store = open_disk(PV_STORE_ERASE_AUTO, false);
	assert_int_equal(pv_store_blk(store)->limits.erase_granularity, 65536);
	assert_int_equal(pv_store_blk(store)->limits.discard_granularity, 0);
	pv_store_close(store);
	device.discard_max_bytes = "1048576\n";
	store = open_disk(PV_STORE_ERASE_AUTO, false);
	assert_int_equal(pv_store_blk(store)->limits.discard_granularity, 65536);
	pv_store_close(store);
}

static void the_device_erases_the_range_and_the_lane_does_not_wait(void **state)
{
	struct step erase = { .io = { .op = PV_BLK_SECURE_ERASE, .offset = 8192, .bytes = 65536 } };
	struct step sync = { .io = { .op = PV_BLK_FLUSH } };
	struct pv_store *store = open_disk(PV_STORE_ERASE_AUTO, false);

	(void)state;
	device.must_wait = true;
	submit(store, &erase);
	submit(store, &sync);
	pv_loop_run(loop);
	assert_true(sync.is_done);
	assert_int_equal(sync.error, 0);
	assert_false(erase.is_done);
	sem_post(&device.may_go_on);
	pv_loop_run(loop);
	assert_true(erase.is_done);
	assert_int_equal(erase.error, 0);
	assert_int_equal(device.erases, 1);
	assert_int_equal(device.range[0], 8192);
	assert_int_equal(device.range[1], 65536);
	assert_false(pthread_equal(device.thread, pthread_self()));
	pv_store_close(store);
}

/* With a kernel before 5.19 it turns out so late. */
static void what_the_device_turns_out_not_to_know_is_not_supported(void **state)
{
	struct pv_store *store = open_disk(PV_STORE_ERASE_AUTO, false);

	(void)state;
	device.error = EOPNOTSUPP;
	assert_int_equal(erase_block(store, false), -PV_ENOTSUP);
	device.error = EIO;
	assert_int_equal(erase_block(store, false), -PV_EIO);
	device.error = EREMOTEIO;
	assert_int_equal(erase_block(store, false), -PV_EIO);
	device.error = 0;
	assert_int_equal(erase_block(store, false), 0);
	pv_store_close(store);
}

static void an_erase_that_must_be_stable_is_synced(void **state)
{
	struct pv_store *store = open_disk(PV_STORE_ERASE_AUTO, false);

	(void)state;
	assert_int_equal(erase_block(store, false), 0);
	assert_int_equal(pv_loop_counters(loop).ios, 0);
	assert_int_equal(erase_block(store, true), 0);
	assert_int_equal(pv_loop_counters(loop).ios, 1);
	pv_store_close(store);
}

static void overwriting_asks_nothing_of_the_device(void **state)
{
	struct pv_store *store = open_disk(PV_STORE_ERASE_OVERWRITE, false);

	(void)state;
	assert_int_equal(erase_block(store, false), 0);
	assert_int_equal(device.erases, 0);
	pv_store_close(store);
}

static void a_device_that_says_nothing_of_its_wear_offers_nothing(void **state)
{
	struct pv_store *store = open_disk(PV_STORE_ERASE_AUTO, false);

	(void)state;
	assert_false(pv_store_blk(store)->limits.has_lifetime);
	pv_store_close(store);
}

static void zones_that_the_host_must_manage_are_refused_and_others_served(void **state)
{
	const char *const served[] = { "none\n", "host-aware\n", "\n", "host-managed-not\n" };
	struct pv_store *store;

	(void)state;
	for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
		device.zoned = served[i];
		pv_store_close(open_disk(PV_STORE_ERASE_AUTO, false));
	}
	device.zoned = "host-managed\n";
	assert_int_equal(try_disk(&store, PV_STORE_ERASE_AUTO, false), -EOPNOTSUPP);
	assert_non_null(strstr(error, path));
	assert_non_null(strstr(error, "host-managed zoned device"));
	assert_non_null(strstr(error, "dm-zoned"));
	assert_int_equal(try_disk(&store, PV_STORE_ERASE_AUTO, true), -EOPNOTSUPP);
}

static int setup(void **state)
{
	const struct pv_loop_options options = { .name = "test", .engine = test_engine() };
	int fd;

	(void)state;
	memset(&device, 0, sizeof(device));
	sem_init(&device.may_go_on, 0, 0);
	snprintf(path, sizeof(path), "pv-block-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, DISK_BYTES))
		return -1;
	close(fd);
	return pv_loop_create(&loop, &options);
}

static int teardown(void **state)
{
	(void)state;
	pv_loop_destroy(loop);
	return unlink(path);
}

#define ON_DEVICE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_DEVICE(erasing_is_offered_where_the_device_can_and_one_wants_it),
		ON_DEVICE(erasing_is_as_fine_as_discarding),
		ON_DEVICE(the_device_erases_the_range_and_the_lane_does_not_wait),
		ON_DEVICE(what_the_device_turns_out_not_to_know_is_not_supported),
		ON_DEVICE(an_erase_that_must_be_stable_is_synced),
		ON_DEVICE(overwriting_asks_nothing_of_the_device),
		ON_DEVICE(a_device_that_says_nothing_of_its_wear_offers_nothing),
		ON_DEVICE(zones_that_the_host_must_manage_are_refused_and_others_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
