/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/utf8.h"

size_t pv_utf8_character(const void *at, size_t bytes, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *from = at;
	size_t length = from[0] < 0x80             ? 1
	                : (from[0] & 0xe0) == 0xc0 ? 2
	                : (from[0] & 0xf0) == 0xe0 ? 3
	                : (from[0] & 0xf8) == 0xf0 ? 4
	                                           : 0;

	if (length == 0 || length > bytes)
		return 0;
	*code = length == 1 ? from[0] : from[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((from[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (from[i] & 0x3f);
	}
	return *code >= least[length] && *code <= 0x10ffff && (*code & ~0x7ffu) != 0xd800 ? length
	                                                                                  : 0;
}
