/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/base64.h"

#include <stdint.h>
#include <string.h>

#define BITS 6u

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Three bytes or fewer as four characters. */
static void write_group(const uint8_t *from, size_t bytes, char *text)
{
	uint32_t group = (uint32_t)from[0] << 16 | (bytes > 1 ? (uint32_t)from[1] << 8 : 0) |
	                 (bytes > 2 ? from[2] : 0);

	for (size_t i = 0; i < 4; i++)
		text[i] = i <= bytes ? letters[group >> (18 - BITS * i) & 63] : '=';
}

void pv_base64_write(const void *from, size_t bytes, char *text)
{
	const uint8_t *at = from;

	for (; bytes > 0; text += 4) {
		size_t some = bytes < 3 ? bytes : 3;

		write_group(at, some, text);
		at += some;
		bytes -= some;
	}
	*text = '\0';
}

/* The bits that are left over of an incomplete group must be 0, so that each text has one meaning.
 */
static bool read_group(const char *text, size_t chars, uint8_t *to)
{
	uint32_t group = 0;

	for (size_t i = 0; i < 4; i++) {
		const char *letter = i < chars ? strchr(letters, text[i]) : letters;

		if (!letter || !*letter)
			return false;
		group = group << BITS | (uint32_t)(letter - letters);
	}
	for (size_t i = 0; i < 3; i++, group <<= 8)
		if (i < chars - 1)
			to[i] = (uint8_t)(group >> 16);
		else if (group & 0xffffffu)
			return false;
	return true;
}

bool pv_base64_read(const char *text, void *to, size_t *bytes)
{
	size_t chars = strlen(text), padding;
	uint8_t *at = to;

	*bytes = 0;
	if (chars % 4)
		return false;
	for (; chars > 0; chars -= 4, text += 4) {
		padding = chars > 4 || text[3] != '=' ? 0 : text[2] == '=' ? 2 : 1;
		if (!read_group(text, 4 - padding, at + *bytes))
			return false;
		*bytes += 3 - padding;
	}
	return true;
}
