/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory balloon (virtio 1.3, section 5.5): features, configuration, queues and what is sent on
 * them. The configuration is little-endian for legacy drivers too; page numbers and statistics have
 * the byte order of the guest there.
 */
#ifndef PV_ABI_VIRTIO_BALLOON_H
#define PV_ABI_VIRTIO_BALLOON_H

#include "abi/types.h"
#include "abi/virtio_features.h"

/* The device hears of a page that is taken back before it is used. */
#define VIRTIO_BALLOON_F_MUST_TELL_HOST VIRTIO_F_BIT(0)
#define VIRTIO_BALLOON_F_STATS_VQ       VIRTIO_F_BIT(1)
/* The driver may take pages back when memory is short, whatever the target. */
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM VIRTIO_F_BIT(2)
#define VIRTIO_BALLOON_F_FREE_PAGE_HINT VIRTIO_F_BIT(3)
#define VIRTIO_BALLOON_F_PAGE_POISON    VIRTIO_F_BIT(4)
#define VIRTIO_BALLOON_F_PAGE_REPORTING VIRTIO_F_BIT(5)

/* Pages of the balloon, whatever the guest's are. */
#define VIRTIO_BALLOON_PAGE_SHIFT 12u
#define VIRTIO_BALLOON_PAGE_BYTES (1u << VIRTIO_BALLOON_PAGE_SHIFT)

struct virtio_balloon_config {
	struct pv_le32 num_pages; /* how large the device wants the balloon to be */
	struct pv_le32 actual;    /* for the driver to write: how large it is */
	struct pv_le32 free_page_hint_cmd_id;
	struct pv_le32 poison_val; /* for the driver to write: what free pages are filled with */
};
PV_SIZE(struct virtio_balloon_config, 16);
PV_AT(struct virtio_balloon_config, num_pages, 0);
PV_AT(struct virtio_balloon_config, actual, 4);
PV_AT(struct virtio_balloon_config, free_page_hint_cmd_id, 8);
PV_AT(struct virtio_balloon_config, poison_val, 12);

/* Of the hint command: a run begins with 2, and each with another. */
#define VIRTIO_BALLOON_CMD_ID_STOP 0u
#define VIRTIO_BALLOON_CMD_ID_DONE 1u

/*
 * Queues. Those from the third on are there with their feature. Whether one that is missing leaves
 * a gap is in dispute: the specification numbers them as below; Linux and QEMU close the gaps.
 */
#define VIRTIO_BALLOON_INFLATEQ   0u
#define VIRTIO_BALLOON_DEFLATEQ   1u
#define VIRTIO_BALLOON_STATSQ     2u
#define VIRTIO_BALLOON_FREE_PAGEQ 3u
#define VIRTIO_BALLOON_REPORTINGQ 4u
#define VIRTIO_BALLOON_QUEUES     5u

struct virtio_balloon_stat {
	struct pv_le16 tag; /* VIRTIO_BALLOON_S_* */
	struct pv_le64 val;
} __attribute__((packed));
PV_SIZE(struct virtio_balloon_stat, 10);
PV_AT(struct virtio_balloon_stat, tag, 0);
PV_AT(struct virtio_balloon_stat, val, 2);

/* Of the guest: bytes, where nothing else is said; events are counted from its start. */
#define VIRTIO_BALLOON_S_SWAP_IN      0u
#define VIRTIO_BALLOON_S_SWAP_OUT     1u
#define VIRTIO_BALLOON_S_MAJFLT       2u /* page faults that had to read */
#define VIRTIO_BALLOON_S_MINFLT       3u /* and others */
#define VIRTIO_BALLOON_S_MEMFREE      4u
#define VIRTIO_BALLOON_S_MEMTOT       5u
#define VIRTIO_BALLOON_S_AVAIL        6u /* to be had without swapping */
#define VIRTIO_BALLOON_S_CACHES       7u
#define VIRTIO_BALLOON_S_HTLB_PGALLOC 8u
#define VIRTIO_BALLOON_S_HTLB_PGFAIL  9u
/* Linux's from 6.12 on. */
#define VIRTIO_BALLOON_S_OOM_KILL       10u
#define VIRTIO_BALLOON_S_ALLOC_STALL    11u /* allocations that had to wait */
#define VIRTIO_BALLOON_S_ASYNC_SCAN     12u /* pages that were looked at, and won, in reclaiming */
#define VIRTIO_BALLOON_S_DIRECT_SCAN    13u
#define VIRTIO_BALLOON_S_ASYNC_RECLAIM  14u
#define VIRTIO_BALLOON_S_DIRECT_RECLAIM 15u
#define VIRTIO_BALLOON_S_KNOWN          16u

#endif
