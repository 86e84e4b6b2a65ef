/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines: whether somebody is at the other end, and what becomes of the guest's bytes while nobody
 * is.
 */
#include "hosted/backends/line_internal.h"

void pv_line_set_size(struct pv_line_base *base, uint16_t columns, uint16_t rows)
{
	if (base->line.columns == columns && base->line.rows == rows)
		return;
	base->line.columns = columns;
	base->line.rows = rows;
	pv_line_tell_changed(&base->line);
}

void pv_line_is_always_there(struct pv_line_base *base)
{
	base->has_peer = base->line.is_open = base->line.has_room = true;
}

/* What is not left to wait is taken from the beginning, and the guest is not to know for whom. */
void pv_line_waits_for_peer(struct pv_line_base *base)
{
	base->line.is_open = base->line.has_room = base->on_closed != PV_LINE_WAIT;
}

static void set_peer(struct pv_line_base *base, bool has_peer)
{
	bool was_open = base->line.is_open;

	__atomic_store_n(&base->has_peer, has_peer, __ATOMIC_RELAXED);
	base->line.is_open = base->line.has_room = has_peer || base->on_closed != PV_LINE_WAIT;
	if (base->open_changed)
		base->open_changed(base->arg, has_peer);
	if (base->line.is_open != was_open)
		pv_line_tell_changed(&base->line);
}

void pv_line_peer_came(struct pv_line_base *base)
{
	pv_line_count(&base->counters.connections, 1);
	set_peer(base, true);
}

void pv_line_peer_left(struct pv_line_base *base)
{
	set_peer(base, false);
}

static void keep(struct pv_line_base *base, const struct pv_iov *iov, uint16_t pieces)
{
	uint64_t lost = 0;

	for (uint16_t i = 0; i < pieces; i++)
		lost += pv_byte_ring_push(&base->kept, iov[i].base, iov[i].bytes);
	pv_line_count(&base->counters.dropped, lost);
	__atomic_store_n(&base->counters.kept, base->kept.bytes, __ATOMIC_RELAXED);
}

size_t pv_line_write_to_nobody(struct pv_line_base *base, const struct pv_iov *iov, uint16_t pieces)
{
	uint64_t bytes = pv_line_bytes(iov, pieces);

	switch (base->on_closed) {
	case PV_LINE_WAIT:
		base->line.has_room = false;
		return 0;
	case PV_LINE_DROP:
		pv_line_count(&base->counters.dropped, bytes);
		break;
	case PV_LINE_KEEP:
		keep(base, iov, pieces);
		break;
	}
	return bytes;
}
