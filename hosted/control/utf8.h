/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that may be none: what JSON carries is UTF-8. */
#ifndef PV_HOSTED_UTF8_H
#define PV_HOSTED_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * The character that begins at `at`, where `bytes` (1 or more) are left (RFC 3629). Returns how
 * many of them it has, and its number in `code`; 0: none begins there.
 */
size_t pv_utf8_character(const void *at, size_t bytes, uint32_t *code);

#endif
