/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time: rates, interrupts that are put off, and the one timer that a queue has for all of it.
 *
 * A rate is a bucket of what may pass.  The last frame may overdraw it, and the queue then waits
 * until it is full enough again: the mean is exact and frames are not cut.
 */
#include "devices/net/internal.h"

#define NS_PER_S  1000000000ull
#define NS_PER_US 1000ull

/* Another lane is at the bucket: it will not be for long. */
#define BUSY_NS 20000u

uint64_t pv_net_now_ns(const struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	return port->ops->now_ns(port);
}

/* ---- the timer ---- */

static uint64_t first(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a | b;
	return a < b ? a : b;
}

void pv_net_set_timer(struct pv_queue *queue, struct pv_net_lane *lane)
{
	struct pv_port *port = queue->device->port;
	uint64_t due = first(first(lane->rate_ns, lane->interrupt_ns),
	                     first(lane->frame_ns, lane->neighbour_ns));
	uint64_t now;

	if (due == lane->timer_ns)
		return;
	lane->timer_ns = due;
	if (due == 0)
		return; /* the one that is set does no harm */
	now = pv_net_now_ns(queue);
	port->ops->queue_timer(port, queue, due > now ? due - now : 0);
}

/* ---- rates ---- */

static bool try_to_have(struct pv_net_bucket *bucket)
{
	return !__atomic_test_and_set(&bucket->is_busy, __ATOMIC_ACQUIRE);
}

static void leave(struct pv_net_bucket *bucket)
{
	__atomic_clear(&bucket->is_busy, __ATOMIC_RELEASE);
}

/*
 * Levels are counted in parts, and filled once in a tick, so that nothing has to be divided and
 * rounding loses next to nothing.
 */
#define TICK_SHIFT   20u
#define TICK_NS      (1ull << TICK_SHIFT)
#define SECOND_TICKS (NS_PER_S / TICK_NS)
#define PART_SHIFT   16u
/* Parts in a tick of one in a second, in 1 / 2^PART_SHIFT. */
#define PER_TICK ((TICK_NS << (2 * PART_SHIFT)) / NS_PER_S)

static int64_t parts(uint64_t count)
{
	return (int64_t)(count << PART_SHIFT);
}

static uint64_t parts_a_tick(uint64_t rate)
{
	uint64_t more = rate * PER_TICK >> PART_SHIFT;

	return more > 0 ? more : 1;
}

/* At most as much as is good for a second. */
static void fill(int64_t *level, uint64_t rate, uint64_t ticks)
{
	*level += (int64_t)(ticks * parts_a_tick(rate));
	if (*level > parts(rate))
		*level = parts(rate);
}

static void fill_both(struct pv_net_bucket *bucket, uint64_t now)
{
	uint64_t ticks = (now - bucket->filled_ns) >> TICK_SHIFT;

	if (bucket->filled_ns == 0 || ticks > SECOND_TICKS) {
		bucket->packets = parts(bucket->rate.packets);
		bucket->bytes = parts(bucket->rate.bytes);
		bucket->filled_ns = now;
		return;
	}
	fill(&bucket->packets, bucket->rate.packets, ticks);
	fill(&bucket->bytes, bucket->rate.bytes, ticks);
	bucket->filled_ns += ticks << TICK_SHIFT;
}

/* Until there is something in it again; of numbers that are too large for it a part is enough. */
static uint64_t time_to_wait(int64_t level, uint64_t rate)
{
	uint64_t missing = (uint64_t)-level, more = parts_a_tick(rate);

	if (rate == 0 || level > 0)
		return 0;
	while ((missing | more) >> 32) {
		missing >>= 1;
		more >>= 1;
	}
	return ((uint64_t)((uint32_t)missing / (uint32_t)(more | 1)) + 1) << TICK_SHIFT;
}

static uint64_t how_long(struct pv_net_bucket *bucket, uint64_t now)
{
	uint64_t by_packets, by_bytes;

	if (!try_to_have(bucket))
		return BUSY_NS;
	fill_both(bucket, now);
	by_packets = time_to_wait(bucket->packets, bucket->rate.packets);
	by_bytes = time_to_wait(bucket->bytes, bucket->rate.bytes);
	leave(bucket);
	return by_packets > by_bytes ? by_packets : by_bytes;
}

bool pv_net_rate_allows(struct pv_queue *queue, struct pv_net_lane *lane,
                        struct pv_net_bucket *bucket)
{
	uint64_t now, ns;

	if (bucket->rate.packets == 0 && bucket->rate.bytes == 0)
		return true;
	now = pv_net_now_ns(queue);
	if (now < lane->rate_ns)
		return false;
	lane->rate_ns = 0;
	ns = how_long(bucket, now);
	if (ns == 0)
		return true;
	pv_count(&lane->counters->throttled);
	lane->rate_ns = now + ns;
	return false;
}

#define BURST_AT_RATE 8u

uint16_t pv_net_rate_burst(const struct pv_net_bucket *bucket)
{
	return bucket->rate.packets || bucket->rate.bytes ? BURST_AT_RATE : PV_NET_BURST;
}

void pv_net_rate_spend(struct pv_net_bucket *bucket, uint32_t packets, uint64_t bytes)
{
	if (bucket->rate.packets == 0 && bucket->rate.bytes == 0)
		return;
	__atomic_sub_fetch(&bucket->packets, parts(packets), __ATOMIC_RELAXED);
	__atomic_sub_fetch(&bucket->bytes, parts(bytes), __ATOMIC_RELAXED);
}

/* ---- interrupts (section 5.1.6.5.7) ---- */

static struct pv_net_coalescing coalescing_of(const struct pv_queue *queue)
{
	const struct pv_net *net = pv_net_of(queue->device);
	const struct pv_net_coalescing *set = &net->coalescing[queue->index];

	return (struct pv_net_coalescing){
		__atomic_load_n(&set->max_packets, __ATOMIC_RELAXED),
		__atomic_load_n(&set->max_usecs, __ATOMIC_RELAXED),
	};
}

void pv_net_coalesce(struct pv_queue *queue, struct pv_net_lane *lane, uint32_t packets)
{
	struct pv_net_coalescing set = coalescing_of(queue);
	uint64_t now;

	queue->is_muted = false;
	lane->unannounced += packets;
	if (lane->unannounced == 0)
		return;
	if (set.max_packets > 0 && set.max_usecs > 0 && lane->unannounced < set.max_packets) {
		now = pv_net_now_ns(queue);
		if (lane->interrupt_ns == 0)
			lane->interrupt_ns = now + NS_PER_US * set.max_usecs;
		queue->is_muted = now < lane->interrupt_ns;
	}
	if (queue->is_muted)
		return;
	lane->unannounced = 0;
	lane->interrupt_ns = 0;
}
