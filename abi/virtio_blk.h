/* SPDX-License-Identifier: BSD-2-Clause */
/* The block device (virtio 1.3, section 5.2): features, configuration, requests. */
#ifndef PV_ABI_VIRTIO_BLK_H
#define PV_ABI_VIRTIO_BLK_H

#include "abi/types.h"
#include "abi/virtio_features.h"

#define VIRTIO_BLK_F_SIZE_MAX     VIRTIO_F_BIT(1)
#define VIRTIO_BLK_F_SEG_MAX      VIRTIO_F_BIT(2)
#define VIRTIO_BLK_F_GEOMETRY     VIRTIO_F_BIT(4)
#define VIRTIO_BLK_F_RO           VIRTIO_F_BIT(5)
#define VIRTIO_BLK_F_BLK_SIZE     VIRTIO_F_BIT(6)
#define VIRTIO_BLK_F_FLUSH        VIRTIO_F_BIT(9)
#define VIRTIO_BLK_F_TOPOLOGY     VIRTIO_F_BIT(10)
#define VIRTIO_BLK_F_CONFIG_WCE   VIRTIO_F_BIT(11)
#define VIRTIO_BLK_F_MQ           VIRTIO_F_BIT(12)
#define VIRTIO_BLK_F_DISCARD      VIRTIO_F_BIT(13)
#define VIRTIO_BLK_F_WRITE_ZEROES VIRTIO_F_BIT(14)
#define VIRTIO_BLK_F_LIFETIME     VIRTIO_F_BIT(15)
#define VIRTIO_BLK_F_SECURE_ERASE VIRTIO_F_BIT(16)

/* The protocol counts in sectors of this size whatever the disk's own block size. */
#define VIRTIO_BLK_SECTOR_BYTES 512u
#define VIRTIO_BLK_SECTOR_SHIFT 9u

struct virtio_blk_config {
	struct pv_le64 capacity; /* sectors */
	struct pv_le32 size_max; /* bytes of the largest segment */
	struct pv_le32 seg_max;  /* data segments in one request */
	struct {
		struct pv_le16 cylinders;
		uint8_t heads;
		uint8_t sectors;
	} geometry;
	struct pv_le32 blk_size; /* bytes of a logical block */
	struct {
		uint8_t physical_block_exp; /* log2 of logical blocks in a physical one */
		uint8_t alignment_offset;   /* first aligned logical block */
		struct pv_le16 min_io_size; /* logical blocks */
		struct pv_le32 opt_io_size; /* logical blocks */
	} topology;
	uint8_t writeback;
	uint8_t unused0;
	struct pv_le16 num_queues;
	struct pv_le32 max_discard_sectors;
	struct pv_le32 max_discard_seg;
	struct pv_le32 discard_sector_alignment; /* sectors */
	struct pv_le32 max_write_zeroes_sectors;
	struct pv_le32 max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
	struct pv_le32 max_secure_erase_sectors;
	struct pv_le32 max_secure_erase_seg;
	struct pv_le32 secure_erase_sector_alignment; /* sectors */
};
PV_SIZE(struct virtio_blk_config, 72);
PV_AT(struct virtio_blk_config, capacity, 0);
PV_AT(struct virtio_blk_config, size_max, 8);
PV_AT(struct virtio_blk_config, seg_max, 12);
PV_AT(struct virtio_blk_config, geometry, 16);
PV_AT(struct virtio_blk_config, geometry.cylinders, 16);
PV_AT(struct virtio_blk_config, geometry.heads, 18);
PV_AT(struct virtio_blk_config, geometry.sectors, 19);
PV_AT(struct virtio_blk_config, blk_size, 20);
PV_AT(struct virtio_blk_config, topology, 24);
PV_AT(struct virtio_blk_config, topology.physical_block_exp, 24);
PV_AT(struct virtio_blk_config, topology.alignment_offset, 25);
PV_AT(struct virtio_blk_config, topology.min_io_size, 26);
PV_AT(struct virtio_blk_config, topology.opt_io_size, 28);
PV_AT(struct virtio_blk_config, writeback, 32);
PV_AT(struct virtio_blk_config, unused0, 33);
PV_AT(struct virtio_blk_config, num_queues, 34);
PV_AT(struct virtio_blk_config, max_discard_sectors, 36);
PV_AT(struct virtio_blk_config, max_discard_seg, 40);
PV_AT(struct virtio_blk_config, discard_sector_alignment, 44);
PV_AT(struct virtio_blk_config, max_write_zeroes_sectors, 48);
PV_AT(struct virtio_blk_config, max_write_zeroes_seg, 52);
PV_AT(struct virtio_blk_config, write_zeroes_may_unmap, 56);
PV_AT(struct virtio_blk_config, unused1, 57);
PV_AT(struct virtio_blk_config, max_secure_erase_sectors, 60);
PV_AT(struct virtio_blk_config, max_secure_erase_seg, 64);
PV_AT(struct virtio_blk_config, secure_erase_sector_alignment, 68);

/* Request types. */
#define VIRTIO_BLK_T_IN           0u
#define VIRTIO_BLK_T_OUT          1u
#define VIRTIO_BLK_T_FLUSH        4u
#define VIRTIO_BLK_T_GET_ID       8u
#define VIRTIO_BLK_T_GET_LIFETIME 10u
#define VIRTIO_BLK_T_DISCARD      11u
#define VIRTIO_BLK_T_WRITE_ZEROES 13u
#define VIRTIO_BLK_T_SECURE_ERASE 14u

/* A request is this header, then data, then one status byte that the device writes. */
struct virtio_blk_req_header {
	struct pv_le32 type;
	struct pv_le32 reserved;
	struct pv_le64 sector;
};
PV_SIZE(struct virtio_blk_req_header, 16);
PV_AT(struct virtio_blk_req_header, type, 0);
PV_AT(struct virtio_blk_req_header, reserved, 4);
PV_AT(struct virtio_blk_req_header, sector, 8);

#define VIRTIO_BLK_S_OK     0u
#define VIRTIO_BLK_S_IOERR  1u
#define VIRTIO_BLK_S_UNSUPP 2u

/* The data of DISCARD, WRITE_ZEROES and SECURE_ERASE: an array of these. */
struct virtio_blk_range {
	struct pv_le64 sector;
	struct pv_le32 num_sectors;
	struct pv_le32 flags;
};
PV_SIZE(struct virtio_blk_range, 16);
PV_AT(struct virtio_blk_range, sector, 0);
PV_AT(struct virtio_blk_range, num_sectors, 8);
PV_AT(struct virtio_blk_range, flags, 12);

#define VIRTIO_BLK_RANGE_F_UNMAP 1u

/* The data of GET_LIFETIME, with the values of the JEDEC eMMC standard; 0 is "not known". */
struct virtio_blk_lifetime {
	struct pv_le16 pre_eol_info;              /* 1 to 3: reserved blocks run out */
	struct pv_le16 device_lifetime_est_typ_a; /* tenths of the life of the SLC cells that ... */
	struct pv_le16
		device_lifetime_est_typ_b; /* ... and of the MLC cells that are over; 11: all */
};
PV_SIZE(struct virtio_blk_lifetime, 6);
PV_AT(struct virtio_blk_lifetime, pre_eol_info, 0);
PV_AT(struct virtio_blk_lifetime, device_lifetime_est_typ_a, 2);
PV_AT(struct virtio_blk_lifetime, device_lifetime_est_typ_b, 4);

/* GET_ID: up to this many bytes, zero-padded, without a terminator when it is full. */
#define VIRTIO_BLK_ID_BYTES 20u

#endif
