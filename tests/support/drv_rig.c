/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/drv_rig.h"

void pv_drv_rig_open(struct pv_drv_rig *rig, uint64_t features)
{
	struct pv_ring_bytes bytes = pv_ring_bytes(features, PV_RIG_SIZE);

	*rig = (struct pv_drv_rig){ 0 };
	rig->memory = (struct pv_drv_ring_memory){
		.desc_area = calloc(1, bytes.desc_area),
		.driver_area = calloc(1, bytes.driver_area),
		.device_area = calloc(1, bytes.device_area),
		.private_area = calloc(1, pv_drv_ring_private_bytes(PV_RIG_SIZE)),
	};
	if (features & INDIRECT) {
		rig->memory.indirect =
			calloc(PV_RIG_SIZE * PV_RIG_INDIRECT_MAX, sizeof(struct virtq_desc));
		rig->memory.indirect_gpa = pv_gpa_of(PV_RIG_INDIRECT_GPA);
		rig->memory.indirect_max = PV_RIG_INDIRECT_MAX;
	}
	rig->table = rig->memory.desc_area;
	rig->packed = rig->memory.desc_area;
	rig->avail = rig->memory.driver_area;
	rig->driver_event = rig->memory.driver_area;
	rig->used = rig->memory.device_area;
	rig->device_event = rig->memory.device_area;
	assert_int_equal(pv_drv_ring_init(&rig->ring, features, PV_RIG_SIZE, &rig->memory), 0);
}

void pv_drv_rig_close(struct pv_drv_rig *rig)
{
	free(rig->memory.desc_area);
	free(rig->memory.driver_area);
	free(rig->memory.device_area);
	free(rig->memory.indirect);
	free(rig->memory.private_area);
}

int pv_drv_rig_add(struct pv_drv_rig *rig, uint32_t number, uint16_t readable, uint16_t writable)
{
	struct pv_sg sg[PV_RIG_SIZE + 1];

	for (uint32_t i = 0; i < PV_RIG_SIZE + 1; i++)
		sg[i] = (struct pv_sg){ { number * 0x10000u + i * 0x1000u }, 16 };
	return pv_drv_ring_add(&rig->ring, sg, readable, writable, &rig->token[number]);
}

void pv_drv_rig_added(struct pv_drv_rig *rig, uint32_t number, uint16_t readable, uint16_t writable)
{
	assert_int_equal(pv_drv_rig_add(rig, number, readable, writable), 0);
	assert_true(pv_drv_ring_publish(&rig->ring));
}

void pv_drv_rig_use_split(struct pv_drv_rig *rig, uint32_t id, uint32_t bytes, uint16_t advance)
{
	uint16_t idx = pv_le16_get(rig->used->idx);

	rig->used->ring[idx % PV_RIG_SIZE].id = pv_le32_of(id);
	rig->used->ring[idx % PV_RIG_SIZE].len = pv_le32_of(bytes);
	rig->used->idx = pv_le16_of((uint16_t)(idx + advance));
}

void pv_drv_rig_use_packed(struct pv_drv_rig *rig, uint16_t at, uint16_t id, uint32_t bytes,
                           uint16_t flags)
{
	rig->packed[at].id = pv_le16_of(id);
	rig->packed[at].len = pv_le32_of(bytes);
	rig->packed[at].flags = pv_le16_of(flags);
}

struct pv_le16 *pv_drv_rig_avail_event(struct pv_drv_rig *rig)
{
	return (struct pv_le16 *)&rig->used->ring[PV_RIG_SIZE];
}

void pv_drv_rig_expect_taken(struct pv_drv_rig *rig, uint32_t number, uint32_t bytes)
{
	uint32_t written_bytes;
	void *token;

	assert_int_equal(pv_drv_ring_take(&rig->ring, &token, &written_bytes), PV_DRV_TAKEN);
	assert_ptr_equal(token, &rig->token[number]);
	assert_int_equal(written_bytes, bytes);
}

void pv_drv_rig_expect_none(struct pv_drv_rig *rig, enum pv_drv_take what)
{
	uint32_t written_bytes;
	void *token;

	assert_int_equal(pv_drv_ring_take(&rig->ring, &token, &written_bytes), what);
}
