/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state: what the driver has written to the configuration, and what it told last.  How large
 * the balloon should be and how often to ask are the user's.  Which pages are in it nobody needs to
 * know: what was remembered of larger pages may be forgotten.
 */
#include "devices/balloon/internal.h"

#include "ring/err.h"

/* Clocks of two hosts have nothing to do with each other: their age goes along. */
static void save_stats(const struct pv_device *device, struct pv_state_writer *to)
{
	const struct pv_balloon_stats *stats = &pv_balloon_of_const(device)->asking.last;
	uint64_t now_ns = device->port->ops->now_ns(device->port);

	pv_state_put_u8(to, stats->at_ns > 0);
	pv_state_put_u64(to, now_ns > stats->at_ns ? now_ns - stats->at_ns : 0);
	pv_state_put_u64(to, stats->count);
	pv_state_put_u32(to, stats->known);
	for (uint32_t i = 0; i < VIRTIO_BALLOON_S_KNOWN; i++)
		pv_state_put_u64(to, stats->value[i]);
	pv_state_put_u16(to, stats->unknown);
	for (uint16_t i = 0; i < stats->unknown; i++) {
		pv_state_put_u16(to, stats->unknown_tag[i]);
		pv_state_put_u64(to, stats->unknown_value[i]);
	}
}

static uint64_t time_of_age(const struct pv_device *device, uint64_t age_ns)
{
	uint64_t now_ns = device->port->ops->now_ns(device->port);

	return now_ns > age_ns ? now_ns - age_ns : 1;
}

static void load_stats(const struct pv_device *device, struct pv_balloon_stats *stats,
                       struct pv_state_reader *from)
{
	bool is_there = pv_state_get_u8(from);
	uint64_t age_ns = pv_state_get_u64(from);

	stats->at_ns = is_there ? time_of_age(device, age_ns) : 0;
	stats->count = pv_state_get_u64(from);
	stats->known = pv_state_get_u32(from);
	pv_state_check(from, stats->known >> VIRTIO_BALLOON_S_KNOWN == 0);
	for (uint32_t i = 0; i < VIRTIO_BALLOON_S_KNOWN; i++)
		stats->value[i] = pv_state_get_u64(from);
	stats->unknown = pv_state_get_u16(from);
	if (!pv_state_check(from, stats->unknown <= PV_BALLOON_STATS_UNKNOWN))
		return;
	for (uint16_t i = 0; i < stats->unknown; i++) {
		stats->unknown_tag[i] = pv_state_get_u16(from);
		stats->unknown_value[i] = pv_state_get_u64(from);
	}
}

void pv_balloon_save(const struct pv_device *device, struct pv_state_writer *to)
{
	const struct pv_balloon *balloon = pv_balloon_of_const(device);

	pv_state_put_u32(to, balloon->written_actual);
	pv_state_put_u32(to, balloon->actual);
	pv_state_put_u32(to, balloon->poison);
	save_stats(device, to);
}

int pv_balloon_load(struct pv_device *device, struct pv_state_reader *from, uint16_t version)
{
	struct pv_balloon *balloon = pv_balloon_of(device);
	struct pv_balloon_stats stats = { 0 };
	uint32_t written_actual = pv_state_get_u32(from), actual = pv_state_get_u32(from);
	uint32_t poison = pv_state_get_u32(from);

	(void)version;
	load_stats(device, &stats, from);
	if (from->is_bad)
		return -PV_ESTATE;
	balloon->written_actual = written_actual;
	balloon->actual = actual;
	balloon->poison = poison;
	balloon->asking.last = stats;
	balloon->asking.count = stats.count;
	return 0;
}
