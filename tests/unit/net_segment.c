/* SPDX-License-Identifier: BSD-2-Clause */
/* Finishing frames: what comes out, what is refused, and what a sender's changes can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/net/checksum.h"
#include "devices/net/segment.h"
#include "ring/err.h"
#include "tests/support/net_packet.h"

#define ROOM   (PV_NET_FRAME_MAX + PV_NET_FRAGMENT_HEADER_BYTES)
#define ROUNDS 300u

#define NONE     VIRTIO_NET_HDR_GSO_NONE
#define TCPV4    VIRTIO_NET_HDR_GSO_TCPV4
#define TCPV6    VIRTIO_NET_HDR_GSO_TCPV6
#define UDP_L4   VIRTIO_NET_HDR_GSO_UDP_L4
#define UFO      VIRTIO_NET_HDR_GSO_UDP
#define FRAGMENT 44

static const uint8_t cut_kinds[] = { TCPV4, TCPV6, UDP_L4, UFO };

static uint8_t out[ROOM];

/* A packet, its pieces, and the cutter that is at them. */
struct job {
	struct pv_random random;
	struct pv_net_packet packet;
	struct pv_iov iov[PV_NET_PACKET_PIECES];
	uint16_t pieces;
	struct pv_net_cutter cutter;
};

static int begin(struct job *job)
{
	return pv_net_cutter_begin(&job->cutter, &job->packet.hdr, job->iov, job->pieces,
	                           job->packet.bytes, true);
}

/* Like that, each `number` another one. */
static void make(struct job *job, uint32_t number, uint8_t kind, uint32_t payload_bytes,
                 uint16_t gso_size)
{
	job->random = pv_random_start(pv_random_seed(), number);
	pv_net_packet_make(&job->packet, &job->random, kind, payload_bytes, gso_size);
	job->pieces = pv_net_packet_pieces(&job->packet, &job->random, job->iov);
}

static void make_any(struct job *job, uint32_t number, uint8_t kind)
{
	struct pv_random random = pv_random_start(pv_random_seed(), 1000 + number);
	uint32_t payload_bytes =
		pv_random_below(&random, pv_random_chance(&random, 30) ? 50 : 20000);

	make(job, number, kind, payload_bytes, (uint16_t)(8 + pv_random_below(&random, 1500)));
}

static uint32_t next(struct job *job)
{
	return pv_net_cutter_next(&job->cutter, out, sizeof(out));
}

static void done(struct job *job)
{
	pv_net_packet_free(&job->packet);
}

/* ---- sums ---- */

static void sums_are_those_of_single_bytes(void **state)
{
	struct pv_random random = pv_random_start(pv_random_seed(), 0);
	uint8_t data[520], checksum[2];

	(void)state;
	for (size_t bytes = 0; bytes <= 512; bytes++) {
		for (size_t at = 0; at < 8; at++) {
			for (size_t i = 0; i < sizeof(data); i++)
				data[i] = bytes % 3 ? (uint8_t)pv_random_below(&random, 256) : 0xff;
			pv_net_checksum_put(checksum, pv_net_sum(data + at, bytes));
			assert_int_equal(pv_net_be16(checksum),
			                 0xffff ^ pv_net_plain_sum(data + at, (uint32_t)bytes, 0));
		}
	}
}

static void the_longest_sum_carries_as_it_should(void **state)
{
	uint8_t *data = malloc(PV_NET_FRAME_MAX), checksum[2];

	(void)state;
	memset(data, 0xff, PV_NET_FRAME_MAX);
	pv_net_checksum_put(checksum, pv_net_sum(data, PV_NET_FRAME_MAX) + pv_net_sum_of(0xffff));
	assert_int_equal(pv_net_be16(checksum),
	                 0xffff ^ pv_net_plain_sum(data, PV_NET_FRAME_MAX, 0xffff));
	free(data);
}

static void zero_is_no_checksum_for_udp_only(void **state)
{
	const uint8_t all[2] = { 0xff, 0xff };
	uint8_t checksum[2] = { 7, 7 };

	(void)state;
	pv_net_checksum_put(checksum, pv_net_sum(all, 2));
	assert_int_equal(pv_net_be16(checksum), 0);
	pv_net_checksum_put_udp(checksum, pv_net_sum(all, 2));
	assert_int_equal(pv_net_be16(checksum), 0xffff);
}

/* ---- frames that stay whole ---- */

static void a_frame_without_work_comes_out_as_it_is(void **state)
{
	struct job job;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		make_any(&job, i, NONE);
		/* The rest says nothing without the flag (section 5.1.6.2.2: MUST NOT). */
		job.packet.hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID | 0xf0;
		job.packet.hdr.csum_start = pv_le16_of(0xffff);
		assert_int_equal(begin(&job), 0);
		assert_int_equal(pv_net_cutter_count(&job.cutter), 1);
		assert_int_equal(next(&job), job.packet.bytes);
		assert_memory_equal(out, job.packet.frame, job.packet.bytes);
		assert_int_equal(next(&job), 0);
		done(&job);
	}
}

static void a_partial_checksum_is_completed_and_nothing_else_changed(void **state)
{
	struct job job;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t at;

		make_any(&job, i, NONE);
		at = job.packet.transport + (job.packet.is_tcp ? 16u : 6u);
		job.packet.hdr.gso_type = i % 2 ? NONE : VIRTIO_NET_HDR_GSO_ECN;
		assert_int_equal(begin(&job), 0);
		assert_int_equal(next(&job), job.packet.bytes);
		assert_true(pv_net_frame_is_sound(&job.packet, out, job.packet.bytes));
		memcpy(out + at, job.packet.frame + at, 2);
		assert_memory_equal(out, job.packet.frame, job.packet.bytes);
		assert_int_equal(next(&job), 0);
		done(&job);
	}
}

/* No protocol needs to be known for it, and it may begin anywhere. */
static void a_checksum_of_anything_may_begin_anywhere(void **state)
{
	uint8_t frame[64], wanted[64];
	struct pv_iov iov = { frame, sizeof(frame) };
	struct pv_net_cutter cutter;

	(void)state;
	for (uint16_t start = PV_NET_FRAME_MIN; start < sizeof(frame); start++) {
		for (uint16_t offset = 0; start + offset + 2u <= sizeof(frame); offset++) {
			const struct virtio_net_hdr hdr = {
				.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				.csum_start = pv_le16_of(start),
				.csum_offset = pv_le16_of(offset),
			};

			memset(frame, start + offset, sizeof(frame));
			memcpy(wanted, frame, sizeof(frame));
			pv_net_be16_put(wanted + start + offset,
			                0xffff ^ pv_net_plain_sum(frame + start,
			                                          (uint32_t)sizeof(frame) - start,
			                                          0));
			assert_int_equal(pv_net_cutter_begin(&cutter, &hdr, &iov, 1, 64, false), 0);
			assert_int_equal(pv_net_cutter_next(&cutter, out, 64), 64);
			assert_memory_equal(out, wanted, 64);
		}
	}
}

/* ---- frames that are cut ---- */

static uint32_t ceiling(uint32_t bytes, uint32_t size)
{
	return bytes ? (bytes + size - 1) / size : 1;
}

/* A segment or datagram: sound, of the right size, with its part of the payload. */
static void assert_part(const struct job *job, uint32_t bytes, uint32_t number, uint32_t parts)
{
	const struct pv_net_packet *packet = &job->packet;
	uint32_t size = pv_le16_get(packet->hdr.gso_size), at = packet->payload + number * size;
	uint32_t wanted = number + 1 < parts ? size : packet->bytes - at;

	assert_int_equal(bytes, packet->payload + wanted);
	assert_true(pv_net_frame_is_sound(packet, out, bytes));
	assert_memory_equal(out + packet->payload, packet->frame + at, wanted);
	if (!packet->is_ipv6)
		assert_int_equal(
			pv_net_be16(out + packet->network + 4),
			(uint16_t)(pv_net_be16(packet->frame + packet->network + 4) + number));
}

static void assert_tcp(const struct job *job, uint32_t number, uint32_t parts)
{
	const uint8_t *was = job->packet.frame + job->packet.transport;
	const uint8_t *is = out + job->packet.transport;
	uint32_t sequence = (uint32_t)pv_net_be16(was + 4) << 16 | pv_net_be16(was + 6);
	uint8_t flags = was[13];

	sequence += number * pv_le16_get(job->packet.hdr.gso_size);
	assert_int_equal((uint32_t)pv_net_be16(is + 4) << 16 | pv_net_be16(is + 6), sequence);
	if (number + 1 < parts)
		flags &= 0xf6; /* FIN and PSH are of the last one */
	if (number > 0)
		flags &= 0x7f; /* CWR is of the first one */
	assert_int_equal(is[13], flags);
	assert_memory_equal(is + 18, was + 18, job->packet.payload - job->packet.transport - 18);
}

static void tcp_and_datagrams_come_out_in_sound_pieces(void **state)
{
	struct job job;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t parts;

		make_any(&job, i, cut_kinds[i % 3]);
		parts = ceiling(job.packet.bytes - job.packet.payload,
		                pv_le16_get(job.packet.hdr.gso_size));
		assert_int_equal(begin(&job), 0);
		assert_int_equal(pv_net_cutter_count(&job.cutter), parts);
		for (uint32_t number = 0; number < parts; number++) {
			assert_part(&job, next(&job), number, parts);
			if (job.packet.is_tcp)
				assert_tcp(&job, number, parts);
		}
		assert_int_equal(next(&job), 0);
		done(&job);
	}
}

/* Takes a fragment apart into `whole`. Returns whether more are to come. */
static bool take_fragment(const struct job *job, uint32_t bytes, uint8_t *whole, uint32_t *at)
{
	const uint8_t *ip = out + job->packet.network;
	uint32_t head = job->packet.is_ipv6 ? job->packet.network + 48 : job->packet.transport;
	uint16_t word = pv_net_be16(job->packet.is_ipv6 ? ip + 42 : ip + 6);
	uint32_t offset = job->packet.is_ipv6 ? word & 0xfff8u : (word & 0x1fffu) * 8;

	assert_true(pv_net_ip_is_sound(&job->packet, out, bytes));
	if (job->packet.is_ipv6)
		assert_int_equal(ip[6], FRAGMENT);
	assert_int_equal(offset, *at);
	assert_true(bytes - head <= pv_le16_get(job->packet.hdr.gso_size));
	memcpy(whole + *at, out + head, bytes - head);
	*at += bytes - head;
	return word & (job->packet.is_ipv6 ? 1 : 0x2000);
}

/* IPv6's extensions here are of the datagram, not of each packet. */
static void fragments_are_a_sound_datagram_together(void **state)
{
	static uint8_t whole[ROOM];
	struct job job;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t bytes, at = 0, start;
		bool is_more = true;

		make_any(&job, i, UFO);
		start = job.packet.is_ipv6 ? job.packet.network + 40 : job.packet.transport;
		memcpy(whole, job.packet.frame, start);
		assert_int_equal(begin(&job), 0);
		if (pv_net_cutter_count(&job.cutter) == 1) {
			bytes = next(&job);
			assert_int_equal(bytes, job.packet.bytes);
			assert_true(pv_net_frame_is_sound(&job.packet, out, bytes));
			done(&job);
			continue;
		}
		for (uint16_t n = pv_net_cutter_count(&job.cutter); n > 0; n--) {
			assert_true(is_more);
			is_more = take_fragment(&job, next(&job), whole + start, &at);
		}
		assert_false(is_more);
		assert_int_equal(start + at, job.packet.bytes);
		assert_true(pv_net_frame_is_sound(&job.packet, whole, job.packet.bytes));
		assert_memory_equal(whole + job.packet.payload,
		                    job.packet.frame + job.packet.payload,
		                    job.packet.bytes - job.packet.payload);
		done(&job);
	}
}

/* ---- how it is taken ---- */

static void too_little_room_loses_nothing(void **state)
{
	struct job job, other;

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		static uint8_t small[ROOM];
		uint32_t bytes;

		make_any(&job, i, cut_kinds[i % 4]);
		other = job;
		assert_int_equal(begin(&job), 0);
		assert_int_equal(begin(&other), 0);
		while ((bytes = next(&job)) > 0) {
			assert_int_equal(pv_net_cutter_next(&other.cutter, small, bytes - 1), 0);
			assert_int_equal(pv_net_cutter_next(&other.cutter, small, bytes), bytes);
			assert_memory_equal(small, out, bytes);
		}
		done(&job);
	}
}

static void what_comes_after_a_skip_is_what_would_have_come(void **state)
{
	static uint8_t wanted[ROOM];
	struct job job, other;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		uint16_t count, skip;
		uint32_t bytes;

		make_any(&job, i, cut_kinds[i % 4]);
		other = job;
		assert_int_equal(begin(&job), 0);
		assert_int_equal(begin(&other), 0);
		count = pv_net_cutter_count(&job.cutter);
		skip = (uint16_t)pv_random_below(&job.random, count + 2u);
		for (uint16_t n = 0; n < skip; n++)
			pv_net_cutter_next(&other.cutter, wanted, sizeof(wanted));
		pv_net_cutter_skip(&job.cutter, skip / 2);
		pv_net_cutter_skip(&job.cutter, (uint16_t)(skip - skip / 2));
		while ((bytes = pv_net_cutter_next(&other.cutter, wanted, sizeof(wanted))) > 0) {
			assert_int_equal(next(&job), bytes);
			assert_memory_equal(out, wanted, bytes);
		}
		assert_int_equal(next(&job), 0);
		done(&job);
	}
}

/* ---- a sender that changes the frame ---- */

static void headers_that_change_later_are_those_from_before(void **state)
{
	struct job job;

	(void)state;
	for (uint32_t i = 0; i < 60; i++) {
		uint8_t *copy;

		make(&job, i, cut_kinds[i % 3], 5000, 1000);
		copy = malloc(job.packet.payload);
		memcpy(copy, job.packet.frame, job.packet.payload);
		assert_int_equal(begin(&job), 0);
		memset(job.packet.frame, 0xff, job.packet.payload);
		for (uint32_t number = 0; number < 5; number++) {
			assert_int_equal(next(&job), job.packet.payload + 1000);
			assert_true(
				pv_net_frame_is_sound(&job.packet, out, job.packet.payload + 1000));
			assert_memory_equal(out, copy, job.packet.network);
		}
		free(copy);
		done(&job);
	}
}

static void a_payload_that_changes_later_has_the_checksum_of_what_goes_out(void **state)
{
	struct job job;

	(void)state;
	for (uint32_t i = 0; i < 60; i++) {
		make(&job, i, cut_kinds[i % 3], 5000, 1000);
		assert_int_equal(begin(&job), 0);
		for (uint8_t number = 0; number < 5; number++) {
			memset(job.packet.frame + job.packet.payload, number, 5000);
			assert_true(pv_net_frame_is_sound(&job.packet, out, next(&job)));
			assert_int_equal(out[job.packet.payload], number);
		}
		done(&job);
	}
}

/* ---- lies ---- */

static void assert_lie(struct job *job)
{
	assert_int_equal(begin(job), -PV_EINVAL);
}

static void headers_of_packets_that_lie_are_refused(void **state)
{
	struct job job;

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		struct virtio_net_hdr *hdr = &job.packet.hdr, good;

		make(&job, i, cut_kinds[i % 4], 4000, 1000);
		good = *hdr;
		hdr->flags = 0;
		assert_lie(&job);
		*hdr = good;
		for (int type = 0; type < 128; type++) {
			hdr->gso_type = (uint8_t)type;
			if (type != 0 && type != good.gso_type &&
			    !(type == UDP_L4 && good.gso_type == UFO) &&
			    !(type == UFO && good.gso_type == UDP_L4))
				assert_lie(&job);
		}
		*hdr = good;
		hdr->gso_size = pv_le16_of(0);
		assert_lie(&job);
		*hdr = good;
		hdr->csum_start = pv_le16_of((uint16_t)(job.packet.transport + 2));
		assert_lie(&job);
		*hdr = good;
		hdr->csum_offset = pv_le16_of(job.packet.is_tcp ? 6 : 16);
		assert_lie(&job);
		*hdr = good;
		hdr->hdr_len = pv_le16_of((uint16_t)(job.packet.payload - 1));
		assert_lie(&job);
		/* It is a hint only where it need not be exact. */
		assert_int_equal(pv_net_cutter_begin(&job.cutter, hdr, job.iov, job.pieces,
		                                     job.packet.bytes, false),
		                 0);
		done(&job);
	}
}

static void checksums_outside_of_the_frame_are_refused(void **state)
{
	const struct {
		uint16_t start, offset;
	} lies[] = {
		{ 0, 20 }, { 13, 0 },     { 99, 0 },          { 100, 0 },        { 14, 85 },
		{ 98, 1 }, { 0xffff, 0 }, { 0xffff, 0xffff }, { 1000, 0xfc18u }, { 14, 0xfff2 }
	};
	uint8_t frame[100] = { 0 };
	struct pv_iov iov = { frame, sizeof(frame) };
	struct pv_net_cutter cutter;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const struct virtio_net_hdr hdr = {
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = pv_le16_of(lies[i].start),
			.csum_offset = pv_le16_of(lies[i].offset),
		};

		assert_int_equal(pv_net_cutter_begin(&cutter, &hdr, &iov, 1, 100, false),
		                 -PV_EINVAL);
	}
}

static void headers_that_are_not_all_there_are_refused(void **state)
{
	struct job job;

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		make(&job, i, cut_kinds[i % 4], 100, 50);
		for (uint32_t bytes = PV_NET_FRAME_MIN; bytes <= job.packet.payload; bytes++) {
			uint8_t *copy = malloc(bytes);
			struct pv_iov iov = { copy, bytes };

			memcpy(copy, job.packet.frame, bytes);
			assert_int_equal(pv_net_cutter_begin(&job.cutter, &job.packet.hdr, &iov, 1,
			                                     bytes, true),
			                 bytes < job.packet.payload ? -PV_EINVAL : 0);
			free(copy);
		}
		done(&job);
	}
}

static void pieces_that_are_too_many_or_too_long_for_ip_are_refused(void **state)
{
	struct job job;

	(void)state;
	make(&job, 1, TCPV4, PV_NET_SEGMENTS_MAX, 1);
	assert_int_equal(begin(&job), 0);
	assert_int_equal(pv_net_cutter_count(&job.cutter), PV_NET_SEGMENTS_MAX);
	done(&job);
	for (uint8_t i = 0; i < 3; i++) {
		make(&job, 2, cut_kinds[i], PV_NET_SEGMENTS_MAX + 1, 1);
		assert_lie(&job);
		done(&job);
		make(&job, 3, cut_kinds[i], 65530, 65530);
		assert_lie(&job);
		done(&job);
	}
	/* A datagram's length must be said by each of its fragments. */
	make(&job, 4, UFO, 65536 - 8, 1000);
	assert_lie(&job);
	done(&job);
	make(&job, 5, UFO, 1000, 7);
	assert_lie(&job);
	done(&job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_those_of_single_bytes),
		cmocka_unit_test(the_longest_sum_carries_as_it_should),
		cmocka_unit_test(zero_is_no_checksum_for_udp_only),
		cmocka_unit_test(a_frame_without_work_comes_out_as_it_is),
		cmocka_unit_test(a_partial_checksum_is_completed_and_nothing_else_changed),
		cmocka_unit_test(a_checksum_of_anything_may_begin_anywhere),
		cmocka_unit_test(tcp_and_datagrams_come_out_in_sound_pieces),
		cmocka_unit_test(fragments_are_a_sound_datagram_together),
		cmocka_unit_test(too_little_room_loses_nothing),
		cmocka_unit_test(what_comes_after_a_skip_is_what_would_have_come),
		cmocka_unit_test(headers_that_change_later_are_those_from_before),
		cmocka_unit_test(a_payload_that_changes_later_has_the_checksum_of_what_goes_out),
		cmocka_unit_test(headers_of_packets_that_lie_are_refused),
		cmocka_unit_test(checksums_outside_of_the_frame_are_refused),
		cmocka_unit_test(headers_that_are_not_all_there_are_refused),
		cmocka_unit_test(pieces_that_are_too_many_or_too_long_for_ip_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
