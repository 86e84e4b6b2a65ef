/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sending queue (virtio 1.3, section 5.1.6.2): from the ring to the wire.
 *
 * A run takes a burst of chains, makes frames of them, and gives these to the wire in one call; a
 * frame goes right from the driver's memory where the wire can do what is left to do about it,
 * otherwise it is finished first, which may make many frames of one chain.  Chains whose frames
 * have all gone return; the others are put back on the ring, and of the first of them it is
 * remembered how many of its frames went.
 */
#include "devices/net/internal.h"

#include "ring/barrier.h"
#include "ring/err.h"
#include "ring/prefetch.h"

static struct pv_net_sender *sender_of(const struct pv_queue *queue)
{
	return queue->own;
}

int pv_net_sender_start(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;
	struct pv_net_sender *sender = port->ops->alloc(port, sizeof(*sender));

	if (!sender)
		return -PV_ENOMEM;
	sender->lane.counters = &pv_net_of(queue->device)->counters[queue->index];
	sender->lane.hdr_bytes = pv_net_hdr_bytes(queue->device);
	sender->lane.whole_bytes_max = pv_net_whole_bytes_max(queue->device);
	queue->own = sender;
	return 0;
}

void pv_net_sender_stop(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	port->ops->free(port, queue->own, sizeof(struct pv_net_sender));
}

/* ---- the chains of a run ---- */

static void take_burst(struct pv_queue *queue, struct pv_net_sender *sender, uint16_t burst)
{
	const struct pv_chain_room room = { sender->chain, burst, sender->iov, PV_NET_PIECES };

	sender->done = 0;
	sender->taken = pv_queue_take_run(queue, &room);
	/* The driver's processor has them; they are here when the burst is looked at. */
	for (uint16_t i = 0; i < sender->taken; i++)
		if (sender->chain[i].readable > 0)
			pv_prefetch_to_read(sender->chain[i].iov[0].base);
}

/* The first ones of those that are left have gone, or are none. */
static void return_first(struct pv_queue *queue, struct pv_net_sender *sender, uint16_t chains)
{
	pv_queue_return_run(queue, &sender->chain[sender->done], NULL, chains);
	sender->done = (uint16_t)(sender->done + chains);
}

/* The first of them is none. */
static void drop_first(struct pv_queue *queue, struct pv_net_sender *sender, pv_counter *why)
{
	pv_count(&sender->lane.counters->drops);
	pv_count(why);
	return_first(queue, sender, 1);
	sender->progress = 0;
}

static void put_back_rest(struct pv_queue *queue, struct pv_net_sender *sender)
{
	while (sender->taken > sender->done)
		pv_queue_put_back(queue, &sender->chain[--sender->taken]);
}

/* ---- frames ---- */

/* Reads the header, and leaves the frame behind it. */
static void cut_header(struct pv_chain *chain, uint32_t hdr_bytes, struct pv_net_frame *frame)
{
	struct pv_cursor reader = pv_chain_reader(chain);
	struct pv_iov *iov = chain->iov;

	frame->iov = iov;
	frame->pieces = chain->readable;
	if (chain->iov[0].bytes > hdr_bytes) {
		/* Most often: in one piece with the frame. */
		pv_copy_once(&frame->hdr, chain->iov[0].base, sizeof(frame->hdr));
		chain->iov[0].base = (uint8_t *)chain->iov[0].base + hdr_bytes;
		chain->iov[0].bytes -= hdr_bytes;
		return;
	}
	pv_cursor_read(&reader, &frame->hdr, sizeof(frame->hdr));
	pv_iov_cut(&iov, &frame->pieces, hdr_bytes, frame->bytes);
	frame->iov = iov;
}

/* Of most frames nothing is left to do, and the header says nothing. */
static bool is_good(const struct pv_queue *queue, const struct pv_net_sender *sender,
                    const struct pv_net_frame *frame)
{
	if (frame->hdr.flags || frame->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return pv_net_header_is_good(queue->device, &frame->hdr, frame->bytes);
	return frame->bytes >= PV_NET_FRAME_MIN && frame->bytes <= sender->lane.whole_bytes_max;
}

/* Returns whether there is a frame that may be sent. */
static bool parse(struct pv_queue *queue, const struct pv_net_sender *sender,
                  struct pv_chain *chain, struct pv_net_frame *frame)
{
	uint32_t hdr_bytes = sender->lane.hdr_bytes;

	if (chain->is_incomplete)
		return false;
	if (chain->writable > 0 || chain->readable_bytes <= hdr_bytes) {
		pv_queue_bad_chain(queue,
		                   "a packet that is shorter than its header, or to be written to");
		return false;
	}
	frame->bytes = (uint32_t)(chain->readable_bytes - hdr_bytes);
	cut_header(chain, hdr_bytes, frame);
	return is_good(queue, sender, frame);
}

/* Can the wire do what is left to do? */
static bool goes_as_it_is(const struct pv_net *net, const struct virtio_net_hdr *hdr)
{
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	if (!net->wire->knows_headers)
		return false;
	return hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE ||
	       (net->wire->can_segment & pv_net_host_feature(hdr->gso_type));
}

static void count_work(struct pv_net_counters *counters, const struct pv_net_frame *frame)
{
	pv_count(frame->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? &counters->needs_csum
	                                                        : &counters->csum_none);
	if (frame->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return;
	pv_count(&counters->gso_packets);
	pv_count_add(&counters->gso_bytes, frame->bytes);
}

/* Only what the wire is to know: bits that say nothing here are not passed on. */
static void clean(struct virtio_net_hdr *hdr)
{
	hdr->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (!hdr->flags)
		*hdr = (struct virtio_net_hdr){ 0 };
}

/* ---- from chains to frames ---- */

static void add_frame(struct pv_net_sender *sender, bool is_last, bool is_segment)
{
	sender->is_segment[sender->frames] = is_segment;
	sender->is_last_of_chain[sender->frames++] = is_last;
}

/*
 * Begins to cut a chain, and passes over what of it went before. Returns whether anything is left:
 * the driver may have changed the chain since.
 */
static bool begin_cutting(const struct pv_queue *queue, struct pv_net_sender *sender,
                          const struct pv_net_frame *frame, uint16_t gone)
{
	bool is_exact = pv_net_has(queue->device, VIRTIO_NET_F_GUEST_HDRLEN);

	if (pv_net_cutter_begin(&sender->cutter, &frame->hdr, frame->iov, frame->pieces,
	                        frame->bytes, is_exact))
		return false;
	sender->to_cut = pv_net_cutter_count(&sender->cutter);
	if (gone >= sender->to_cut) {
		sender->to_cut = 0;
		return false;
	}
	pv_net_cutter_skip(&sender->cutter, gone);
	sender->to_cut = (uint16_t)(sender->to_cut - gone);
	return true;
}

/* Frames of the chain that is being cut, as far as there is room. */
static void cut(struct pv_net_sender *sender)
{
	while (sender->to_cut > 0 && sender->frames < PV_NET_BURST) {
		uint8_t *to = sender->stage + sender->stage_bytes;
		uint32_t bytes = pv_net_cutter_next(&sender->cutter, to,
		                                    PV_NET_STAGE_BYTES - sender->stage_bytes);
		struct pv_iov *piece = &sender->staged[sender->frames];

		pv_bug_on(bytes == 0 && sender->stage_bytes == 0);
		if (bytes == 0)
			return;
		*piece = (struct pv_iov){ to, bytes };
		sender->frame[sender->frames] =
			(struct pv_net_frame){ .iov = piece, .pieces = 1, .bytes = bytes };
		sender->stage_bytes += bytes;
		sender->to_cut--;
		add_frame(sender, sender->to_cut == 0,
		          sender->cutter.kind != VIRTIO_NET_HDR_GSO_NONE);
	}
}

/* Makes frames of a chain, or more of them. Returns false for one that has none. */
static bool make_frames(struct pv_queue *queue, struct pv_net_sender *sender, uint16_t i)
{
	struct pv_net_frame *frame = &sender->frame[sender->frames];
	uint16_t gone = i == sender->done ? sender->progress : 0;

	if (sender->to_cut == 0) {
		if (!parse(queue, sender, &sender->chain[i], frame))
			return false;
		if (gone == 0)
			count_work(sender->lane.counters, frame);
		if (goes_as_it_is(pv_net_of(queue->device), &frame->hdr)) {
			clean(&frame->hdr);
			add_frame(sender, true, false);
			return true;
		}
		if (!begin_cutting(queue, sender, frame, gone))
			return false;
	}
	cut(sender);
	return true;
}

/* ---- to the wire ---- */

static void count_cutting(struct pv_net_counters *counters, const struct pv_net_frame *frame,
                          bool is_segment)
{
	if (is_segment) {
		pv_count(&counters->segments);
		pv_count_add(&counters->segments_bytes, frame->bytes);
	} else if (frame->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
		pv_count(&counters->gso_whole);
		pv_count_add(&counters->gso_whole_bytes, frame->bytes);
	}
}

/* The first frames went, and with them the chains of which nothing is left. */
static void frames_went(struct pv_queue *queue, struct pv_net_sender *sender, uint16_t frames)
{
	struct pv_net_counters *counters = sender->lane.counters;
	uint16_t chains = 0;
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < frames; i++) {
		bytes += sender->frame[i].bytes;
		count_cutting(counters, &sender->frame[i], sender->is_segment[i]);
		sender->progress++;
		if (!sender->is_last_of_chain[i])
			continue;
		sender->progress = 0;
		chains++;
	}
	pv_count_add(&counters->packets, frames);
	pv_count_add(&counters->bytes, bytes);
	pv_net_rate_spend(&pv_net_of(queue->device)->out, frames, bytes);
	return_first(queue, sender, chains);
}

/* Returns whether all frames that were made have gone. */
static bool flush(struct pv_queue *queue, struct pv_net_sender *sender)
{
	struct pv_net *net = pv_net_of(queue->device);
	uint16_t frames = sender->frames, sent = 0;

	if (frames > 0)
		sent = net->wire->ops->send(net->wire, pv_net_pair(queue), sender->frame, frames);
	pv_bug_on(sent > frames);
	for (uint16_t i = 0; i < sent && net->does_steer; i++)
		pv_net_steer_sent(net, &sender->frame[i], pv_net_pair(queue));
	frames_went(queue, sender, sent);
	sender->frames = 0;
	sender->stage_bytes = 0;
	return sent == frames;
}

/* Sends what was taken. Returns false when the wire is full. */
static bool send_burst(struct pv_queue *queue, struct pv_net_sender *sender)
{
	sender->to_cut = 0;
	for (uint16_t i = 0; i < sender->taken;) {
		if (make_frames(queue, sender, i)) {
			if ((sender->frames == PV_NET_BURST || sender->to_cut > 0) &&
			    !flush(queue, sender))
				return false;
			if (sender->to_cut == 0)
				i++;
			continue;
		}
		i++;
		/* Those before it go first: chains return in their order. */
		if (!flush(queue, sender))
			return false;
		drop_first(queue, sender, &sender->lane.counters->malformed);
	}
	return flush(queue, sender);
}

/* Nobody is there who would get it. */
static void drop_burst(struct pv_queue *queue, struct pv_net_sender *sender)
{
	while (sender->done < sender->taken)
		drop_first(queue, sender, &sender->lane.counters->link_down);
}

/* ---- a run ---- */

static bool run(struct pv_queue *queue, struct pv_net_sender *sender)
{
	struct pv_net *net = pv_net_of(queue->device);

	queue->is_stalled = !pv_net_rate_allows(queue, &sender->lane, &net->out);
	if (queue->is_stalled)
		return false;
	take_burst(queue, sender, pv_net_rate_burst(&net->out));
	if (!pv_net_link_is_up(net))
		drop_burst(queue, sender);
	else
		queue->is_stalled = !send_burst(queue, sender);
	put_back_rest(queue, sender);
	return sender->done > 0;
}

bool pv_net_sender_run(struct pv_queue *queue)
{
	struct pv_net_sender *sender = sender_of(queue);
	bool has_worked;

	if (queue->is_draining)
		return false;
	sender->done = 0;
	has_worked = run(queue, sender);
	pv_net_coalesce(queue, &sender->lane, sender->done);
	pv_net_set_timer(queue, &sender->lane);
	return has_worked;
}

/* ---- state: how much of the next chain went already ---- */

void pv_net_sender_save(const struct pv_queue *queue, struct pv_state_writer *to)
{
	pv_state_put_u16(to, sender_of(queue)->progress);
}

void pv_net_sender_load(struct pv_queue *queue, struct pv_state_reader *from)
{
	sender_of(queue)->progress = pv_state_get_u16(from);
}
