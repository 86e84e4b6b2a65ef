/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saved state: a byte string, little-endian on every machine.
 *
 * Writer and reader walk the same sequence of fields, and both remember their first error, so
 * that a saving or loading function is a plain list of fields with one check at its end.  The
 * header (pv_device_save) carries the format's version, the length and a checksum: a state that
 * was cut off, altered, or written by a newer version is refused before a field is believed.
 */
#ifndef PV_DEVICES_STATE_H
#define PV_DEVICES_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/linkage.h"

PV_PUBLIC_BEGIN

struct pv_state_writer {
	uint8_t *data; /* NULL: only count */
	size_t capacity;
	size_t bytes; /* written so far, or needed where there was no room */
};

void pv_state_put_u8(struct pv_state_writer *to, uint8_t value);
void pv_state_put_u16(struct pv_state_writer *to, uint16_t value);
void pv_state_put_u32(struct pv_state_writer *to, uint32_t value);
void pv_state_put_u64(struct pv_state_writer *to, uint64_t value);
void pv_state_put_bytes(struct pv_state_writer *to, const void *bytes, size_t count);

struct pv_state_reader {
	const uint8_t *data;
	size_t bytes; /* left */
	bool is_bad;  /* read past the end, or a field that cannot be */
};

/* Past the end these return 0 and mark the state bad. */
uint8_t pv_state_get_u8(struct pv_state_reader *from);
uint16_t pv_state_get_u16(struct pv_state_reader *from);
uint32_t pv_state_get_u32(struct pv_state_reader *from);
uint64_t pv_state_get_u64(struct pv_state_reader *from);
void pv_state_get_bytes(struct pv_state_reader *from, void *bytes, size_t count);

/* Marks the state bad unless `is_good`. Returns whether it is good so far. */
bool pv_state_check(struct pv_state_reader *from, bool is_good);

uint32_t pv_state_checksum(const uint8_t *data, size_t bytes);

PV_PUBLIC_END

#endif
