/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finishing a frame in software: what the header of a packet says is left to do is done, so that
 * frames come out which any network takes.  One with a partial checksum gets a whole one; one that
 * is to be cut (TCP over IPv4 and IPv6, UDP into datagrams, UDP into fragments) comes out as
 * several.
 *
 * The frame lies in memory that its sender may change meanwhile: its headers are copied once, and
 * only the copy is believed; what is summed is what comes out.  (But for fragments: the checksum of
 * a datagram goes out first, and so is made of what the payload is at the beginning.)  Nothing in
 * it can make the cutter read outside of the frame or write outside of its room, and there is a
 * bound on what comes out: PV_NET_SEGMENTS_MAX frames.  IP's length of each is the frame's.
 *
 * begin() once, then next() until it returns 0.
 */
#ifndef PV_DEVICES_NET_SEGMENT_H
#define PV_DEVICES_NET_SEGMENT_H

#include "abi/virtio_net.h"
#include "ring/chain.h"

/* Ethernet with two tags, IPv4 or IPv6 with its options or extensions, TCP with its options. */
#define PV_NET_HEADERS_MAX 256u

/* What an IPv6 packet gets in addition when it is cut into fragments. */
#define PV_NET_FRAGMENT_HEADER_BYTES 8u

/* A frame of 64 KiB in pieces that are so small that it cannot be meant. */
#define PV_NET_SEGMENTS_MAX 8192u

/* Its members are its own. What comes out is a copy of the head and a piece of the body. */
struct pv_net_cutter {
	struct pv_cursor payload; /* what follows `headers` in the frame, as far as it came out */
	uint32_t body_bytes;      /* the rest of `headers`, and the payload */
	uint32_t body_offset;     /* as far as it came out */
	uint32_t segment_bytes;   /* of the body in each frame but the last */
	uint32_t checksum_at;     /* the checksum of the transport; 0: nothing to do */
	uint64_t addresses_sum;   /* they and the protocol, as far as a checksum covers them */
	uint16_t count, segments; /* frames in all, and those that came out */
	uint16_t head_bytes;
	uint16_t headers_bytes;
	uint16_t network, transport; /* where these headers are */
	uint8_t kind;                /* VIRTIO_NET_HDR_GSO_*, without ECN */
	bool is_ipv6, is_udp;
	uint8_t headers[PV_NET_HEADERS_MAX + PV_NET_FRAGMENT_HEADER_BYTES];
};

/*
 * `hdr` as the driver wrote it, a copy; `iov` the frame of `bytes` bytes, which stays where it is
 * until the last frame is out. With `is_hdr_len_exact` (GUEST_HDRLEN) its `hdr_len` must be what
 * the headers turn out to be where the frame is to be cut. Returns 0, or -PV_EINVAL for one that
 * lies: no such protocol, headers or checksum that are not in the frame, a size of zero, too many
 * segments, NEEDS_CSUM missing where it is to be cut. Which kinds of cutting were negotiated is the
 * caller's to check before. A frame may be begun anew at any time, and then comes out again from
 * the first on.
 */
int pv_net_cutter_begin(struct pv_net_cutter *cutter, const struct virtio_net_hdr *hdr,
                        const struct pv_iov *iov, uint16_t pieces, uint32_t bytes,
                        bool is_hdr_len_exact);

/*
 * The next finished frame, to `to`, which has room for `room` bytes. Returns its bytes; 0: there
 * are no more, or the room is too small for it (nothing is lost then).
 */
uint32_t pv_net_cutter_next(struct pv_net_cutter *cutter, uint8_t *to, uint32_t room);

/* How many frames come out of it in all. */
uint16_t pv_net_cutter_count(const struct pv_net_cutter *cutter);

/* Passes over so many of the next frames, which have come out before: after begin(). */
void pv_net_cutter_skip(struct pv_net_cutter *cutter, uint16_t frames);

#endif
