/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame that is to be cut is a head, which stands before each piece, and a body, which is cut.
 * For TCP and for datagrams of their own the head is all headers.  For fragments of one datagram it
 * ends where these are told apart, and the rest of the headers is the beginning of the body: it is
 * in the first fragment only.  A frame that stays whole is all body.
 */
#include "devices/net/segment.h"

#include "devices/net/checksum.h"
#include "devices/net/headers.h"
#include "devices/net/wire.h"
#include "ring/err.h"

#define IP_BYTES_MAX 65535u

/* Offsets into headers, and what stands there. */
#define IPV4_TOTAL_LENGTH   2u
#define IPV4_IDENTIFICATION 4u
#define IPV4_FRAGMENT       6u
#define IPV4_CHECKSUM       10u
#define IPV6_PAYLOAD_LENGTH 4u
#define FRAGMENT_OFFSET     2u
#define FRAGMENT_ID         4u
#define TCP_SEQUENCE        4u
#define TCP_DATA_OFFSET     12u
#define TCP_FLAGS           13u
#define TCP_CHECKSUM        16u
#define UDP_LENGTH          4u
#define UDP_CHECKSUM        6u

#define IPV4_MORE_FRAGMENTS 0x2000u
#define IPV6_MORE_FRAGMENTS 1u

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u

/* The offset of a fragment counts in these. */
#define FRAGMENT_UNIT 8u

/* ---- the beginning ---- */

static int begin_whole(struct pv_net_cutter *cutter, const struct virtio_net_hdr *hdr,
                       uint32_t bytes)
{
	uint32_t start = pv_le16_get(hdr->csum_start), offset = pv_le16_get(hdr->csum_offset);

	cutter->count = 1;
	cutter->body_bytes = bytes;
	cutter->segment_bytes = bytes;
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	if (start < PV_NET_FRAME_MIN || start + offset + 2 > bytes)
		return -PV_EINVAL;
	cutter->transport = (uint16_t)start;
	cutter->checksum_at = start + offset;
	cutter->is_udp = offset == UDP_CHECKSUM;
	return 0;
}

/* Returns the bytes of the headers; 0: they are not what the kind says, or not at hand. */
static uint32_t headers_bytes_of(uint8_t kind, const struct pv_net_headers *found,
                                 const uint8_t *frame, uint32_t bytes)
{
	bool is_tcp = kind == VIRTIO_NET_HDR_GSO_TCPV4 || kind == VIRTIO_NET_HDR_GSO_TCPV6;
	uint32_t transport = found->transport, own = PV_NET_UDP_BYTES;

	if (transport == 0 ||
	    found->protocol != (is_tcp ? PV_NET_PROTOCOL_TCP : PV_NET_PROTOCOL_UDP))
		return 0;
	if (is_tcp && found->is_ipv6 != (kind == VIRTIO_NET_HDR_GSO_TCPV6))
		return 0;
	if (is_tcp) {
		if (transport + PV_NET_TCP_BYTES > bytes)
			return 0;
		own = (frame[transport + TCP_DATA_OFFSET] >> 4) * 4u;
		if (own < PV_NET_TCP_BYTES)
			return 0;
	}
	return transport + own <= bytes ? transport + own : 0;
}

/* The header of the packet says of the checksum what the headers of the frame do. */
static bool is_checksum_as_said(const struct pv_net_cutter *cutter,
                                const struct virtio_net_hdr *hdr)
{
	return hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	       pv_le16_get(hdr->csum_start) == cutter->transport &&
	       pv_le16_get(hdr->csum_start) + pv_le16_get(hdr->csum_offset) == cutter->checksum_at;
}

static void note_headers(struct pv_net_cutter *cutter, const struct pv_net_headers *found)
{
	size_t address_bytes = found->is_ipv6 ? 16 : 4;

	cutter->network = found->network;
	cutter->transport = found->transport;
	cutter->is_ipv6 = found->is_ipv6;
	cutter->is_udp = found->protocol == PV_NET_PROTOCOL_UDP;
	cutter->checksum_at = found->transport + (cutter->is_udp ? UDP_CHECKSUM : TCP_CHECKSUM);
	cutter->addresses_sum = pv_net_sum(cutter->headers + found->source, address_bytes) +
	                        pv_net_sum(cutter->headers + found->destination, address_bytes) +
	                        pv_net_sum_of(found->protocol);
}

static bool is_kind_known(uint8_t kind)
{
	return kind == VIRTIO_NET_HDR_GSO_TCPV4 || kind == VIRTIO_NET_HDR_GSO_TCPV6 ||
	       kind == VIRTIO_NET_HDR_GSO_UDP || kind == VIRTIO_NET_HDR_GSO_UDP_L4;
}

/* What IP's length covers when this much of a body is behind the head. */
static uint32_t ip_length(const struct pv_net_cutter *cutter, uint32_t body_bytes)
{
	return cutter->head_bytes - cutter->network - (cutter->is_ipv6 ? PV_NET_IPV6_BYTES : 0) +
	       body_bytes;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Head and body are known: how many pieces, and whether IP can say how long the longest is. */
static int set_pieces(struct pv_net_cutter *cutter, uint32_t segment_bytes)
{
	uint32_t count;

	if (segment_bytes == 0)
		return -PV_EINVAL;
	count = (cutter->body_bytes + segment_bytes - 1) / segment_bytes;
	if (count > PV_NET_SEGMENTS_MAX ||
	    ip_length(cutter, smaller(cutter->body_bytes, segment_bytes)) > IP_BYTES_MAX)
		return -PV_EINVAL;
	cutter->segment_bytes = segment_bytes;
	cutter->count = count ? (uint16_t)count : 1;
	return 0;
}

/* ---- fragments ---- */

/* The sum of what follows the headers; the cursor stays where it is. */
static uint64_t payload_sum(const struct pv_net_cutter *cutter, uint32_t bytes)
{
	struct pv_cursor cursor = cutter->payload;
	uint8_t block[1024];
	uint64_t sum = 0;

	while (bytes > 0) {
		uint32_t part = smaller(bytes, sizeof(block));

		pv_bug_on(pv_cursor_read(&cursor, block, part) != part);
		sum += pv_net_sum(block, part);
		bytes -= part;
	}
	return sum;
}

/*
 * The datagram's own header, as it will be when it has been put together. Returns the sum of all of
 * it, before it was finished.
 */
static uint64_t finish_datagram(struct pv_net_cutter *cutter, uint32_t payload_bytes)
{
	uint32_t bytes = PV_NET_UDP_BYTES + payload_bytes;
	uint8_t *udp = cutter->headers + cutter->transport;
	uint64_t sum;

	pv_net_put16(udp + UDP_LENGTH, bytes);
	pv_net_put16(udp + UDP_CHECKSUM, 0);
	sum = cutter->addresses_sum + pv_net_sum_of((uint16_t)bytes) +
	      pv_net_sum(udp, PV_NET_UDP_BYTES) + payload_sum(cutter, payload_bytes);
	pv_net_checksum_put_udp(udp + UDP_CHECKSUM, sum);
	return sum;
}

/*
 * IPv6 tells fragments by a header of their own. Its identification comes from the datagram itself:
 * two that differ have the same one by chance only, and where they do not differ it does no harm. A
 * frame that is begun anew has it again.
 */
static void insert_fragment_header(struct pv_net_cutter *cutter, const struct pv_net_headers *found,
                                   uint64_t sum)
{
	uint8_t *fragment = cutter->headers + found->fragmentable;
	uint8_t *protocol = cutter->headers + found->fragmentable_protocol;
	uint64_t id = (sum + 1) * 0x9e3779b97f4a7c15u;

	__builtin_memmove(fragment + PV_NET_FRAGMENT_HEADER_BYTES, fragment,
	                  cutter->headers_bytes - found->fragmentable);
	cutter->headers_bytes += PV_NET_FRAGMENT_HEADER_BYTES;
	cutter->head_bytes += PV_NET_FRAGMENT_HEADER_BYTES;
	fragment[0] = *protocol;
	fragment[1] = 0;
	pv_net_put32(fragment + FRAGMENT_ID, (uint32_t)(id >> 32));
	*protocol = PV_NET_PROTOCOL_FRAGMENT;
}

static int begin_fragments(struct pv_net_cutter *cutter, const struct pv_net_headers *found,
                           uint32_t payload_bytes, uint32_t segment_bytes)
{
	uint64_t sum;
	int error;

	cutter->head_bytes = found->fragmentable;
	cutter->body_bytes = cutter->headers_bytes - cutter->head_bytes + payload_bytes;
	if (ip_length(cutter, cutter->body_bytes) > IP_BYTES_MAX)
		return -PV_EINVAL;
	sum = finish_datagram(cutter, payload_bytes);
	if (cutter->is_ipv6)
		insert_fragment_header(cutter, found, sum);
	error = set_pieces(cutter, segment_bytes - segment_bytes % FRAGMENT_UNIT);
	cutter->checksum_at = 0;
	return error;
}

/* ---- any frame ---- */

/* Copies the headers and looks at them. Returns whether they are what `hdr` says. */
static bool take_headers(struct pv_net_cutter *cutter, const struct virtio_net_hdr *hdr,
                         uint32_t bytes, struct pv_net_headers *found)
{
	struct pv_cursor reader = cutter->payload;
	uint32_t at_hand = smaller(bytes, PV_NET_HEADERS_MAX);

	pv_bug_on(pv_cursor_read(&reader, cutter->headers, at_hand) != at_hand);
	pv_net_headers_find(found, cutter->headers, at_hand);
	cutter->headers_bytes =
		(uint16_t)headers_bytes_of(cutter->kind, found, cutter->headers, at_hand);
	if (cutter->headers_bytes == 0)
		return false;
	note_headers(cutter, found);
	pv_cursor_skip(&cutter->payload, cutter->headers_bytes);
	return is_checksum_as_said(cutter, hdr);
}

static int begin_cut(struct pv_net_cutter *cutter, const struct virtio_net_hdr *hdr, uint32_t bytes,
                     bool is_hdr_len_exact)
{
	uint32_t segment_bytes = pv_le16_get(hdr->gso_size), payload_bytes;
	struct pv_net_headers found;

	if (!take_headers(cutter, hdr, bytes, &found) ||
	    (is_hdr_len_exact && pv_le16_get(hdr->hdr_len) != cutter->headers_bytes))
		return -PV_EINVAL;
	payload_bytes = bytes - cutter->headers_bytes;
	if (cutter->kind == VIRTIO_NET_HDR_GSO_UDP &&
	    cutter->headers_bytes - found.fragmentable + payload_bytes > segment_bytes)
		return begin_fragments(cutter, &found, payload_bytes, segment_bytes);
	/* A datagram that needs no cutting has no fragments. */
	if (cutter->kind == VIRTIO_NET_HDR_GSO_UDP)
		cutter->kind = VIRTIO_NET_HDR_GSO_UDP_L4;
	cutter->head_bytes = cutter->headers_bytes;
	cutter->body_bytes = payload_bytes;
	return set_pieces(cutter, segment_bytes);
}

int pv_net_cutter_begin(struct pv_net_cutter *cutter, const struct virtio_net_hdr *hdr,
                        const struct pv_iov *iov, uint16_t pieces, uint32_t bytes,
                        bool is_hdr_len_exact)
{
	cutter->payload = (struct pv_cursor){ iov, pieces, 0 };
	cutter->kind = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	cutter->body_offset = 0;
	cutter->count = 0;
	cutter->segments = 0;
	cutter->head_bytes = 0;
	cutter->headers_bytes = 0;
	cutter->checksum_at = 0;
	if (cutter->kind == VIRTIO_NET_HDR_GSO_NONE)
		return begin_whole(cutter, hdr, bytes);
	if (!is_kind_known(cutter->kind))
		return -PV_EINVAL;
	return begin_cut(cutter, hdr, bytes, is_hdr_len_exact);
}

/* ---- one frame ---- */

/* Of the body: what of it is in `headers` still. */
static uint32_t body_in_headers(const struct pv_net_cutter *cutter)
{
	uint32_t bytes = cutter->headers_bytes - cutter->head_bytes;

	return bytes - smaller(bytes, cutter->body_offset);
}

static void take_body(struct pv_net_cutter *cutter, uint8_t *to, uint32_t bytes)
{
	uint32_t first = smaller(body_in_headers(cutter), bytes);

	if (first > 0)
		__builtin_memcpy(to, cutter->headers + cutter->head_bytes + cutter->body_offset,
		                 first);
	pv_bug_on(pv_cursor_read(&cutter->payload, to + first, bytes - first) != bytes - first);
}

static bool is_last(const struct pv_net_cutter *cutter)
{
	return cutter->segments + 1 == cutter->count;
}

/* Options that are not to be in all fragments are in the first one only (RFC 791, section 3.1). */
static void drop_options(struct pv_net_cutter *cutter)
{
	uint8_t *option = cutter->headers + cutter->network + PV_NET_IPV4_BYTES;
	uint8_t *end = cutter->headers + cutter->head_bytes;
	size_t bytes;

	while ((bytes = pv_net_ipv4_option_bytes(option, (size_t)(end - option))) > 0) {
		if (!(option[0] & PV_NET_IPV4_OPTION_COPIED))
			__builtin_memset(option, PV_NET_IPV4_OPTION_NOP, bytes);
		option += bytes;
	}
}

static void move_on(struct pv_net_cutter *cutter, uint32_t bytes, uint16_t frames)
{
	cutter->body_offset += bytes;
	cutter->segments = (uint16_t)(cutter->segments + frames);
	if (frames > 0 && cutter->kind == VIRTIO_NET_HDR_GSO_UDP && !cutter->is_ipv6)
		drop_options(cutter);
}

static void finish_ipv4(const struct pv_net_cutter *cutter, uint8_t *ip, uint32_t body_bytes)
{
	uint32_t ip_bytes = (ip[0] & 15u) * 4u;

	pv_net_put16(ip + IPV4_TOTAL_LENGTH, ip_length(cutter, body_bytes));
	if (cutter->kind == VIRTIO_NET_HDR_GSO_UDP)
		pv_net_put16(ip + IPV4_FRAGMENT,
		             cutter->body_offset / FRAGMENT_UNIT |
		                     (is_last(cutter) ? 0 : IPV4_MORE_FRAGMENTS));
	else
		pv_net_put16(ip + IPV4_IDENTIFICATION,
		             pv_net_get16(ip + IPV4_IDENTIFICATION) + (uint32_t)cutter->segments);
	pv_net_put16(ip + IPV4_CHECKSUM, 0);
	pv_net_checksum_put(ip + IPV4_CHECKSUM, pv_net_sum(ip, ip_bytes));
}

static void finish_ipv6(const struct pv_net_cutter *cutter, uint8_t *frame, uint32_t body_bytes)
{
	uint8_t *ip = frame + cutter->network;

	pv_net_put16(ip + IPV6_PAYLOAD_LENGTH, ip_length(cutter, body_bytes));
	if (cutter->kind == VIRTIO_NET_HDR_GSO_UDP)
		pv_net_put16(frame + cutter->head_bytes - PV_NET_FRAGMENT_HEADER_BYTES +
		                     FRAGMENT_OFFSET,
		             cutter->body_offset | (is_last(cutter) ? 0 : IPV6_MORE_FRAGMENTS));
}

/* What ends a stream, or hurries its end, is in the last segment only; CWR in the first. */
static void finish_tcp(const struct pv_net_cutter *cutter, uint8_t *tcp)
{
	pv_net_put32(tcp + TCP_SEQUENCE, pv_net_get32(tcp + TCP_SEQUENCE) + cutter->body_offset);
	if (!is_last(cutter))
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (cutter->segments > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

static void put_checksum(const struct pv_net_cutter *cutter, uint8_t *field, uint64_t sum)
{
	if (cutter->is_udp)
		pv_net_checksum_put_udp(field, sum);
	else
		pv_net_checksum_put(field, sum);
}

static void finish_transport(const struct pv_net_cutter *cutter, uint8_t *frame,
                             uint32_t body_bytes)
{
	uint8_t *transport = frame + cutter->transport, *field = frame + cutter->checksum_at;
	uint32_t bytes = cutter->head_bytes - cutter->transport + body_bytes;

	if (cutter->is_udp)
		pv_net_put16(transport + UDP_LENGTH, bytes);
	else
		finish_tcp(cutter, transport);
	pv_net_put16(field, 0);
	put_checksum(cutter, field,
	             cutter->addresses_sum + pv_net_sum_of((uint16_t)bytes) +
	                     pv_net_sum(transport, bytes));
}

/* Sums from the transport to the end. What the driver left in the field is a part of that. */
static void finish_whole(const struct pv_net_cutter *cutter, uint8_t *frame, uint32_t bytes)
{
	if (cutter->checksum_at)
		put_checksum(cutter, frame + cutter->checksum_at,
		             pv_net_sum(frame + cutter->transport, bytes - cutter->transport));
}

static void finish(const struct pv_net_cutter *cutter, uint8_t *frame, uint32_t body_bytes)
{
	if (cutter->kind == VIRTIO_NET_HDR_GSO_NONE) {
		finish_whole(cutter, frame, body_bytes);
		return;
	}
	if (cutter->is_ipv6)
		finish_ipv6(cutter, frame, body_bytes);
	else
		finish_ipv4(cutter, frame + cutter->network, body_bytes);
	if (cutter->kind != VIRTIO_NET_HDR_GSO_UDP)
		finish_transport(cutter, frame, body_bytes);
}

uint32_t pv_net_cutter_next(struct pv_net_cutter *cutter, uint8_t *to, uint32_t room)
{
	uint32_t left = cutter->body_bytes - cutter->body_offset;
	uint32_t bytes = smaller(left, cutter->segment_bytes);

	if (cutter->segments == cutter->count || cutter->head_bytes + bytes > room)
		return 0;
	__builtin_memcpy(to, cutter->headers, cutter->head_bytes);
	take_body(cutter, to + cutter->head_bytes, bytes);
	finish(cutter, to, bytes);
	move_on(cutter, bytes, 1);
	return cutter->head_bytes + bytes;
}

uint16_t pv_net_cutter_count(const struct pv_net_cutter *cutter)
{
	return cutter->count;
}

void pv_net_cutter_skip(struct pv_net_cutter *cutter, uint16_t frames)
{
	uint32_t left = cutter->body_bytes - cutter->body_offset, bytes;

	frames = (uint16_t)smaller(frames, (uint32_t)(cutter->count - cutter->segments));
	bytes = smaller(left, frames * cutter->segment_bytes);
	pv_cursor_skip(&cutter->payload, bytes - smaller(bytes, body_in_headers(cutter)));
	move_on(cutter, bytes, frames);
}
