/* SPDX-License-Identifier: BSD-2-Clause */
/* The data of requests, on its way through the port. */
#include "drivers/core/driver.h"
#include "ring/err.h"

/* A port may claim to have mapped more than it was asked for: it is ours, and has a bug then. */
static uint32_t map_piece(struct pv_os *os, const struct pv_buffer *rest, uint32_t bytes_max,
                          bool is_written, struct pv_gpa *addr)
{
	uint32_t bytes = bytes_max && rest->bytes > bytes_max ? bytes_max : rest->bytes;
	uint32_t mapped = os->ops->map(os, rest->memory, bytes, is_written, addr);

	pv_bug_on(mapped > bytes);
	return mapped;
}

/* Adds one buffer's pieces to the `*pieces` there are. */
static int map_buffer(struct pv_os *os, struct pv_buffer rest, uint32_t piece_bytes_max,
                      bool is_written, struct pv_sg *sg, uint16_t pieces_max, uint16_t *pieces)
{
	if (rest.bytes == 0)
		return -PV_EINVAL;
	while (rest.bytes > 0) {
		struct pv_sg *piece = &sg[*pieces];

		if (*pieces == pieces_max)
			return -PV_EINVAL;
		piece->bytes = map_piece(os, &rest, piece_bytes_max, is_written, &piece->addr);
		if (piece->bytes == 0)
			return -PV_ENOMEM;
		(*pieces)++;
		rest.memory = (uint8_t *)rest.memory + piece->bytes;
		rest.bytes -= piece->bytes;
	}
	return 0;
}

int pv_driver_map(struct pv_os *os, const struct pv_buffer *buffer, uint16_t buffers,
                  uint32_t piece_bytes_max, bool is_written, struct pv_sg *sg, uint16_t pieces_max)
{
	uint16_t pieces = 0;

	for (uint16_t i = 0; i < buffers; i++) {
		int error = map_buffer(os, buffer[i], piece_bytes_max, is_written, sg, pieces_max,
		                       &pieces);

		if (error) {
			pv_driver_unmap(os, sg, pieces, is_written);
			return error;
		}
	}
	return pieces;
}

void pv_driver_unmap(struct pv_os *os, const struct pv_sg *sg, uint16_t pieces, bool is_written)
{
	if (!os->ops->unmap)
		return;
	for (uint16_t i = 0; i < pieces; i++)
		os->ops->unmap(os, sg[i].addr, sg[i].bytes, is_written);
}
