/* SPDX-License-Identifier: BSD-2-Clause */
/* The network driver against a device played by hand: what it negotiates, sends and receives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/netdrv_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define RX 0u
#define TX 1u

static struct netdrv_rig rig;
static uint8_t frame[PV_NETDRV_FRAME_MAX + 1];

static void fill_frame(void)
{
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7 + i / 256);
}

/* ---- what it is ---- */

static void a_feature_without_what_it_requires_is_not_taken(void **state)
{
	/* Section 5.1.3.1: offered, and of that not to be taken. */
	const struct {
		uint64_t offered;
		uint64_t refused;
	} cases[] = {
		{ VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_USO,
		  VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_USO },
		{ VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_ECN },
		{ VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_HOST_TSO6, 0 },
		{ VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_ECN,
		  VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_ECN },
		{ VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_ECN },
		{ VIRTIO_NET_F_MQ | VIRTIO_NET_F_RSS | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_MAC,
		  VIRTIO_NET_F_MQ | VIRTIO_NET_F_RSS | VIRTIO_NET_F_CTRL_RX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		netdrv_rig_up(&rig, cases[i].offered, NULL);
		assert_int_equal(rig.fake.accepted,
		                 (cases[i].offered & ~cases[i].refused) | VIRTIO_F_VERSION_1);
		netdrv_rig_close(&rig);
	}
}

static void the_control_queue_is_behind_all_pairs_that_the_driver_knows_of(void **state)
{
	const struct {
		uint64_t features;
		uint16_t index;
	} cases[] = {
		{ VIRTIO_NET_F_CTRL_VQ, 2 },
		{ VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_MQ, 6 },
		{ VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_RSS, 6 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		netdrv_rig_open(&rig, cases[i].features);
		netdrv_rig_config(&rig)->max_virtqueue_pairs = pv_le16_of(3);
		assert_int_equal(netdrv_rig_start(&rig, NULL), 0);
		assert_int_equal(pv_netdrv_info(rig.net)->pairs, 1);
		for (uint16_t queue = 0; queue < PV_FAKE_QUEUES; queue++)
			assert_int_equal(rig.fake.is_enabled[queue],
			                 queue < 2 || queue == cases[i].index);
		assert_int_equal(pv_netdrv_control_index(rig.net), cases[i].index);
		netdrv_rig_close(&rig);
	}
}

static void a_configuration_that_makes_no_sense_is_refused(void **state)
{
	static const uint8_t nobody[VIRTIO_NET_MAC_BYTES];

	(void)state;
	for (uint32_t what = 0; what < 5; what++) {
		struct virtio_net_config *config;

		netdrv_rig_open(&rig, NETDRV_RIG_FEATURES);
		config = netdrv_rig_config(&rig);
		if (what == 0)
			config->mac[0] |= 1;
		else if (what == 1)
			memcpy(config->mac, nobody, sizeof(nobody));
		else if (what == 2)
			config->mtu = pv_le16_of(VIRTIO_NET_MTU_MIN - 1);
		else
			config->max_virtqueue_pairs = pv_le16_of(what == 3 ? 0 : 0x8001);
		assert_int_equal(netdrv_rig_start(&rig, NULL), -PV_EBROKEN);
		assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
	}
}

static void a_configuration_is_read_no_further_than_it_is_there(void **state)
{
	const struct {
		uint64_t features;
		uint32_t bytes;
	} cases[] = {
		{ 0, 0 },
		{ VIRTIO_NET_F_MAC, 6 },
		{ VIRTIO_NET_F_STATUS, 8 },
		{ VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_MQ, 10 },
		{ VIRTIO_NET_F_MTU, 12 },
		{ VIRTIO_NET_F_SPEED_DUPLEX, 17 },
		{ VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_HASH_REPORT, 24 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		netdrv_rig_open(&rig, cases[i].features);
		rig.fake.config_bytes = cases[i].bytes;
		assert_int_equal(netdrv_rig_start(&rig, NULL), 0);
		netdrv_rig_close(&rig);
		if (cases[i].bytes == 0)
			continue;
		netdrv_rig_open(&rig, cases[i].features);
		rig.fake.config_bytes = cases[i].bytes - 1;
		assert_int_equal(netdrv_rig_start(&rig, NULL), -PV_EINVAL);
	}
}

static void the_link_is_as_the_configuration_says(void **state)
{
	struct pv_netdrv_link link;

	(void)state;
	netdrv_rig_up(&rig, 0, NULL);
	link = pv_netdrv_link(rig.net);
	assert_true(link.is_up);
	assert_int_equal(link.speed_mbit, 0);
	netdrv_rig_close(&rig);

	netdrv_rig_up(&rig, NETDRV_RIG_FEATURES, NULL);
	link = pv_netdrv_link(rig.net);
	assert_true(link.is_up && link.is_full_duplex && !link.must_announce);
	assert_int_equal(link.speed_mbit, 10000);
	netdrv_rig_config(&rig)->status = pv_le16_of(VIRTIO_NET_S_ANNOUNCE);
	netdrv_rig_config(&rig)->speed = pv_le32_of(0x80000000);
	netdrv_rig_config(&rig)->duplex = VIRTIO_NET_DUPLEX_UNKNOWN;
	assert_true(pv_netdrv_link(rig.net).is_up);
	assert_int_equal(pv_netdrv_config_changed(rig.net), 0);
	link = pv_netdrv_link(rig.net);
	assert_true(!link.is_up && !link.is_full_duplex && link.must_announce);
	assert_int_equal(link.speed_mbit, 0);
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_int_equal(pv_netdrv_config_changed(rig.net), -PV_EBROKEN);
	netdrv_rig_close(&rig);
}

/* Section 5.1.6.3.1. */
static void receive_buffers_are_as_large_as_what_may_come(void **state)
{
	const struct {
		uint64_t features;
		uint32_t mtu;
		uint32_t bytes;
	} cases[] = {
		{ 0, 0, 12 + 1518 },
		{ VIRTIO_NET_F_MTU, 9000, 12 + 9018 },
		{ VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_USO4, 0, 65601 },
		{ VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_CTRL_VQ |
		          VIRTIO_NET_F_HASH_REPORT,
		  0, 65609 },
		{ VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_MTU, 9000, 12 + 14 },
	};
	struct pv_netdrv_buffer buffer;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		netdrv_rig_open(&rig, cases[i].features);
		netdrv_rig_config(&rig)->mtu = pv_le16_of((uint16_t)cases[i].mtu);
		assert_int_equal(netdrv_rig_start(&rig, NULL), 0);
		assert_int_equal(pv_netdrv_info(rig.net)->buffer_bytes_min, cases[i].bytes);
		buffer = (struct pv_netdrv_buffer){ .memory = { frame, cases[i].bytes - 1 } };
		assert_int_equal(pv_netdrv_post(rig.rx, &buffer), -PV_EINVAL);
		buffer.memory.bytes++;
		assert_int_equal(pv_netdrv_post(rig.rx, &buffer), 0);
		netdrv_rig_close(&rig);
	}
}

/* ---- sending ---- */

static void expect_frame(uint32_t bytes)
{
	assert_memory_equal(rig.frame, frame + PV_NETDRV_HEADROOM, bytes);
}

static void a_packet_with_headroom_goes_out_as_one_buffer(void **state)
{
	const struct pv_buffer buffer = { frame + PV_NETDRV_HEADROOM, 100 };
	struct pv_netdrv_packet packet = { .buffer = &buffer, .buffers = 1, .has_headroom = true };
	struct virtio_net_hdr_hash header;
	static const struct virtio_net_hdr_hash zero;
	uint16_t buffers;

	(void)state;
	fill_frame();
	netdrv_rig_up(&rig, VIRTIO_NET_F_MRG_RXBUF, NULL);
	assert_int_equal(pv_netdrv_send(rig.tx, &packet), 0);
	assert_int_equal(netdrv_rig_sent(&rig, TX, &header, &buffers), 0);
	pv_netdrv_publish(rig.tx);
	assert_int_equal(rig.fake.kicks, 1);
	assert_int_equal(netdrv_rig_sent(&rig, TX, &header, &buffers), 100);
	assert_int_equal(buffers, 1);
	expect_frame(100);
	assert_memory_equal(&header, &zero, sizeof(header));
	assert_false(packet.is_done);
	assert_int_equal(pv_netdrv_poll(rig.tx, 0), 1);
	assert_true(packet.is_done);
	assert_int_equal(packet.error, 0);
	assert_int_equal(pv_netdrv_queue_counters(rig.tx).packets, 1);
	assert_int_equal(pv_netdrv_queue_counters(rig.tx).bytes, 100);
	netdrv_rig_close(&rig);
}

static void a_packet_in_pieces_goes_out_behind_its_header(void **state)
{
	const struct pv_buffer buffer[] = {
		{ frame + PV_NETDRV_HEADROOM, 14 },
		{ frame + PV_NETDRV_HEADROOM + 14, 1 },
		{ frame + PV_NETDRV_HEADROOM + 15, 1000 },
	};
	struct pv_netdrv_packet packet = { .buffer = buffer, .buffers = 3, .has_headroom = true };
	struct virtio_net_hdr_hash header;
	uint16_t buffers;

	(void)state;
	fill_frame();
	netdrv_rig_up(&rig, 0, NULL);
	rig.fake.map_max = 600;
	assert_int_equal(pv_netdrv_send(rig.tx, &packet), 0);
	pv_netdrv_publish(rig.tx);
	assert_int_equal(netdrv_rig_sent(&rig, TX, &header, &buffers), 1015);
	assert_int_equal(buffers, 5);
	expect_frame(1015);
	assert_int_equal(pv_netdrv_poll(rig.tx, 0), 1);
	/* One whose memory is not contiguous comes the same way, with or without headroom. */
	packet.buffers = 1;
	packet.buffer = &buffer[2];
	for (int i = 0; i < 2; i++) {
		packet.has_headroom = i;
		assert_int_equal(pv_netdrv_send(rig.tx, &packet), 0);
		pv_netdrv_publish(rig.tx);
		assert_int_equal(netdrv_rig_sent(&rig, TX, &header, &buffers), 1000);
		assert_int_equal(buffers, 3);
		assert_memory_equal(rig.frame, buffer[2].memory, 1000);
		pv_netdrv_poll(rig.tx, 0);
		assert_true(packet.is_done);
	}
	netdrv_rig_close(&rig);
}

/* Section 5.1.6.6. */
static void a_legacy_device_finds_the_header_by_itself(void **state)
{
	const struct pv_buffer buffer = { frame + PV_NETDRV_HEADROOM, 60 };
	struct pv_netdrv_packet packet = { .buffer = &buffer, .buffers = 1, .has_headroom = true };
	struct virtio_net_hdr_hash header;
	uint16_t buffers;

	(void)state;
	fill_frame();
	for (int has_any_layout = 0; has_any_layout < 2; has_any_layout++) {
		netdrv_rig_open(&rig, 0);
		rig.fake.offered = has_any_layout ? VIRTIO_F_ANY_LAYOUT : 0;
		rig.fake.bus.is_legacy = true;
		assert_int_equal(netdrv_rig_start(&rig, NULL), 0);
		assert_int_equal(pv_netdrv_info(rig.net)->header_bytes, 10);
		assert_int_equal(pv_netdrv_send(rig.tx, &packet), 0);
		pv_netdrv_publish(rig.tx);
		assert_int_equal(netdrv_rig_sent(&rig, TX, &header, &buffers), 60);
		assert_int_equal(buffers, has_any_layout ? 1 : 2);
		expect_frame(60);
		netdrv_rig_post(&rig, 1, NETDRV_RIG_BUFFER_BYTES);
		header = (struct virtio_net_hdr_hash){ 0 };
		assert_int_equal(netdrv_rig_give(&rig, RX, &header, frame, 1000), 1);
		assert_int_equal(pv_netdrv_poll(rig.rx, 0), 1);
		assert_int_equal(rig.last.bytes, 1000);
		assert_memory_equal(rig.frame, frame, 1000);
		netdrv_rig_close(&rig);
	}
}

static void work_for_the_device_is_in_the_header(void **state)
{
	const struct pv_buffer buffer = { frame + PV_NETDRV_HEADROOM, 4000 };
	struct pv_netdrv_packet packet = { .buffer = &buffer,
		                           .buffers = 1,
		                           .needs_checksum = true,
		                           .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 |
		                                       VIRTIO_NET_HDR_GSO_ECN,
		                           .hdr_len = 54,
		                           .gso_size = 1460,
		                           .csum_start = 34,
		                           .csum_offset = 16 };
	struct virtio_net_hdr_hash header;
	uint16_t buffers;

	(void)state;
	fill_frame();
	netdrv_rig_up(&rig, NETDRV_RIG_FEATURES, NULL);
	assert_int_equal(pv_netdrv_send(rig.tx, &packet), 0);
	pv_netdrv_publish(rig.tx);
	assert_int_equal(netdrv_rig_sent(&rig, TX, &header, &buffers), 4000);
	expect_frame(4000);
	assert_int_equal(header.mrg.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(header.mrg.hdr.gso_type, packet.gso_type);
	assert_int_equal(pv_le16_get(header.mrg.hdr.hdr_len), 54);
	assert_int_equal(pv_le16_get(header.mrg.hdr.gso_size), 1460);
	assert_int_equal(pv_le16_get(header.mrg.hdr.csum_start), 34);
	assert_int_equal(pv_le16_get(header.mrg.hdr.csum_offset), 16);
	assert_int_equal(pv_le16_get(header.mrg.num_buffers), 0);
	netdrv_rig_close(&rig);
}

static int try_send(uint32_t bytes, struct pv_netdrv_packet packet)
{
	const struct pv_buffer buffer = { frame + PV_NETDRV_HEADROOM, bytes };

	packet.buffer = &buffer;
	packet.buffers = bytes ? 1 : 0;
	return pv_netdrv_send(rig.tx, &packet);
}

#define PACKET(...) ((struct pv_netdrv_packet){ __VA_ARGS__ })

static void a_packet_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	netdrv_rig_up(&rig, NETDRV_RIG_FEATURES, NULL);
	assert_int_equal(try_send(0, PACKET(0)), -PV_EINVAL);
	assert_int_equal(try_send(13, PACKET(0)), -PV_EINVAL);
	assert_int_equal(try_send(1500 + 23, PACKET(0)), -PV_EINVAL);
	assert_int_equal(
		try_send(60, PACKET(.needs_checksum = true, .csum_start = 50, .csum_offset = 9)),
		-PV_EINVAL);
	assert_int_equal(try_send(60, PACKET(.gso_type = 2, .needs_checksum = true)), -PV_EINVAL);
	assert_int_equal(try_send(60, PACKET(.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .hdr_len = 54,
	                                     .gso_size = 9)),
	                 -PV_EINVAL);
	assert_int_equal(try_send(60, PACKET(.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	                                     .needs_checksum = true, .hdr_len = 54)),
	                 -PV_EINVAL);
	assert_int_equal(try_send(60, PACKET(.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	                                     .needs_checksum = true, .gso_size = 9, .hdr_len = 61)),
	                 -PV_EINVAL);
	assert_int_equal(
		try_send(60, PACKET(.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4 | VIRTIO_NET_HDR_GSO_ECN,
	                            .needs_checksum = true, .gso_size = 9, .hdr_len = 42)),
		-PV_EINVAL);
	assert_int_equal(pv_netdrv_queue_counters(rig.tx).bytes, 0);
	netdrv_rig_close(&rig);

	netdrv_rig_up(&rig, VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4, NULL);
	assert_int_equal(try_send(60, PACKET(.gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
	                                     .needs_checksum = true, .gso_size = 9, .hdr_len = 54)),
	                 -PV_ENOTSUP);
	assert_int_equal(
		try_send(60, PACKET(.gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
	                            .needs_checksum = true, .gso_size = 9, .hdr_len = 54)),
		-PV_ENOTSUP);
	netdrv_rig_close(&rig);

	netdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(try_send(60, PACKET(.needs_checksum = true)), -PV_ENOTSUP);
	netdrv_rig_close(&rig);
}

static void a_full_queue_says_so_and_goes_on(void **state)
{
	const struct pv_buffer buffer = { frame + PV_NETDRV_HEADROOM, 60 };
	struct pv_netdrv_packet packet[9];
	struct virtio_net_hdr_hash header;
	uint16_t buffers;

	(void)state;
	netdrv_rig_up(&rig, 0, NULL);
	for (size_t i = 0; i < COUNT(packet); i++) {
		packet[i] = PACKET(.buffer = &buffer, .buffers = 1);
		assert_int_equal(pv_netdrv_send(rig.tx, &packet[i]), i < 8 ? 0 : -PV_ENOSPC);
	}
	pv_netdrv_publish(rig.tx);
	assert_int_equal(netdrv_rig_sent(&rig, TX, &header, &buffers), 60);
	assert_int_equal(pv_netdrv_poll(rig.tx, 0), 1);
	assert_int_equal(pv_netdrv_send(rig.tx, &packet[8]), 0);
	netdrv_rig_close(&rig);
	for (size_t i = 0; i < COUNT(packet); i++)
		assert_int_equal(packet[i].error, i == 0 ? 0 : -PV_EBROKEN);
}

/* ---- receiving ---- */

static void a_packet_comes_in_with_what_its_header_says(void **state)
{
	const struct virtio_net_hdr_hash header = {
		.mrg = { .hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		                  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
		                  .hdr_len = pv_le16_of(74),
		                  .gso_size = pv_le16_of(1440),
		                  .csum_start = pv_le16_of(54),
		                  .csum_offset = pv_le16_of(16) } },
		.hash_value = pv_le32_of(0x51ccc178),
		.hash_report = pv_le16_of(VIRTIO_NET_HASH_REPORT_TCPv6),
	};

	(void)state;
	fill_frame();
	netdrv_rig_up(&rig, NETDRV_RIG_FEATURES, NULL);
	netdrv_rig_post(&rig, 8, 700);
	assert_int_equal(netdrv_rig_give(&rig, RX, &header, frame, 3000), 5);
	assert_int_equal(pv_netdrv_poll(rig.rx, 0), 1);
	assert_int_equal(rig.received, 1);
	assert_int_equal(rig.last.buffers, 5);
	assert_int_equal(rig.last.bytes, 3000);
	assert_memory_equal(rig.frame, frame, 3000);
	assert_int_equal(rig.last.checksum, PV_NETDRV_CHECKSUM_PARTIAL);
	assert_int_equal(rig.last.csum_start, 54);
	assert_int_equal(rig.last.csum_offset, 16);
	assert_int_equal(rig.last.gso_type, header.mrg.hdr.gso_type);
	assert_int_equal(rig.last.gso_size, 1440);
	assert_int_equal(rig.last.hdr_len, 74);
	assert_int_equal(rig.last.hash_value, 0x51ccc178);
	assert_int_equal(rig.last.hash_report, VIRTIO_NET_HASH_REPORT_TCPv6);
	assert_int_equal(pv_netdrv_queue_counters(rig.rx).packets, 1);
	assert_int_equal(pv_netdrv_queue_counters(rig.rx).bytes, 3000);
	netdrv_rig_close(&rig);
	assert_int_equal(rig.returned, 3);
	assert_int_equal(rig.return_error, -PV_EBROKEN);
}

static void own_buffers_need_no_posting(void **state)
{
	const struct pv_netdrv_options options = { .own_buffer_bytes = 1 };
	const struct virtio_net_hdr_hash header = { 0 };

	(void)state;
	fill_frame();
	for (int is_legacy = 0; is_legacy < 2; is_legacy++) {
		netdrv_rig_open(&rig, 0);
		rig.fake.bus.is_legacy = is_legacy;
		if (is_legacy)
			rig.fake.offered = 0;
		assert_int_equal(netdrv_rig_start(&rig, &options), 0);
		for (uint32_t i = 0; i < 100; i++) {
			assert_int_equal(netdrv_rig_give(&rig, RX, &header, frame + i, 1500), 1);
			assert_int_equal(pv_netdrv_poll(rig.rx, 0), 1);
			assert_memory_equal(rig.frame, frame + i, 1500);
		}
		assert_int_equal(rig.fake.maps, 0);
		netdrv_rig_close(&rig);
		assert_int_equal(rig.returned, 0);
	}
}

static void no_more_are_polled_than_wanted(void **state)
{
	const struct virtio_net_hdr_hash header = { 0 };

	(void)state;
	netdrv_rig_up(&rig, 0, NULL);
	netdrv_rig_post(&rig, 5, NETDRV_RIG_BUFFER_BYTES);
	for (uint32_t i = 0; i < 5; i++)
		netdrv_rig_give(&rig, RX, &header, frame, 60);
	assert_int_equal(pv_netdrv_poll(rig.rx, 2), 2);
	assert_int_equal(rig.received, 2);
	assert_int_equal(pv_netdrv_poll(rig.rx, 0), 3);
	assert_int_equal(pv_netdrv_poll(rig.rx, 0), 0);
	netdrv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_feature_without_what_it_requires_is_not_taken),
		cmocka_unit_test(the_control_queue_is_behind_all_pairs_that_the_driver_knows_of),
		cmocka_unit_test(a_configuration_that_makes_no_sense_is_refused),
		cmocka_unit_test(a_configuration_is_read_no_further_than_it_is_there),
		cmocka_unit_test(the_link_is_as_the_configuration_says),
		cmocka_unit_test(receive_buffers_are_as_large_as_what_may_come),
		cmocka_unit_test(a_packet_with_headroom_goes_out_as_one_buffer),
		cmocka_unit_test(a_packet_in_pieces_goes_out_behind_its_header),
		cmocka_unit_test(a_legacy_device_finds_the_header_by_itself),
		cmocka_unit_test(work_for_the_device_is_in_the_header),
		cmocka_unit_test(a_packet_that_makes_no_sense_is_refused),
		cmocka_unit_test(a_full_queue_says_so_and_goes_on),
		cmocka_unit_test(a_packet_comes_in_with_what_its_header_says),
		cmocka_unit_test(own_buffers_need_no_posting),
		cmocka_unit_test(no_more_are_polled_than_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
