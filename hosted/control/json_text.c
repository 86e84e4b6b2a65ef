/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "hosted/control/json_add.h"
#include "hosted/control/utf8.h"

/* What stands in the place of a byte that is no UTF-8. */
#define NO_CHARACTER       "\xef\xbf\xbd"
#define NO_CHARACTER_BYTES 3u

struct json_object *pv_json_text(const void *from, size_t bytes)
{
	const uint8_t *byte = from;
	char *text = malloc(bytes * NO_CHARACTER_BYTES + 1);
	struct json_object *object;
	size_t used = 0;
	uint32_t code;

	if (!text)
		return NULL;
	for (size_t at = 0; at < bytes;) {
		size_t length = pv_utf8_character(byte + at, bytes - at, &code);

		if (length > 0)
			memcpy(text + used, byte + at, length);
		else
			memcpy(text + used, NO_CHARACTER, NO_CHARACTER_BYTES);
		used += length ? length : NO_CHARACTER_BYTES;
		at += length ? length : 1;
	}
	object = json_object_new_string_len(text, (int)used);
	free(text);
	return object;
}
