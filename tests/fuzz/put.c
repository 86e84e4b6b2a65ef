/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/put.h"

#include <string.h>

#include "ring/err.h"

struct fuzz_piece fuzz_any_piece(struct fuzz_input *input, const uint64_t places[static 8],
                                 uint32_t step, bool is_writable)
{
	const uint8_t where = fuzz_u8(input);
	const uint16_t bytes = fuzz_u16(input);

	return (struct fuzz_piece){ .gpa = places[where % 8] + where / 8 * step,
		                    .bytes = bytes & 0x8000 ? bytes * 16u : bytes % 1024u,
		                    .is_writable = is_writable };
}

static void put_split(uint8_t *ring, struct fuzz_place *place, const struct fuzz_piece *piece,
                      uint16_t pieces)
{
	struct virtq_desc *desc = (struct virtq_desc *)(void *)ring;
	struct virtq_avail *avail = (struct virtq_avail *)(void *)(ring + FUZZ_PUT_DRIVER);
	uint16_t head = place->at;

	for (uint16_t i = 0; i < pieces; i++, place->at = (place->at + 1) % FUZZ_SIZE)
		desc[place->at] = (struct virtq_desc){
			pv_le64_of(piece[i].gpa), pv_le32_of(piece[i].bytes),
			pv_le16_of((uint16_t)((i + 1 < pieces ? VIRTQ_DESC_F_NEXT : 0) |
			                      (piece[i].is_writable ? VIRTQ_DESC_F_WRITE : 0))),
			pv_le16_of((place->at + 1) % FUZZ_SIZE)
		};
	avail->ring[place->idx % FUZZ_SIZE] = pv_le16_of(head);
	avail->idx = pv_le16_of(++place->idx);
}

static void put_packed(uint8_t *ring, struct fuzz_place *place, const struct fuzz_piece *piece,
                       uint16_t pieces)
{
	struct pvirtq_desc *desc = (struct pvirtq_desc *)(void *)ring;
	uint16_t head = place->at;

	for (uint16_t i = 0; i < pieces; i++) {
		const uint32_t turn = place->is_wrapped ? VIRTQ_DESC_F_USED : VIRTQ_DESC_F_AVAIL;

		desc[place->at] = (struct pvirtq_desc){
			pv_le64_of(piece[i].gpa), pv_le32_of(piece[i].bytes), pv_le16_of(head),
			pv_le16_of((uint16_t)(turn | (i + 1 < pieces ? VIRTQ_DESC_F_NEXT : 0) |
			                      (piece[i].is_writable ? VIRTQ_DESC_F_WRITE : 0)))
		};
		place->at = (place->at + 1) % FUZZ_SIZE;
		if (place->at == 0)
			place->is_wrapped = !place->is_wrapped;
	}
}

void fuzz_put(uint8_t *ring, struct fuzz_place *place, bool is_packed,
              const struct fuzz_piece *piece, uint16_t pieces)
{
	if (is_packed)
		put_packed(ring, place, piece, pieces);
	else
		put_split(ring, place, piece, pieces);
}

void fuzz_put_start(struct pv_device *device, uint16_t index, uint8_t *ring, uint64_t gpa,
                    struct fuzz_place *place)
{
	const struct pv_ring_config config = { .size = FUZZ_SIZE,
		                               .desc_area = pv_gpa_of(gpa),
		                               .driver_area = pv_gpa_of(gpa + FUZZ_PUT_DRIVER),
		                               .device_area = pv_gpa_of(gpa + FUZZ_PUT_DEVICE) };
	const struct pv_ring_position position = pv_ring_position_fresh();

	memset(ring, 0, FUZZ_PUT_BYTES);
	*place = (struct fuzz_place){ 0 };
	pv_bug_on(pv_device_queue_set(device, index, &config, &position));
	pv_device_queue_start(device, index);
}
