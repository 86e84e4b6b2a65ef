/* SPDX-License-Identifier: BSD-2-Clause */
/* The hash of received frames: Toeplitz, and which fields count (virtio 1.3, section 5.1.6.4.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/net/hash.h"

#define TYPE(name)   VIRTIO_NET_HASH_TYPE_##name
#define REPORT(name) VIRTIO_NET_HASH_REPORT_##name

#define TCP      6
#define UDP      17
#define ICMPV6   58
#define HOP      0
#define ROUTING  43
#define FRAGMENT 44
#define AUTH     51
#define OPTIONS  60

/* The key that Microsoft's verification suite of RSS uses. */
static const uint8_t key[PV_NET_HASH_KEY_BYTES] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

/* What the suite says: source, destination, their ports; the hash without and with these. */
static const struct {
	uint8_t source[4], destination[4];
	uint16_t source_port, destination_port;
	uint32_t addresses, ports;
} suite_ipv4[] = {
	{ { 66, 9, 149, 187 }, { 161, 142, 100, 80 }, 2794, 1766, 0x323e8fc2, 0x51ccc178 },
	{ { 199, 92, 111, 2 }, { 65, 69, 140, 83 }, 14230, 4739, 0xd718262a, 0xc626b0ea },
	{ { 24, 19, 198, 95 }, { 12, 22, 207, 184 }, 12898, 38024, 0xd2d0a5de, 0x5c2b394a },
	{ { 38, 27, 205, 30 }, { 209, 142, 163, 6 }, 48228, 2217, 0x82989176, 0xafc7327f },
	{ { 153, 39, 163, 191 }, { 202, 188, 127, 2 }, 44251, 1303, 0x5d1809c5, 0x10e828a2 },
};

static const struct {
	uint8_t source[16], destination[16];
	uint16_t source_port, destination_port;
	uint32_t addresses, ports;
} suite_ipv6[] = {
	{ { 0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x07 },
	  { 0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 0x01 },
	  2794,
	  1766,
	  0x2cc18cd5,
	  0x40207d3d },
	{ { 0x3f, 0xfe, 0x05, 0x01, 0x00, 0x08, 0, 0, 0x02, 0x60, 0x97, 0xff, 0xfe, 0x40, 0xef,
	    0xab },
	  { 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01 },
	  14230,
	  4739,
	  0x0f0c461c,
	  0xdde51bbf },
	{ { 0x3f, 0xfe, 0x19, 0x00, 0x45, 0x45, 0x00, 0x03, 0x02, 0x00, 0xf8, 0xff, 0xfe, 0x21,
	    0x67, 0xcf },
	  { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf },
	  44251,
	  38024,
	  0x4b61e985,
	  0x02d1feef },
};

#define SUITE(table) (sizeof(table) / sizeof((table)[0]))

static struct pv_net_hasher hasher;

/* ---- frames ---- */

struct frame {
	uint8_t data[400];
	size_t bytes;
	size_t protocol_at; /* the byte that says what comes next */
};

static void put(struct frame *frame, const void *data, size_t bytes)
{
	assert_true(frame->bytes + bytes <= sizeof(frame->data));
	memcpy(frame->data + frame->bytes, data, bytes);
	frame->bytes += bytes;
}

#define PUT(frame, ...)                                                                            \
	put(frame, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void put16(struct frame *frame, uint16_t value)
{
	PUT(frame, (uint8_t)(value >> 8), (uint8_t)value);
}

static void ethernet(struct frame *frame, uint16_t type, int tags)
{
	memset(frame, 0, sizeof(*frame));
	PUT(frame, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2);
	for (int i = 0; i < tags; i++) {
		put16(frame, i + 1 < tags ? 0x88a8 : 0x8100);
		put16(frame, 5);
	}
	put16(frame, type);
}

/* Of the suite's packet `i`, up to the addresses and so many words of options. */
static void ipv4(struct frame *frame, size_t i, uint8_t options, uint8_t protocol,
                 uint16_t fragment)
{
	PUT(frame, (uint8_t)(0x45 + options), 0, 0, 0, 0, 0, (uint8_t)(fragment >> 8),
	    (uint8_t)fragment, 64, protocol, 0, 0);
	put(frame, suite_ipv4[i].source, 4);
	put(frame, suite_ipv4[i].destination, 4);
	for (; options > 0; options--)
		PUT(frame, 1, 1, 1, 1);
}

static void ipv6(struct frame *frame, const uint8_t *source, const uint8_t *destination)
{
	PUT(frame, 0x60, 0, 0, 0, 0, 0, 59, 64);
	frame->protocol_at = frame->bytes - 2;
	put(frame, source, 16);
	put(frame, destination, 16);
}

/* What comes next is of this protocol: written where the header before says so. */
static void next_is(struct frame *frame, uint8_t protocol)
{
	frame->data[frame->protocol_at] = protocol;
	frame->protocol_at = frame->bytes;
}

static void extension(struct frame *frame, uint8_t protocol, size_t bytes)
{
	const uint8_t zero[64] = { 0 };

	next_is(frame, protocol);
	PUT(frame, 59, (uint8_t)(protocol == AUTH ? bytes / 4 - 2 : bytes / 8 - 1));
	put(frame, zero, bytes - 2);
}

static void fragment(struct frame *frame, uint16_t offset_and_more)
{
	next_is(frame, FRAGMENT);
	PUT(frame, 59, 0);
	put16(frame, offset_and_more);
	PUT(frame, 1, 2, 3, 4);
}

static void home_address(struct frame *frame, const uint8_t *address)
{
	next_is(frame, OPTIONS);
	PUT(frame, 59, 2, 1, 2, 0, 0, 0xc9, 16); /* four bytes of padding first */
	put(frame, address, 16);
}

static void mobile_route(struct frame *frame, const uint8_t *address)
{
	next_is(frame, ROUTING);
	PUT(frame, 59, 2, 2, 1, 0, 0, 0, 0);
	put(frame, address, 16);
}

static void ports(struct frame *frame, uint16_t source, uint16_t destination)
{
	put16(frame, source);
	put16(frame, destination);
	PUT(frame, 0, 9, 0, 0, 'x', 'y', 'z', 'a', 0x50, 0, 0, 0, 0, 0, 0, 0, 'p');
}

static void assert_hash(const struct frame *frame, uint32_t types, uint32_t wanted, uint8_t report)
{
	uint8_t reported = 0xff;

	hasher.types = types;
	assert_int_equal(pv_net_hash(&hasher, frame->data, frame->bytes, &reported), wanted);
	assert_int_equal(reported, report);
}

/* ---- Toeplitz ---- */

static void toeplitz_is_that_of_the_published_suite_for_ipv4(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE(suite_ipv4); i++) {
		struct frame input = { 0 };

		put(&input, suite_ipv4[i].source, 4);
		put(&input, suite_ipv4[i].destination, 4);
		assert_int_equal(pv_net_toeplitz(&hasher, input.data, 8), suite_ipv4[i].addresses);
		put16(&input, suite_ipv4[i].source_port);
		put16(&input, suite_ipv4[i].destination_port);
		assert_int_equal(pv_net_toeplitz(&hasher, input.data, 12), suite_ipv4[i].ports);
	}
}

static void toeplitz_is_that_of_the_published_suite_for_ipv6(void **state)
{
	(void)state;
	for (size_t i = 0; i < SUITE(suite_ipv6); i++) {
		struct frame input = { 0 };

		put(&input, suite_ipv6[i].source, 16);
		put(&input, suite_ipv6[i].destination, 16);
		assert_int_equal(pv_net_toeplitz(&hasher, input.data, 32), suite_ipv6[i].addresses);
		put16(&input, suite_ipv6[i].source_port);
		put16(&input, suite_ipv6[i].destination_port);
		assert_int_equal(pv_net_toeplitz(&hasher, input.data, 36), suite_ipv6[i].ports);
	}
}

/* One bit at a time, as the definition has it. */
static uint32_t toeplitz_by_bits(const uint8_t *input, size_t bytes, const uint8_t *with)
{
	uint32_t hash = 0;

	for (size_t bit = 0; bit < 8 * bytes; bit++) {
		if (!(input[bit / 8] & 0x80u >> bit % 8))
			continue;
		for (size_t i = 0; i < 32; i++) {
			uint32_t key_byte = with[(bit + i) / 8];

			hash ^= (key_byte >> (7 - (bit + i) % 8) & 1u) << (31 - i);
		}
	}
	return hash;
}

static void each_bit_of_the_longest_input_counts_where_it_stands(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 8 * PV_NET_HASH_INPUT_MAX; bit++) {
		uint8_t input[PV_NET_HASH_INPUT_MAX] = { 0 };

		input[bit / 8] = (uint8_t)(0x80u >> bit % 8);
		assert_int_equal(pv_net_toeplitz(&hasher, input, sizeof(input)),
		                 toeplitz_by_bits(input, sizeof(input), key));
	}
}

static void the_rest_of_a_short_key_is_zero(void **state)
{
	static struct pv_net_hasher brief;
	uint8_t padded[PV_NET_HASH_KEY_BYTES] = { 0 };
	uint8_t input[PV_NET_HASH_INPUT_MAX];

	(void)state;
	memset(input, 0xa7, sizeof(input));
	for (size_t bytes = 0; bytes <= sizeof(key); bytes++) {
		memset(padded, 0, sizeof(padded));
		memcpy(padded, key, bytes);
		pv_net_hasher_set(&brief, 0, key, bytes);
		assert_int_equal(pv_net_toeplitz(&brief, input, sizeof(input)),
		                 toeplitz_by_bits(input, sizeof(input), padded));
	}
}

/* ---- IPv4 ---- */

static void ipv4_frame(struct frame *frame, size_t i, int tags, uint8_t options, uint8_t protocol)
{
	ethernet(frame, 0x0800, tags);
	ipv4(frame, i, options, protocol, 0);
	ports(frame, suite_ipv4[i].source_port, suite_ipv4[i].destination_port);
}

static void ipv4_is_hashed_with_ports_behind_tags_and_options(void **state)
{
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < SUITE(suite_ipv4); i++) {
		for (int tags = 0; tags <= 2; tags++) {
			for (uint8_t options = 0; options <= 10; options++) {
				ipv4_frame(&frame, i, tags, options, TCP);
				assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv4[i].ports,
				            REPORT(TCPv4));
				ipv4_frame(&frame, i, tags, options, UDP);
				assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv4[i].ports,
				            REPORT(UDPv4));
			}
		}
	}
}

static void ipv4_takes_the_first_kind_that_is_enabled(void **state)
{
	struct frame tcp, udp, other;

	(void)state;
	ipv4_frame(&tcp, 0, 0, 0, TCP);
	ipv4_frame(&udp, 0, 0, 0, UDP);
	ipv4_frame(&other, 0, 0, 0, 47);
	assert_hash(&tcp, TYPE(TCPv4), suite_ipv4[0].ports, REPORT(TCPv4));
	assert_hash(&tcp, TYPE(UDPv4) | TYPE(IPv4), suite_ipv4[0].addresses, REPORT(IPv4));
	assert_hash(&tcp, TYPE(UDPv4), 0, REPORT(NONE));
	assert_hash(&udp, TYPE(UDPv4) | TYPE(IPv4), suite_ipv4[0].ports, REPORT(UDPv4));
	assert_hash(&udp, TYPE(TCPv4) | TYPE(IPv4), suite_ipv4[0].addresses, REPORT(IPv4));
	assert_hash(&udp, TYPE(TCPv4), 0, REPORT(NONE));
	assert_hash(&other, PV_NET_HASH_TYPES, suite_ipv4[0].addresses, REPORT(IPv4));
	assert_hash(&other, TYPE(TCPv4) | TYPE(UDPv4) | TYPE(IPv6) | TYPE(IP_EX), 0, REPORT(NONE));
	assert_hash(&tcp, 0, 0, REPORT(NONE));
}

static void ipv4_fragments_have_no_ports(void **state)
{
	const struct {
		uint16_t flags;
		bool is_fragment;
	} cases[] = { { 0x4000, false }, { 0x8000, false }, { 0x2000, true },
		      { 0x2001, true },  { 0x0001, true },  { 0x1fff, true } };
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ethernet(&frame, 0x0800, 0);
		ipv4(&frame, 0, 0, UDP, cases[i].flags);
		ports(&frame, suite_ipv4[0].source_port, suite_ipv4[0].destination_port);
		if (cases[i].is_fragment)
			assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv4[0].addresses,
			            REPORT(IPv4));
		else
			assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv4[0].ports, REPORT(UDPv4));
	}
}

/* ---- IPv6 ---- */

static void ipv6_frame(struct frame *frame, size_t i, int tags)
{
	ethernet(frame, 0x86dd, tags);
	ipv6(frame, suite_ipv6[i].source, suite_ipv6[i].destination);
}

static void transport(struct frame *frame, size_t i, uint8_t protocol)
{
	next_is(frame, protocol);
	ports(frame, suite_ipv6[i].source_port, suite_ipv6[i].destination_port);
}

static void ipv6_takes_the_first_kind_that_is_enabled(void **state)
{
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < SUITE(suite_ipv6); i++) {
		ipv6_frame(&frame, i, (int)i);
		transport(&frame, i, TCP);
		assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv6[i].ports, REPORT(TCPv6));
		assert_hash(&frame, PV_NET_HASH_TYPES & ~TYPE(TCPv6), suite_ipv6[i].addresses,
		            REPORT(IPv6));
		assert_hash(&frame, PV_NET_HASH_TYPES & ~(TYPE(TCPv6) | TYPE(IPv6)), 0,
		            REPORT(NONE));
		ipv6_frame(&frame, i, (int)i);
		transport(&frame, i, UDP);
		assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv6[i].ports, REPORT(UDPv6));
		ipv6_frame(&frame, i, (int)i);
		transport(&frame, i, ICMPV6);
		assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv6[i].addresses, REPORT(IPv6));
	}
}

static void extensions_without_addresses_make_the_kind_another_one(void **state)
{
	struct frame frame;

	(void)state;
	ipv6_frame(&frame, 0, 0);
	extension(&frame, HOP, 8);
	extension(&frame, OPTIONS, 16);
	extension(&frame, ROUTING, 24);
	extension(&frame, AUTH, 12);
	extension(&frame, OPTIONS, 8);
	transport(&frame, 0, TCP);
	assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv6[0].ports, REPORT(TCPv6_EX));
	assert_hash(&frame, TYPE(IP_EX) | TYPE(TCPv6), suite_ipv6[0].addresses, REPORT(IPv6_EX));
	assert_hash(&frame, TYPE(UDP_EX) | TYPE(TCPv6), suite_ipv6[0].ports, REPORT(TCPv6));
	assert_hash(&frame, TYPE(IPv6), suite_ipv6[0].addresses, REPORT(IPv6));
	assert_hash(&frame, TYPE(UDPv6) | TYPE(UDP_EX), 0, REPORT(NONE));
}

/* Packets of a node on the move, whose addresses are those of another one of the suite. */
static void mobile_frame(struct frame *frame, bool is_away, bool is_called, uint8_t protocol)
{
	const uint8_t elsewhere[16] = { 0x20, 0x01, 0x0d, 0xb8, 1, 2,  3,  4,
		                        5,    6,    7,    8,    9, 10, 11, 12 };

	ethernet(frame, 0x86dd, 0);
	ipv6(frame, is_away ? elsewhere : suite_ipv6[1].source,
	     is_called ? elsewhere : suite_ipv6[1].destination);
	if (is_called)
		mobile_route(frame, suite_ipv6[1].destination);
	if (is_away)
		home_address(frame, suite_ipv6[1].source);
	transport(frame, 1, protocol);
}

static void mobile_nodes_are_hashed_by_where_they_are_at_home(void **state)
{
	struct frame frame;

	(void)state;
	for (int i = 1; i < 4; i++) {
		mobile_frame(&frame, i & 1, i & 2, TCP);
		assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv6[1].ports, REPORT(TCPv6_EX));
		assert_hash(&frame, TYPE(IP_EX), suite_ipv6[1].addresses, REPORT(IPv6_EX));
		mobile_frame(&frame, i & 1, i & 2, UDP);
		assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv6[1].ports, REPORT(UDPv6_EX));
	}
}

/* The kinds without EX skip extensions: they take the addresses of the IPv6 header. */
static void without_the_ex_kinds_the_extensions_do_not_count(void **state)
{
	struct frame frame;
	uint8_t input[36];

	(void)state;
	mobile_frame(&frame, true, true, TCP);
	memcpy(input, frame.data + 14 + 8, 32);
	memcpy(input + 32, frame.data + 14 + 40 + 24 + 24, 4);
	assert_hash(&frame, TYPE(TCPv6), pv_net_toeplitz(&hasher, input, 36), REPORT(TCPv6));
	assert_hash(&frame, TYPE(IPv6), pv_net_toeplitz(&hasher, input, 32), REPORT(IPv6));
}

static void ipv6_fragments_have_no_ports_unless_they_are_all_of_a_packet(void **state)
{
	const uint16_t offsets[] = { 1, 8, 0xfff8 };
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		ipv6_frame(&frame, 2, 0);
		fragment(&frame, offsets[i]);
		transport(&frame, 2, TCP);
		assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv6[2].addresses, REPORT(IPv6_EX));
		assert_hash(&frame, TYPE(TCPv6) | TYPE(IPv6), suite_ipv6[2].addresses,
		            REPORT(IPv6));
	}
	ipv6_frame(&frame, 2, 0);
	fragment(&frame, 0);
	transport(&frame, 2, TCP);
	assert_hash(&frame, PV_NET_HASH_TYPES, suite_ipv6[2].ports, REPORT(TCPv6_EX));
}

/* ---- what is not all there ---- */

static void other_protocols_have_no_hash(void **state)
{
	const uint16_t types[] = { 0x0806, 0x8864, 0x0800, 0x86dd, 0x0600, 0x8100 };
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		/* IPv4 and IPv6 that say to be of another version than the frame does. */
		ethernet(&frame, types[i], 0);
		PUT(&frame, 0x50, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22);
		put(&frame, suite_ipv6, 100);
		assert_hash(&frame, PV_NET_HASH_TYPES, 0, REPORT(NONE));
	}
	ipv4_frame(&frame, 0, 3, 0, TCP);
	assert_hash(&frame, PV_NET_HASH_TYPES, 0, REPORT(NONE));
	ipv4_frame(&frame, 0, 0, 0, TCP);
	frame.data[14] = 0x44;
	assert_hash(&frame, PV_NET_HASH_TYPES, 0, REPORT(NONE));
}

/* In memory of its own, so that a sanitizer sees whoever reads more of it. */
static uint8_t report_of_first(const struct frame *frame, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1), report;

	memcpy(copy, frame->data, bytes);
	hasher.types = PV_NET_HASH_TYPES;
	pv_net_hash(&hasher, copy, bytes, &report);
	free(copy);
	return report;
}

static void a_frame_that_ends_early_has_what_is_there(void **state)
{
	struct frame frame;

	(void)state;
	ipv4_frame(&frame, 0, 1, 2, TCP);
	for (size_t bytes = 0; bytes <= frame.bytes; bytes++)
		assert_int_equal(report_of_first(&frame, bytes), bytes < 18 + 20 ? REPORT(NONE)
		                                                 : bytes < 18 + 28 + 4
		                                                         ? REPORT(IPv4)
		                                                         : REPORT(TCPv4));
	mobile_frame(&frame, true, true, UDP);
	for (size_t bytes = 0; bytes <= frame.bytes; bytes++)
		assert_int_equal(report_of_first(&frame, bytes), bytes < 14 + 40 ? REPORT(NONE)
		                                                 : bytes < 14 + 40 + 48 + 4
		                                                         ? REPORT(IPv6_EX)
		                                                         : REPORT(UDPv6_EX));
}

static void options_and_routes_that_lie_about_their_length_end_where_they_are(void **state)
{
	struct frame frame;

	(void)state;
	for (int at = 14 + 40; at < 14 + 40 + 48; at++) {
		for (int value = 0; value < 256; value++) {
			mobile_frame(&frame, true, true, UDP);
			frame.data[at] = (uint8_t)value;
			report_of_first(&frame, frame.bytes);
			/* The last bytes at hand are the option's. */
			report_of_first(&frame, 14 + 40 + 48);
		}
	}
}

/* ---- */

static int set_key(void **state)
{
	(void)state;
	pv_net_hasher_set(&hasher, PV_NET_HASH_TYPES, key, sizeof(key));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(toeplitz_is_that_of_the_published_suite_for_ipv4),
		cmocka_unit_test(toeplitz_is_that_of_the_published_suite_for_ipv6),
		cmocka_unit_test(each_bit_of_the_longest_input_counts_where_it_stands),
		cmocka_unit_test(the_rest_of_a_short_key_is_zero),
		cmocka_unit_test(ipv4_is_hashed_with_ports_behind_tags_and_options),
		cmocka_unit_test(ipv4_takes_the_first_kind_that_is_enabled),
		cmocka_unit_test(ipv4_fragments_have_no_ports),
		cmocka_unit_test(ipv6_takes_the_first_kind_that_is_enabled),
		cmocka_unit_test(extensions_without_addresses_make_the_kind_another_one),
		cmocka_unit_test(mobile_nodes_are_hashed_by_where_they_are_at_home),
		cmocka_unit_test(without_the_ex_kinds_the_extensions_do_not_count),
		cmocka_unit_test(ipv6_fragments_have_no_ports_unless_they_are_all_of_a_packet),
		cmocka_unit_test(other_protocols_have_no_hash),
		cmocka_unit_test(a_frame_that_ends_early_has_what_is_there),
		cmocka_unit_test(options_and_routes_that_lie_about_their_length_end_where_they_are),
	};

	return cmocka_run_group_tests(tests, set_key, NULL);
}
