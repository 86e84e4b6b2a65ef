/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net, both real halves against each other on a wire in memory: frames of all sizes in both
 * directions, on memory cut into small regions, with every combination of ring features and those
 * of the device's that change what a packet looks like; and in between, at random instants, the
 * device is saved and loaded into another one, or asks for a reset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/each.h"
#include "tests/support/net_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define STEPS (getenv("PV_LONG") ? 30000u : getenv("PV_SHORT") ? 400u : 1500u)

#define GUEST_GSO                                                                                  \
	(VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_UFO |              \
	 VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6 | VIRTIO_NET_F_GUEST_ECN)

static struct net_rig rig;

/*
 * Buffers that are merged, big ones, small ones, with hashes and without, no extras at all, and
 * wires that know headers.
 */
static const struct {
	uint64_t without;
	bool has_own_buffers;
	uint16_t pairs;
	bool has_source_for_each_pair;
	bool knows_headers;
} kinds[] = {
	{ 0, false, 1, false, false },
	{ VIRTIO_NET_F_HASH_REPORT, true, 1, false, false },
	{ VIRTIO_NET_F_MRG_RXBUF, false, 1, false, false },
	{ VIRTIO_NET_F_MRG_RXBUF | GUEST_GSO, true, 1, false, false },
	{ ~0ull & ~(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET), false, 1, false, false },
	{ VIRTIO_NET_F_RSS, false, 4, true, false },
	{ 0, true, 3, false, false },
	{ VIRTIO_NET_F_HASH_REPORT, false, 1, false, true },
	{ VIRTIO_NET_F_MRG_RXBUF, true, 2, true, true },
};

static void on_every_kind(void (*body)(void))
{
	for (uint64_t i = 0; i < COUNT(kinds) * PV_RING_KINDS; i++) {
		const struct net_rig_options options = {
			.ring_features = pv_ring_kind[i % PV_RING_KINDS],
			.without = kinds[i / PV_RING_KINDS].without,
			.has_own_buffers = kinds[i / PV_RING_KINDS].has_own_buffers,
			.pairs = kinds[i / PV_RING_KINDS].pairs,
			.has_source_for_each_pair =
				kinds[i / PV_RING_KINDS].has_source_for_each_pair,
			.knows_headers = kinds[i / PV_RING_KINDS].knows_headers,
			.number = i,
		};

		net_rig_open(&rig, &options);
		body();
		net_rig_close(&rig);
	}
}

#define ON_EVERY_KIND(name) PV_TEST_EACH(on_every_kind, name)

static uint16_t any_pair(void)
{
	return (uint16_t)pv_random_below(&rig.random, rig.pairs);
}

static void one_step(bool may_move)
{
	uint32_t dice = pv_random_below(&rig.random, 100);

	if (dice < 25)
		net_rig_send(&rig, any_pair());
	else if (dice < 50)
		net_rig_put(&rig, any_pair());
	else if (dice < 70)
		pv_couple_run(&rig.couple);
	else if (dice < 75)
		pv_couple_sleep(&rig.couple);
	else if (dice < 80)
		pv_couple_pass(&rig.couple, pv_random_below(&rig.random, 2000));
	else if (dice < 99 || !may_move)
		net_rig_look(&rig);
	else
		net_rig_move(&rig);
}

static void run_steps(bool may_move)
{
	for (uint32_t step = 0; step < STEPS; step++)
		one_step(may_move);
	if (may_move)
		net_rig_move(&rig); /* at least once */
	net_rig_settle(&rig);
	assert_int_equal(rig.couple.needs_resets, 0);
	assert_true(rig.frames_in > 10 && rig.frames_out > 10);
	if (rig.wire.wire.knows_headers)
		assert_true(rig.uncut_in > 1 && rig.uncut_out > 1);
	for (uint16_t pair = 0; pair < rig.pairs; pair++)
		assert_int_equal(pv_netdrv_queue_counters(pv_netdrv_rx(rig.driver, pair)).malformed,
		                 0);
}

ON_EVERY_KIND(frames_of_all_sizes_go_both_ways_once_and_in_order)
{
	run_steps(false);
}

ON_EVERY_KIND(a_device_that_moves_under_load_loses_and_doubles_nothing)
{
	run_steps(true);
	/* But for a frame that waited for buffers at that instant. */
	if (rig.pairs == 1)
		assert_in_range(rig.next_in - 1 - rig.frames_in, 0, rig.moves);
}

/* ---- commands ---- */

static const uint8_t other_mac[VIRTIO_NET_MAC_BYTES] = { 2, 1, 2, 3, 4, 5 };

static const uint8_t macs[3 * VIRTIO_NET_MAC_BYTES] = { 2, 0, 0, 0, 0, 1,  2, 0, 0,
	                                                0, 0, 2, 1, 0, 94, 0, 0, 1 };

static const uint8_t key[VIRTIO_NET_RSS_KEY_MIN] = { 0x6d, 0x5a, 0x56, 0xda };

static void open_plain(uint16_t pairs, uint64_t without)
{
	const struct net_rig_options options = { .pairs = pairs,
		                                 .without = without,
		                                 .number = 1000 };

	net_rig_open(&rig, &options);
}

/* One of each kind that a reset undoes. */
static void tell_everything(void)
{
	const uint16_t table[] = { 0, 1, 1, 0 };
	const struct pv_netdrv_rss rss = { .hash_types = VIRTIO_NET_HASH_TYPE_IPv4,
		                           .pairs = 2,
		                           .unclassified = 1,
		                           .table = table,
		                           .table_length = COUNT(table),
		                           .key = key,
		                           .key_bytes = sizeof(key) };

	assert_int_equal(pv_netdrv_set_mac(rig.driver, other_mac), 0);
	assert_int_equal(pv_netdrv_set_macs(rig.driver, macs, 2, macs + 12, 1), 0);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.driver, VIRTIO_NET_CTRL_RX_PROMISC, true), 0);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.driver, VIRTIO_NET_CTRL_RX_NOBCAST, true), 0);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.driver, VIRTIO_NET_CTRL_RX_ALLUNI, true), 0);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.driver, VIRTIO_NET_CTRL_RX_ALLUNI, false), 0);
	assert_int_equal(pv_netdrv_set_vlan(rig.driver, 0, true), 0);
	assert_int_equal(pv_netdrv_set_vlan(rig.driver, 7, true), 0);
	assert_int_equal(pv_netdrv_set_vlan(rig.driver, 4095, true), 0);
	assert_int_equal(pv_netdrv_set_vlan(rig.driver, 7, false), 0);
	assert_int_equal(pv_netdrv_set_guest_offloads(rig.driver, VIRTIO_NET_F_GUEST_CSUM), 0);
	assert_int_equal(pv_netdrv_set_rss(rig.driver, &rss), 0);
	assert_int_equal(
		pv_netdrv_set_hash(rig.driver, VIRTIO_NET_HASH_TYPE_UDPv4, key, sizeof(key)), 0);
	assert_int_equal(pv_netdrv_set_queue_coalescing(pv_netdrv_rx(rig.driver, 0),
	                                                (struct pv_netdrv_coalescing){ 1, 2 }),
	                 0);
	assert_int_equal(pv_netdrv_set_coalescing(rig.driver, true,
	                                          (struct pv_netdrv_coalescing){ 3, 4 }),
	                 0);
	assert_int_equal(pv_netdrv_set_coalescing(rig.driver, false,
	                                          (struct pv_netdrv_coalescing){ 5, 6 }),
	                 0);
	assert_int_equal(pv_netdrv_set_queue_coalescing(pv_netdrv_tx(rig.driver, 1),
	                                                (struct pv_netdrv_coalescing){ 7, 8 }),
	                 0);
}

static void expect_coalescing(struct pv_netdrv_queue *queue, uint32_t packets, uint32_t usecs)
{
	struct pv_netdrv_coalescing coalescing;

	assert_int_equal(pv_netdrv_queue_coalescing(queue, &coalescing), 0);
	assert_int_equal(coalescing.max_packets, packets);
	assert_int_equal(coalescing.max_usecs, usecs);
}

static void expect_everything_told(void)
{
	struct pv_net_rx_filter filter;

	pv_net_rx_filter(rig.couple.device, &filter);
	assert_memory_equal(filter.mac, other_mac, sizeof(other_mac));
	assert_memory_equal(pv_netdrv_info(rig.driver)->mac, other_mac, sizeof(other_mac));
	assert_int_equal(filter.unicasts, 2);
	assert_int_equal(filter.multicasts, 1);
	assert_memory_equal(filter.unicast_table, macs, 12);
	assert_memory_equal(filter.multicast_table, macs + 12, 6);
	assert_true(filter.is_promiscuous);
	assert_false(filter.is_broadcast_allowed);
	assert_int_equal(filter.unicast, PV_NET_RX_NORMAL);
	assert_int_equal(filter.vlans[0], 1);
	assert_int_equal(filter.vlans[511], 0x80);
	assert_int_equal(rig.wire.offloads, VIRTIO_NET_F_GUEST_CSUM);
	assert_int_equal(rig.wire.pairs, 2);
	expect_coalescing(pv_netdrv_rx(rig.driver, 0), 3, 4);
	expect_coalescing(pv_netdrv_rx(rig.driver, 1), 3, 4);
	expect_coalescing(pv_netdrv_tx(rig.driver, 0), 5, 6);
	expect_coalescing(pv_netdrv_tx(rig.driver, 1), 7, 8);
}

static void what_a_command_says_is_done(void **state)
{
	(void)state;
	open_plain(3, 0);
	tell_everything();
	expect_everything_told();
	assert_int_equal(pv_netdrv_set_pairs(rig.driver, 3), 0);
	assert_int_equal(rig.wire.pairs, 3);
	assert_int_equal(pv_netdrv_set_pairs(rig.driver, 4), -PV_EINVAL);
	net_rig_close(&rig);
}

static void a_device_that_was_reset_is_told_again_what_it_was_told(void **state)
{
	uint32_t out;

	(void)state;
	open_plain(3, 0);
	rig.pairs = 2;
	tell_everything();
	for (int i = 0; i < 3; i++) {
		while (rig.out < 3)
			net_rig_send(&rig, any_pair());
		out = rig.out;
		pv_device_needs_reset(rig.couple.device);
		assert_true(pv_netdrv_is_broken(rig.driver));
		assert_int_equal(pv_netdrv_tend(rig.driver), 1);
		assert_false(pv_netdrv_is_broken(rig.driver));
		assert_int_equal(rig.out, out);
		expect_everything_told();
		/* Nothing had gone out; but the order may be another. */
		memset(rig.last_out, 0, sizeof(rig.last_out));
		rig.is_mixed = true;
		net_rig_settle(&rig);
		rig.is_mixed = false;
		net_rig_put(&rig, 0);
		net_rig_settle(&rig);
	}
	net_rig_close(&rig);
}

static void a_command_that_was_not_negotiated_is_not_sent(void **state)
{
	const struct pv_netdrv_rss rss = { 0 };
	uint64_t types;

	(void)state;
	open_plain(1, PV_NETDRV_FEATURES & ~VIRTIO_NET_F_CTRL_VQ & ~PV_DRIVER_FEATURES);
	assert_int_equal(pv_netdrv_set_mac(rig.driver, other_mac), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_set_macs(rig.driver, macs, 1, macs, 1), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.driver, 0, true), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.driver, 2, true), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_set_vlan(rig.driver, 1, true), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_announced(rig.driver), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_set_pairs(rig.driver, 1), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_set_rss(rig.driver, &rss), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_set_hash(rig.driver, 0, NULL, 0), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_set_guest_offloads(rig.driver, 0), -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_set_coalescing(rig.driver, true,
	                                          (struct pv_netdrv_coalescing){ 0 }),
	                 -PV_ENOTSUP);
	assert_int_equal(pv_netdrv_stats_types(rig.driver, &types), -PV_ENOTSUP);
	net_rig_close(&rig);
}

static void the_link_and_an_announcement_come_by_the_configuration(void **state)
{
	(void)state;
	open_plain(1, 0);
	assert_true(pv_netdrv_link(rig.driver).is_up);
	pv_net_set_link(rig.couple.device, false);
	assert_int_equal(pv_netdrv_config_changed(rig.driver), 0);
	assert_false(pv_netdrv_link(rig.driver).is_up);
	pv_net_set_link(rig.couple.device, true);
	assert_true(pv_net_announce(rig.couple.device));
	assert_int_equal(pv_netdrv_config_changed(rig.driver), 0);
	assert_true(pv_netdrv_link(rig.driver).is_up);
	assert_true(pv_netdrv_link(rig.driver).must_announce);
	assert_int_equal(pv_netdrv_announced(rig.driver), 0);
	assert_false(pv_netdrv_link(rig.driver).must_announce);
	assert_int_equal(pv_netdrv_config_changed(rig.driver), 0);
	assert_false(pv_netdrv_link(rig.driver).must_announce);
	net_rig_close(&rig);
}

static void statistics_are_what_went_by(void **state)
{
	const uint64_t basic = VIRTIO_NET_STATS_TYPE(VIRTIO_NET_STATS_TYPE_REPLY_TX_BASIC);
	struct virtio_net_stats_tx_basic reply[4];
	uint32_t bytes = sizeof(reply);
	uint64_t types;

	(void)state;
	open_plain(1, 0);
	while (rig.next_out < 10) {
		net_rig_send(&rig, 0);
		net_rig_settle(&rig);
	}
	assert_int_equal(pv_netdrv_stats_types(rig.driver, &types), 0);
	assert_true(types & basic);
	assert_int_equal(pv_netdrv_stats(rig.driver, 1, basic, reply, &bytes), 0);
	assert_int_equal(bytes, sizeof(reply[0]));
	assert_int_equal(pv_le64_get(reply[0].tx_packets), rig.frames_out);
	assert_int_equal(pv_le64_get(reply[0].tx_bytes),
	                 pv_netdrv_queue_counters(pv_netdrv_tx(rig.driver, 0)).bytes);
	net_rig_close(&rig);
}

static void a_queue_is_taken_back_and_works_again(void **state)
{
	(void)state;
	for (int has_own_buffers = 0; has_own_buffers < 2; has_own_buffers++) {
		const struct net_rig_options options = { .has_own_buffers = has_own_buffers,
			                                 .number = 2000 };

		net_rig_open(&rig, &options);
		for (int i = 0; i < 5; i++) {
			while (rig.out < 3)
				net_rig_send(&rig, 0);
			rig.is_over = true;
			assert_int_equal(pv_netdrv_queue_reset(pv_netdrv_tx(rig.driver, 0)), 0);
			if (has_own_buffers)
				assert_int_equal(pv_netdrv_queue_reset(pv_netdrv_rx(rig.driver, 0)),
				                 0);
			rig.is_over = false;
			assert_int_equal(rig.out, 0);
			rig.may_lose = true;
			net_rig_put(&rig, 0);
			net_rig_settle(&rig);
		}
		assert_int_equal(rig.frames_in, 5);
		net_rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_all_sizes_go_both_ways_once_and_in_order),
		cmocka_unit_test(a_device_that_moves_under_load_loses_and_doubles_nothing),
		cmocka_unit_test(what_a_command_says_is_done),
		cmocka_unit_test(a_device_that_was_reset_is_told_again_what_it_was_told),
		cmocka_unit_test(a_command_that_was_not_negotiated_is_not_sent),
		cmocka_unit_test(the_link_and_an_announcement_come_by_the_configuration),
		cmocka_unit_test(statistics_are_what_went_by),
		cmocka_unit_test(a_queue_is_taken_back_and_works_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
