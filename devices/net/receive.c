/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A receiving queue (virtio 1.3, section 5.1.6.4): from the wire to the driver.
 *
 * A frame goes right from the wire to the driver's buffers: as many as the last one needed are
 * offered, and behind them memory of ours, where what is left of a longer one comes to lie, which
 * then takes the way of frames that are in memory: it waits for buffers (for a while).  That way
 * goes all that must be looked at before its queue is known, and what this driver would not
 * understand and is finished first.
 */
#include "devices/net/buffers.h"

#include "ring/err.h"

/* A frame that was taken from the wire waits so long for buffers. */
#define FRAME_WAITS_NS 100000000ull

enum outcome {
	CAME_IN,    /* or was dropped: the next one */
	NO_FRAME,   /* the wire has none */
	NO_BUFFERS, /* the driver has none */
	NO_PLACE,   /* the queue that the next one may be for has none */
};

static struct pv_net_receiver *receiver_of(const struct pv_queue *queue)
{
	return queue->own;
}

static void follow_rules(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	uint32_t version = __atomic_load_n(&pv_net_of(queue->device)->version, __ATOMIC_ACQUIRE);

	if (__builtin_expect(receiver->lane.version != version, 0))
		pv_net_receiver_copy_rules(queue, version);
}

/* ---- what came ---- */

static void drop(struct pv_net_receiver *receiver, pv_counter *why)
{
	pv_count(&receiver->lane.counters->drops);
	if (why)
		pv_count(why);
}

static bool is_too_long(const struct pv_net_receiver *receiver,
                        const struct pv_net_arrival *arrival)
{
	return arrival->bytes > receiver->lane.whole_bytes_max &&
	       arrival->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE;
}

/* Does it come in? If so its hash is there. */
static inline bool look_at(struct pv_queue *queue, struct pv_net_receiver *receiver,
                           struct pv_net_arrival *arrival, const uint8_t *head, size_t head_bytes)
{
	if (receiver->has_to_look &&
	    !pv_net_rules_let_in(&receiver->rules, queue->device->features, head, head_bytes)) {
		drop(receiver, &receiver->lane.counters->filtered);
		return false;
	}
	if (is_too_long(receiver, arrival)) {
		drop(receiver, NULL);
		return false;
	}
	if (receiver->rules.hashing.types)
		arrival->hash_value =
			pv_net_hash(&receiver->hasher, head, head_bytes, &arrival->hash_report);
	return true;
}

static uint64_t offload_of(uint8_t gso_type)
{
	switch (gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VIRTIO_NET_F_GUEST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VIRTIO_NET_F_GUEST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP:
		return VIRTIO_NET_F_GUEST_UFO;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6;
	}
	return 0;
}

/* Would this driver understand what is left to do about it? It may have changed its mind meanwhile.
 */
static bool is_understood(uint64_t offloads, const struct virtio_net_hdr *hdr)
{
	uint64_t needed = 0;

	if (!hdr->flags && hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		needed |= VIRTIO_NET_F_GUEST_CSUM;
	needed |= offload_of(hdr->gso_type);
	if (hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		needed |= VIRTIO_NET_F_GUEST_ECN;
	return !(needed & ~offloads);
}

static inline void count_arrival(struct pv_net_receiver *receiver,
                                 const struct pv_net_arrival *arrival)
{
	struct pv_net_counters *counters = receiver->lane.counters;

	pv_count(&counters->packets);
	pv_count_add(&counters->bytes, arrival->bytes);
	if (arrival->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		pv_count(&counters->needs_csum);
	else if (arrival->hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		pv_count(&counters->csum_valid);
	else
		pv_count(&counters->csum_none);
	if (arrival->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		pv_count(&counters->gso_packets);
		pv_count_add(&counters->gso_bytes, arrival->bytes);
	}
	receiver->came_in++;
	receiver->came_in_bytes += arrival->bytes;
}

/* The buffers have it. Of the wire's flags a driver without GUEST_CSUM is told nothing. */
static inline void pass_on(struct pv_net_receiver *receiver, struct pv_net_arrival *arrival)
{
	/*
	 * In place, and no more than needed: a copy of what was written in smaller parts would wait
	 * until all earlier writes have left the processor, those to the driver's buffers among
	 * them, which is half the time of a small frame.
	 */
	if (arrival->hdr.flags && !(receiver->offloads & VIRTIO_NET_F_GUEST_CSUM))
		arrival->hdr.flags = 0;
	pv_net_buffers_pass_on(receiver, arrival);
	count_arrival(receiver, arrival);
}

/* ---- frames in memory ---- */

static bool deliver(struct pv_queue *queue, struct pv_net_receiver *receiver, const uint8_t *data,
                    struct pv_net_arrival *arrival)
{
	uint64_t wanted = (uint64_t)receiver->lane.hdr_bytes + arrival->bytes;

	if (pv_net_buffers_want(queue, receiver, wanted) < wanted)
		return false;
	pv_net_buffers_fill(receiver, data, arrival->bytes);
	pass_on(receiver, arrival);
	return true;
}

/* What this driver does not understand comes in finished: one frame or more, or what there are
 * buffers for. */
static void deliver_finished(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	struct pv_net_pending *pending = &receiver->pending;
	struct pv_iov whole = { pending->data, pending->arrival.bytes };
	struct pv_net_arrival arrival = pending->arrival;

	if (pv_net_cutter_begin(&receiver->cutter, &arrival.hdr, &whole, 1, arrival.bytes, false)) {
		drop(receiver, &receiver->lane.counters->malformed);
		return;
	}
	arrival.hdr = (struct virtio_net_hdr){ 0 };
	for (;;) {
		arrival.bytes = pv_net_cutter_next(&receiver->cutter, receiver->segment,
		                                   sizeof(receiver->segment));
		if (arrival.bytes == 0)
			return;
		if (!deliver(queue, receiver, receiver->segment, &arrival)) {
			drop(receiver, &receiver->lane.counters->overruns);
			return;
		}
	}
}

/* Has it waited for buffers long enough, or are there none that it would fit? */
static bool is_given_up(const struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	uint64_t now = pv_net_now_ns(queue);

	/* What came in during this run has buffers that the driver does not know to be back. */
	if (receiver->came_in == 0 && receiver->first < receiver->taken &&
	    pv_net_buffers_are_all(queue, receiver))
		return true;
	if (receiver->lane.frame_ns == 0)
		receiver->lane.frame_ns = now + FRAME_WAITS_NS;
	return now >= receiver->lane.frame_ns;
}

static enum outcome deliver_pending(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	struct pv_net_pending *pending = &receiver->pending;

	if (!is_understood(receiver->offloads, &pending->arrival.hdr)) {
		deliver_finished(queue, receiver);
	} else if (!deliver(queue, receiver, pending->data, &pending->arrival)) {
		if (!is_given_up(queue, receiver))
			return NO_BUFFERS;
		drop(receiver, &receiver->lane.counters->overruns);
	}
	receiver->lane.frame_ns = 0;
	pending->arrival.bytes = 0;
	return CAME_IN;
}

/* ---- frames whose queue is to be found ---- */

static size_t head_of(uint32_t bytes)
{
	return bytes < PV_NET_HASH_LOOKS_AT ? bytes : PV_NET_HASH_LOOKS_AT;
}

/* The queue that it is for, or, where that is not there, this one. */
static struct pv_net_receiver *find_receiver(struct pv_net *net, struct pv_net_receiver *receiver,
                                             const struct pv_net_pending *pending)
{
	uint16_t pair = pv_net_steer(net, receiver, &pending->arrival, pending->data,
	                             head_of(pending->arrival.bytes));

	if (pair >= net->options.pairs || !net->receiver[pair])
		return receiver;
	return net->receiver[pair];
}

/* Puts it where its own queue finds it. */
static void pass_to(struct pv_queue *queue, struct pv_net_receiver *receiver,
                    struct pv_net_pending *pending)
{
	struct pv_net *net = pv_net_of(queue->device);

	if (!pv_net_inbox_put(&receiver->inbox, pending))
		drop(receiver, &receiver->lane.counters->overruns);
	if (net->crowded || pv_net_inbox_has_room(&receiver->inbox))
		return;
	net->crowded = receiver;
	net->crowded_until_ns = pv_net_now_ns(queue) + FRAME_WAITS_NS;
}

/*
 * A queue whose inbox is full holds the wire up, so that a wire that loses nothing need not: for a
 * while, and then its frames are dropped until there is room, and the others have theirs.
 */
static bool is_held_up(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	struct pv_net *net = pv_net_of(queue->device);

	receiver->lane.neighbour_ns = 0;
	if (!net->crowded)
		return false;
	if (pv_net_inbox_has_room(&net->crowded->inbox)) {
		net->crowded = NULL;
		return false;
	}
	if (pv_net_now_ns(queue) >= net->crowded_until_ns)
		return false;
	receiver->lane.neighbour_ns = net->crowded_until_ns;
	return true;
}

static enum outcome receive_for_any(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	struct pv_net *net = pv_net_of(queue->device);
	struct pv_net_pending *pending = &receiver->pending;
	struct pv_iov memory = { pending->data, sizeof(pending->data) };
	struct pv_net_receiver *wanted;

	pending->arrival = (struct pv_net_arrival){ 0 };
	if (is_held_up(queue, receiver))
		return NO_PLACE;
	pending->arrival.bytes =
		net->wire->ops->receive(net->wire, 0, &memory, 1, &pending->arrival.hdr);
	if (pending->arrival.bytes == 0)
		return NO_FRAME;
	pv_bug_on(pending->arrival.bytes > PV_NET_FRAME_MAX);
	if (!look_at(queue, receiver, &pending->arrival, pending->data,
	             head_of(pending->arrival.bytes))) {
		pending->arrival.bytes = 0;
		return CAME_IN;
	}
	wanted = find_receiver(net, receiver, pending);
	if (wanted == receiver)
		return deliver_pending(queue, receiver);
	pass_to(queue, wanted, pending);
	pending->arrival.bytes = 0;
	return CAME_IN;
}

/* ---- frames right to the buffers ---- */

/* At most so many pieces are offered: a frame of 64 KiB in pages, and what the rest of it is cut
 * into. */
#define LIST_MAX 192u

/* The front of it lies in the driver's buffers, which are too small: all of it into memory. */
static void collect(struct pv_net_receiver *receiver, const struct pv_iov *list, uint16_t count,
                    uint64_t room)
{
	struct pv_cursor reader = { list, count, 0 };

	pv_cursor_read(&reader, receiver->pending.data, (size_t)room);
}

/* What buffers were offered for, the next time: a little more than this one needed. */
static void learn(struct pv_net_receiver *receiver, uint32_t bytes)
{
	if (bytes > receiver->wanted_bytes)
		receiver->wanted_bytes = bytes;
	else
		receiver->wanted_bytes -= (receiver->wanted_bytes - bytes) / 16;
}

/* Of most frames only the addresses and a tag are looked at. */
static size_t head_wanted(const struct pv_net_receiver *receiver, uint32_t bytes)
{
	size_t all = head_of(bytes);

	if (receiver->rules.hashing.types || all < PV_NET_FRAME_MIN + 4u)
		return all;
	return PV_NET_FRAME_MIN + 4u;
}

static inline enum outcome receive_into(struct pv_queue *queue, struct pv_net_receiver *receiver,
                                        struct pv_iov list[static LIST_MAX], uint16_t count,
                                        uint64_t room)
{
	struct pv_net *net = pv_net_of(queue->device);
	struct pv_net_pending *pending = &receiver->pending;
	struct pv_net_arrival arrival = { 0 };
	uint16_t pieces = count;
	uint8_t head[PV_NET_HASH_LOOKS_AT];
	size_t head_bytes = 0;

	if (room < PV_NET_FRAME_MAX)
		list[pieces++] =
			(struct pv_iov){ pending->data + room, (size_t)(PV_NET_FRAME_MAX - room) };
	arrival.bytes =
		net->wire->ops->receive(net->wire, pv_net_pair(queue), list, pieces, &arrival.hdr);
	if (arrival.bytes == 0)
		return NO_FRAME;
	learn(receiver, arrival.bytes);
	if (receiver->has_to_look) {
		struct pv_cursor reader = { list, pieces, 0 };

		head_bytes = pv_cursor_read(&reader, head, head_wanted(receiver, arrival.bytes));
	}
	if (!look_at(queue, receiver, &arrival, head, head_bytes)) {
		pv_net_buffers_spoilt(receiver, arrival.bytes);
		return CAME_IN;
	}
	if (arrival.bytes <= room && is_understood(receiver->offloads, &arrival.hdr)) {
		pass_on(receiver, &arrival);
		return CAME_IN;
	}
	collect(receiver, list, count, arrival.bytes < room ? arrival.bytes : room);
	pv_net_buffers_spoilt(receiver, arrival.bytes);
	pending->arrival = arrival;
	return deliver_pending(queue, receiver);
}

static inline enum outcome receive_directly(struct pv_queue *queue,
                                            struct pv_net_receiver *receiver)
{
	uint32_t hdr_bytes = receiver->lane.hdr_bytes;
	struct pv_iov list[LIST_MAX];
	uint64_t room =
		pv_net_buffers_want(queue, receiver, hdr_bytes + receiver->wanted_bytes + 1);
	uint16_t count;

	if (room <= hdr_bytes)
		return NO_BUFFERS;
	/* Of very many pieces not all are listed. */
	count = pv_net_buffers_list(receiver, &room, list, LIST_MAX - 1);
	return receive_into(queue, receiver, list, count, room);
}

/* ---- a run ---- */

static enum outcome receive_one(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	bool does_steer = pv_net_of(queue->device)->does_steer;

	follow_rules(queue, receiver);
	if (receiver->pending.arrival.bytes > 0 ||
	    (does_steer && pv_net_inbox_get(&receiver->inbox, &receiver->pending)))
		return deliver_pending(queue, receiver);
	if (does_steer)
		return receive_for_any(queue, receiver);
	return receive_directly(queue, receiver);
}

/* Nobody is there who would get them: they do not wait for the link to come back. */
static enum outcome drop_one(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	struct pv_net *net = pv_net_of(queue->device);
	struct pv_iov memory = { receiver->pending.data, sizeof(receiver->pending.data) };
	uint16_t pair = net->wire->sources > 1 ? pv_net_pair(queue) : 0;
	struct virtio_net_hdr hdr = { 0 };

	receiver->pending.arrival.bytes = 0;
	if (net->wire->ops->receive(net->wire, pair, &memory, 1, &hdr) == 0)
		return NO_FRAME;
	drop(receiver, &receiver->lane.counters->link_down);
	return CAME_IN;
}

/*
 * After so many frames a driver that polls is shown what came, and works on it while we work on the
 * next ones. Each time costs both of us some cache lines; where frames come faster than they are
 * worked on it has enough to do, and is shown more at a time.
 */
#define PUBLISH_FEW  16u
#define PUBLISH_MANY 32u

static uint16_t publish_every(const struct pv_net_receiver *receiver)
{
	return receiver->likely > PUBLISH_FEW ? PUBLISH_MANY : PUBLISH_FEW;
}

/* Returns whether anything came. */
static bool run(struct pv_queue *queue, struct pv_net_receiver *receiver)
{
	struct pv_net *net = pv_net_of(queue->device);
	enum outcome outcome = CAME_IN;
	const uint16_t burst = pv_net_rate_burst(&net->in), every = publish_every(receiver);
	uint16_t count;

	queue->is_stalled = !pv_net_rate_allows(queue, &receiver->lane, &net->in);
	if (queue->is_stalled)
		return false;
	for (count = 0; count < burst && outcome == CAME_IN; count++) {
		outcome = pv_net_link_is_up(net) ? receive_one(queue, receiver)
		                                 : drop_one(queue, receiver);
		if ((count + 1) % every == 0) {
			pv_net_buffers_return(queue, receiver);
			pv_queue_publish_quietly(queue);
		}
	}
	if (outcome == NO_FRAME)
		pv_net_buffers_fetch(queue, receiver);
	pv_net_buffers_put_back(queue, receiver);
	pv_net_rate_spend(&net->in, receiver->came_in, receiver->came_in_bytes);
	/* The driver need not say that it has more buffers while it is the wire that has no frames.
	 */
	queue->is_stalled = outcome == NO_FRAME || outcome == NO_PLACE;
	return outcome == CAME_IN || count > 1;
}

/* As many as in the last run; when none come any more, soon none. */
static void expect(struct pv_net_receiver *receiver)
{
	receiver->likely /= 2;
	if (receiver->came_in > receiver->likely)
		receiver->likely = receiver->came_in;
}

bool pv_net_receiver_run(struct pv_queue *queue)
{
	struct pv_net_receiver *receiver = receiver_of(queue);
	bool has_worked;

	if (queue->is_draining)
		return false;
	pv_net_of(queue->device)->receiver[pv_net_pair(queue)] = receiver;
	expect(receiver);
	receiver->came_in = 0;
	receiver->came_in_bytes = 0;
	has_worked = run(queue, receiver);
	pv_net_coalesce(queue, &receiver->lane, receiver->came_in);
	pv_net_set_timer(queue, &receiver->lane);
	return has_worked;
}
