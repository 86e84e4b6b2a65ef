/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/baldrv_rig.h"

void baldrv_rig_open(struct baldrv_rig *rig, uint64_t offered)
{
	memset(rig, 0, sizeof(*rig));
	pv_fake_bus_open(&rig->fake, offered | VIRTIO_F_VERSION_1);
	rig->stats = 3;
}

struct virtio_balloon_config *baldrv_rig_config(struct baldrv_rig *rig)
{
	return (struct virtio_balloon_config *)rig->fake.config;
}

static uint32_t collect(struct virtio_balloon_stat *stat, uint32_t max, void *arg)
{
	struct baldrv_rig *rig = arg;

	assert_true(rig->stats <= max);
	rig->asked++;
	for (uint32_t i = 0; i < rig->stats; i++)
		stat[i] = (struct virtio_balloon_stat){ pv_le16_of((uint16_t)i),
			                                pv_le64_of(rig->asked * 100 + i) };
	return rig->stats;
}

int baldrv_rig_start(struct baldrv_rig *rig, const struct pv_baldrv_options *options)
{
	struct pv_baldrv_options wish = { 0 };

	if (options)
		wish = *options;
	wish.stats = collect;
	wish.arg = rig;
	return pv_baldrv_create(&rig->balloon, &rig->fake.bus, &rig->fake.os, &wish);
}

void baldrv_rig_up(struct baldrv_rig *rig, uint64_t offered,
                   const struct pv_baldrv_options *options)
{
	baldrv_rig_open(rig, offered);
	assert_int_equal(baldrv_rig_start(rig, options), 0);
}

void baldrv_rig_close(struct baldrv_rig *rig)
{
	pv_baldrv_destroy(rig->balloon);
	assert_int_equal(rig->fake.shared_out + rig->fake.private_out, 0);
	assert_int_equal(rig->fake.mapped_out, 0);
}

bool baldrv_rig_read(struct baldrv_rig *rig, uint16_t queue)
{
	const struct pv_le32 *number;

	rig->pieces = pv_fake_take(&rig->fake, queue, rig->piece, 16, &rig->head);
	if (rig->pieces == 0)
		return false;
	if (queue > DEFLATE)
		return true;
	assert_int_equal(rig->pieces, 1);
	assert_int_equal(pv_le16_get(rig->piece[0].flags), 0);
	rig->pages = pv_le32_get(rig->piece[0].len) / 4;
	assert_in_range(rig->pages, 1, BALDRV_RIG_LIST);
	number = pv_fake_at(pv_gpa_of(pv_le64_get(rig->piece[0].addr)));
	for (uint32_t i = 0; i < rig->pages; i++)
		rig->number[i] = pv_le32_get(number[i]);
	return true;
}

void baldrv_rig_give_back(struct baldrv_rig *rig, uint16_t queue)
{
	pv_fake_return(&rig->fake, queue, rig->head, 0);
}

uint64_t baldrv_rig_serve(struct baldrv_rig *rig, uint16_t queue)
{
	uint64_t pages = 0;

	while (baldrv_rig_read(rig, queue)) {
		pages += rig->pages;
		baldrv_rig_give_back(rig, queue);
		pv_baldrv_poll(rig->balloon);
	}
	return pages;
}
