/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request of the block device: from the chain to the store, and back to the status byte.
 *
 * A request is a header that the device reads, data, and one status byte, the last that the device
 * may write, in whatever pieces the driver likes (virtio 1.3, section 5.2.6).
 */
#include "devices/blk/internal.h"

#include "ring/err.h"

/* What has no status yet: it goes to the store, or has more ranges to go through, ... */
#define NO_STATUS 0xffu
/* ... or is kept by an error policy. */
#define KEPT 0xfeu

static struct pv_blk *blk_of(const struct pv_blk_request *request)
{
	return pv_blk_of(request->queue->device);
}

static struct pv_blk_counters *counters_of(const struct pv_blk_request *request)
{
	return &blk_of(request)->counters[request->queue->index];
}

static bool has_feature(const struct pv_blk_request *request, uint64_t feature)
{
	return request->queue->config.features & feature;
}

/* ---- the end of a request, or of the work on it ---- */

/* The pieces of a chain from before a change of memory come along to the memory in force. */
void pv_blk_request_move(struct pv_blk_request *request)
{
	uint32_t pieces = (uint32_t)request->chain.readable + request->chain.writable;

	__builtin_memcpy(request->data, request->iov, pieces * sizeof(request->iov[0]));
	pv_queue_chain_move(request->queue, &request->chain, request->data);
}

void pv_blk_request_hold(struct pv_blk_request *request)
{
	struct pv_queue *queue = request->queue;
	struct pv_blk_lane *lane = queue->own;

	if (request->chain.born != queue->ring.born)
		pv_blk_request_move(request);
	request->state = PV_BLK_HELD;
	request->next = NULL;
	*lane->held_end = request;
	lane->held_end = &request->next;
	queue->held++;
}

void pv_blk_request_free(struct pv_blk_lane *lane, struct pv_blk_request *request)
{
	request->state = PV_BLK_FREE;
	request->next = lane->free;
	lane->free = request;
}

void pv_blk_request_end(struct pv_blk_request *request, uint8_t status)
{
	struct pv_queue *queue = request->queue;
	const struct pv_chain *chain = &request->chain;
	uint32_t written_bytes = 0;

	if (request->count)
		pv_count(request->count);
	if (status == VIRTIO_BLK_S_IOERR)
		pv_count(&counters_of(request)->errors);
	else if (status == VIRTIO_BLK_S_UNSUPP)
		pv_count(&counters_of(request)->unsupported);
	if (chain->last_writable && !queue->ring.fault)
		*chain->last_writable = status;
	/* The length counts from the first writable byte: short of all, the status is not in it. */
	if (chain->last_writable && request->written_bytes + 1ull == chain->writable_bytes)
		written_bytes = request->written_bytes + 1;
	pv_queue_return(queue, chain, written_bytes);
	pv_blk_request_free(queue->own, request);
}

/* ---- reads and writes ---- */

/*
 * Points the I/O at the data of the request: `bytes` of the given pieces, after the first `skip`.
 * The chain keeps its pieces as they came, for it may have to be saved.
 */
static void aim_at_data(struct pv_blk_request *request, struct pv_iov *iov, uint16_t count,
                        uint64_t skip, uint64_t bytes)
{
	struct pv_blk_io *io = &request->io;

	io->bytes = bytes;
	if (skip > 0 && iov[0].bytes == skip) {
		io->iov = iov + 1;
		io->iovs = (uint16_t)(count - 1);
		return;
	}
	if (skip == 0 && iov[count - 1].bytes == 1) {
		io->iov = iov;
		io->iovs = (uint16_t)(count - 1);
		return;
	}
	__builtin_memcpy(request->data, iov, count * sizeof(*iov));
	io->iov = request->data;
	io->iovs = count;
	pv_bug_on(!pv_iov_cut(&io->iov, &io->iovs, skip, bytes));
}

/* Checks a range of sectors and sets it as the I/O's. Nothing is used before it was compared. */
static bool aim_at_sectors(struct pv_blk_request *request, uint64_t sector, uint64_t bytes)
{
	const struct pv_blk *blk = blk_of(request);
	uint64_t capacity_bytes = __atomic_load_n(&blk->capacity_bytes, __ATOMIC_RELAXED);
	uint64_t capacity = capacity_bytes >> VIRTIO_BLK_SECTOR_SHIFT;
	uint32_t block_mask = blk->store->limits.logical_block_bytes - 1;
	uint64_t offset = sector << VIRTIO_BLK_SECTOR_SHIFT;

	if (sector > capacity || bytes > (capacity - sector) << VIRTIO_BLK_SECTOR_SHIFT)
		return false;
	if ((offset | bytes) & block_mask)
		return false;
	request->io.offset = offset;
	request->io.bytes = bytes;
	return true;
}

static bool must_be_stable(const struct pv_blk_request *request)
{
	return !has_feature(request, VIRTIO_BLK_F_FLUSH) ||
	       !__atomic_load_n(&blk_of(request)->is_write_back, __ATOMIC_RELAXED);
}

static uint8_t start_read(struct pv_blk_request *request, uint64_t sector)
{
	struct pv_chain *chain = &request->chain;
	uint64_t bytes = chain->writable_bytes - 1;

	if (!aim_at_sectors(request, sector, bytes))
		return VIRTIO_BLK_S_IOERR;
	request->count = &counters_of(request)->reads;
	if (bytes == 0)
		return VIRTIO_BLK_S_OK;
	request->io.op = PV_BLK_READ;
	request->written_bytes = (uint32_t)bytes;
	aim_at_data(request, chain->iov + chain->readable, chain->writable, 0, bytes);
	return NO_STATUS;
}

static uint8_t start_write(struct pv_blk_request *request, uint64_t sector)
{
	struct pv_chain *chain = &request->chain;
	const uint64_t header = sizeof(struct virtio_blk_req_header);
	uint64_t bytes = chain->readable_bytes - header;

	if (blk_of(request)->options.is_read_only || !aim_at_sectors(request, sector, bytes))
		return VIRTIO_BLK_S_IOERR;
	request->count = &counters_of(request)->writes;
	if (bytes == 0)
		return VIRTIO_BLK_S_OK;
	request->io.op = PV_BLK_WRITE;
	request->io.is_stable = must_be_stable(request);
	aim_at_data(request, chain->iov, chain->readable, header, bytes);
	return NO_STATUS;
}

static uint8_t start_flush(struct pv_blk_request *request)
{
	request->count = &counters_of(request)->flushes;
	request->io.op = PV_BLK_FLUSH;
	return NO_STATUS;
}

static uint8_t answer_get_id(struct pv_blk_request *request)
{
	struct pv_cursor cursor = pv_chain_writer(&request->chain);
	uint64_t room = request->chain.writable_bytes - 1;
	size_t bytes = room < VIRTIO_BLK_ID_BYTES ? (size_t)room : VIRTIO_BLK_ID_BYTES;

	request->count = &counters_of(request)->get_ids;
	request->written_bytes = (uint32_t)pv_cursor_write(&cursor, blk_of(request)->serial, bytes);
	return VIRTIO_BLK_S_OK;
}

static uint8_t answer_get_lifetime(struct pv_blk_request *request)
{
	struct pv_blk_store *store = blk_of(request)->store;
	struct pv_cursor cursor = pv_chain_writer(&request->chain);
	struct pv_blk_lifetime lifetime;
	struct virtio_blk_lifetime data;

	if (!has_feature(request, VIRTIO_BLK_F_LIFETIME))
		return VIRTIO_BLK_S_UNSUPP;
	request->count = &counters_of(request)->get_lifetimes;
	if (request->chain.writable_bytes < sizeof(data) + 1 ||
	    store->ops->lifetime(store, &lifetime))
		return VIRTIO_BLK_S_IOERR;
	data = (struct virtio_blk_lifetime){
		.pre_eol_info = pv_le16_of(lifetime.pre_eol_info),
		.device_lifetime_est_typ_a = pv_le16_of(lifetime.type_a),
		.device_lifetime_est_typ_b = pv_le16_of(lifetime.type_b),
	};
	request->written_bytes = (uint32_t)pv_cursor_write(&cursor, &data, sizeof(data));
	return VIRTIO_BLK_S_OK;
}

/* ---- discard, write zeroes, secure erase: a list of ranges, one I/O each ---- */

static uint8_t check_range(struct pv_blk_request *request, const struct virtio_blk_range *range)
{
	uint32_t flags = pv_le32_get(range->flags);
	uint32_t sectors = pv_le32_get(range->num_sectors);
	bool may_unmap = flags & VIRTIO_BLK_RANGE_F_UNMAP;

	if (flags & ~VIRTIO_BLK_RANGE_F_UNMAP)
		return VIRTIO_BLK_S_UNSUPP;
	if (request->io.op != PV_BLK_WRITE_ZEROES && may_unmap)
		return VIRTIO_BLK_S_UNSUPP;
	if (sectors > PV_BLK_RANGE_SECTORS ||
	    !aim_at_sectors(request, pv_le64_get(range->sector),
	                    (uint64_t)sectors << VIRTIO_BLK_SECTOR_SHIFT))
		return VIRTIO_BLK_S_IOERR;
	request->io.may_unmap = may_unmap;
	return VIRTIO_BLK_S_OK;
}

/* Aims at the next range that is not empty. A status: the list ends here, well or not. */
static uint8_t next_range(struct pv_blk_request *request)
{
	struct virtio_blk_range range;

	while (pv_cursor_read(&request->ranges, &range, sizeof(range)) == sizeof(range)) {
		uint8_t status = check_range(request, &range);

		if (status != VIRTIO_BLK_S_OK)
			return status;
		if (request->io.bytes > 0)
			return NO_STATUS;
	}
	return VIRTIO_BLK_S_OK;
}

/*
 * Finds the list of ranges and returns its bytes. It is for the device to read; but Linux, which
 * tells the direction of data by the lowest bit of a request's type, puts that of SECURE_ERASE, 14,
 * where the device may write. A device may look there too (virtio 1.3, section 2.7.5.1: SHOULD
 * NOT).
 */
static uint64_t find_ranges(struct pv_blk_request *request, enum pv_blk_op op)
{
	const uint64_t header = sizeof(struct virtio_blk_req_header);
	const struct pv_chain *chain = &request->chain;

	if (op == PV_BLK_SECURE_ERASE && chain->readable_bytes == header) {
		request->ranges = pv_chain_writer(chain);
		return chain->writable_bytes - 1;
	}
	request->ranges = pv_chain_reader(chain);
	pv_cursor_skip(&request->ranges, header);
	return chain->readable_bytes - header;
}

static uint8_t start_ranges(struct pv_blk_request *request, enum pv_blk_op op, uint64_t feature,
                            pv_counter *count)
{
	uint64_t bytes = find_ranges(request, op);

	if (!has_feature(request, feature))
		return VIRTIO_BLK_S_UNSUPP;
	if (bytes == 0 || bytes % sizeof(struct virtio_blk_range) ||
	    bytes / sizeof(struct virtio_blk_range) > PV_BLK_RANGES_MAX)
		return VIRTIO_BLK_S_IOERR;
	request->count = count;
	request->io.op = op;
	request->io.is_stable = must_be_stable(request);
	return next_range(request);
}

/* ---- any request ---- */

/* Reads the header and aims the I/O. Returns a status if the request ends here. */
static uint8_t parse(struct pv_blk_request *request)
{
	const struct pv_chain *chain = &request->chain;
	struct pv_cursor reader = pv_chain_reader(chain);
	struct virtio_blk_req_header header;
	uint64_t sector;

	request->written_bytes = 0;
	request->count = NULL;
	request->io.is_stable = false;
	if (chain->is_incomplete)
		return VIRTIO_BLK_S_IOERR;
	if (chain->writable_bytes == 0 ||
	    pv_cursor_read(&reader, &header, sizeof(header)) < sizeof(header)) {
		pv_queue_bad_chain(request->queue, "a request without its header or status byte");
		return VIRTIO_BLK_S_IOERR;
	}
	sector = pv_le64_get(header.sector);
	switch (pv_le32_get(header.type)) {
	case VIRTIO_BLK_T_IN:
		return start_read(request, sector);
	case VIRTIO_BLK_T_OUT:
		return start_write(request, sector);
	case VIRTIO_BLK_T_FLUSH:
		return start_flush(request);
	case VIRTIO_BLK_T_GET_ID:
		return answer_get_id(request);
	case VIRTIO_BLK_T_GET_LIFETIME:
		return answer_get_lifetime(request);
	case VIRTIO_BLK_T_DISCARD:
		return start_ranges(request, PV_BLK_DISCARD, VIRTIO_BLK_F_DISCARD,
		                    &counters_of(request)->discards);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return start_ranges(request, PV_BLK_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES,
		                    &counters_of(request)->write_zeroes);
	case VIRTIO_BLK_T_SECURE_ERASE:
		return start_ranges(request, PV_BLK_SECURE_ERASE, VIRTIO_BLK_F_SECURE_ERASE,
		                    &counters_of(request)->secure_erases);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

static bool has_ranges(const struct pv_blk_request *request)
{
	return request->io.op == PV_BLK_DISCARD || request->io.op == PV_BLK_WRITE_ZEROES ||
	       request->io.op == PV_BLK_SECURE_ERASE;
}

/* Bytes count when they are where they belong, so that a request done again counts once. */
static void count_bytes(struct pv_blk_request *request)
{
	struct pv_blk_counters *counters = counters_of(request);

	if (request->io.op == PV_BLK_READ)
		pv_count_add(&counters->bytes_read, request->written_bytes);
	else if (request->io.op == PV_BLK_WRITE)
		pv_count_add(&counters->bytes_written,
		             request->chain.readable_bytes - sizeof(struct virtio_blk_req_header));
}

/* After one I/O: the request's status, KEPT, or NO_STATUS if another I/O is aimed at. */
static uint8_t after_io(struct pv_blk_request *request, int error)
{
	enum pv_blk_action action;

	/* To try again would be of no use, and to pretend would be a lie about what can be done. */
	if (error == -PV_ENOTSUP)
		return VIRTIO_BLK_S_UNSUPP;
	action = error ? pv_blk_io_failed(request, error) : PV_BLK_IGNORE;
	if (action == PV_BLK_STOP)
		return KEPT;
	if (action == PV_BLK_REPORT) {
		request->written_bytes = 0;
		return VIRTIO_BLK_S_IOERR;
	}
	if (has_ranges(request))
		return next_range(request);
	if (!error)
		count_bytes(request);
	return VIRTIO_BLK_S_OK;
}

/* Gives the store what is aimed at, until the request ends or is kept, here or by the store. */
static void proceed(struct pv_blk_request *request, uint8_t status)
{
	const struct pv_blk *blk = blk_of(request);
	struct pv_blk_store *store = blk->store;

	while (status == NO_STATUS) {
		enum pv_blk_submit submitted;

		request->state = PV_BLK_WORKED_ON;
		request->resumes = pv_blk_resumes(blk);
		submitted = store->ops->submit(store, &request->io);
		if (submitted == PV_BLK_PENDING)
			return;
		status = after_io(request, submitted == PV_BLK_FAILED ? request->io.error : 0);
	}
	if (status == KEPT)
		pv_blk_request_hold(request);
	else
		pv_blk_request_end(request, status);
}

void pv_blk_request_begin(struct pv_blk_request *request)
{
	proceed(request, parse(request));
}

static void io_done(struct pv_blk_io *io, int error)
{
	struct pv_blk_request *request = (struct pv_blk_request *)io;

	proceed(request, after_io(request, error));
}

void pv_blk_request_init(struct pv_blk_request *request, struct pv_queue *queue)
{
	request->queue = queue;
	request->chain.iov = request->iov;
	request->chain.capacity = PV_BLK_PIECES;
	request->io.done = io_done;
}
