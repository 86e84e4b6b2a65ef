/* SPDX-License-Identifier: BSD-2-Clause */
/* A port's name is the device's word: it is shown, and becomes part of paths. */
#include "drivers/serial/internal.h"

/* Bytes of the character that begins with this one; 0: none does. */
static uint32_t character_bytes(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first < 0xe0)
		return 2;
	if (first >= 0xe0 && first < 0xf0)
		return 3;
	return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/* Neither a control character nor one that UTF-8 has in two ways or not at all. */
static bool is_printable(uint32_t code, uint32_t bytes)
{
	static const uint32_t least[] = { 0, 0x20, 0xa0, 0x800, 0x10000 };

	return code >= least[bytes] && code != 0x7f && code <= 0x10ffff &&
	       (code < 0xd800 || code > 0xdfff);
}

static bool decode(const uint8_t *from, uint32_t bytes, uint32_t *code)
{
	*code = bytes == 1 ? from[0] : from[0] & (0x7fu >> bytes);
	for (uint32_t i = 1; i < bytes; i++) {
		if ((from[i] & 0xc0) != 0x80)
			return false;
		*code = *code << 6 | (from[i] & 0x3f);
	}
	return true;
}

bool pv_serdrv_name_is_good(const uint8_t *name, uint32_t bytes)
{
	uint32_t at = 0;

	if (bytes > PV_SERDRV_NAME_MAX)
		return false;
	while (at < bytes) {
		const uint32_t more = character_bytes(name[at]);
		uint32_t code;

		if (more == 0 || more > bytes - at || !decode(name + at, more, &code) ||
		    !is_printable(code, more))
			return false;
		at += more;
	}
	return true;
}
