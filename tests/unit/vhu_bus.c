/* SPDX-License-Identifier: BSD-2-Clause */
/* The bus over a vhost-user connection: what a driver does, as messages; and interrupts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/driver_bus/arena.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "ring/err.h"
#include "tests/support/descriptors.h"
#include "tests/support/fake_backend.h"

#define SECOND_NS 1000000000ull
#define DRIVER_OK                                                                                  \
	(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |            \
	 VIRTIO_STATUS_DRIVER_OK)

static struct fake_backend fake;
static struct pv_vhu_bus *own;
static struct pv_bus *bus;
static struct pv_os *os;

static int setup(void **state)
{
	(void)state;
	fake_backend_init(&fake);
	fake.protocol_features &= ~VHOST_USER_PROTOCOL_F_STATUS;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pv_vhu_bus_destroy(own);
	fake_backend_stop(&fake);
	return 0;
}

static void connect_with(uint64_t protocol_features)
{
	char sentence[256];
	struct pv_vhu_bus_options options = { .device_id = 2,
		                              .queue_size_max = 64,
		                              .protocol_features = protocol_features,
		                              .timeout_ms = 500,
		                              .memory_bytes = 1 << 20 };

	fake_backend_start(&fake);
	options.fd = fake.front;
	if (pv_vhu_bus_create(&own, &options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
	bus = pv_vhu_bus_bus(own);
	os = pv_vhu_bus_os(own);
}

static struct pv_bus_queue place(uint64_t offset)
{
	return (struct pv_bus_queue){ .size = 16,
		                      .desc_area = { PV_ARENA_GPA + offset },
		                      .driver_area = { PV_ARENA_GPA + offset + 0x1000 },
		                      .device_area = { PV_ARENA_GPA + offset + 0x2000 } };
}

static void start_queue(uint16_t index)
{
	struct pv_bus_queue queue = place(0x4000u * index);

	assert_int_equal(bus->ops->queue_enable(bus, index, &queue), 0);
}

static uint8_t status_now(void)
{
	uint8_t status;

	assert_int_equal(bus->ops->status_get(bus, &status), 0);
	return status;
}

static void queues_are_enabled_with_driver_ok_and_not_before(void **state)
{
	(void)state;
	connect_with(0);
	start_queue(0);
	start_queue(1);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_VRING_ENABLE), 0);
	assert_int_equal(bus->ops->status_set(bus, DRIVER_OK), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_VRING_ENABLE), 2);
	assert_int_equal(status_now(), DRIVER_OK);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_STATUS), 0);
}

static void memory_is_told_once_with_addresses_of_both_sides(void **state)
{
	struct pv_gpa gpa;
	void *piece;
	const struct vhost_user_region *told;
	const struct vhost_user_vring_addr *addr;

	(void)state;
	connect_with(0);
	piece = os->ops->shared_alloc(os, 64, 64, &gpa);
	start_queue(0);
	start_queue(1);
	assert_int_equal(fake_count(&fake, VHOST_USER_ADD_MEM_REG), 1);
	told = &fake_last(&fake, VHOST_USER_ADD_MEM_REG)->payload.reg.region;
	assert_int_equal(told->guest_addr, PV_ARENA_GPA);
	assert_int_equal(told->user_addr + (gpa.v - told->guest_addr), (uintptr_t)piece);
	addr = &fake_last(&fake, VHOST_USER_SET_VRING_ADDR)->payload.addr;
	assert_int_equal(addr->desc, told->user_addr + 0x4000);
	assert_int_equal(addr->avail, told->user_addr + 0x5000);
	assert_int_equal(addr->used, told->user_addr + 0x6000);
}

static void a_back_end_without_slots_gets_a_memory_table(void **state)
{
	(void)state;
	connect_with(PV_VHU_BUS_FEATURES & ~VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
	start_queue(0);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_MEM_TABLE), 1);
}

static void a_reset_stops_each_queue_and_resets_the_device(void **state)
{
	(void)state;
	connect_with(0);
	start_queue(0);
	start_queue(1);
	bus->ops->status_set(bus, DRIVER_OK);
	assert_int_equal(bus->ops->status_set(bus, 0), 0);
	assert_int_equal(status_now(), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_GET_VRING_BASE), 2);
	assert_int_equal(fake_count(&fake, VHOST_USER_RESET_DEVICE), 1);
	start_queue(0);
	assert_int_equal(bus->ops->status_set(bus, DRIVER_OK), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_ADD_MEM_REG), 1);
}

static void a_back_end_with_a_status_is_asked_for_it(void **state)
{
	(void)state;
	fake.protocol_features |= VHOST_USER_PROTOCOL_F_STATUS;
	connect_with(0);
	assert_int_equal(bus->ops->status_set(bus, DRIVER_OK), 0);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_STATUS)->payload.u64, DRIVER_OK);
	fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_int_equal(status_now(), DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(bus->ops->status_set(bus, 0), 0);
	assert_int_equal(status_now(), 0);
}

static void a_packed_ring_starts_with_its_wrap_counters_set(void **state)
{
	(void)state;
	connect_with(0);
	assert_int_equal(bus->ops->features_set(bus, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED), 0);
	start_queue(0);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_VRING_BASE)->payload.state.num,
	                 0x80008000);
}

static void a_queue_comes_back_alone_and_starts_anew(void **state)
{
	(void)state;
	connect_with(0);
	start_queue(0);
	start_queue(1);
	bus->ops->status_set(bus, DRIVER_OK);
	assert_int_equal(bus->ops->queue_reset(bus, 1), 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_GET_VRING_BASE), 1);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_VRING_ENABLE)->payload.state.num, 0);
	start_queue(1);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_VRING_ENABLE)->payload.state.num, 1);
}

static void queues_that_do_not_exist_have_no_size(void **state)
{
	uint16_t size;
	struct pv_bus_queue queue = place(0);

	(void)state;
	connect_with(0);
	bus->ops->queue_size_max(bus, 1, &size);
	assert_int_equal(size, 64);
	bus->ops->queue_size_max(bus, 2, &size);
	assert_int_equal(size, 0);
	assert_int_equal(bus->ops->queue_enable(bus, 2, &queue), -PV_EINVAL);
	queue.desc_area.v = 0x1000;
	assert_int_equal(bus->ops->queue_enable(bus, 0, &queue), -PV_EINVAL);
}

static void a_failed_queue_needs_a_reset(void **state)
{
	(void)state;
	connect_with(0);
	start_queue(0);
	bus->ops->status_set(bus, DRIVER_OK);
	assert_int_equal(eventfd_write(fake.err_fd, 1), 0);
	assert_int_equal(status_now(), DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(status_now(), DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
	bus->ops->status_set(bus, 0);
	assert_int_equal(status_now(), 0);
}

/* ---- one back-end after another ---- */

static void what_is_in_flight_is_accounted_for_before_the_queues(void **state)
{
	const struct vhost_user_inflight *told;

	(void)state;
	connect_with(0);
	start_queue(0);
	start_queue(1);
	assert_int_equal(fake_count(&fake, VHOST_USER_GET_INFLIGHT_FD), 1);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_INFLIGHT_FD), 1);
	told = &fake_last(&fake, VHOST_USER_SET_INFLIGHT_FD)->payload.inflight;
	assert_int_equal(told->num_queues, 2);
	assert_int_equal(told->queue_size, 64);
	assert_true(fake_last(&fake, VHOST_USER_SET_INFLIGHT_FD) <
	            fake_last(&fake, VHOST_USER_SET_VRING_NUM));
}

/* Nothing is in flight after a reset: an old account would bring requests back from the dead. */
static void a_reset_ends_the_account_and_the_next_start_has_one_of_its_own(void **state)
{
	(void)state;
	connect_with(0);
	start_queue(0);
	bus->ops->status_set(bus, DRIVER_OK);
	bus->ops->status_set(bus, 0);
	start_queue(0);
	assert_int_equal(fake_count(&fake, VHOST_USER_GET_INFLIGHT_FD), 2);
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_INFLIGHT_FD), 2);
}

static bool refuse(struct fake_backend *backend, struct pv_vhu_message *message)
{
	fake_reply_u64(backend, message->request, 1);
	return true;
}

static void an_account_that_is_refused_is_asked_for_again_and_leaves_no_descriptor(void **state)
{
	struct pv_bus_queue queue = place(0);
	int before;

	(void)state;
	fake.twisted = VHOST_USER_SET_INFLIGHT_FD;
	fake.twist = refuse;
	connect_with(0);
	assert_true(bus->ops->queue_enable(bus, 0, &queue) < 0);
	before = descriptors_open();
	assert_true(bus->ops->queue_enable(bus, 0, &queue) < 0);
	assert_int_equal(fake_count(&fake, VHOST_USER_GET_INFLIGHT_FD), 2);
	assert_int_equal(descriptors_open(), before);
}

static ino_t inode_of(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return status.st_ino;
}

/* The first back-end leaves, and the test goes on with another. */
static void lose_back_end(struct fake_backend *next)
{
	fake_backend_init(next);
	next->protocol_features = fake.protocol_features;
	shutdown(fake.socket, SHUT_RDWR);
	fake_backend_start(next);
}

static void the_next_back_end_is_told_all_and_goes_on(void **state)
{
	static struct fake_backend next;
	struct pv_gpa gpa;
	uint16_t *used;
	ino_t account;
	char sentence[256];
	eventfd_t kicks;

	(void)state;
	connect_with(0);
	/* The queue's used ring, at the arena's beginning plus two pages. */
	used = (uint16_t *)os->ops->shared_alloc(os, 0x3000, 4096, &gpa) + 0x1000;
	assert_int_equal(gpa.v, PV_ARENA_GPA);
	start_queue(0);
	bus->ops->status_set(bus, DRIVER_OK);
	account = inode_of(fake.inflight_fd);
	used[1] = 4711;
	lose_back_end(&next);
	assert_int_equal(pv_vhu_bus_reconnect(own, NULL, next.front, sentence, sizeof(sentence)),
	                 0);
	assert_int_equal(fake_count(&next, VHOST_USER_GET_INFLIGHT_FD), 0);
	assert_int_equal(inode_of(next.inflight_fd), account);
	assert_int_equal(fake_last(&next, VHOST_USER_SET_VRING_BASE)->payload.state.num, 4711);
	assert_int_equal(fake_count(&next, VHOST_USER_ADD_MEM_REG), 1);
	assert_int_equal(fake_last(&next, VHOST_USER_SET_VRING_ENABLE)->payload.state.num, 1);
	/* It is kicked, and the driver is interrupted: either may have been on its way. */
	assert_int_equal(eventfd_read(next.kick_fd, &kicks), 0);
	assert_int_equal(pv_vhu_bus_wait(own, 0, 0), 1);
	assert_int_equal(status_now(), DRIVER_OK);
	pv_vhu_bus_destroy(own);
	own = NULL;
	fake_backend_stop(&next);
}

static void a_back_end_of_another_kind_is_not_taken(void **state)
{
	static struct fake_backend next;
	char sentence[256];

	(void)state;
	connect_with(0);
	start_queue(0);
	lose_back_end(&next);
	fake_backend_stop(&next);
	close(next.front);
	fake_backend_init(&next);
	next.queues = 1;
	fake_backend_start(&next);
	assert_int_equal(pv_vhu_bus_reconnect(own, NULL, next.front, sentence, sizeof(sentence)),
	                 -ENOTSUP);
	assert_string_equal(sentence, "the back-end is not like the one before it");
	assert_int_equal(fake_count(&next, VHOST_USER_SET_FEATURES), 0);
	fake_backend_stop(&next);
}

/* ---- kicks and interrupts ---- */

static void a_kick_reaches_the_back_end(void **state)
{
	eventfd_t kicks;

	(void)state;
	connect_with(0);
	start_queue(0);
	bus->ops->kick(bus, 0, 0);
	bus->ops->kick(bus, 0, 0);
	assert_int_equal(eventfd_read(fake.kick_fd, &kicks), 0);
	assert_int_equal(kicks, 2);
	assert_int_equal(pv_vhu_bus_counters(own, 0).kicks, 2);
	bus->ops->kick(bus, 9, 0);
}

static void an_interrupt_ends_a_wait_and_is_counted(void **state)
{
	(void)state;
	connect_with(0);
	start_queue(0);
	eventfd_write(fake.call_fd, 1);
	eventfd_write(fake.call_fd, 1);
	assert_int_equal(pv_vhu_bus_wait(own, 0, SECOND_NS), 1);
	assert_int_equal(pv_vhu_bus_counters(own, 0).interrupts, 2);
	assert_int_equal(pv_vhu_bus_wait(own, 0, 1000), 0);
	assert_int_equal(pv_vhu_bus_wait(own, 7, 1000), 0);
}

static uint64_t waited_ns(uint64_t ns)
{
	uint64_t begin = os->ops->now_ns(os);

	os->ops->wait(os, ns);
	return os->ops->now_ns(os) - begin;
}

/* Or a thread that waits for a queue could lose what another one takes. */
static void the_ports_wait_takes_no_interrupt_away(void **state)
{
	(void)state;
	connect_with(0);
	start_queue(0);
	for (int i = 0; i < 3; i++) {
		eventfd_write(fake.call_fd, 1);
		waited_ns(SECOND_NS);
	}
	assert_int_equal(pv_vhu_bus_wait(own, 0, SECOND_NS), 1);
	assert_int_equal(pv_vhu_bus_counters(own, 0).interrupts, 3);
	assert_int_equal(pv_vhu_bus_wait(own, 0, 1000), 0);
}

/* The shortest of many tries: anything else is the machine's load. */
static void the_ports_wait_ends_at_an_interrupt_and_sleeps_without_one(void **state)
{
	uint64_t least_ns = SECOND_NS, least_idle_ns = SECOND_NS;

	(void)state;
	connect_with(0);
	start_queue(0);
	for (int i = 0; i < 50; i++) {
		uint64_t ns;

		eventfd_write(fake.call_fd, 1);
		ns = waited_ns(SECOND_NS);
		least_ns = ns < least_ns ? ns : least_ns;
		ns = waited_ns(SECOND_NS);
		least_idle_ns = ns < least_idle_ns ? ns : least_idle_ns;
	}
	assert_true(least_ns < 500000);
	assert_true(least_idle_ns >= 900000);
}

static void a_closed_channel_keeps_nobody_awake(void **state)
{
	(void)state;
	connect_with(0);
	shutdown(fake.channel, SHUT_RDWR);
	waited_ns(SECOND_NS);
	assert_int_equal(pv_vhu_frontend_channel(pv_vhu_bus_frontend(own)), -1);
	assert_true(waited_ns(SECOND_NS) >= 900000);
	assert_int_equal(pv_vhu_bus_wait(own, 0, 1000), 0);
}

static void *signal_later(void *arg)
{
	struct timespec nap = { 0, 30000000 };

	(void)arg;
	nanosleep(&nap, NULL);
	eventfd_write(fake.call_fd, 1);
	return NULL;
}

static void a_sleeping_thread_is_woken(void **state)
{
	pthread_t thread;

	(void)state;
	connect_with(0);
	start_queue(0);
	pthread_create(&thread, NULL, signal_later, NULL);
	assert_int_equal(pv_vhu_bus_wait(own, 0, 10 * SECOND_NS), 1);
	pthread_join(thread, NULL);
}

static void in_band_kicks_and_calls_are_messages(void **state)
{
	struct vhost_user_vring_state state0 = { 0, 0 };

	(void)state;
	connect_with(PV_VHU_FRONTEND_FEATURES);
	start_queue(0);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_VRING_KICK)->payload.u64,
	                 VHOST_USER_VRING_NO_FD);
	bus->ops->kick(bus, 0, 0);
	status_now();
	bus->ops->status_set(bus, DRIVER_OK);
	assert_int_equal(fake_count(&fake, VHOST_USER_VRING_KICK), 1);
	assert_false(fake_last(&fake, VHOST_USER_VRING_KICK)->flags & VHOST_USER_FLAG_NEED_REPLY);
	fake_channel_send(&fake, VHOST_USER_BACKEND_VRING_CALL, 0, &state0, sizeof(state0));
	assert_int_equal(pv_vhu_bus_wait(own, 0, SECOND_NS), 1);
	state0.index = 200;
	fake_channel_send(&fake, VHOST_USER_BACKEND_VRING_CALL, 0, &state0, sizeof(state0));
	assert_int_equal(pv_vhu_bus_wait(own, 0, 1000000), 0);
	state0.index = 0;
	fake_channel_send(&fake, VHOST_USER_BACKEND_VRING_ERR, 0, &state0, sizeof(state0));
	assert_true(status_now() & VIRTIO_STATUS_NEEDS_RESET);
}

static void a_changed_configuration_has_a_new_generation(void **state)
{
	uint32_t before, after;

	(void)state;
	connect_with(0);
	assert_int_equal(bus->ops->config_generation(bus, &before), 0);
	fake_channel_send(&fake, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, NULL, 0);
	assert_int_equal(bus->ops->config_generation(bus, &after), 0);
	assert_int_not_equal(before, after);
}

/* ---- a back-end that leaves ---- */

static void a_wait_ends_when_the_back_end_leaves(void **state)
{
	uint8_t status;

	(void)state;
	connect_with(0);
	start_queue(0);
	shutdown(fake.socket, SHUT_RDWR);
	assert_int_equal(pv_vhu_bus_wait(own, 0, 10 * SECOND_NS), -PV_EIO);
	assert_int_equal(pv_vhu_bus_wait(own, 0, 10 * SECOND_NS), -PV_EIO);
	os->ops->wait(os, 10 * SECOND_NS);
	assert_int_equal(bus->ops->status_get(bus, &status), -PV_EIO);
	assert_int_equal(bus->ops->status_set(bus, 0), -PV_EIO);
	bus->ops->kick(bus, 0, 0);
	assert_string_equal(pv_vhu_bus_error(own), "the back-end has closed the connection");
}

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_FAKE(queues_are_enabled_with_driver_ok_and_not_before),
		ON_FAKE(memory_is_told_once_with_addresses_of_both_sides),
		ON_FAKE(a_back_end_without_slots_gets_a_memory_table),
		ON_FAKE(a_reset_stops_each_queue_and_resets_the_device),
		ON_FAKE(a_back_end_with_a_status_is_asked_for_it),
		ON_FAKE(a_packed_ring_starts_with_its_wrap_counters_set),
		ON_FAKE(a_queue_comes_back_alone_and_starts_anew),
		ON_FAKE(queues_that_do_not_exist_have_no_size),
		ON_FAKE(a_failed_queue_needs_a_reset),
		ON_FAKE(what_is_in_flight_is_accounted_for_before_the_queues),
		ON_FAKE(a_reset_ends_the_account_and_the_next_start_has_one_of_its_own),
		ON_FAKE(an_account_that_is_refused_is_asked_for_again_and_leaves_no_descriptor),
		ON_FAKE(the_next_back_end_is_told_all_and_goes_on),
		ON_FAKE(a_back_end_of_another_kind_is_not_taken),
		ON_FAKE(a_kick_reaches_the_back_end),
		ON_FAKE(an_interrupt_ends_a_wait_and_is_counted),
		ON_FAKE(the_ports_wait_takes_no_interrupt_away),
		ON_FAKE(the_ports_wait_ends_at_an_interrupt_and_sleeps_without_one),
		ON_FAKE(a_closed_channel_keeps_nobody_awake),
		ON_FAKE(a_sleeping_thread_is_woken),
		ON_FAKE(in_band_kicks_and_calls_are_messages),
		ON_FAKE(a_changed_configuration_has_a_new_generation),
		ON_FAKE(a_wait_ends_when_the_back_end_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
