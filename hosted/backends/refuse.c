/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/backends/refuse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int pv_refuse(const struct pv_refusal *refusal, int err, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(refusal->sentence, refusal->bytes, format, arguments);
	va_end(arguments);
	return err;
}

const char *pv_why_not_made(int err)
{
	switch (err) {
	case -ENOENT:
		return "its folder does not exist; make it or choose another path";
	case -EISDIR:
		return "it is a folder; choose another path";
	case -EACCES:
	case -EPERM:
		return "Permission denied; choose a path where this user may write";
	default:
		return strerror(-err);
	}
}

const char *pv_why_not_opened(int err)
{
	switch (err) {
	case -ENOENT:
		return "No such file or directory; check the path";
	case -EACCES:
	case -EPERM:
		return "Permission denied; check who may read it";
	default:
		return strerror(-err);
	}
}
