/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within hosted/backends: the kinds of lines.
 *
 * line.c has what is asked of all lines and from any thread; line_end.c what becomes of the guest's
 * bytes while nobody is at the other end; line_fd.c moves bytes between the device's buffers and
 * descriptors, for all kinds that have some.
 */
#ifndef PV_HOSTED_LINE_INTERNAL_H
#define PV_HOSTED_LINE_INTERNAL_H

#include <pthread.h>

#include "hosted/backends/byte_ring.h"
#include "hosted/backends/line.h"
#include "hosted/backends/refuse.h"
#include "hosted/backends/wait.h"

#define PV_LINE_EMERGENCY_BYTES 64u
#define PV_LINE_NAME_BYTES      64u

struct pv_line_base;

/* What a kind does; each may be NULL. */
struct pv_line_kind_ops {
	/* The loop. Returns 0 or -errno, and is as if it was not called then. */
	int (*start)(struct pv_line_base *base);
	void (*stop)(struct pv_line_base *base);
	/* The loop. Its bell was rung: other threads did something. */
	void (*rung)(struct pv_line_base *base);
	/* Control side. Releases what is the kind's; also when it was opened in part. */
	void (*close)(struct pv_line_base *base);
};

/* What all kinds have in common, and begin with. */
struct pv_line_base {
	struct pv_line line;
	const struct pv_line_kind_ops *kind;
	struct pv_loop *loop;
	enum pv_line_closed on_closed;
	void (*open_changed)(void *arg, bool is_open);
	void *arg;
	unsigned int needs; /* PV_LINE_NEEDS_* */
	char name[PV_LINE_NAME_BYTES];
	char text[256];

	bool has_peer;                    /* relaxed atomic, written by the loop */
	struct pv_line_counters counters; /* the same */
	struct pv_byte_ring kept;         /* of PV_LINE_KEEP, else without memory */

	struct pv_bell bell;
	bool has_new_size; /* atomic, as is ... */
	uint32_t new_size; /* ... columns and rows */
	pthread_mutex_t emergency_lock;
	uint32_t emergencies;
	uint8_t emergency[PV_LINE_EMERGENCY_BYTES];
};

/*
 * What a kind's opening works with. It allocates its line, zeroed, begins it, and returns it in
 * `base`; or returns -errno with a sentence, and what it returned in `base` is closed.
 */
struct pv_line_opening {
	const struct pv_line_options *options;
	struct pv_line_base *base;
	struct pv_refusal refusal;
};

int pv_line_null_open(struct pv_line_opening *opening);
int pv_line_echo_open(struct pv_line_opening *opening);
int pv_line_ringbuf_open(struct pv_line_opening *opening);
int pv_line_file_open(struct pv_line_opening *opening);
int pv_line_pipe_open(struct pv_line_opening *opening);
int pv_line_stdio_open(struct pv_line_opening *opening);
int pv_line_pty_open(struct pv_line_opening *opening);
int pv_line_socket_open(struct pv_line_opening *opening);

/*
 * Makes the common part of a line of `bytes` bytes, which is then to be found in the opening.
 * Returns it, or NULL with a sentence.
 */
void *pv_line_begin(struct pv_line_opening *opening, size_t bytes, const struct pv_line_ops *ops,
                    const struct pv_line_kind_ops *kind);

/* Returns -ENOMEM, with a sentence. */
int pv_line_no_memory(struct pv_line_opening *opening);

static inline struct pv_line_base *pv_line_base_of(struct pv_line *line)
{
	return (struct pv_line_base *)line;
}

/* Any thread: an emergency write, which the loop carries out with the line's own write(). */
void pv_line_write_emergency(struct pv_line *line, uint8_t byte);

/* The loop. The terminal has this size. */
void pv_line_set_size(struct pv_line_base *base, uint16_t columns, uint16_t rows);

static inline void pv_line_count(uint64_t *counter, uint64_t more)
{
	__atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
}

static inline uint64_t pv_line_bytes(const struct pv_iov *iov, uint16_t pieces)
{
	uint64_t bytes = 0;

	for (uint16_t i = 0; i < pieces; i++)
		bytes += iov[i].bytes;
	return bytes;
}

/* ---- the other end (line_end.c) ---- */

/* Before the line is used: somebody is always there. */
void pv_line_is_always_there(struct pv_line_base *base);
/* The same: there will be somebody, or nobody. */
void pv_line_waits_for_peer(struct pv_line_base *base);

/* The loop. Somebody came, or has gone. */
void pv_line_peer_came(struct pv_line_base *base);
void pv_line_peer_left(struct pv_line_base *base);

/* The loop. Writing while nobody is there, as the policy has it. */
size_t pv_line_write_to_nobody(struct pv_line_base *base, const struct pv_iov *iov,
                               uint16_t pieces);

#endif
