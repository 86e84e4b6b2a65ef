/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of a device:
 *
 *     magic  version  bytes  checksum     the header; the checksum is over all that follows
 *     device id  state version  features  status
 *     the device's own part
 *     for each queue: is it there, its configuration, where the ring stands, the order of an
 *     in-order ring, and the chains it holds
 */
#include "devices/core/lifecycle.h"
#include "ring/err.h"

#define STATE_MAGIC        0x54535650u /* "PVST" */
#define STATE_VERSION      1u
#define STATE_HEADER_BYTES 16u
#define STATE_QUEUE_IDLE   0u
#define STATE_QUEUE_PAUSED 1u

/* ---- chains ---- */

/* Each piece goes out as the guest address it came from. */
void pv_queue_chain_save(const struct pv_queue *queue, const struct pv_chain *chain,
                         struct pv_state_writer *to)
{
	uint16_t oldest = queue->ring.order_head;
	uint16_t size = queue->ring.size;

	pv_state_put_u16(to, chain->id);
	pv_state_put_u16(to, chain->descs);
	pv_state_put_u16(to, (uint16_t)((chain->order + size - oldest) % size));
	pv_state_put_u8(to, chain->is_incomplete);
	pv_state_put_u64(to, chain->readable_bytes);
	pv_state_put_u64(to, chain->writable_bytes);
	pv_state_put_u16(to, chain->readable);
	pv_state_put_u16(to, chain->writable);
	for (uint32_t i = 0; i < (uint32_t)chain->readable + chain->writable; i++) {
		struct pv_gpa gpa = { 0 };

		pv_bug_on(!pv_mem_gpa_of(queue->ring.view.mem, chain->iov[i].base, &gpa));
		pv_state_put_u64(to, gpa.v);
		pv_state_put_u32(to, (uint32_t)chain->iov[i].bytes);
	}
}

static void clear_pieces(struct pv_chain *chain)
{
	chain->readable = 0;
	chain->writable = 0;
	chain->last_writable = NULL;
}

/*
 * Adds guest memory to the pieces. Memory may be cut differently here: what was one piece may be
 * several. False where there is none, or no room for a piece.
 */
static bool add_piece(struct pv_queue *queue, struct pv_chain *chain, bool is_writable,
                      struct pv_gpa gpa, uint64_t bytes)
{
	while (bytes > 0) {
		uint16_t pieces = (uint16_t)(chain->readable + chain->writable);
		uint64_t run_bytes;
		uint8_t *host = pv_mem_at(&queue->ring.view, gpa, &run_bytes);

		if (!host || pieces == chain->capacity)
			return false;
		if (run_bytes > bytes)
			run_bytes = bytes;
		chain->iov[pieces] = (struct pv_iov){ host, (size_t)run_bytes };
		if (is_writable) {
			chain->writable++;
			chain->last_writable = host + run_bytes - 1;
		} else {
			chain->readable++;
		}
		gpa = pv_gpa_add(gpa, run_bytes);
		bytes -= run_bytes;
	}
	return true;
}

static bool load_piece(struct pv_queue *queue, struct pv_chain *chain, bool is_writable,
                       struct pv_state_reader *from)
{
	struct pv_gpa gpa = pv_gpa_of(pv_state_get_u64(from));
	uint32_t bytes = pv_state_get_u32(from);

	return pv_state_check(from, bytes > 0) &&
	       pv_state_check(from, add_piece(queue, chain, is_writable, gpa, bytes));
}

/* A device reckons with the byte counts of a chain that is complete. */
static bool is_all_there(const struct pv_chain *chain)
{
	return chain->readable_bytes <= UINT32_MAX && chain->writable_bytes <= UINT32_MAX &&
	       pv_iov_bytes(chain->iov, chain->readable) == chain->readable_bytes &&
	       pv_iov_bytes(chain->iov + chain->readable, chain->writable) == chain->writable_bytes;
}

void pv_queue_chain_load(struct pv_queue *queue, struct pv_chain *chain,
                         struct pv_state_reader *from)
{
	uint16_t readable, writable;

	chain->id = pv_state_get_u16(from);
	chain->descs = pv_state_get_u16(from);
	chain->order = pv_state_get_u16(from);
	chain->is_incomplete = pv_state_get_u8(from);
	chain->readable_bytes = pv_state_get_u64(from);
	chain->writable_bytes = pv_state_get_u64(from);
	readable = pv_state_get_u16(from);
	writable = pv_state_get_u16(from);
	clear_pieces(chain);
	for (uint16_t i = 0; i < readable; i++)
		if (!load_piece(queue, chain, false, from))
			return;
	for (uint16_t i = 0; i < writable; i++)
		if (!load_piece(queue, chain, true, from))
			return;
	if (!pv_state_check(from, chain->is_incomplete || is_all_there(chain)))
		return;
	if (queue->ring.is_packed || pv_state_check(from, chain->id < queue->ring.size))
		pv_state_check(from, pv_dev_ring_adopt(&queue->ring, chain));
}

void pv_queue_chain_move(struct pv_queue *queue, struct pv_chain *chain, const struct pv_iov *from)
{
	const struct pv_mem *before = queue->ring.mem_before;
	const uint16_t readable = chain->readable;
	const uint32_t pieces = (uint32_t)readable + chain->writable;

	pv_dev_ring_moved(&queue->ring, chain);
	clear_pieces(chain);
	for (uint32_t i = 0; i < pieces; i++) {
		bool is_writable = i >= readable;
		struct pv_gpa gpa = { 0 };

		pv_bug_on(!pv_mem_gpa_of(before, from[i].base, &gpa));
		if (add_piece(queue, chain, is_writable, gpa, from[i].bytes))
			continue;
		chain->is_incomplete = true;
		if (is_writable)
			chain->last_writable = NULL;
	}
}

/* ---- queues ---- */

/* The chains of an in-order ring, oldest first: what came back early waits here. */
static void save_order(const struct pv_dev_ring *ring, struct pv_state_writer *to)
{
	uint16_t at = ring->order_head;

	if (!ring->has_in_order)
		return;
	pv_state_put_u16(to, ring->in_flight);
	for (uint16_t i = 0; i < ring->in_flight; i++, at = (uint16_t)((at + 1) % ring->size)) {
		const struct pv_ring_order *entry = &ring->order[at];

		pv_state_put_u16(to, entry->id);
		pv_state_put_u16(to, entry->descs);
		pv_state_put_u32(to, entry->written_bytes);
		pv_state_put_u8(to, entry->is_returned);
		pv_state_put_u8(to, entry->is_filled);
	}
}

/* Returns how many there are. */
static uint16_t load_order(struct pv_dev_ring *ring, struct pv_state_reader *from)
{
	uint16_t count;

	if (!ring->has_in_order)
		return 0;
	count = pv_state_get_u16(from);
	if (!pv_state_check(from, count <= ring->size))
		return 0;
	ring->order_head = 0;
	ring->order_tail = (uint16_t)(count % ring->size);
	for (uint16_t i = 0; i < count && !from->is_bad; i++) {
		struct pv_ring_order *entry = &ring->order[i];

		entry->id = pv_state_get_u16(from);
		entry->descs = pv_state_get_u16(from);
		entry->written_bytes = pv_state_get_u32(from);
		entry->is_returned = pv_state_get_u8(from);
		entry->is_filled = pv_state_get_u8(from);
		pv_state_check(from, entry->descs > 0 && entry->descs <= ring->size);
		/* Those that are not returned are adopted with the chains that are held. */
		if (entry->is_returned) {
			ring->waiting++;
			ring->in_flight++;
			ring->in_flight_descs = (uint16_t)(ring->in_flight_descs + entry->descs);
			pv_state_check(from, ring->in_flight_descs <= ring->size);
		}
	}
	return count;
}

/* The chains that are out of the ring and those that are in flight must be the same. */
static bool is_balanced(const struct pv_queue *queue, uint16_t ordered)
{
	const struct pv_dev_ring *ring = &queue->ring;
	const struct pv_ring_position *at = &queue->position;

	/* Who works on it elsewhere was asked to finish, and may have what is in flight written
	 * down. */
	if (queue->is_elsewhere)
		return true;
	if (ring->has_in_order && ring->in_flight != ordered)
		return false;
	return ring->is_packed || ring->in_flight == (uint16_t)(at->avail - at->used);
}

/* A broken queue does nothing until a reset, which the status asks for: to whoever loads it, idle.
 */
static bool can_go_on(const struct pv_queue *queue)
{
	return queue->state == PV_QUEUE_PAUSED && queue->ring.fault == PV_RING_SOUND;
}

static void save_queue(const struct pv_queue *queue, struct pv_state_writer *to)
{
	const struct pv_virtio_ops *virtio = queue->device->ops->virtio;

	pv_state_put_u8(to, can_go_on(queue) ? STATE_QUEUE_PAUSED : STATE_QUEUE_IDLE);
	pv_state_put_u16(to, queue->config.size);
	pv_state_put_u64(to, queue->config.desc_area.v);
	pv_state_put_u64(to, queue->config.driver_area.v);
	pv_state_put_u64(to, queue->config.device_area.v);
	pv_state_put_u16(to, queue->position.avail);
	pv_state_put_u16(to, queue->position.used);
	pv_state_put_u8(to, queue->position.avail_wrap);
	pv_state_put_u8(to, queue->position.used_wrap);
	if (!can_go_on(queue))
		return;
	save_order(&queue->ring, to);
	if (virtio->queue_save)
		virtio->queue_save(queue, to);
}

/* Where a queue is and stood, as it was written. Returns its kind. */
static uint8_t load_place(struct pv_queue *queue, struct pv_state_reader *from)
{
	struct pv_ring_config *config = &queue->config;
	uint8_t kind = pv_state_get_u8(from);

	/* No journal, even if the queue that is described anew had one. */
	*config = (struct pv_ring_config){ 0 };
	config->size = pv_state_get_u16(from);
	config->desc_area.v = pv_state_get_u64(from);
	config->driver_area.v = pv_state_get_u64(from);
	config->device_area.v = pv_state_get_u64(from);
	queue->position.avail = pv_state_get_u16(from);
	queue->position.used = pv_state_get_u16(from);
	queue->position.avail_wrap = pv_state_get_u8(from);
	queue->position.used_wrap = pv_state_get_u8(from);
	return kind;
}

static void load_queue(struct pv_queue *queue, struct pv_state_reader *from)
{
	struct pv_device *device = queue->device;
	const struct pv_virtio_ops *virtio = device->ops->virtio;
	uint8_t kind = load_place(queue, from);
	uint16_t ordered;

	queue->config.features = device->features;
	if (!pv_state_check(from, queue->config.size <= device->queue_size_max &&
	                                  kind <= STATE_QUEUE_PAUSED))
		return;
	if (kind == STATE_QUEUE_IDLE || !pv_state_check(from, pv_queue_prepare(queue) == 0))
		return;
	queue->state = PV_QUEUE_PAUSED;
	ordered = load_order(&queue->ring, from);
	if (!from->is_bad && virtio->queue_load)
		virtio->queue_load(queue, from);
	pv_state_check(from, is_balanced(queue, ordered));
}

/* ---- the device ---- */

/* Chains that a journal has and nobody holds are in no state: they must be taken first. */
static bool is_queue_at_rest(const struct pv_queue *queue)
{
	return queue->state == PV_QUEUE_IDLE ||
	       (queue->state == PV_QUEUE_PAUSED && !pv_dev_ring_has_again(&queue->ring));
}

static bool is_at_rest(const struct pv_device *device)
{
	for (uint16_t i = 0; i < device->queues; i++)
		if (!is_queue_at_rest(&device->queue[i]))
			return false;
	return !device->is_resetting;
}

static void save_body(const struct pv_device *device, struct pv_state_writer *to)
{
	pv_state_put_u16(to, device->ops->virtio->id);
	pv_state_put_u16(to, device->ops->state_version);
	pv_state_put_u64(to, device->features);
	pv_state_put_u8(to, device->status);
	pv_state_put_u16(to, device->queues);
	device->ops->save(device, to);
	for (uint16_t i = 0; i < device->queues; i++)
		save_queue(&device->queue[i], to);
}

int pv_device_save(const struct pv_device *device, struct pv_state_writer *to)
{
	struct pv_state_writer header = { .data = to->data, .capacity = STATE_HEADER_BYTES };
	size_t body;

	if (!is_at_rest(device))
		return -PV_EBUSY;
	to->bytes = STATE_HEADER_BYTES;
	save_body(device, to);
	if (!to->data || to->bytes > to->capacity)
		return -PV_ENOSPC;
	body = to->bytes - STATE_HEADER_BYTES;
	pv_state_put_u32(&header, STATE_MAGIC);
	pv_state_put_u32(&header, STATE_VERSION);
	pv_state_put_u32(&header, (uint32_t)body);
	pv_state_put_u32(&header, pv_state_checksum(to->data + STATE_HEADER_BYTES, body));
	return 0;
}

/* The part of the body that comes before the device's own. */
struct preamble {
	uint16_t version;
	uint64_t features;
	uint8_t status;
};

static int load_preamble(const struct pv_device *device, struct preamble *preamble,
                         struct pv_state_reader *from)
{
	const struct pv_device_ops *ops = device->ops;
	uint16_t id = pv_state_get_u16(from);
	uint16_t queues;

	preamble->version = pv_state_get_u16(from);
	preamble->features = pv_state_get_u64(from);
	preamble->status = pv_state_get_u8(from);
	queues = pv_state_get_u16(from);
	if (from->is_bad || id != ops->virtio->id || preamble->version > ops->state_version ||
	    queues != device->queues)
		return -PV_ESTATE;
	return 0;
}

static int load_body(struct pv_device *device, struct pv_state_reader *from)
{
	struct preamble preamble;
	int err = load_preamble(device, &preamble, from);

	if (err)
		return err;
	if (pv_device_features_set(device, preamble.features))
		return -PV_EFEATURES;
	device->status = preamble.status;
	if (device->ops->load(device, from, preamble.version))
		return -PV_ESTATE;
	for (uint16_t i = 0; i < device->queues && !from->is_bad; i++)
		load_queue(&device->queue[i], from);
	return from->is_bad || from->bytes > 0 ? -PV_ESTATE : 0;
}

static bool does_any_queue_run(const struct pv_device *device)
{
	for (uint16_t i = 0; i < device->queues; i++)
		if (device->queue[i].state == PV_QUEUE_RUNNING ||
		    device->queue[i].state == PV_QUEUE_STOPPING)
			return true;
	return false;
}

int pv_device_abandon(struct pv_device *device)
{
	if (does_any_queue_run(device))
		return -PV_EBUSY;
	for (uint16_t i = 0; i < device->queues; i++)
		if (device->queue[i].state == PV_QUEUE_PAUSED)
			pv_dev_ring_break(&device->queue[i].ring, PV_RING_NO_MEMORY);
	pv_device_reset(device, (struct pv_waiter){ 0 });
	return 0;
}

/* Leaves the body to be read. */
static bool load_header(struct pv_state_reader *from)
{
	uint32_t magic = pv_state_get_u32(from);
	uint32_t version = pv_state_get_u32(from);
	uint32_t body = pv_state_get_u32(from);
	uint32_t checksum = pv_state_get_u32(from);

	return !from->is_bad && magic == STATE_MAGIC && version == STATE_VERSION &&
	       body == from->bytes && checksum == pv_state_checksum(from->data, from->bytes);
}

int pv_device_load(struct pv_device *device, const uint8_t *data, size_t bytes)
{
	struct pv_state_reader from = { .data = data, .bytes = bytes };
	int err;

	if (!load_header(&from))
		return -PV_ESTATE;
	err = load_body(device, &from);
	/* What was loaded so far goes again. */
	if (err)
		pv_device_abandon(device);
	return err;
}

/* ---- the device's own part alone ---- */

static void pass_over_idle_queue(const struct pv_device *device, struct pv_state_reader *from)
{
	struct pv_queue read = { 0 };

	pv_state_check(from, load_place(&read, from) == STATE_QUEUE_IDLE);
	pv_state_check(from, read.config.size <= device->queue_size_max);
}

static int check_features(const struct pv_device *device, uint64_t features)
{
	if (device->features)
		return features == device->features ? 0 : -PV_EFEATURES;
	return features & ~pv_device_features(device) ? -PV_EFEATURES : 0;
}

static int load_own_body(struct pv_device *device, struct pv_state_reader *from)
{
	struct preamble preamble;
	int err = load_preamble(device, &preamble, from);

	if (!err)
		err = check_features(device, preamble.features);
	if (err)
		return err;
	if (device->ops->load(device, from, preamble.version))
		return -PV_ESTATE;
	for (uint16_t i = 0; i < device->queues && !from->is_bad; i++)
		pass_over_idle_queue(device, from);
	if (from->is_bad || from->bytes > 0)
		return -PV_ESTATE;
	device->status |= preamble.status & VIRTIO_STATUS_NEEDS_RESET;
	return 0;
}

int pv_device_load_own(struct pv_device *device, const uint8_t *data, size_t bytes)
{
	struct pv_state_reader from = { .data = data, .bytes = bytes };
	int err;

	if (device->is_resetting || !pv_device_is_idle(device))
		return -PV_EBUSY;
	err = load_header(&from) ? load_own_body(device, &from) : -PV_ESTATE;
	if (err)
		device->ops->reset(device);
	return err;
}
