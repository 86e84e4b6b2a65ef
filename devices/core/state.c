/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/core/state.h"

static void put(struct pv_state_writer *to, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++, to->bytes++)
		if (to->data && to->bytes < to->capacity)
			to->data[to->bytes] = (uint8_t)(value >> (8 * i));
}

void pv_state_put_u8(struct pv_state_writer *to, uint8_t value)
{
	put(to, value, 1);
}

void pv_state_put_u16(struct pv_state_writer *to, uint16_t value)
{
	put(to, value, 2);
}

void pv_state_put_u32(struct pv_state_writer *to, uint32_t value)
{
	put(to, value, 4);
}

void pv_state_put_u64(struct pv_state_writer *to, uint64_t value)
{
	put(to, value, 8);
}

void pv_state_put_bytes(struct pv_state_writer *to, const void *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put(to, ((const uint8_t *)bytes)[i], 1);
}

static uint64_t get(struct pv_state_reader *from, unsigned int bytes)
{
	uint64_t value = 0;

	if (from->is_bad || from->bytes < bytes) {
		from->is_bad = true;
		return 0;
	}
	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)from->data[i] << (8 * i);
	from->data += bytes;
	from->bytes -= bytes;
	return value;
}

uint8_t pv_state_get_u8(struct pv_state_reader *from)
{
	return (uint8_t)get(from, 1);
}

uint16_t pv_state_get_u16(struct pv_state_reader *from)
{
	return (uint16_t)get(from, 2);
}

uint32_t pv_state_get_u32(struct pv_state_reader *from)
{
	return (uint32_t)get(from, 4);
}

uint64_t pv_state_get_u64(struct pv_state_reader *from)
{
	return get(from, 8);
}

void pv_state_get_bytes(struct pv_state_reader *from, void *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		((uint8_t *)bytes)[i] = (uint8_t)get(from, 1);
}

bool pv_state_check(struct pv_state_reader *from, bool is_good)
{
	if (!is_good)
		from->is_bad = true;
	return !from->is_bad;
}

/* CRC-32 (the polynomial of Ethernet), bit by bit: states are small and rare. */
uint32_t pv_state_checksum(const uint8_t *data, size_t bytes)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < bytes; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320u & -(crc & 1u));
	}
	return ~crc;
}
