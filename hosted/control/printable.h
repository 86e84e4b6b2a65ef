/* SPDX-License-Identifier: BSD-2-Clause */
/* What others have said, on a terminal. */
#ifndef PV_HOSTED_PRINTABLE_H
#define PV_HOSTED_PRINTABLE_H

#include <stdbool.h>

/* Would it steer the terminal? */
static inline bool pv_is_control(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte < ' ' || byte == 0x7f;
}

#endif
