/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net_cut: finishes the frames on standard input, and writes what comes out to standard output.
 *
 * In: a virtio_net_hdr, a byte (is its hdr_len exact?), the number of pieces, the bytes of each,
 * the frame. Out: what pv_net_cutter_begin() returned, the number of frames, and each of them
 * behind its length. Numbers are of 32 bits, in the byte order of the machine.
 */
#include <stdio.h>
#include <stdlib.h>

#include "devices/net/segment.h"
#include "devices/net/wire.h"

#define PIECES_MAX 4096u
#define ROOM       (PV_NET_FRAME_MAX + PV_NET_FRAGMENT_HEADER_BYTES)

static void must(bool is_good)
{
	if (!is_good)
		exit(EXIT_FAILURE);
}

static bool take(void *to, size_t bytes)
{
	return bytes == 0 || fread(to, bytes, 1, stdin) == 1;
}

static void give(const void *data, size_t bytes)
{
	must(bytes == 0 || fwrite(data, bytes, 1, stdout) == 1);
}

/* Each piece is an allocation of its own, so that a sanitizer guards its borders. */
static uint32_t take_pieces(struct pv_iov *iov, uint32_t pieces)
{
	uint32_t length[PIECES_MAX], bytes = 0;

	must(take(length, pieces * sizeof(length[0])));
	for (uint32_t i = 0; i < pieces; i++) {
		iov[i] = (struct pv_iov){ malloc(length[i]), length[i] };
		must(iov[i].base != NULL && take(iov[i].base, length[i]));
		bytes += length[i];
	}
	return bytes;
}

static void give_frames(struct pv_net_cutter *cutter)
{
	static uint8_t frame[ROOM];
	uint32_t count = pv_net_cutter_count(cutter), bytes;

	give(&count, sizeof(count));
	while ((bytes = pv_net_cutter_next(cutter, frame, sizeof(frame))) > 0) {
		give(&bytes, sizeof(bytes));
		give(frame, bytes);
		count--;
	}
	must(count == 0);
}

int main(void)
{
	static struct pv_iov iov[PIECES_MAX];
	struct pv_net_cutter cutter;
	struct virtio_net_hdr hdr;
	uint8_t is_exact;

	while (take(&hdr, sizeof(hdr))) {
		const uint32_t none = 0;
		uint32_t pieces = 0, bytes;
		int error;

		must(take(&is_exact, 1) && take(&pieces, sizeof(pieces)) && pieces <= PIECES_MAX);
		bytes = take_pieces(iov, pieces);
		error = pv_net_cutter_begin(&cutter, &hdr, iov, (uint16_t)pieces, bytes, is_exact);
		give(&error, sizeof(error));
		if (error)
			give(&none, sizeof(none));
		else
			give_frames(&cutter);
		fflush(stdout);
		for (uint32_t i = 0; i < pieces; i++)
			free(iov[i].base);
	}
	return EXIT_SUCCESS;
}
