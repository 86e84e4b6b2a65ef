/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes as text that any message can carry (RFC 4648, section 4). */
#ifndef PV_HOSTED_BASE64_H
#define PV_HOSTED_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Of the text, with its end. */
static inline size_t pv_base64_text_bytes(size_t bytes)
{
	return (bytes + 2) / 3 * 4 + 1;
}

/* Of what a text of so many characters can stand for, at most. */
static inline size_t pv_base64_bytes(size_t chars)
{
	return chars / 4 * 3;
}

void pv_base64_write(const void *from, size_t bytes, char *text);

/* Returns whether it is such a text, with all of its padding, and how many bytes it stands for. */
bool pv_base64_read(const char *text, void *to, size_t *bytes);

#endif
