/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network device that is served elsewhere: what of it is our own, in front of a back-end that
 * only listens.  The control queue, with a real driver's ring; its address and cable; what moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "abi/virtio_net.h"
#include "drivers/core/driver.h"
#include "tests/support/fake_backend.h"
#include "tests/support/remote_rig.h"

#define PAIRS   2u
#define QUEUES  (2 * PAIRS + 1)
#define CONTROL (2 * PAIRS)

static const uint8_t mac[VIRTIO_NET_MAC_BYTES] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

static struct fake_backend fake;
static struct remote_rig rig;
static struct pv_driver driver;
static struct pv_driver_queue queue[QUEUES];

/* ---- the rig ---- */

static void open_device(void)
{
	fake_backend_init(&fake);
	fake.features |= VIRTIO_NET_F_CSUM | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_MQ |
	                 VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_RSS |
	                 VIRTIO_NET_F_GUEST_ANNOUNCE;
	fake_backend_start(&fake);
	remote_rig_init(&rig, PV_REMOTE_NET, REMOTE_ON_PCI);
	rig.fd = fake.front;
	rig.options.net = (struct pv_remote_net_options){ .mtu = 9000, .pairs = PAIRS };
	memcpy(rig.options.net.mac, mac, sizeof(mac));
	if (remote_rig_open(&rig))
		fail_msg("%s", rig.sentence);
}

static void start_driver(void)
{
	const struct pv_driver_wish wish = { .wanted = ~(VIRTIO_F_RING_PACKED |
		                                         VIRTIO_F_ACCESS_PLATFORM) };
	const struct pv_driver_queue_options options = { 0 };

	assert_int_equal(rig.bus->device_id, VIRTIO_ID_NET);
	assert_int_equal(pv_driver_init(&driver, rig.bus, &rig.guest.base.os, &wish), 0);
	for (uint16_t i = 0; i < QUEUES; i++)
		assert_int_equal(pv_driver_queue_init(&queue[i], &driver, i, &options), 0);
	assert_int_equal(pv_driver_start(&driver), 0);
	assert_false(pv_driver_needs_reset(&driver));
}

static void stop_driver(void)
{
	assert_int_equal(pv_driver_stop(&driver), 0);
	for (uint16_t i = 0; i < QUEUES; i++)
		pv_driver_queue_fini(&queue[i]);
}

static void close_device(void)
{
	remote_rig_close(&rig);
	fake_backend_stop(&fake);
}

/* ---- what the driver sees ---- */

static struct virtio_net_config config(void)
{
	struct virtio_net_config read;

	assert_int_equal(rig.bus->ops->config_read(rig.bus, 0, &read, sizeof(read)), 0);
	return read;
}

static bool is_link_up(void)
{
	return pv_le16_get(config().status) & VIRTIO_NET_S_LINK_UP;
}

static void address_and_numbers_are_ours(void **state)
{
	struct virtio_net_config seen;

	(void)state;
	open_device();
	seen = config();
	assert_memory_equal(seen.mac, mac, sizeof(mac));
	assert_int_equal(pv_le16_get(seen.status), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(pv_le16_get(seen.max_virtqueue_pairs), PAIRS);
	assert_int_equal(pv_le16_get(seen.mtu), 9000);
	close_device();
}

/* What needs a word on the control queue that nobody there would hear is not offered. */
static void features_are_those_that_can_be_kept(void **state)
{
	const uint64_t ours = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU |
	                      VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_MQ;
	uint64_t offered, told;

	(void)state;
	open_device();
	offered = pv_device_features(rig.device);
	assert_int_equal(offered & 0xffffff, ours | VIRTIO_NET_F_CSUM | VIRTIO_NET_F_MRG_RXBUF);
	assert_int_equal(offered & VIRTIO_NET_F_RSS, 0);
	start_driver();
	told = fake_last(&fake, VHOST_USER_SET_FEATURES)->payload.u64;
	assert_int_equal(told & (ours | VIRTIO_F_RING_RESET), VIRTIO_NET_F_MQ);
	assert_int_equal(told & VIRTIO_NET_F_CSUM, VIRTIO_NET_F_CSUM);
	stop_driver();
	close_device();
}

static void the_cable_goes_out_and_in(void **state)
{
	uint32_t before, after;

	(void)state;
	open_device();
	rig.bus->ops->config_generation(rig.bus, &before);
	pv_remote_set_link(rig.remote, false);
	rig.bus->ops->config_generation(rig.bus, &after);
	assert_int_not_equal(before, after);
	assert_false(is_link_up());
	pv_remote_set_link(rig.remote, true);
	assert_true(is_link_up());
	rig.bus->ops->config_generation(rig.bus, &before);
	shutdown(fake.socket, SHUT_RDWR);
	while (pv_remote_is_connected(rig.remote))
		rig.guest.base.os.ops->wait(&rig.guest.base.os, 0);
	assert_false(is_link_up());
	rig.bus->ops->config_generation(rig.bus, &after);
	assert_int_not_equal(before, after);
	close_device();
}

/* ---- pairs in use ---- */

/* Whether the last that was said of a queue is that it is worked on. */
static bool is_on(uint32_t index)
{
	for (uint32_t i = fake.messages; i > 0; i--) {
		const struct pv_vhu_message *message = &fake.message[i - 1];

		if (message->request == VHOST_USER_SET_VRING_ENABLE &&
		    message->payload.state.index == index)
			return message->payload.state.num;
	}
	return false;
}

static bool are_on(uint32_t pairs)
{
	for (uint32_t i = 0; i < 2 * PAIRS; i++)
		if (is_on(i) != (i / 2 < pairs))
			return false;
	return true;
}

static uint8_t command(uint8_t class, uint8_t code, const void *data, uint32_t bytes)
{
	struct pv_gpa gpa;
	uint8_t *memory = rig.guest.base.os.ops->shared_alloc(&rig.guest.base.os, 64, 64, &gpa);
	const struct pv_sg sg[] = { { gpa, 2 },
		                    { pv_gpa_add(gpa, 8), bytes },
		                    { pv_gpa_add(gpa, 32), 1 } };
	uint32_t written;
	void *token;
	uint8_t answer;

	memory[0] = class;
	memory[1] = code;
	memcpy(memory + 8, data, bytes);
	memory[32] = 0xee;
	assert_int_equal(pv_drv_ring_add(&queue[CONTROL].ring, sg, 2, 1, memory), 0);
	pv_driver_queue_publish(&queue[CONTROL]);
	while (pv_drv_ring_take(&queue[CONTROL].ring, &token, &written) == PV_DRV_NONE)
		rig.guest.base.os.ops->wait(&rig.guest.base.os, 0);
	assert_ptr_equal(token, memory);
	assert_int_equal(written, 1);
	answer = memory[32];
	rig.guest.base.os.ops->shared_free(&rig.guest.base.os, memory, 64);
	return answer;
}

static uint8_t set_pairs(uint16_t pairs)
{
	const struct pv_le16 data = pv_le16_of(pairs);

	return command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &data, sizeof(data));
}

static void the_far_side_works_on_the_pairs_that_the_driver_wants(void **state)
{
	(void)state;
	open_device();
	start_driver();
	assert_true(are_on(1));
	assert_int_equal(set_pairs(2), VIRTIO_NET_OK);
	assert_true(are_on(2));
	assert_int_equal(set_pairs(1), VIRTIO_NET_OK);
	assert_true(are_on(1));
	stop_driver();
	close_device();
}

/* What is not known is refused, never acknowledged and forgotten. */
static void other_commands_are_refused(void **state)
{
	const uint8_t data[4] = { 1 };

	(void)state;
	open_device();
	start_driver();
	assert_int_equal(set_pairs(0), VIRTIO_NET_ERR);
	assert_int_equal(set_pairs(PAIRS + 1), VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, data, 1),
	                 VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, data, 3),
	                 VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, data, 2),
	                 VIRTIO_NET_ERR);
	assert_int_equal(command(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, data, 2),
	                 VIRTIO_NET_ERR);
	assert_true(are_on(1));
	stop_driver();
	close_device();
}

static void a_reset_takes_the_second_pair_back(void **state)
{
	(void)state;
	open_device();
	start_driver();
	assert_int_equal(set_pairs(2), VIRTIO_NET_OK);
	stop_driver();
	fake.messages = 0;
	start_driver();
	assert_true(are_on(1));
	stop_driver();
	close_device();
}

/* ---- moving ---- */

static void where_the_queues_stand_moves(void **state)
{
	static uint8_t data[16384];
	struct pv_state_writer to = { .data = data, .capacity = sizeof(data) };
	char sentence[PV_FAR_SENTENCE_BYTES];

	(void)state;
	open_device();
	start_driver();
	assert_int_equal(set_pairs(2), VIRTIO_NET_OK);
	assert_int_equal(pv_device_pause(rig.device, (struct pv_waiter){ 0 }), 0);
	while (rig.device->queue[CONTROL].state != PV_QUEUE_PAUSED)
		remote_rig_turn(&rig);
	assert_true(pv_remote_can_be_saved(rig.remote, sentence));
	assert_int_equal(pv_device_save(rig.device, &to), 0);
	assert_int_equal(pv_device_abandon(rig.device), 0);
	fake.messages = 0;
	assert_int_equal(pv_device_load(rig.device, data, to.bytes), 0);
	pv_device_resume(rig.device);
	/* The back-end said that a queue stood at 77, and that is where the next one begins. */
	assert_int_equal(fake_count(&fake, VHOST_USER_SET_VRING_BASE), 2 * PAIRS);
	assert_int_equal(fake_last(&fake, VHOST_USER_SET_VRING_BASE)->payload.state.num, 77);
	assert_true(are_on(2));
	stop_driver();
	close_device();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_and_numbers_are_ours),
		cmocka_unit_test(features_are_those_that_can_be_kept),
		cmocka_unit_test(the_cable_goes_out_and_in),
		cmocka_unit_test(the_far_side_works_on_the_pairs_that_the_driver_wants),
		cmocka_unit_test(other_commands_are_refused),
		cmocka_unit_test(a_reset_takes_the_second_pair_back),
		cmocka_unit_test(where_the_queues_stand_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
