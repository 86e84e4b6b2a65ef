/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines.
 *
 * #syscalls write clock_gettime
 */
#include "hosted/loop/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hosted/loop/clock.h"

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

bool pv_log_pace_admits(struct pv_log_pace *pace, uint64_t now_ns, uint64_t *left_out)
{
	uint64_t begin_ns = __atomic_load_n(&pace->begin_ns, __ATOMIC_RELAXED);

	*left_out = 0;
	/* Whoever moves it on says what became of the lines before. */
	if ((begin_ns == 0 || now_ns - begin_ns >= PV_LOG_PACE_NS) &&
	    __atomic_compare_exchange_n(&pace->begin_ns, &begin_ns, now_ns, false, __ATOMIC_RELAXED,
	                                __ATOMIC_RELAXED)) {
		uint64_t lines = __atomic_exchange_n(&pace->lines, 0, __ATOMIC_RELAXED);

		*left_out = lines > PV_LOG_PACE_LINES ? lines - PV_LOG_PACE_LINES : 0;
	}
	return __atomic_fetch_add(&pace->lines, 1, __ATOMIC_RELAXED) < PV_LOG_PACE_LINES;
}

void pv_log_paced(struct pv_log_pace *pace, const char *name, enum pv_log_level level,
                  const char *line)
{
	uint64_t left_out;
	bool is_admitted = pv_log_pace_admits(pace, pv_clock_ns(CLOCK_MONOTONIC), &left_out);
	char text[64];

	if (left_out > 0) {
		snprintf(text, sizeof(text), "%llu more lines were left out",
		         (unsigned long long)left_out);
		pv_log(name, PV_LOG_WARNING, text);
	}
	if (is_admitted)
		pv_log(name, level, line);
}
