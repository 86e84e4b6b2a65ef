/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lying device under our network driver: counts of buffers, lengths, headers, acknowledgements
 * and statistics that cannot be, used entries it makes up, silence.  What makes no sense is counted
 * and its buffers are posted again; each packet ends once; each buffer comes back; and all of it in
 * bounded time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/barrier.h"
#include "ring/err.h"
#include "tests/support/netdrv_rig.h"
#include "tests/support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define RX         0u
#define TX         1u
#define BUFFERS    8u
#define ROUNDS     300u
#define TIMEOUT_NS 1000000000ull

static struct netdrv_rig rig;
static uint8_t frame[4096];

static void up(uint64_t without)
{
	const struct pv_netdrv_options options = { .pairs = 2 };

	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 13);
	netdrv_rig_up(&rig, (NETDRV_RIG_FEATURES & ~without) | VIRTIO_F_RING_RESET, &options);
	netdrv_rig_post(&rig, BUFFERS, 700);
	rig.posts_again = true;
}

/* All buffers are the device's still, and a good packet is taken from them. */
static void expect_good_again(void)
{
	const struct virtio_net_hdr_hash good = { 0 };
	const uint32_t before = rig.received;

	pv_netdrv_publish(rig.rx);
	assert_int_equal(netdrv_rig_give(&rig, RX, &good, frame, 2000), 3);
	assert_int_equal(pv_netdrv_poll(rig.rx, 0), 1);
	assert_int_equal(rig.received, before + 1);
	assert_memory_equal(rig.frame, frame, 2000);
	pv_netdrv_publish(rig.rx);
}

static uint64_t malformed(void)
{
	return pv_netdrv_queue_counters(rig.rx).malformed;
}

/* ---- counts and lengths ---- */

static void a_count_of_buffers_that_lies_is_counted_and_dropped(void **state)
{
	const uint16_t counts[] = { 4, 9, 255, 0x8000, 0xffff };

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		const struct virtio_net_hdr_hash header = {
			.mrg = { .num_buffers = pv_le16_of(counts[i]) },
		};

		up(0);
		assert_int_equal(netdrv_rig_give(&rig, RX, &header, frame, 2000), 3);
		assert_int_equal(pv_netdrv_poll(rig.rx, 0), 0);
		assert_int_equal(malformed(), 1);
		for (int n = 0; n < 5; n++)
			expect_good_again();
		netdrv_rig_close(&rig);
	}
}

/* Of the buffers that it leaves behind the next one is no header. */
static void a_count_that_is_too_small_is_survived(void **state)
{
	struct virtio_net_hdr_hash header = { .mrg = { .num_buffers = pv_le16_of(1) } };

	(void)state;
	up(0);
	memset(frame, 0xff, sizeof(frame));
	assert_int_equal(netdrv_rig_give(&rig, RX, &header, frame, 2000), 3);
	assert_int_equal(pv_netdrv_poll(rig.rx, 0), 1);
	assert_int_equal(malformed(), 1);
	expect_good_again();
	netdrv_rig_close(&rig);
}

/* A used entry for the next buffer, of which nothing was written. */
static void use(uint16_t queue, uint32_t bytes)
{
	struct virtq_desc desc[16];
	uint16_t head;

	assert_true(pv_fake_take(&rig.fake, queue, desc, 16, &head) > 0);
	pv_fake_return(&rig.fake, queue, head, bytes);
}

static void a_packet_that_is_too_short_is_counted_and_dropped(void **state)
{
	const uint32_t least = sizeof(struct virtio_net_hdr_hash) + PV_NETDRV_FRAME_MIN;

	(void)state;
	up(0);
	for (uint32_t bytes = 0; bytes < least; bytes++) {
		use(RX, bytes);
		assert_int_equal(pv_netdrv_poll(rig.rx, 0), 0);
		assert_int_equal(malformed(), bytes + 1);
	}
	expect_good_again();
	netdrv_rig_close(&rig);
}

static void a_length_beyond_the_buffer_is_cut_and_counted(void **state)
{
	const uint32_t lengths[] = { 701, 0x10000, UINT32_MAX };

	(void)state;
	up(0);
	for (uint32_t i = 0; i < COUNT(lengths); i++) {
		memset(rig.memory[i], 0, 20);
		rig.memory[i][10] = 1; /* num_buffers */
		use(RX, lengths[i]);
		assert_int_equal(pv_netdrv_poll(rig.rx, 0), 1);
		assert_int_equal(rig.last.bytes, 700 - sizeof(struct virtio_net_hdr_hash));
		assert_int_equal(pv_netdrv_queue_counters(rig.rx).lies, i + 1);
	}
	netdrv_rig_close(&rig);
}

/* ---- headers ---- */

struct lie {
	struct virtio_net_hdr header;
	uint64_t without;
};

#define GSO(type, size, without)                                                                   \
	{                                                                                          \
		{ .gso_type = (type), .gso_size = pv_le16_of(size) }, without                      \
	}

static void a_header_that_makes_no_sense_is_counted_and_dropped(void **state)
{
	const struct lie lies[] = {
		/* Kinds that do not exist, sizes of nothing, what was not negotiated. */
		GSO(2, 100, 0),
		GSO(0x7f, 100, 0),
		GSO(VIRTIO_NET_HDR_GSO_ECN, 100, 0),
		GSO(VIRTIO_NET_HDR_GSO_TCPV4, 0, 0),
		GSO(VIRTIO_NET_HDR_GSO_TCPV4, 9, VIRTIO_NET_F_GUEST_TSO4),
		GSO(VIRTIO_NET_HDR_GSO_TCPV6, 9, VIRTIO_NET_F_GUEST_TSO6),
		GSO(VIRTIO_NET_HDR_GSO_UDP, 9, VIRTIO_NET_F_GUEST_UFO),
		GSO(VIRTIO_NET_HDR_GSO_UDP_L4, 9,
		    VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6),
		GSO(VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 9, VIRTIO_NET_F_GUEST_ECN),
		/* A checksum that is not in the packet. */
		{ { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = pv_le16_of(99) }, 0 },
		{ { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_offset = pv_le16_of(99) }, 0 },
		{ { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		    .csum_start = pv_le16_of(0xffff),
		    .csum_offset = pv_le16_of(0xffff) },
		  0 },
		{ { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM }, VIRTIO_NET_F_GUEST_CSUM },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lies); i++) {
		const struct virtio_net_hdr_hash header = { .mrg = { .hdr = lies[i].header } };

		up(lies[i].without);
		assert_int_equal(netdrv_rig_give(&rig, RX, &header, frame, 100), 1);
		assert_int_equal(pv_netdrv_poll(rig.rx, 0), 0);
		assert_int_equal(malformed(), 1);
		expect_good_again();
		netdrv_rig_close(&rig);
	}
}

static void advice_that_makes_no_sense_is_not_taken(void **state)
{
	struct virtio_net_hdr_hash header = {
		.mrg = { .hdr = { .flags = 0xfe, .hdr_len = pv_le16_of(0xffff) } },
		.hash_value = pv_le32_of(1),
		.hash_report = pv_le16_of(VIRTIO_NET_HASH_REPORT_UDPv6_EX + 1),
	};

	(void)state;
	up(0);
	assert_int_equal(netdrv_rig_give(&rig, RX, &header, frame, 100), 1);
	assert_int_equal(pv_netdrv_poll(rig.rx, 0), 1);
	assert_int_equal(rig.last.hash_report, VIRTIO_NET_HASH_REPORT_NONE);
	assert_int_equal(rig.last.checksum, PV_NETDRV_CHECKSUM_VALID);
	header.mrg.hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	header.mrg.hdr.gso_size = pv_le16_of(10);
	netdrv_rig_give(&rig, RX, &header, frame, 100);
	assert_int_equal(pv_netdrv_poll(rig.rx, 0), 1);
	assert_int_equal(rig.last.hdr_len, 100);
	netdrv_rig_close(&rig);
}

/* ---- used entries ---- */

static void an_id_that_is_not_in_flight_breaks_the_queue_until_it_is_tended(void **state)
{
	const uint32_t ids[] = { BUFFERS, 15, 16, 0xffff, 0x10000, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		struct virtq_used *used;

		up(0);
		used = pv_fake_at(rig.fake.queue[RX].device_area);
		used->ring[0] = (struct virtq_used_elem){ pv_le32_of(ids[i]), pv_le32_of(100) };
		pv_publish_le16(&used->idx, 1);
		assert_int_equal(pv_netdrv_poll(rig.rx, 0), 0);
		assert_true(pv_netdrv_is_broken(rig.net));
		assert_int_equal(pv_netdrv_post(rig.rx, &rig.buffer[0]), -PV_EBROKEN);
		assert_int_equal(pv_netdrv_tend(rig.net), 1);
		assert_int_equal(pv_netdrv_queue_counters(rig.rx).repeats, BUFFERS);
		expect_good_again();
		netdrv_rig_close(&rig);
		assert_int_equal(rig.returned, BUFFERS);
	}
}

/* ---- commands ---- */

static void an_acknowledgement_is_nothing_but_ok_or_a_refusal(void **state)
{
	const uint8_t acks[] = { VIRTIO_NET_ERR, 2, 0x80, 0xff };

	(void)state;
	up(0);
	for (size_t i = 0; i < COUNT(acks); i++) {
		rig.ack = acks[i];
		assert_int_equal(pv_netdrv_set_rx_mode(rig.net, 0, true), -PV_EIO);
		assert_int_equal(pv_netdrv_set_pairs(rig.net, 2), -PV_EIO);
	}
	/* What was refused is not repeated. */
	rig.ack = VIRTIO_NET_OK;
	rig.commands = 0;
	assert_int_equal(pv_netdrv_recover(rig.net), 0);
	assert_int_equal(rig.commands, 0);
	netdrv_rig_close(&rig);
}

static void a_command_that_is_never_answered_costs_a_timeout_and_a_reset(void **state)
{
	uint64_t begin_ns;

	(void)state;
	up(0);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.net, 1, true), 0);
	rig.is_silent = true;
	begin_ns = rig.fake.now_ns;
	assert_int_equal(pv_netdrv_set_rx_mode(rig.net, 0, true), -PV_ETIMEDOUT);
	assert_in_range(rig.fake.now_ns - begin_ns, TIMEOUT_NS, 2 * TIMEOUT_NS);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.net, 0, true), -PV_EBUSY);
	assert_true(pv_netdrv_deadline_ns(rig.net) <= rig.fake.now_ns);
	rig.is_silent = false;
	rig.commands = 0;
	assert_int_equal(pv_netdrv_tend(rig.net), 1);
	assert_int_equal(rig.commands, 1);
	assert_int_equal(rig.command[0].command, 1);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.net, 0, true), 0);
	expect_good_again();
	netdrv_rig_close(&rig);
}

static void a_device_that_refuses_what_it_took_before_is_given_up(void **state)
{
	(void)state;
	up(0);
	assert_int_equal(pv_netdrv_set_rx_mode(rig.net, 1, true), 0);
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	rig.ack = VIRTIO_NET_ERR;
	assert_int_equal(pv_netdrv_tend(rig.net), -PV_EIO);
	assert_int_equal(rig.returned, BUFFERS);
	netdrv_rig_close(&rig);
}

static void another_device_than_before_is_given_up(void **state)
{
	(void)state;
	up(0);
	netdrv_rig_config(&rig)->max_virtqueue_pairs = pv_le16_of(1);
	assert_int_equal(pv_netdrv_recover(rig.net), -PV_EBROKEN);
	assert_int_equal(pv_netdrv_info(rig.net)->pairs, 2);
	netdrv_rig_close(&rig);
}

/* ---- answers ---- */

#define RX_BASIC VIRTIO_NET_STATS_TYPE_REPLY_RX_BASIC
#define REPLY    sizeof(struct virtio_net_stats_rx_basic)

static void answer(uint8_t type, uint16_t index, uint32_t size)
{
	const struct virtio_net_stats_reply_hdr header = { .type = type,
		                                           .vq_index = pv_le16_of(index),
		                                           .size = pv_le16_of((uint16_t)size) };

	memcpy(rig.answer + rig.answer_bytes, &header, sizeof(header));
	rig.answer_bytes += REPLY;
}

static void statistics_that_lie_are_cut_off(void **state)
{
	const struct {
		uint8_t type;
		uint16_t index;
		uint32_t size;
	} lies[] = {
		{ RX_BASIC, RX, 0 },      { RX_BASIC, RX, 7 },     { RX_BASIC, RX, REPLY + 1 },
		{ RX_BASIC, RX, 0xffff }, { RX_BASIC, TX, REPLY }, { 1, RX, REPLY },
		{ 200, RX, REPLY },
	};
	uint8_t replies[2 * REPLY];

	(void)state;
	up(0);
	for (size_t i = 0; i < COUNT(lies); i++) {
		uint32_t bytes = sizeof(replies);

		rig.answer_bytes = 0;
		answer(RX_BASIC, RX, REPLY);
		answer(lies[i].type, lies[i].index, lies[i].size);
		assert_int_equal(pv_netdrv_stats(rig.net, RX, VIRTIO_NET_STATS_TYPE(RX_BASIC),
		                                 replies, &bytes),
		                 0);
		assert_int_equal(bytes, REPLY);
	}
	netdrv_rig_close(&rig);
}

static void an_answer_is_as_long_as_was_asked_for(void **state)
{
	struct pv_netdrv_coalescing coalescing;
	uint8_t to[17];
	struct pv_netdrv_command command = { .command_class = VIRTIO_NET_CTRL_STATS,
		                             .answer = to,
		                             .answer_bytes = 16 };

	(void)state;
	up(0);
	memset(to, 0x5a, sizeof(to));
	rig.answer_bytes = 16;
	rig.says_more = 100000;
	assert_int_equal(pv_netdrv_command(rig.net, &command), 0);
	assert_int_equal(command.answered_bytes, 16);
	assert_int_equal(to[16], 0x5a);
	/* One that is too short is none. */
	rig.says_more = 0;
	rig.answer_bytes = 7;
	assert_int_equal(pv_netdrv_queue_coalescing(rig.rx, &coalescing), -PV_EIO);
	command.bytes = 4097;
	assert_int_equal(pv_netdrv_command(rig.net, &command), -PV_EINVAL);
	netdrv_rig_close(&rig);
}

/* ---- anything at all ---- */

static void scribble(struct pv_random *random, void *area, size_t bytes)
{
	for (uint32_t n = pv_random_below(random, 8); n > 0; n--)
		((uint8_t *)area)[pv_random_below(random, (uint32_t)bytes)] =
			(uint8_t)pv_random_below(random, 256);
}

static void lie(struct pv_random *random)
{
	const uint16_t queue = (uint16_t)pv_random_below(random, 5);
	const struct pv_bus_queue *place = &rig.fake.queue[queue];
	struct virtq_used *used = pv_fake_at(place->device_area);

	if (pv_random_chance(random, 50)) {
		uint16_t idx = pv_le16_get(used->idx);

		used->ring[idx % place->size] = (struct virtq_used_elem){
			pv_le32_of(pv_random_below(random, place->size + 1u)),
			pv_le32_of(pv_random_below(random, 2000)),
		};
		pv_publish_le16(&used->idx, (uint16_t)(idx + 1));
	}
	if (pv_random_chance(random, 10))
		scribble(random, used, virtq_used_bytes(place->size));
	if (pv_random_chance(random, 20))
		scribble(random, pv_fake_at(place->desc_area),
		         sizeof(struct virtq_desc) * place->size);
	scribble(random, rig.memory[pv_random_below(random, BUFFERS)], 20);
}

static void a_device_that_lies_at_random_is_survived(void **state)
{
	const struct pv_buffer data = { frame, 60 };

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct pv_random random = pv_random_start(pv_random_seed(), round);
		struct pv_netdrv_packet packet = { .buffer = &data, .buffers = 1, .is_done = true };

		up(0);
		for (int step = 0; step < 30; step++) {
			lie(&random);
			if (packet.is_done && pv_netdrv_send(rig.tx, &packet))
				packet.is_done = true; /* not begun */
			pv_netdrv_publish(rig.tx);
			pv_netdrv_publish(rig.rx);
			pv_netdrv_poll(rig.rx, 0);
			pv_netdrv_poll(rig.tx, 0);
			if (pv_random_chance(&random, 5))
				pv_netdrv_set_vlan(rig.net, 1, true);
			if (pv_random_chance(&random, 20))
				assert_in_range(pv_netdrv_tend(rig.net), 0, 1);
			rig.commands = 0;
		}
		pv_netdrv_fail(rig.net);
		assert_true(packet.is_done);
		netdrv_rig_close(&rig);
	}
}

static void a_device_that_cannot_be_brought_up_leaves_nothing(void **state)
{
	const struct pv_netdrv_options options = { .pairs = 2, .own_buffer_bytes = 100 };
	int error = -PV_ENOMEM;
	uint32_t n;

	(void)state;
	for (n = 1; error == -PV_ENOMEM; n++) {
		netdrv_rig_open(&rig, NETDRV_RIG_FEATURES);
		rig.fake.fail_alloc = n;
		error = netdrv_rig_start(&rig, &options);
		if (error)
			assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
	}
	assert_int_equal(error, 0);
	assert_true(n > 20);
	netdrv_rig_close(&rig);
	for (uint32_t queue = 0; queue < 5; queue++) {
		netdrv_rig_open(&rig, NETDRV_RIG_FEATURES);
		rig.fake.size_max[queue] = 0;
		assert_int_equal(netdrv_rig_start(&rig, &options), -PV_EINVAL);
		assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_count_of_buffers_that_lies_is_counted_and_dropped),
		cmocka_unit_test(a_count_that_is_too_small_is_survived),
		cmocka_unit_test(a_packet_that_is_too_short_is_counted_and_dropped),
		cmocka_unit_test(a_length_beyond_the_buffer_is_cut_and_counted),
		cmocka_unit_test(a_header_that_makes_no_sense_is_counted_and_dropped),
		cmocka_unit_test(advice_that_makes_no_sense_is_not_taken),
		cmocka_unit_test(an_id_that_is_not_in_flight_breaks_the_queue_until_it_is_tended),
		cmocka_unit_test(an_acknowledgement_is_nothing_but_ok_or_a_refusal),
		cmocka_unit_test(a_command_that_is_never_answered_costs_a_timeout_and_a_reset),
		cmocka_unit_test(a_device_that_refuses_what_it_took_before_is_given_up),
		cmocka_unit_test(another_device_than_before_is_given_up),
		cmocka_unit_test(statistics_that_lie_are_cut_off),
		cmocka_unit_test(an_answer_is_as_long_as_was_asked_for),
		cmocka_unit_test(a_device_that_lies_at_random_is_survived),
		cmocka_unit_test(a_device_that_cannot_be_brought_up_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
