/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire of a stream: what is received on it.
 *
 * One call reads many frames ahead.  Whole frames that were read are given, whatever becomes of the
 * connection; half of one waits for its other half, and is counted as bad when that cannot come any
 * more.  A length that is no frame's says that the peer's and our idea of the stream are not the
 * same: nothing behind it can be made sense of, and the connection ends.
 *
 * #syscalls recvfrom
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "hosted/backends/net_stream.h"

#define LENGTH_BYTES ((uint32_t)sizeof(uint32_t))

/* Is a whole frame there, and how long; or is what is there none? */
enum look { HALF, WHOLE, BAD };

static enum look look_at(const struct pv_stream *stream, uint32_t first, uint32_t *bytes)
{
	uint32_t there = stream->in_next - first;
	uint32_t length;

	if (there < LENGTH_BYTES)
		return HALF;
	memcpy(&length, stream->in + first, sizeof(length));
	*bytes = __builtin_bswap32(length);
	if (*bytes < PV_NET_FRAME_MIN || *bytes > PV_NET_FRAME_MAX)
		return BAD;
	return there - LENGTH_BYTES < *bytes ? HALF : WHOLE;
}

/* Nothing comes any more: leaves whole frames. */
static void cut_half_frame(struct pv_stream *stream)
{
	uint32_t first = stream->in_first;
	uint32_t bytes;

	while (look_at(stream, first, &bytes) == WHOLE)
		first += LENGTH_BYTES + bytes;
	if (first != stream->in_next)
		pv_wire_count(&stream->wire.counters.bad, 1);
	stream->in_next = first;
}

static void make_room(struct pv_stream *stream)
{
	uint32_t bytes = stream->in_next - stream->in_first;

	if (stream->in_first == 0)
		return;
	memmove(stream->in, stream->in + stream->in_first, bytes);
	stream->in_first = 0;
	stream->in_next = bytes;
}

/*
 * What is less than there is room for is all there was: of more a change will tell. Of the end it
 * has told already.
 */
bool pv_stream_fill(struct pv_stream *stream)
{
	size_t room;
	ssize_t got;

	make_room(stream);
	room = PV_STREAM_IN_BYTES - stream->in_next;
	if (room == 0)
		return false;
	got = recv(stream->fd, stream->in + stream->in_next, room, MSG_DONTWAIT);
	if (got > 0) {
		stream->in_next += (uint32_t)got;
		stream->is_readable = (size_t)got == room || stream->is_ending;
	} else if (got < 0 && errno == EAGAIN) {
		stream->is_readable = false;
	} else if (got == 0 || errno != EINTR) {
		cut_half_frame(stream);
		pv_stream_hang_up(stream);
	}
	return true;
}

static void mind_bad_length(struct pv_stream *stream, uint32_t bytes)
{
	char line[256];

	snprintf(line, sizeof(line), "%s: the peer sent %u as the length of a frame%s",
	         stream->wire.text, bytes, stream->fd >= 0 ? "; its connection is closed" : "");
	pv_log_paced(&stream->log_pace, "net", PV_LOG_WARNING, line);
	stream->in_next = stream->in_first;
	pv_wire_count(&stream->wire.counters.bad, 1);
	if (stream->fd >= 0)
		pv_stream_hang_up(stream);
}

uint32_t pv_stream_receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                           uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct pv_stream *stream = (struct pv_stream *)net;
	uint32_t bytes = 0;
	enum look found = look_at(stream, stream->in_first, &bytes);

	(void)pair;
	(void)hdr;
	/* Each turn reads some of a frame, or ends. */
	while (found == HALF && stream->is_readable) {
		pv_stream_fill(stream);
		found = look_at(stream, stream->in_first, &bytes);
	}
	if (found == BAD)
		mind_bad_length(stream, bytes);
	if (found != WHOLE)
		return 0;
	pv_wire_scatter(iov, pieces, stream->in + stream->in_first + LENGTH_BYTES, bytes);
	stream->in_first += LENGTH_BYTES + bytes;
	return bytes;
}
