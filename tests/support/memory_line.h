/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line in memory: what was written lies there to be looked at, what is to be read is put there
 * before, and there is as much room as the test says.
 */
#ifndef PV_TESTS_MEMORY_LINE_H
#define PV_TESTS_MEMORY_LINE_H

#include "devices/serial/line.h"

#define PV_MEMORY_LINE_BYTES (2u << 20) /* at most, of what was written */

struct pv_memory_line {
	struct pv_line line;
	uint8_t *written; /* of malloc, as the next: what was not looked at yet */
	size_t written_bytes, written_room;
	size_t room; /* bytes that it takes before it is full */
	uint8_t *coming;
	size_t coming_bytes, read_bytes, coming_room;
	uint32_t writes, reads; /* calls */
	uint32_t emergencies;
	uint8_t emergency; /* the last */
};

/* Open, of no known size, with room without end. */
void pv_memory_line_open(struct pv_memory_line *line);
void pv_memory_line_close(struct pv_memory_line *line);

/* More room. */
void pv_memory_line_allow(struct pv_memory_line *line, size_t bytes);

/* Bytes that are to be read. */
void pv_memory_line_put(struct pv_memory_line *line, const void *data, size_t bytes);

/* Takes what was written away; more than PV_MEMORY_LINE_BYTES does not fit otherwise. */
void pv_memory_line_forget(struct pv_memory_line *line);

/* What the guest is told; whoever listens is told that it has changed. */
void pv_memory_line_set_open(struct pv_memory_line *line, bool is_open);
void pv_memory_line_set_size(struct pv_memory_line *line, uint16_t columns, uint16_t rows);

#endif
