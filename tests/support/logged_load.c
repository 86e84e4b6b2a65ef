/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/logged_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"

#define BUFFER_BYTES (LOGGED_LOAD_SECTORS_MAX * DISK_LOG_SECTOR)

static bool changes_the_disk(const struct pv_blkdrv_request *request)
{
	return request->op != PV_BLKDRV_READ && request->op != PV_BLKDRV_FLUSH;
}

/* ---- the end of a request ---- */

static void check_read(const struct logged_load *load, const struct logged_load_slot *slot)
{
	for (uint32_t i = 0; i < slot->sectors; i++)
		assert_true(disk_log_can_read(&load->log, &slot->sent, slot->first + i,
		                              slot->buffer + i * DISK_LOG_SECTOR));
}

static void went_well(struct logged_load *load, const struct logged_load_slot *slot)
{
	if (slot->request.op == PV_BLKDRV_READ)
		check_read(load, slot);
	else if (slot->request.op == PV_BLKDRV_FLUSH)
		disk_log_flushed(&load->log, &slot->sent);
	else
		disk_log_written(&load->log, slot->first, slot->sectors, slot->is_stable);
	load->flushes += slot->request.op == PV_BLKDRV_FLUSH;
}

/* It may have been done, or a part of it. */
static void let_go(struct logged_load *load, const struct logged_load_slot *slot)
{
	if (changes_the_disk(&slot->request))
		disk_log_failed(&load->log, slot->first, slot->sectors);
}

static void failed(struct logged_load *load, const struct logged_load_slot *slot)
{
	assert_true(load->may_fail);
	assert_int_equal(slot->request.error, -PV_EIO);
	let_go(load, slot);
}

/* A flush has no sectors. */
static bool could_fail(const struct logged_load *load, const struct logged_load_slot *slot)
{
	return load->fails_from == 0 || (slot->request.op != PV_BLKDRV_FLUSH &&
	                                 slot->first + slot->sectors > load->fails_from);
}

static void ended(struct pv_blkdrv_request *request)
{
	struct logged_load_slot *slot = (struct logged_load_slot *)request;
	struct logged_load *load = request->arg;

	assert_true(slot->is_out);
	slot->is_out = false;
	load->out--;
	load->ends++;
	load->errors += request->error != 0;
	assert_true(!request->error || could_fail(load, slot));
	if (load->is_over)
		let_go(load, slot);
	else if (request->error)
		failed(load, slot);
	else
		went_well(load, slot);
}

/* ---- its beginning ---- */

static void aim(struct logged_load *load, struct logged_load_slot *slot)
{
	static const enum pv_blkdrv_op ops[] = {
		PV_BLKDRV_WRITE, PV_BLKDRV_WRITE,   PV_BLKDRV_WRITE,        PV_BLKDRV_READ,
		PV_BLKDRV_FLUSH, PV_BLKDRV_DISCARD, PV_BLKDRV_WRITE_ZEROES,
	};
	enum pv_blkdrv_op op = ops[pv_random_below(load->random, sizeof(ops) / sizeof(ops[0]))];

	slot->sectors = 1 + pv_random_below(load->random, LOGGED_LOAD_SECTORS_MAX);
	slot->first = pv_random_below(load->random, load->log.sectors - slot->sectors + 1);
	slot->data.bytes = slot->sectors * DISK_LOG_SECTOR;
	slot->is_stable = !load->is_cached;
	slot->request = (struct pv_blkdrv_request){
		.op = op,
		.sector = slot->first,
		.sectors = slot->sectors,
		.buffer = &slot->data,
		.buffers = op == PV_BLKDRV_READ || op == PV_BLKDRV_WRITE,
		.done = ended,
		.arg = load,
	};
}

/* False if this one cannot be sent now. */
static bool write_down(struct logged_load *load, struct logged_load_slot *slot)
{
	bool has_data = slot->request.op == PV_BLKDRV_WRITE;

	if (changes_the_disk(&slot->request))
		return disk_log_write(&load->log, slot->first, slot->sectors,
		                      has_data ? slot->buffer : NULL);
	disk_log_note(&load->log, &slot->sent);
	return slot->request.op == PV_BLKDRV_READ || load->has_flush;
}

void logged_load_send(struct logged_load *load)
{
	struct logged_load_slot *slot =
		&load->slot[pv_random_below(load->random, LOGGED_LOAD_REQUESTS)];
	int err;

	if (slot->is_out)
		return;
	aim(load, slot);
	if (!write_down(load, slot))
		return;
	err = pv_blkdrv_submit(load->queue, &slot->request);
	if (!err) {
		slot->is_out = true;
		load->out++;
		pv_blkdrv_publish(load->queue);
		return;
	}
	assert_int_equal(err, -PV_ENOSPC);
	if (changes_the_disk(&slot->request))
		disk_log_unwrite(&load->log, slot->first, slot->sectors);
}

/* The device may have either state in mind for what is in flight: that is promised nothing. */
void logged_load_switch_cache(struct logged_load *load, bool is_cached)
{
	load->is_cached = is_cached;
	for (uint32_t i = 0; i < LOGGED_LOAD_REQUESTS; i++)
		load->slot[i].is_stable = false;
}

/* ---- from start to start ---- */

void logged_load_init(struct logged_load *load, uint32_t sectors, struct pv_random *random)
{
	memset(load, 0, sizeof(*load));
	load->random = random;
	disk_log_init(&load->log, sectors);
}

void logged_load_prepare(struct logged_load *load, struct pv_os *os)
{
	load->os = os;
	for (uint32_t i = 0; i < LOGGED_LOAD_REQUESTS; i++) {
		struct logged_load_slot *slot = &load->slot[i];
		struct pv_gpa gpa;

		slot->buffer = os->ops->shared_alloc(os, BUFFER_BYTES, 512, &gpa);
		assert_non_null(slot->buffer);
		slot->data.memory = slot->buffer;
	}
}

void logged_load_start(struct logged_load *load, struct pv_blkdrv *driver, bool is_cached)
{
	load->queue = pv_blkdrv_queue(driver, 0);
	load->has_flush = pv_blkdrv_disk(driver)->has_flush;
	load->is_cached = is_cached;
	load->is_over = false;
}

void logged_load_stop(struct logged_load *load)
{
	assert_int_equal(load->out, 0);
	for (uint32_t i = 0; i < LOGGED_LOAD_REQUESTS; i++)
		load->os->ops->shared_free(load->os, load->slot[i].buffer, BUFFER_BYTES);
}
