/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/process_cpu.h"

#include <dirent.h>
#include <stdio.h>

/* The first number of schedstat: nanoseconds on a processor. */
static bool thread_cpu_ns(pid_t pid, const char *thread, uint64_t *ns)
{
	char path[320];
	unsigned long long value;
	FILE *file;
	bool is_read;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, thread);
	file = fopen(path, "re");
	if (!file)
		return false;
	is_read = fscanf(file, "%llu", &value) == 1;
	fclose(file);
	if (is_read)
		*ns = value;
	return is_read;
}

bool pv_process_cpu_ns(pid_t pid, uint64_t *ns)
{
	char path[64];
	struct dirent *entry;
	bool is_seen = false;
	DIR *tasks;

	if (pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return false;
	*ns = 0;
	while ((entry = readdir(tasks))) {
		uint64_t thread_ns;

		if (entry->d_name[0] == '.' || !thread_cpu_ns(pid, entry->d_name, &thread_ns))
			continue;
		*ns += thread_ns;
		is_seen = true;
	}
	closedir(tasks);
	return is_seen;
}
