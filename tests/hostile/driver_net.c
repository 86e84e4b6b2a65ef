/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network device under a driver that means harm: chains that are no packets, headers that lie,
 * commands of every wrong kind.  What is wrong comes back with nothing, is counted, and nothing of
 * it reaches the wire; no frame has another length than the driver wrote; and after it the device
 * serves as before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "devices/net/net.h"
#include "drivers/core/driver.h"
#include "ring/err.h"
#include "tests/support/counter.h"
#include "tests/support/couple.h"
#include "tests/support/each.h"
#include "tests/support/memory_wire.h"

#define COUNT(array) ((uint16_t)(sizeof(array) / sizeof((array)[0])))

#define MEMORY_BYTES (8u << 20)
#define QUEUE_SIZE   64u
#define AREA_BYTES   (1u << 20)
#define CRUMBS_BYTES 256u
#define INDIRECT_MAX 64u
#define NOWHERE      0x7000000000ull
#define HDR_BYTES    sizeof(struct virtio_net_hdr_mrg)
#define FRAME_BYTES  60u
#define NEEDS_CSUM   VIRTIO_NET_HDR_F_NEEDS_CSUM

enum { RECEIVES, SENDS, CONTROLS, QUEUES };

static const uint64_t kinds[] = {
	0,
	VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_IN_ORDER,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER,
};

/* Almost all that the device offers: of receive buffers, several may have one frame. */
#define FEATURES (~0ull & ~(VIRTIO_NET_F_HASH_REPORT | VIRTIO_NET_F_GUEST_HDRLEN))
#define RING_FEATURES                                                                              \
	(VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_IN_ORDER | VIRTIO_F_RING_PACKED)

static struct rig {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_memory_wire wire;
	void *storage;
	struct pv_device *device;
	struct pv_driver driver;
	struct pv_driver_queue queue[QUEUES];
	struct pv_gpa area, crumbs;
	uint32_t filter_changes;
	char token;
} rig;

static const struct pv_queue_counters *counters(uint16_t queue)
{
	return &rig.device->queue[queue].counters;
}

static void filter_changed(void *arg)
{
	(void)arg;
	rig.filter_changes++;
}

static void make_device(void)
{
	const struct pv_net_options options = {
		.mac = { 2, 0, 0, 0, 0, 1 },
		.pairs = 1,
		.mtu = 1500,
		.queue_size_max = QUEUE_SIZE,
		.is_in_order = true,
		.rx_filter_changed = filter_changed,
	};
	size_t bytes = (pv_net_bytes(1) + 63) & ~(size_t)63;

	rig.storage = aligned_alloc(64, bytes);
	memset(rig.storage, 0, bytes);
	rig.device = pv_net_init(rig.storage, &rig.couple.port, &rig.wire.wire, &options);
	pv_couple_set_device(&rig.couple, rig.device, PV_VIEW_DEVICE);
}

static void start_driver(uint64_t kind)
{
	const struct pv_driver_wish wish = { .wanted = (FEATURES & ~RING_FEATURES) | kind };
	const struct pv_driver_queue_options ring = { .indirect_max = INDIRECT_MAX };

	assert_int_equal(pv_driver_init(&rig.driver, &rig.couple.bus, &rig.couple.os, &wish), 0);
	for (uint16_t i = 0; i < QUEUES; i++) {
		rig.couple.is_ring_next = true; /* there are no slots for requests between them */
		assert_int_equal(pv_driver_queue_init(&rig.queue[i], &rig.driver, i, &ring), 0);
	}
	assert_int_equal(pv_driver_start(&rig.driver), 0);
}

static void rig_open(uint64_t kind, uint64_t number)
{
	memset(&rig, 0, sizeof(rig));
	rig.random = pv_random_start(pv_random_seed(), number);
	pv_couple_open(&rig.couple, MEMORY_BYTES, rig.random);
	pv_memory_wire_open(&rig.wire);
	make_device();
	rig.area = pv_twin_alloc(&rig.couple.twin, AREA_BYTES, PV_WHOLE, 0, &rig.random);
	rig.crumbs = pv_twin_alloc(&rig.couple.twin, CRUMBS_BYTES, PV_SCATTERED, 1, &rig.random);
	start_driver(kind);
}

static void rig_close(void)
{
	assert_int_equal(pv_driver_stop(&rig.driver), 0);
	for (uint16_t i = 0; i < QUEUES; i++)
		pv_driver_queue_fini(&rig.queue[i]);
	assert_true(pv_twin_guards_hold(&rig.couple.twin));
	assert_int_equal(rig.couple.allocs, 0);
	pv_couple_close(&rig.couple);
	pv_memory_wire_close(&rig.wire);
	free(rig.storage);
}

/* ---- what the driver does ---- */

static void offer(uint16_t queue, const struct pv_sg *sg, uint16_t readable, uint16_t writable)
{
	assert_int_equal(
		pv_drv_ring_add(&rig.queue[queue].ring, sg, readable, writable, &rig.token), 0);
	pv_driver_queue_publish(&rig.queue[queue]);
}

static void run(void)
{
	for (uint16_t i = 0; i < QUEUES; i++)
		rig.couple.lane[i].is_kicked = true;
	for (int i = 0; i < 4; i++)
		pv_couple_run(&rig.couple);
	pv_couple_sleep(&rig.couple);
}

static uint32_t take(uint16_t queue)
{
	uint32_t bytes;
	void *token;

	assert_int_equal(pv_drv_ring_take(&rig.queue[queue].ring, &token, &bytes), PV_DRV_TAKEN);
	return bytes;
}

static void write_at(uint32_t offset, const void *data, size_t bytes)
{
	pv_twin_write(&rig.couple.twin, pv_gpa_add(rig.area, offset), data, bytes);
}

static void read_at(uint32_t offset, void *data, size_t bytes)
{
	pv_twin_read(&rig.couple.twin, pv_gpa_add(rig.area, offset), data, bytes);
}

static struct pv_sg at(uint32_t offset, uint32_t bytes)
{
	return (struct pv_sg){ pv_gpa_add(rig.area, offset), bytes };
}

/* A frame for anybody, each byte of it of this number. */
static void make_frame(uint8_t *frame, uint32_t bytes, uint8_t number)
{
	memset(frame, number, bytes);
	memset(frame, 0xff, VIRTIO_NET_MAC_BYTES);
}

/* A header and a frame at the beginning of the area. */
static void write_packet(const struct virtio_net_hdr *hdr, uint32_t bytes, uint8_t number)
{
	struct virtio_net_hdr_mrg head = { .hdr = *hdr };
	uint8_t *frame = malloc(bytes + 1);

	make_frame(frame, bytes, number);
	write_at(0, &head, sizeof(head));
	write_at(sizeof(head), frame, bytes);
	free(frame);
}

static void expect_sent(uint32_t bytes, uint8_t number)
{
	struct pv_memory_frame frame;
	uint8_t *wanted = malloc(bytes);

	make_frame(wanted, bytes, number);
	assert_true(pv_memory_wire_get(&rig.wire, &frame));
	assert_int_equal(frame.bytes, bytes);
	assert_memory_equal(frame.data, wanted, bytes);
	free(frame.data);
	free(wanted);
}

static void expect_nothing_sent(void)
{
	assert_int_equal(rig.wire.sent.count, 0);
}

static void expect_sending(void)
{
	const struct pv_sg sg = at(0, HDR_BYTES + FRAME_BYTES);

	write_packet(&(struct virtio_net_hdr){ 0 }, FRAME_BYTES, 0x5a);
	offer(SENDS, &sg, 1, 0);
	run();
	assert_int_equal(take(SENDS), 0);
	expect_sent(FRAME_BYTES, 0x5a);
}

static void expect_receiving(void)
{
	const struct pv_sg sg = at(4096, 2048);
	uint8_t frame[FRAME_BYTES], got[FRAME_BYTES];

	make_frame(frame, sizeof(frame), 0x77);
	offer(RECEIVES, &sg, 0, 1);
	pv_memory_wire_put(&rig.wire, 0, NULL, frame, sizeof(frame));
	run();
	assert_int_equal(take(RECEIVES), HDR_BYTES + FRAME_BYTES);
	read_at(4096 + HDR_BYTES, got, sizeof(got));
	assert_memory_equal(got, frame, sizeof(frame));
}

/* Says a command of so many bytes, head included. Returns the acknowledgement. */
static uint8_t command(const void *bytes, uint32_t count)
{
	const struct pv_sg sg[] = { at(0, count), at(AREA_BYTES - 1, 1) };
	uint8_t ack = 0xee;

	write_at(0, bytes, count);
	write_at(AREA_BYTES - 1, &ack, 1);
	offer(CONTROLS, sg, 1, 1);
	run();
	assert_int_equal(take(CONTROLS), 1);
	read_at(AREA_BYTES - 1, &ack, 1);
	return ack;
}

static void expect_service(void)
{
	const uint8_t promiscuous[] = { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1 };

	expect_sending();
	assert_int_equal(command(promiscuous, sizeof(promiscuous)), VIRTIO_NET_OK);
	expect_receiving();
	expect_nothing_sent();
	assert_int_equal(rig.couple.needs_resets, 0);
}

static void on_every_ring(void (*evil)(void))
{
	for (uint16_t i = 0; i < COUNT(kinds); i++) {
		rig_open(kinds[i], i);
		expect_service();
		evil();
		expect_service();
		rig_close();
	}
}

#define EVIL(name) PV_TEST_EACH(on_every_ring, name)

/* ---- packets that are none ---- */

static void expect_dropped(const struct pv_sg *sg, uint16_t readable, uint16_t writable)
{
	uint64_t drops = pv_count_of(rig.device, SENDS, "drops");

	offer(SENDS, sg, readable, writable);
	run();
	assert_int_equal(take(SENDS), 0);
	assert_int_equal(pv_count_of(rig.device, SENDS, "drops"), drops + 1);
	expect_nothing_sent();
}

EVIL(chains_too_short_for_a_header_or_a_frame_are_no_packets)
{
	write_packet(&(struct virtio_net_hdr){ 0 }, 64, 1);
	for (uint32_t bytes = 0; bytes < HDR_BYTES + PV_NET_FRAME_MIN; bytes++) {
		const struct pv_sg sg = at(0, bytes);

		expect_dropped(&sg, 1, 0);
	}
}

EVIL(what_is_to_be_written_or_no_memory_is_no_packet)
{
	const struct pv_sg cases[][2] = {
		{ at(0, HDR_BYTES + FRAME_BYTES), at(4096, 64) },
	};
	const struct pv_sg nowhere[] = { at(0, HDR_BYTES), { pv_gpa_of(NOWHERE), FRAME_BYTES } };
	const struct pv_sg crumbs = { rig.crumbs, CRUMBS_BYTES };

	write_packet(&(struct virtio_net_hdr){ 0 }, FRAME_BYTES, 1);
	expect_dropped(cases[0], 1, 1);
	expect_dropped(cases[0], 0, 1);
	expect_dropped(nowhere, 2, 0);
	expect_dropped(&crumbs, 1, 0); /* more pieces than there is room for */
}

EVIL(frames_longer_than_the_mtu_or_than_any_frame_are_not_sent)
{
	const struct pv_sg longest = at(0, HDR_BYTES + 1500 + 22),
			   long_one = at(0, HDR_BYTES + 1523);
	const struct pv_sg endless = at(0, AREA_BYTES);

	write_packet(&(struct virtio_net_hdr){ 0 }, 1523, 9);
	offer(SENDS, &longest, 1, 0);
	run();
	take(SENDS);
	expect_sent(1522, 9);
	expect_dropped(&long_one, 1, 0);
	expect_dropped(&endless, 1, 0);
}

/* ---- headers that lie ---- */

static struct virtio_net_hdr header(uint8_t flags, uint8_t gso_type, uint16_t gso_size,
                                    uint16_t csum_start, uint16_t csum_offset)
{
	return (struct virtio_net_hdr){ flags,
		                        gso_type,
		                        pv_le16_of(54),
		                        pv_le16_of(gso_size),
		                        pv_le16_of(csum_start),
		                        pv_le16_of(csum_offset) };
}

EVIL(headers_that_lie_are_believed_nothing)
{
	const struct virtio_net_hdr lies[] = {
		header(NEEDS_CSUM, 0, 0, FRAME_BYTES, 0),
		header(NEEDS_CSUM, 0, 0, FRAME_BYTES - 1, 0),
		header(NEEDS_CSUM, 0, 0, 0, FRAME_BYTES - 1),
		header(NEEDS_CSUM, 0, 0, UINT16_MAX, UINT16_MAX),
		header(0, VIRTIO_NET_HDR_GSO_TCPV4, 100, 34, 16),
		header(NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, 0, 34, 16),
		header(NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, 10, 34, 16), /* no such packet */
		header(NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV6, 10, 34, 16),
		header(NEEDS_CSUM, VIRTIO_NET_HDR_GSO_UDP, 10, 34, 6),
		header(NEEDS_CSUM, VIRTIO_NET_HDR_GSO_UDP_L4, 10, 34, 6),
		header(NEEDS_CSUM, 2, 100, 34, 16),
		header(NEEDS_CSUM, 0x7f, 100, 34, 16),
		header(NEEDS_CSUM, VIRTIO_NET_HDR_GSO_ECN, 100, 34, 16),
	};
	const struct pv_sg sg = at(0, HDR_BYTES + FRAME_BYTES);

	for (uint16_t i = 0; i < COUNT(lies); i++) {
		write_packet(&lies[i], FRAME_BYTES, (uint8_t)i);
		expect_dropped(&sg, 1, 0);
	}
}

EVIL(flags_that_say_nothing_are_not_passed_on)
{
	const struct virtio_net_hdr hdr = header(0xfe, 0, 1234, 1, 2);
	const struct pv_sg sg = at(0, HDR_BYTES + FRAME_BYTES);
	struct pv_memory_frame frame;

	write_packet(&hdr, FRAME_BYTES, 3);
	offer(SENDS, &sg, 1, 0);
	run();
	take(SENDS);
	assert_true(pv_memory_wire_get(&rig.wire, &frame));
	assert_memory_equal(&frame.hdr, (&(struct virtio_net_hdr){ 0 }), sizeof(frame.hdr));
	assert_int_equal(frame.bytes, FRAME_BYTES);
	free(frame.data);
}

/* Whatever is written: what goes out is as long as what was written, or is made of it by the rules.
 */
EVIL(random_headers_never_make_a_frame_of_another_length)
{
	const struct pv_sg sg = at(0, HDR_BYTES + FRAME_BYTES);

	for (uint32_t i = 0; i < 2000; i++) {
		struct pv_memory_frame frame;
		struct virtio_net_hdr hdr;
		uint8_t *byte = (uint8_t *)&hdr;

		for (size_t j = 0; j < sizeof(hdr); j++)
			byte[j] = (uint8_t)pv_random_below(&rig.random, j < 2 ? 8 : 256);
		write_packet(&hdr, FRAME_BYTES, (uint8_t)i);
		offer(SENDS, &sg, 1, 0);
		run();
		assert_int_equal(take(SENDS), 0);
		if (!pv_memory_wire_get(&rig.wire, &frame))
			continue;
		assert_int_equal(frame.bytes, FRAME_BYTES);
		free(frame.data);
		expect_nothing_sent();
	}
}

/* ---- receive buffers that are none ---- */

EVIL(receive_buffers_without_room_are_given_back)
{
	const struct pv_sg small = at(0, HDR_BYTES), readable = at(0, 2048);
	const struct pv_sg nowhere = { pv_gpa_of(NOWHERE), 2048 };
	uint64_t bad = counters(RECEIVES)->bad_chains;

	offer(RECEIVES, &small, 0, 1);
	run();
	offer(RECEIVES, &readable, 1, 0);
	run();
	offer(RECEIVES, &nowhere, 0, 1);
	run();
	for (int i = 0; i < 3; i++)
		assert_int_equal(take(RECEIVES), 0);
	assert_int_equal(counters(RECEIVES)->bad_chains, bad + 3);
}

EVIL(a_frame_for_which_there_are_never_buffers_is_dropped_and_those_behind_it_come)
{
	static uint8_t frame[60000];
	const struct pv_sg sg = at(0, 256);
	const struct virtio_net_hdr hdr =
		header(NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, 1000, 34, 16);
	uint64_t overruns = pv_count_of(rig.device, RECEIVES, "overruns");

	make_frame(frame, sizeof(frame), 1);
	rig.wire.wire.knows_headers = true;
	pv_memory_wire_put(&rig.wire, 0, &hdr, frame, sizeof(frame));
	offer(RECEIVES, &sg, 0, 1);
	run();
	assert_int_equal(pv_count_of(rig.device, RECEIVES, "overruns"), overruns);
	pv_couple_pass(&rig.couple, 200000000);
	run();
	assert_int_equal(pv_count_of(rig.device, RECEIVES, "overruns"), overruns + 1);
	pv_memory_wire_put(&rig.wire, 0, NULL, frame, FRAME_BYTES);
	run();
	assert_int_equal(take(RECEIVES), HDR_BYTES + FRAME_BYTES);
}

#define BUFFERS_AT   8192u
#define BUFFER_BYTES 200u

/* Writes rubbish to so many buffers before it offers them. */
static void offer_buffers(uint32_t count)
{
	uint8_t rubbish[BUFFER_BYTES];

	memset(rubbish, 0xab, sizeof(rubbish));
	for (uint32_t i = 0; i < count; i++) {
		const struct pv_sg sg = at(BUFFERS_AT + i * BUFFER_BYTES, BUFFER_BYTES);

		write_at(BUFFERS_AT + i * BUFFER_BYTES, rubbish, sizeof(rubbish));
		offer(RECEIVES, &sg, 0, 1);
	}
}

static void put_frame(uint32_t bytes, bool is_for_us)
{
	uint8_t frame[3 * BUFFER_BYTES];

	make_frame(frame, bytes, 0x77);
	frame[0] = is_for_us ? 0xff : 0x02;
	pv_memory_wire_put(&rig.wire, 0, NULL, frame, bytes);
}

/* A buffer has one short frame, all of it, and the header of one that nothing is to be done about.
 */
static void expect_short_frame(uint32_t buffer)
{
	const struct virtio_net_hdr_mrg wanted = { .num_buffers = pv_le16_of(1) };
	struct virtio_net_hdr_mrg header;

	assert_int_equal(take(RECEIVES), HDR_BYTES + FRAME_BYTES);
	read_at(BUFFERS_AT + buffer * BUFFER_BYTES, &header, sizeof(header));
	assert_memory_equal(&header, &wanted, sizeof(header));
}

EVIL(a_long_frame_for_somebody_else_leaves_nothing_in_the_headers_of_the_next)
{
	const uint8_t not_promiscuous[] = { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0 };

	assert_int_equal(command(not_promiscuous, sizeof(not_promiscuous)), VIRTIO_NET_OK);
	/* So that several buffers are offered to the wire the next time. */
	offer_buffers(3);
	put_frame(500, true);
	run();
	for (int i = 0; i < 3; i++)
		assert_true(take(RECEIVES) > 0);
	offer_buffers(3);
	put_frame(500, false);
	for (int i = 0; i < 3; i++)
		put_frame(FRAME_BYTES, true);
	run();
	for (uint32_t i = 0; i < 3; i++)
		expect_short_frame(i);
}

/* ---- commands ---- */

EVIL(unknown_commands_and_wrong_lengths_are_refused)
{
	uint8_t bytes[16] = { 0 };

	for (uint32_t class = 0; class < 256; class ++)
		for (uint32_t name = 0; name < (class < 10 ? 256 : 3); name++) {
			bytes[0] = (uint8_t) class;
			bytes[1] = (uint8_t)name;
			/* No command has five bytes of data that are all zero but for these two. */
			if (command(bytes, 7) == VIRTIO_NET_OK)
				fail_msg("class %u, command %u", class, name);
		}
	assert_int_equal(command(bytes, 1), VIRTIO_NET_ERR);
}

EVIL(a_command_without_room_for_an_answer_does_nothing)
{
	const uint8_t bytes[] = { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 0 };
	const struct pv_sg sg[] = { at(0, sizeof(bytes)), at(64, 1) };
	struct pv_net_rx_filter filter;

	write_at(0, bytes, sizeof(bytes));
	offer(CONTROLS, sg, 1, 0);
	run();
	assert_int_equal(take(CONTROLS), 0);
	pv_net_rx_filter(rig.device, &filter);
	assert_true(filter.is_promiscuous);
}

#define MANY_MACS 70000u

EVIL(seventy_thousand_addresses_let_all_of_their_kind_in)
{
	uint32_t bytes = 2 + 4 + MANY_MACS * VIRTIO_NET_MAC_BYTES + 4;
	uint8_t *table = calloc(1, bytes);
	struct pv_net_rx_filter filter;

	table[0] = VIRTIO_NET_CTRL_MAC;
	table[1] = VIRTIO_NET_CTRL_MAC_TABLE_SET;
	memcpy(table + 2, &(struct pv_le32){ pv_le32_of(MANY_MACS).raw }, 4);
	assert_int_equal(command(table, bytes), VIRTIO_NET_OK);
	pv_net_rx_filter(rig.device, &filter);
	assert_true(filter.has_unicast_overflow && !filter.has_multicast_overflow);
	/* One entry too many, and one byte. */
	memcpy(table + 2, &(struct pv_le32){ pv_le32_of(MANY_MACS + 1).raw }, 4);
	assert_int_equal(command(table, bytes), VIRTIO_NET_ERR);
	memcpy(table + 2, &(struct pv_le32){ pv_le32_of(UINT32_MAX).raw }, 4);
	assert_int_equal(command(table, bytes), VIRTIO_NET_ERR);
	memcpy(table + 2, &(struct pv_le32){ pv_le32_of(MANY_MACS).raw }, 4);
	assert_int_equal(command(table, bytes - 1), VIRTIO_NET_ERR);
	pv_net_rx_filter(rig.device, &filter);
	assert_true(filter.has_unicast_overflow);
	free(table);
}

EVIL(values_that_cannot_be_are_refused)
{
	static const uint8_t refused[][14] = {
		{ 3, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 2 },
		{ 4, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 0x00, 0x10 },
		{ 10, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 1 },
		{ 4, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 1, 0 },
		{ 8, VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET, 2, 0, 0, 0 },
		{ 8, VIRTIO_NET_CTRL_NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET, 255, 255, 0, 0 },
		{ 2, VIRTIO_NET_CTRL_STATS, VIRTIO_NET_CTRL_STATS_GET },
	};

	for (uint16_t i = 0; i < COUNT(refused); i++)
		assert_int_equal(command(refused[i] + 1, refused[i][0]), VIRTIO_NET_ERR);
}

#define NOISE_COMMANDS 3000u
#define SOAK_S         600 /* the long run, over all rings */

static bool noise_goes_on(uint32_t commands, time_t begin)
{
	if (getenv("PV_LONG"))
		return time(NULL) - begin < SOAK_S / COUNT(kinds);
	return commands < NOISE_COMMANDS;
}

EVIL(commands_of_noise_under_traffic_break_nothing)
{
	const time_t begin = time(NULL);
	uint8_t bytes[200];

	for (uint32_t i = 0; noise_goes_on(i, begin); i++) {
		uint32_t size = 2 + pv_random_below(&rig.random, sizeof(bytes) - 2);

		for (uint32_t j = 0; j < size; j++)
			bytes[j] = (uint8_t)pv_random_below(&rig.random, j < 2 ? 9 : 256);
		command(bytes, size);
		if (i % 10 == 0)
			expect_service();
	}
}

/* ---- rings ---- */

static void a_driver_that_breaks_its_ring_needs_a_reset(void **state)
{
	(void)state;
	for (uint16_t queue = 0; queue < QUEUES; queue++) {
		rig_open(0, queue);
		expect_service();
		pv_twin_write(&rig.couple.twin, rig.queue[queue].place.driver_area,
		              &(uint32_t){ 0x77770000 }, 4);
		run();
		assert_int_equal(rig.couple.needs_resets, 1);
		assert_int_equal(counters(queue)->ring_faults, 1);
		rig_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_too_short_for_a_header_or_a_frame_are_no_packets),
		cmocka_unit_test(what_is_to_be_written_or_no_memory_is_no_packet),
		cmocka_unit_test(frames_longer_than_the_mtu_or_than_any_frame_are_not_sent),
		cmocka_unit_test(headers_that_lie_are_believed_nothing),
		cmocka_unit_test(flags_that_say_nothing_are_not_passed_on),
		cmocka_unit_test(random_headers_never_make_a_frame_of_another_length),
		cmocka_unit_test(receive_buffers_without_room_are_given_back),
		cmocka_unit_test(
			a_frame_for_which_there_are_never_buffers_is_dropped_and_those_behind_it_come),
		cmocka_unit_test(
			a_long_frame_for_somebody_else_leaves_nothing_in_the_headers_of_the_next),
		cmocka_unit_test(unknown_commands_and_wrong_lengths_are_refused),
		cmocka_unit_test(a_command_without_room_for_an_answer_does_nothing),
		cmocka_unit_test(seventy_thousand_addresses_let_all_of_their_kind_in),
		cmocka_unit_test(values_that_cannot_be_are_refused),
		cmocka_unit_test(commands_of_noise_under_traffic_break_nothing),
		cmocka_unit_test(a_driver_that_breaks_its_ring_needs_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
