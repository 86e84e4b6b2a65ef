/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring/chain.h"

#include "ring/barrier.h"

/* The piece under the cursor from here on, at most `bytes` of it. */
static size_t piece_here(struct pv_cursor *cursor, size_t bytes, uint8_t **here)
{
	size_t piece;

	while (cursor->left > 0 && cursor->offset == cursor->iov->bytes) {
		cursor->iov++;
		cursor->left--;
		cursor->offset = 0;
	}
	if (cursor->left == 0)
		return 0;
	piece = cursor->iov->bytes - cursor->offset;
	*here = (uint8_t *)cursor->iov->base + cursor->offset;
	return piece < bytes ? piece : bytes;
}

size_t pv_cursor_read(struct pv_cursor *cursor, void *copy, size_t bytes)
{
	size_t done = 0, piece;
	uint8_t *here;

	while (done < bytes && (piece = piece_here(cursor, bytes - done, &here)) > 0) {
		pv_copy_once((uint8_t *)copy + done, here, piece);
		cursor->offset += piece;
		done += piece;
	}
	return done;
}

size_t pv_cursor_write(struct pv_cursor *cursor, const void *data, size_t bytes)
{
	size_t done = 0, piece;
	uint8_t *here;

	while (done < bytes && (piece = piece_here(cursor, bytes - done, &here)) > 0) {
		__builtin_memcpy(here, (const uint8_t *)data + done, piece);
		cursor->offset += piece;
		done += piece;
	}
	return done;
}

size_t pv_cursor_skip(struct pv_cursor *cursor, size_t bytes)
{
	size_t done = 0, piece;
	uint8_t *here;

	while (done < bytes && (piece = piece_here(cursor, bytes - done, &here)) > 0) {
		cursor->offset += piece;
		done += piece;
	}
	return done;
}

uint64_t pv_iov_bytes(const struct pv_iov *iov, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += iov[i].bytes;
	return bytes;
}

bool pv_iov_cut(struct pv_iov **iov, uint16_t *count, uint64_t skip, uint64_t bytes)
{
	struct pv_iov *first = *iov;
	uint16_t pieces = *count, kept = 0;
	uint64_t have = pv_iov_bytes(first, pieces);

	if (skip > have || bytes > have - skip)
		return false;
	while (pieces > 0 && skip >= first->bytes) {
		skip -= first->bytes;
		first++;
		pieces--;
	}
	if (pieces > 0 && bytes > 0) {
		first->base = (uint8_t *)first->base + skip;
		first->bytes -= (size_t)skip;
	}
	for (; bytes > 0; kept++) {
		if (first[kept].bytes > bytes)
			first[kept].bytes = (size_t)bytes;
		bytes -= first[kept].bytes;
	}
	*iov = first;
	*count = kept;
	return true;
}
