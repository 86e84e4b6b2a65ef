/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `paravane bench net` sends: Ethernet frames of a type for experiments, each of which says
 * in which run and by which pair of queues it was sent, the how manyth it is, and when; with
 * --check the rest of it follows from that.  Whoever receives them finds out what was lost,
 * doubled, reordered or altered.
 */
#ifndef PV_CLI_BENCH_FRAME_H
#define PV_CLI_BENCH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The shortest frame: Ethernet's, without its check sequence. */
#define PV_FRAME_BYTES_MIN 60u

struct pv_frame_stamp {
	uint32_t run; /* tells runs apart */
	uint16_t pair;
	uint64_t number; /* from 0 on, of that pair */
	uint64_t ticks;  /* when it was sent, to the sender's liking */
};

/* Addresses and all that no stamp changes. */
void pv_frame_init(uint8_t *frame, size_t bytes, const uint8_t to[6], const uint8_t from[6]);

/* `has_pattern`: what is behind the stamp too. */
void pv_frame_stamp(uint8_t *frame, size_t bytes, const struct pv_frame_stamp *stamp,
                    bool has_pattern);

/* Returns whether it is such a frame, and its stamp. */
bool pv_frame_read(const uint8_t *frame, size_t bytes, struct pv_frame_stamp *stamp);

/* Is it as it was made with `has_pattern`, and so long? */
bool pv_frame_is_whole(const uint8_t *frame, size_t bytes, const struct pv_frame_stamp *stamp,
                       size_t bytes_sent);

/* How far back it is known which frames have come. */
#define PV_FRAME_WINDOW 65536u

/* Of what comes from one sender. All zero at the beginning. */
struct pv_frame_sequence {
	bool has_begun;
	uint32_t run;
	uint64_t next; /* the number that is expected */
	uint64_t lost, doubled, reordered;
	uint64_t seen[PV_FRAME_WINDOW / 64]; /* a bit for each number */
};

/* The first one of a run is expected to have this number. */
void pv_frame_expect(struct pv_frame_sequence *sequence, uint32_t run, uint64_t number);

/* A frame has come. The first of a run that comes is the first that was sent. */
void pv_frame_came(struct pv_frame_sequence *sequence, const struct pv_frame_stamp *stamp);

#endif
