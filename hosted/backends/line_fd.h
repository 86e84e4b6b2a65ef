/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: lines that end in descriptors. All functions are the loop's. */
#ifndef PV_HOSTED_LINE_FD_H
#define PV_HOSTED_LINE_FD_H

#include "hosted/backends/line_internal.h"

struct pv_line_fd;

struct pv_line_fd_ops {
	/* Something has happened on what is watched. May be NULL. */
	void (*seen)(struct pv_line_fd *fd, int events);
	/* There is no more to read, ever. If it finds another to read from it sets has_input. */
	void (*input_ended)(struct pv_line_fd *fd);
	/* What was to be written is lost, or, after pv_line_fd_lose() or the like, is nobody's. */
	void (*output_failed)(struct pv_line_fd *fd);
};

struct pv_line_fd {
	struct pv_line_base base;
	const struct pv_line_fd_ops *ops;
	int in_fd, out_fd; /* that never wait; -1: none */
	bool is_socket;
	bool ends_short; /* a read that gives less than it could has given all there is */
	bool has_urgent; /* ... but may end at a byte that is urgent */
	bool is_ending;  /* no event will tell of more to read: it is read until it ends */
	struct pv_watch *watch;
	struct pv_gate gate; /* shut: out_fd takes no more */
};

size_t pv_line_fd_write(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces);
size_t pv_line_fd_read(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces);

/* What all of these do when their bell was rung. */
void pv_line_fd_rung(struct pv_line_base *base);

/* The common part, without descriptors. NULL with a sentence. */
void *pv_line_fd_begin(struct pv_line_opening *opening, size_t bytes,
                       const struct pv_line_fd_ops *ops, const struct pv_line_kind_ops *kind);

/* Watches what is read. Returns 0 or -ENOMEM. */
int pv_line_fd_watch(struct pv_line_fd *fd, int watched);
/* Watches nothing any more; writing waits no longer. */
void pv_line_fd_ignore(struct pv_line_fd *fd);

/* Somebody came to this end: what was kept is written. */
void pv_line_fd_meet(struct pv_line_fd *fd, int out_fd);
/* He has gone. The descriptor is not closed. */
void pv_line_fd_lose(struct pv_line_fd *fd);

#endif
