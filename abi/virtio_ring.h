/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two virtqueue layouts: split (virtio 1.3, section 2.7) and packed (section 2.8).
 *
 * Split: a descriptor table and two rings of 16-bit free-running indexes, one written by each
 * side.  Packed: one ring of descriptors that both sides write in turn, told apart by a pair of
 * flag bits and a wrap counter, and one small event-suppression structure for each side.
 */
#ifndef PV_ABI_VIRTIO_RING_H
#define PV_ABI_VIRTIO_RING_H

#include "abi/types.h"

/* The queue sizes that either layout can have; split sizes are powers of two besides. */
#define VIRTQ_SIZE_MAX 32768u

/* Flags of a descriptor. The last two exist in packed rings only. */
#define VIRTQ_DESC_F_NEXT     0x0001u
#define VIRTQ_DESC_F_WRITE    0x0002u
#define VIRTQ_DESC_F_INDIRECT 0x0004u
#define VIRTQ_DESC_F_AVAIL    0x0080u
#define VIRTQ_DESC_F_USED     0x8000u

/* Split: "no notification, please", for a queue without the event index. */
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY     1u

/* Packed: the values of the event flags, and the wrap bit of the event offset. */
#define VIRTQ_EVENT_F_ENABLE  0u
#define VIRTQ_EVENT_F_DISABLE 1u
#define VIRTQ_EVENT_F_DESC    2u
#define VIRTQ_EVENT_F_MASK    3u
#define VIRTQ_EVENT_WRAP      0x8000u

struct virtq_desc {
	struct pv_le64 addr;
	struct pv_le32 len;
	struct pv_le16 flags;
	struct pv_le16 next;
};
PV_SIZE(struct virtq_desc, 16);
PV_AT(struct virtq_desc, addr, 0);
PV_AT(struct virtq_desc, len, 8);
PV_AT(struct virtq_desc, flags, 12);
PV_AT(struct virtq_desc, next, 14);

/* ring[size], then one more le16: used_event, with the event index. */
struct virtq_avail {
	struct pv_le16 flags;
	struct pv_le16 idx;
	struct pv_le16 ring[];
};
PV_SIZE(struct virtq_avail, 4);
PV_AT(struct virtq_avail, flags, 0);
PV_AT(struct virtq_avail, idx, 2);
PV_AT(struct virtq_avail, ring, 4);

struct virtq_used_elem {
	struct pv_le32 id;
	struct pv_le32 len;
};
PV_SIZE(struct virtq_used_elem, 8);
PV_AT(struct virtq_used_elem, id, 0);
PV_AT(struct virtq_used_elem, len, 4);

/* ring[size], then one le16: avail_event, with the event index. */
struct virtq_used {
	struct pv_le16 flags;
	struct pv_le16 idx;
	struct virtq_used_elem ring[];
};
PV_SIZE(struct virtq_used, 4);
PV_AT(struct virtq_used, flags, 0);
PV_AT(struct virtq_used, idx, 2);
PV_AT(struct virtq_used, ring, 4);

struct pvirtq_desc {
	struct pv_le64 addr;
	struct pv_le32 len;
	struct pv_le16 id;
	struct pv_le16 flags;
};
PV_SIZE(struct pvirtq_desc, 16);
PV_AT(struct pvirtq_desc, addr, 0);
PV_AT(struct pvirtq_desc, len, 8);
PV_AT(struct pvirtq_desc, id, 12);
PV_AT(struct pvirtq_desc, flags, 14);

struct pvirtq_event_suppress {
	struct pv_le16 off_wrap;
	struct pv_le16 flags;
};
PV_SIZE(struct pvirtq_event_suppress, 4);
PV_AT(struct pvirtq_event_suppress, off_wrap, 0);
PV_AT(struct pvirtq_event_suppress, flags, 2);

/* Alignments of the three areas (sections 2.7 and 2.8.10). */
#define VIRTQ_ALIGN_DESC   16u
#define VIRTQ_ALIGN_AVAIL  2u
#define VIRTQ_ALIGN_USED   4u
#define PVIRTQ_ALIGN_EVENT 4u

/* Bytes of the areas of a split queue, the event fields included. */
static inline size_t virtq_desc_bytes(uint16_t size)
{
	return sizeof(struct virtq_desc) * (size_t)size;
}

static inline size_t virtq_avail_bytes(uint16_t size)
{
	return sizeof(struct virtq_avail) + sizeof(struct pv_le16) * ((size_t)size + 1);
}

static inline size_t virtq_used_bytes(uint16_t size)
{
	return sizeof(struct virtq_used) + sizeof(struct virtq_used_elem) * (size_t)size +
	       sizeof(struct pv_le16);
}

#endif
