/* SPDX-License-Identifier: BSD-2-Clause */
/* Bringing a device up and taking it down: what every driver does the same way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/core/driver.h"
#include "ring/err.h"
#include "tests/support/fake_bus.h"

#define OTHER VIRTIO_F_BIT(5)

static const struct pv_driver_wish modest = { .wanted = VIRTIO_F_INDIRECT_DESC };

static void start(struct pv_fake_bus *fake, struct pv_driver *driver, uint64_t features)
{
	const struct pv_driver_wish wish = { .wanted = features };

	pv_fake_bus_open(fake, features | VIRTIO_F_VERSION_1);
	assert_int_equal(pv_driver_init(driver, &fake->bus, &fake->os, &wish), 0);
}

static void initialisation_goes_in_the_order_of_section_3_1_1(void **state)
{
	static const uint8_t steps[] = { 0x00, 0x01, 0x03, 0x0b, 0x0f };
	const struct pv_driver_queue_options options = { .indirect_max = 4 };
	struct pv_driver_queue queue;
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	start(&fake, &driver, VIRTIO_F_INDIRECT_DESC);
	assert_false(fake.has_late_features);
	assert_int_equal(pv_driver_queue_init(&queue, &driver, 0, &options), 0);
	assert_true(fake.is_enabled[0]);
	assert_int_equal(fake.status, 0x0b);
	assert_int_equal(pv_driver_start(&driver), 0);
	assert_int_equal(fake.status_count, sizeof(steps));
	assert_memory_equal(fake.statuses, steps, sizeof(steps));
	assert_int_equal(pv_driver_stop(&driver), 0);
	assert_int_equal(fake.status, 0);
	pv_driver_queue_fini(&queue);
	assert_int_equal(fake.shared_out + fake.private_out, 0);
}

/* What a kick can carry is its bus's to say; the device may offer what it likes. */
static void notification_data_needs_a_bus_with_room_for_it(void **state)
{
	const struct pv_driver_wish wish = { .wanted = PV_DRIVER_FEATURES };
	const struct pv_driver_queue_options options = { 0 };
	const struct pv_sg sg = { { 0x1000 }, 16 };
	struct pv_driver_queue queue;
	struct pv_fake_bus fake;
	struct pv_driver driver;
	char token;

	(void)state;
	for (int has_room = 0; has_room < 2; has_room++) {
		pv_fake_bus_open(&fake, VIRTIO_F_VERSION_1 | VIRTIO_F_NOTIFICATION_DATA);
		fake.bus.has_room_in_kicks = has_room;
		assert_int_equal(pv_driver_init(&driver, &fake.bus, &fake.os, &wish), 0);
		assert_int_equal(fake.accepted,
		                 VIRTIO_F_VERSION_1 | (has_room ? VIRTIO_F_NOTIFICATION_DATA : 0));
	}
	assert_int_equal(pv_driver_queue_init(&queue, &driver, 0, &options), 0);
	assert_int_equal(pv_driver_start(&driver), 0);
	assert_int_equal(pv_drv_ring_add(&queue.ring, &sg, 1, 0, &token), 0);
	pv_driver_queue_publish(&queue);
	assert_int_equal(fake.kick_next, 1);
	assert_int_equal(pv_driver_stop(&driver), 0);
	pv_driver_queue_fini(&queue);
}

static void a_slow_reset_is_waited_for_and_an_endless_one_is_not(void **state)
{
	struct pv_driver_wish wish = modest;
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	pv_fake_bus_open(&fake, VIRTIO_F_VERSION_1);
	fake.reset_looks = 50;
	assert_int_equal(pv_driver_init(&driver, &fake.bus, &fake.os, &wish), 0);
	assert_true(fake.waits > 0);

	pv_fake_bus_open(&fake, VIRTIO_F_VERSION_1);
	fake.reset_looks = UINT32_MAX;
	wish.timeout_ns = 30000000;
	assert_int_equal(pv_driver_init(&driver, &fake.bus, &fake.os, &wish), -PV_ETIMEDOUT);
	assert_in_range(fake.now_ns, wish.timeout_ns, 2 * wish.timeout_ns);
}

static void only_wanted_features_that_are_offered_are_accepted(void **state)
{
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	pv_fake_bus_open(&fake, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | OTHER);
	assert_int_equal(pv_driver_init(&driver, &fake.bus, &fake.os,
	                                &(struct pv_driver_wish){ .wanted = VIRTIO_F_INDIRECT_DESC |
	                                                                    VIRTIO_F_EVENT_IDX }),
	                 0);
	assert_int_equal(fake.accepted, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC);
	assert_int_equal(driver.features, fake.accepted);
}

static void a_device_without_a_required_feature_is_told_failed(void **state)
{
	const struct pv_driver_wish wish = { .required = OTHER };
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	pv_fake_bus_open(&fake, VIRTIO_F_VERSION_1);
	assert_int_equal(pv_driver_init(&driver, &fake.bus, &fake.os, &wish), -PV_EFEATURES);
	assert_true(fake.status & VIRTIO_STATUS_FAILED);
	/* A device from before version 1 has another interface. */
	pv_fake_bus_open(&fake, OTHER);
	assert_int_equal(pv_driver_init(&driver, &fake.bus, &fake.os, &wish), -PV_EFEATURES);
}

static void a_device_that_takes_features_ok_back_is_not_driven(void **state)
{
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	pv_fake_bus_open(&fake, VIRTIO_F_VERSION_1);
	fake.refuses_features = true;
	assert_int_equal(pv_driver_init(&driver, &fake.bus, &fake.os, &modest), -PV_EFEATURES);
	assert_true(fake.status & VIRTIO_STATUS_FAILED);
}

static void a_bus_that_is_gone_is_an_error_and_never_a_wait(void **state)
{
	struct pv_fake_bus fake;
	struct pv_driver driver;
	uint8_t byte;

	(void)state;
	start(&fake, &driver, 0);
	fake.is_gone = true;
	assert_int_equal(pv_driver_config_read(&driver, 0, &byte, 1), -PV_EIO);
	assert_true(pv_driver_needs_reset(&driver));
	assert_int_equal(pv_driver_init(&driver, &fake.bus, &fake.os, &modest), -PV_EIO);
	assert_int_equal(fake.waits, 0);
}

/* 2^15 tables of 2^13 descriptors are 2^32 bytes: more than an address of 32 bits can count. */
static void tables_that_are_too_large_to_count_are_not_had(void **state)
{
	const struct pv_driver_queue_options options = { .indirect_max = 8192 };
	struct pv_driver_queue queue;
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	start(&fake, &driver, VIRTIO_F_INDIRECT_DESC);
	fake.size_max[0] = VIRTQ_SIZE_MAX;
	fake.shared_max = 16u << 20;
	assert_int_equal(pv_driver_queue_init(&queue, &driver, 0, &options), -PV_ENOMEM);
	assert_int_equal(fake.shared_out + fake.private_out, 0);
}

static void a_torn_configuration_is_read_again_but_not_for_ever(void **state)
{
	struct pv_fake_bus fake;
	struct pv_driver driver;
	uint32_t value = 0;

	(void)state;
	start(&fake, &driver, 0);
	fake.torn_reads = 3;
	fake.config[0] = 42;
	assert_int_equal(pv_driver_config_read(&driver, 0, &value, sizeof(value)), 0);
	assert_int_equal(fake.torn_reads, 0);
	assert_int_equal(*(const uint8_t *)&value, 42);
	fake.torn_reads = UINT32_MAX;
	assert_int_equal(pv_driver_config_read(&driver, 0, &value, sizeof(value)), -PV_EIO);
}

static void a_device_that_needs_a_reset_is_seen(void **state)
{
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	start(&fake, &driver, 0);
	assert_int_equal(pv_driver_start(&driver), 0);
	assert_false(pv_driver_needs_reset(&driver));
	fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_true(pv_driver_needs_reset(&driver));
	fake.status = 0; /* it was replaced by another behind our back */
	assert_true(pv_driver_needs_reset(&driver));
}

static void a_queue_has_the_size_that_both_sides_can(void **state)
{
	static const struct {
		uint64_t features;
		uint16_t device, wanted, size;
	} cases[] = {
		{ 0, 256, 0, 256 },
		{ 0, 256, 64, 64 },
		{ 0, 100, 0, 64 },
		{ 0, 64, 100, 64 },
		{ 0, 1, 0, 1 },
		{ 0, 65535, 0, 32768 },
		{ VIRTIO_F_RING_PACKED, 100, 0, 100 },
		{ VIRTIO_F_RING_PACKED, 65535, 0, 32768 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct pv_driver_queue_options options = { .size_max = cases[i].wanted };
		struct pv_driver_queue queue;
		struct pv_fake_bus fake;
		struct pv_driver driver;

		start(&fake, &driver, cases[i].features);
		fake.size_max[1] = cases[i].device;
		assert_int_equal(pv_driver_queue_init(&queue, &driver, 1, &options), 0);
		assert_int_equal(fake.queue[1].size, cases[i].size);
		assert_int_equal(queue.ring.size, cases[i].size);
		assert_int_equal(pv_driver_stop(&driver), 0);
		pv_driver_queue_fini(&queue);
	}
}

static void a_queue_that_does_not_exist_is_refused(void **state)
{
	const struct pv_driver_queue_options options = { 0 };
	struct pv_driver_queue queue;
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	start(&fake, &driver, 0);
	fake.size_max[2] = 0;
	assert_int_equal(pv_driver_queue_init(&queue, &driver, 2, &options), -PV_EINVAL);
	assert_int_equal(pv_driver_queue_init(&queue, &driver, 9, &options), -PV_EINVAL);
	assert_int_equal(fake.shared_out + fake.private_out, 0);
}

static void the_device_is_told_where_the_areas_are(void **state)
{
	const struct pv_driver_queue_options options = { .indirect_max = 2 };
	struct pv_driver_queue queue;
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	start(&fake, &driver, VIRTIO_F_INDIRECT_DESC);
	assert_int_equal(pv_driver_queue_init(&queue, &driver, 0, &options), 0);
	assert_ptr_equal(pv_fake_at(fake.queue[0].desc_area), queue.ring.table);
	assert_ptr_equal(pv_fake_at(fake.queue[0].driver_area), queue.ring.avail);
	assert_ptr_equal(pv_fake_at(fake.queue[0].device_area), queue.ring.used);
	assert_ptr_equal(pv_fake_at(queue.ring.indirect_gpa), queue.ring.indirect);
	assert_int_equal(fake.queue[0].desc_area.v % VIRTQ_ALIGN_DESC, 0);
	assert_int_equal(fake.queue[0].driver_area.v % VIRTQ_ALIGN_AVAIL, 0);
	assert_int_equal(fake.queue[0].device_area.v % VIRTQ_ALIGN_USED, 0);
	assert_int_equal(pv_driver_stop(&driver), 0);
	pv_driver_queue_fini(&queue);
}

static void whatever_allocation_fails_nothing_is_left_behind(void **state)
{
	const struct pv_driver_queue_options options = { .indirect_max = 2 };
	struct pv_driver_queue queue;

	(void)state;
	for (uint32_t nth = 1; nth <= 3; nth++) {
		struct pv_fake_bus fake;
		struct pv_driver driver;

		start(&fake, &driver, VIRTIO_F_INDIRECT_DESC);
		fake.fail_alloc = nth;
		assert_int_equal(pv_driver_queue_init(&queue, &driver, 0, &options), -PV_ENOMEM);
		assert_int_equal(fake.shared_out + fake.private_out, 0);
		assert_false(fake.is_enabled[0]);
	}
}

static void memory_stays_with_a_device_that_does_not_confirm_its_reset(void **state)
{
	const struct pv_driver_queue_options options = { 0 };
	struct pv_driver_queue queue;
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	start(&fake, &driver, 0);
	assert_int_equal(pv_driver_queue_init(&queue, &driver, 0, &options), 0);
	assert_int_equal(pv_driver_start(&driver), 0);
	fake.reset_looks = UINT32_MAX;
	assert_int_equal(pv_driver_stop(&driver), -PV_ETIMEDOUT);
	pv_driver_queue_fini(&queue);
	assert_int_equal(fake.shared_out, 1);
	assert_int_equal(fake.private_out, 0);
	fake.os.ops->shared_free(&fake.os, pv_fake_at(queue.place.desc_area), queue.rings_bytes);
}

static void a_queue_can_be_taken_back_and_given_again(void **state)
{
	const struct pv_driver_queue_options options = { 0 };
	const struct pv_sg sg = { { 0x1000 }, 16 };
	struct pv_driver_queue queue;
	struct pv_fake_bus fake;
	struct pv_driver driver;
	char token;

	(void)state;
	start(&fake, &driver, VIRTIO_F_RING_RESET);
	assert_int_equal(pv_driver_queue_init(&queue, &driver, 0, &options), 0);
	assert_int_equal(pv_driver_start(&driver), 0);
	assert_int_equal(pv_drv_ring_add(&queue.ring, &sg, 1, 0, &token), 0);
	pv_driver_queue_publish(&queue);
	assert_int_equal(queue.kicks, 1);
	assert_int_equal(pv_driver_queue_reset(&queue), 0);
	assert_false(fake.is_enabled[0]);
	assert_ptr_equal(pv_drv_ring_detach(&queue.ring), &token);
	assert_int_equal(pv_driver_queue_enable(&queue), 0);
	assert_true(fake.is_enabled[0]);
	assert_int_equal(queue.ring.free_descs, queue.ring.size);
	assert_int_equal(pv_le16_get(queue.ring.avail->idx), 0);
	assert_int_equal(pv_driver_stop(&driver), 0);
	pv_driver_queue_fini(&queue);
	assert_int_equal(fake.shared_out + fake.private_out, 0);
}

static void a_queue_reset_needs_its_feature(void **state)
{
	const struct pv_driver_queue_options options = { 0 };
	struct pv_driver_queue queue;
	struct pv_fake_bus fake;
	struct pv_driver driver;

	(void)state;
	start(&fake, &driver, 0);
	assert_int_equal(pv_driver_queue_init(&queue, &driver, 0, &options), 0);
	assert_int_equal(pv_driver_queue_reset(&queue), -PV_ENOTSUP);
	assert_true(fake.is_enabled[0]);
	assert_int_equal(pv_driver_stop(&driver), 0);
	pv_driver_queue_fini(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(initialisation_goes_in_the_order_of_section_3_1_1),
		cmocka_unit_test(a_slow_reset_is_waited_for_and_an_endless_one_is_not),
		cmocka_unit_test(only_wanted_features_that_are_offered_are_accepted),
		cmocka_unit_test(a_device_without_a_required_feature_is_told_failed),
		cmocka_unit_test(a_device_that_takes_features_ok_back_is_not_driven),
		cmocka_unit_test(a_bus_that_is_gone_is_an_error_and_never_a_wait),
		cmocka_unit_test(tables_that_are_too_large_to_count_are_not_had),
		cmocka_unit_test(a_torn_configuration_is_read_again_but_not_for_ever),
		cmocka_unit_test(a_device_that_needs_a_reset_is_seen),
		cmocka_unit_test(a_queue_has_the_size_that_both_sides_can),
		cmocka_unit_test(a_queue_that_does_not_exist_is_refused),
		cmocka_unit_test(the_device_is_told_where_the_areas_are),
		cmocka_unit_test(whatever_allocation_fails_nothing_is_left_behind),
		cmocka_unit_test(memory_stays_with_a_device_that_does_not_confirm_its_reset),
		cmocka_unit_test(notification_data_needs_a_bus_with_room_for_it),
		cmocka_unit_test(a_queue_can_be_taken_back_and_given_again),
		cmocka_unit_test(a_queue_reset_needs_its_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
