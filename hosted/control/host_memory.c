/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/control/host_memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Both files are shorter; 0 bytes: it could not be read. */
#define TEXT_BYTES 8192u

static size_t read_text(const char *folder, const char *name, char text[static TEXT_BYTES])
{
	char path[PATH_MAX];
	size_t bytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	errno = 0;
	file = fopen(path, "re");
	if (file) {
		bytes = fread(text, 1, TEXT_BYTES - 1, file);
		fclose(file);
	}
	text[bytes] = '\0';
	return bytes;
}

/* "MemTotal:       16384 kB", at the beginning of a line. */
static bool find_bytes(const char *text, const char *name, uint64_t *bytes)
{
	size_t chars = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		unsigned long long kib;

		line += *line == '\n';
		if (strncmp(line, name, chars) != 0 || line[chars] != ':')
			continue;
		if (sscanf(line + chars + 1, "%llu kB", &kib) != 1 || kib > UINT64_MAX >> 10)
			return false;
		*bytes = (uint64_t)kib << 10;
		return true;
	}
	return false;
}

/* "some avg10=1.23 ...": no floating point, whose comma is the locale's. */
static bool find_share(const char *text, const char *name, uint32_t *share)
{
	const char *line = strstr(text, name);
	unsigned int whole, hundredths;

	if (!line || sscanf(line + strlen(name), " avg10=%3u.%2u", &whole, &hundredths) != 2)
		return false;
	*share = whole * 100 + hundredths;
	return true;
}

bool pv_host_memory_read(struct pv_host_memory *memory, const char *folder,
                         char sentence[static PV_SENTENCE_BYTES])
{
	char text[TEXT_BYTES];

	*memory = (struct pv_host_memory){ 0 };
	if (!read_text(folder, "meminfo", text))
		return pv_sentence_wrong(sentence, "cannot read %.64s/meminfo: %s", folder,
		                         errno ? strerror(errno) : "it is empty");
	if (!find_bytes(text, "MemTotal", &memory->total) ||
	    !find_bytes(text, "MemAvailable", &memory->available))
		return pv_sentence_wrong(sentence,
		                         "%.64s/meminfo does not say how much memory there is, and "
		                         "how much is available",
		                         folder);
	if (read_text(folder, "pressure/memory", text))
		memory->has_pressure = find_share(text, "some", &memory->some) &&
		                       find_share(text, "full", &memory->full);
	return true;
}
