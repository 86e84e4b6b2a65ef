/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines.
 *
 * #syscalls write
 */
#include "hosted/loop/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const words[] = {
	[PV_LOG_ERROR] = "error: ",
	[PV_LOG_WARNING] = "warning: ",
	[PV_LOG_INFO] = "",
};

static void make_harmless(char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
}

void pv_log(const char *name, enum pv_log_level level, const char *line)
{
	char text[1024];
	int saved = errno;
	size_t bytes;

	if (level == PV_LOG_DEBUG)
		return;
	snprintf(text, sizeof(text), "paravane: %s: %s%s", name, words[level], line);
	bytes = strlen(text);
	make_harmless(text, bytes);
	text[bytes] = '\n'; /* in the place of the terminator */
	/* Where standard error is gone there is nobody to tell. */
	(void)!write(STDERR_FILENO, text, bytes + 1);
	errno = saved;
}
