/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/memory_line.h"

#include <stdlib.h>
#include <string.h>

#include "ring/err.h"

static struct pv_memory_line *line_of(struct pv_line *line)
{
	return (struct pv_memory_line *)line;
}

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void append(uint8_t **to, size_t *have, size_t *room, const void *data, size_t bytes)
{
	if (*have + bytes > *room) {
		*room = 2 * (*have + bytes);
		*to = realloc(*to, *room);
		pv_bug_on(!*to);
	}
	if (bytes > 0)
		memcpy(*to + *have, data, bytes);
	*have += bytes;
}

static size_t space_of(const struct pv_memory_line *line)
{
	return PV_MEMORY_LINE_BYTES - line->written_bytes;
}

static size_t write_some(struct pv_line *of, const struct pv_iov *iov, uint16_t pieces)
{
	struct pv_memory_line *line = line_of(of);
	size_t done = 0;

	line->writes++;
	for (uint16_t i = 0; i < pieces; i++) {
		size_t bytes = min(iov[i].bytes, min(line->room, space_of(line)));

		append(&line->written, &line->written_bytes, &line->written_room, iov[i].base,
		       bytes);
		line->room -= bytes;
		done += bytes;
		if (bytes < iov[i].bytes) {
			of->has_room = false;
			break;
		}
	}
	return done;
}

static size_t read_some(struct pv_line *of, const struct pv_iov *iov, uint16_t pieces)
{
	struct pv_memory_line *line = line_of(of);
	size_t done = 0;

	line->reads++;
	for (uint16_t i = 0; i < pieces; i++) {
		size_t bytes = min(iov[i].bytes, line->coming_bytes - line->read_bytes);

		if (bytes > 0)
			memcpy(iov[i].base, line->coming + line->read_bytes, bytes);
		line->read_bytes += bytes;
		done += bytes;
	}
	of->has_input = line->read_bytes < line->coming_bytes;
	return done;
}

static void write_emergency(struct pv_line *of, uint8_t byte)
{
	struct pv_memory_line *line = line_of(of);

	line->emergencies++;
	line->emergency = byte;
}

static const struct pv_line_ops line_ops = {
	.write = write_some,
	.read = read_some,
	.write_emergency = write_emergency,
};

void pv_memory_line_open(struct pv_memory_line *line)
{
	*line = (struct pv_memory_line){
		.line = { .ops = &line_ops, .has_room = true, .is_open = true },
		.room = SIZE_MAX,
	};
}

void pv_memory_line_close(struct pv_memory_line *line)
{
	free(line->written);
	free(line->coming);
}

void pv_memory_line_allow(struct pv_memory_line *line, size_t bytes)
{
	line->room = bytes;
	line->line.has_room = bytes > 0;
}

void pv_memory_line_put(struct pv_memory_line *line, const void *data, size_t bytes)
{
	if (line->read_bytes == line->coming_bytes)
		line->read_bytes = line->coming_bytes = 0;
	append(&line->coming, &line->coming_bytes, &line->coming_room, data, bytes);
	pv_line_set_input(&line->line, true);
}

void pv_memory_line_forget(struct pv_memory_line *line)
{
	line->written_bytes = 0;
	line->line.has_room = line->room > 0;
}

static void changed(struct pv_memory_line *line)
{
	pv_line_tell_changed(&line->line);
}

void pv_memory_line_set_open(struct pv_memory_line *line, bool is_open)
{
	line->line.is_open = is_open;
	changed(line);
}

void pv_memory_line_set_size(struct pv_memory_line *line, uint16_t columns, uint16_t rows)
{
	line->line.columns = columns;
	line->line.rows = rows;
	changed(line);
}
