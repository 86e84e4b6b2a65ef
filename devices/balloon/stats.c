/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The statsq (virtio 1.3, section 5.5.6.3): the driver's one buffer, which is asked for by giving
 * back the one before.
 *
 * A buffer is read when it comes and then held until the period is over.  Who holds it changes
 * nothing about what it said: so it is not read again where it is loaded, or moved.
 *
 * What it said goes to the control side on sheets: the lane writes one of its own and exchanges it
 * for the one between them, and so does the control side to read, neither waiting for the other.
 */
#include "devices/balloon/internal.h"

#include "ring/err.h"

#define SHEET_IS_NEW 0x80u
#define ENTRIES_MAX  256u /* of a buffer; what is behind them is not looked at */

static struct pv_balloon_asking *asking_of(const struct pv_queue *queue)
{
	return &pv_balloon_of(queue->device)->asking;
}

static uint64_t now_ns(const struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	return port->ops->now_ns(port);
}

/* ---- what a buffer says ---- */

/* False where there is no room for another tag. */
static bool put_unknown(struct pv_balloon_stats *sheet, uint16_t tag, uint64_t value)
{
	uint16_t i = 0;

	while (i < sheet->unknown && sheet->unknown_tag[i] != tag)
		i++;
	if (i == PV_BALLOON_STATS_UNKNOWN)
		return false;
	if (i == sheet->unknown)
		sheet->unknown++;
	sheet->unknown_tag[i] = tag;
	sheet->unknown_value[i] = value;
	return true;
}

static bool put(struct pv_balloon_stats *sheet, const struct virtio_balloon_stat *stat)
{
	uint16_t tag = pv_le16_get(stat->tag);
	uint64_t value = pv_le64_get(stat->val);

	if (tag >= VIRTIO_BALLOON_S_KNOWN)
		return put_unknown(sheet, tag, value);
	sheet->known |= 1u << tag;
	sheet->value[tag] = value;
	return true;
}

/* Returns whether that was all, and no more than could be kept. */
static bool read_entries(struct pv_balloon_stats *sheet, const struct pv_chain *chain)
{
	struct pv_cursor reader = pv_chain_reader(chain);
	struct virtio_balloon_stat stat;
	bool is_good = true;
	size_t bytes = 0;

	for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
		bytes = pv_cursor_read(&reader, &stat, sizeof(stat));
		if (bytes != sizeof(stat))
			break;
		is_good &= put(sheet, &stat);
	}
	return is_good && bytes == 0;
}

static uint8_t exchange(struct pv_balloon_asking *asking, uint8_t sheet)
{
	return __atomic_exchange_n(&asking->between, sheet, __ATOMIC_ACQ_REL);
}

static void hear(struct pv_queue *queue, const struct pv_chain *chain)
{
	struct pv_balloon_queue_counters *counters = pv_balloon_counters_of(queue);
	struct pv_balloon_asking *asking = asking_of(queue);
	struct pv_balloon_stats *sheet = &asking->sheet[asking->written_sheet];
	struct pv_port *port = queue->device->port;
	uint64_t now = now_ns(queue);

	*sheet = (struct pv_balloon_stats){ .at_ns = now > 0 ? now : 1, .count = ++asking->count };
	pv_count(&counters->stats);
	if (!read_entries(sheet, chain))
		pv_count(&counters->bad_stats);
	asking->written_sheet =
		(uint8_t)(exchange(asking, asking->written_sheet | SHEET_IS_NEW) & ~SHEET_IS_NEW);
	port->ops->queue_event(port, queue);
}

/* ---- holding ---- */

static void hold(struct pv_queue *queue)
{
	asking_of(queue)->has_chain = true;
	queue->held = 1;
}

static void let_go(struct pv_queue *queue)
{
	asking_of(queue)->has_chain = false;
	queue->held = 0;
}

/*
 * The first buffer may be empty, and a legacy driver's may say anything: it is there to be asked
 * with.
 */
static bool says_something(const struct pv_queue *queue, const struct pv_chain *chain)
{
	const bool is_legacy = !(queue->device->features & VIRTIO_F_VERSION_1);

	return chain->readable_bytes > 0 && !(is_legacy && !asking_of(queue)->has_begun);
}

/* A new period begins at once. */
static uint64_t period_of(struct pv_balloon_asking *asking)
{
	uint32_t number = __atomic_load_n(&asking->period_number, __ATOMIC_ACQUIRE);

	if (asking->known_period != number)
		asking->ask_ns = 0;
	asking->known_period = number;
	return __atomic_load_n(&asking->period_ns, __ATOMIC_RELAXED);
}

/* Returns whether there was a buffer. */
static bool take(struct pv_queue *queue)
{
	struct pv_balloon_asking *asking = asking_of(queue);
	struct pv_chain *chain = &asking->chain;
	uint64_t period_ns;
	bool is_told;

	*chain = (struct pv_chain){ .iov = asking->iov, .capacity = PV_BALLOON_STATS_PIECES };
	if (!pv_queue_take(queue, chain))
		return false;
	if (chain->is_incomplete || chain->writable_bytes > 0) {
		if (!chain->is_incomplete)
			pv_queue_bad_chain(queue, "statistics that are to be written to");
		pv_queue_return(queue, chain, 0);
		return true;
	}
	is_told = says_something(queue, chain);
	if (is_told)
		hear(queue, chain);
	period_ns = period_of(asking);
	asking->ask_ns = is_told || asking->has_begun ? now_ns(queue) + period_ns : 0;
	asking->has_begun = true;
	hold(queue);
	return true;
}

/* ---- asking ---- */

/* Is it time for the buffer to go back? If that is to come there is a timer for it. */
static bool is_time(struct pv_queue *queue)
{
	struct pv_balloon_asking *asking = asking_of(queue);
	struct pv_port *port = queue->device->port;
	uint64_t now;

	if (!asking->has_chain || period_of(asking) == 0)
		return false;
	now = now_ns(queue);
	if (now >= asking->ask_ns)
		return true;
	port->ops->queue_timer(port, queue, asking->ask_ns - now);
	return false;
}

static bool ask_in_time(struct pv_queue *queue)
{
	struct pv_balloon_asking *asking = asking_of(queue);

	if (!is_time(queue))
		return false;
	let_go(queue);
	pv_queue_return(queue, &asking->chain, 0);
	return true;
}

bool pv_balloon_tells_run(struct pv_queue *queue)
{
	const struct pv_balloon_asking *asking = asking_of(queue);
	bool has_worked;

	if (queue->is_draining)
		return false;
	has_worked = ask_in_time(queue);
	if (!asking->has_chain && take(queue)) {
		has_worked = true;
		ask_in_time(queue);
	}
	queue->is_stalled = asking->has_chain;
	return has_worked;
}

/* ---- stopping, moving, saving ---- */

void pv_balloon_tells_stop(struct pv_queue *queue)
{
	struct pv_balloon_asking *asking = asking_of(queue);
	bool is_held = asking->has_chain;

	let_go(queue);
	asking->has_begun = false;
	asking->ask_ns = 0;
	if (is_held && !pv_queue_keeps_held(queue))
		pv_queue_return(queue, &asking->chain, 0);
}

void pv_balloon_tells_move(struct pv_queue *queue)
{
	struct pv_balloon_asking *asking = asking_of(queue);
	struct pv_iov from[PV_BALLOON_STATS_PIECES];

	__builtin_memcpy(from, asking->iov, sizeof(from));
	pv_queue_chain_move(queue, &asking->chain, from);
}

void pv_balloon_tells_save(const struct pv_queue *queue, struct pv_state_writer *to)
{
	const struct pv_balloon_asking *asking = asking_of(queue);

	pv_state_put_u8(to, asking->has_begun);
	pv_state_put_u8(to, asking->has_chain);
	if (asking->has_chain)
		pv_queue_chain_save(queue, &asking->chain, to);
}

/* Whoever loads it has a period and a clock of its own: it asks at once. */
void pv_balloon_tells_load(struct pv_queue *queue, struct pv_state_reader *from)
{
	struct pv_balloon_asking *asking = asking_of(queue);

	asking->has_begun = pv_state_get_u8(from);
	asking->ask_ns = 0;
	if (!pv_state_get_u8(from))
		return;
	asking->chain =
		(struct pv_chain){ .iov = asking->iov, .capacity = PV_BALLOON_STATS_PIECES };
	pv_queue_chain_load(queue, &asking->chain, from);
	if (!from->is_bad)
		hold(queue);
}

/* ---- the control side ---- */

void pv_balloon_stats_heard(struct pv_balloon *balloon)
{
	struct pv_balloon_asking *asking = &balloon->asking;
	const struct pv_balloon_owner *owner = &balloon->options.owner;

	if (!(__atomic_load_n(&asking->between, __ATOMIC_RELAXED) & SHEET_IS_NEW))
		return;
	asking->read_sheet = (uint8_t)(exchange(asking, asking->read_sheet) & ~SHEET_IS_NEW);
	asking->last = asking->sheet[asking->read_sheet];
	if (owner->stats_came)
		owner->stats_came(owner->arg);
}

void pv_balloon_stats_forget(struct pv_balloon *balloon)
{
	struct pv_balloon_asking *asking = &balloon->asking;

	asking->between &= (uint8_t)~SHEET_IS_NEW;
	asking->last = (struct pv_balloon_stats){ 0 };
	asking->count = 0;
}

void pv_balloon_stats_period_set(struct pv_device *device, uint64_t period_ns)
{
	struct pv_balloon_asking *asking = &pv_balloon_of(device)->asking;
	struct pv_queue *queue = &device->queue[VIRTIO_BALLOON_STATSQ];

	pv_bug_on(period_ns > 1ull << 62);
	if (asking->period_ns == period_ns)
		return;
	__atomic_store_n(&asking->period_ns, period_ns, __ATOMIC_RELAXED);
	/* Pairs with the load in period_of(): who sees the number sees the period. */
	__atomic_store_n(&asking->period_number, asking->period_number + 1, __ATOMIC_RELEASE);
	if (queue->state == PV_QUEUE_RUNNING)
		device->port->ops->queue_wake(device->port, queue);
}

uint64_t pv_balloon_stats_period(const struct pv_device *device)
{
	return pv_balloon_of_const(device)->asking.period_ns;
}

void pv_balloon_stats(const struct pv_device *device, struct pv_balloon_stats *stats)
{
	*stats = pv_balloon_of_const(device)->asking.last;
}

bool pv_balloon_has_stats(const struct pv_device *device)
{
	const struct pv_balloon *balloon = pv_balloon_of_const(device);

	return pv_balloon_role(balloon, VIRTIO_BALLOON_STATSQ) == PV_BALLOON_TELLS &&
	       device->queue[VIRTIO_BALLOON_STATSQ].state != PV_QUEUE_IDLE;
}
