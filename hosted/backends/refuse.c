/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/backends/refuse.h"

#include <stdarg.h>
#include <stdio.h>

int pv_refuse(const struct pv_refusal *refusal, int err, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(refusal->sentence, refusal->bytes, format, arguments);
	va_end(arguments);
	return err;
}
