/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line on a loop of its own, what plays the device on it, and peers at its other end.
 *
 * The device is a poller that reads all that there is and writes what is left to write, as far as
 * the line's flags let it, and lets the loop sleep otherwise: whatever has to happen then must be
 * woken by the line.  Bytes are made from their place in the stream, so that each one that is lost,
 * doubled or out of order is seen.  Include after cmocka.
 */
#ifndef PV_TESTS_LINE_RIG_H
#define PV_TESTS_LINE_RIG_H

#include "hosted/backends/line.h"
#include "tests/support/random.h"

/* The byte at a place of the stream. */
uint8_t line_rig_byte(uint64_t at);

struct line_rig {
	struct pv_line *line;
	struct pv_loop *loop;
	struct pv_poller poller;
	struct pv_watch *watchdog;
	int watchdog_fd;
	bool is_late;
	struct pv_random random;

	uint64_t to_write, written; /* bytes */
	uint64_t read;
	uint64_t read_at; /* place in the stream of what comes next */
	bool is_deaf;     /* reads nothing */
	bool is_careless; /* takes whatever it reads for good */

	/* What the line said. */
	unsigned int changes;         /* ... to the device */
	unsigned int comings, goings; /* ... to its owner */
	char escaped;

	/* In each round: does what is to be done at the other end; NULL: nothing. */
	bool (*also)(struct line_rig *rig);
	void *arg;
	/* Run until this. */
	bool (*is_done)(struct line_rig *rig);
};

/* Opens and starts the line; `options` has no loop yet. Fails the test if that fails. */
void line_rig_open(struct line_rig *rig, struct pv_line_options options);
void line_rig_close(struct line_rig *rig);

/* Fails the test after some seconds. */
void line_rig_run_until(struct line_rig *rig, bool (*is_done)(struct line_rig *rig));
void line_rig_run_ms(struct line_rig *rig, uint32_t ms);

/* Is everything written? */
bool line_rig_has_written(struct line_rig *rig);

/* Fails the test if a loop with nothing to do does something. */
void line_rig_is_quiet(struct line_rig *rig);

/* Fails the test if this can be opened; a sentence with these words in it must say why. */
void line_rig_refuses(struct pv_line_options options, const char *words);

/* Goes to a folder of its own, which is removed at the end: the same test may run twice at a time.
 */
void line_rig_enter_folder(void);

/* ---- a peer with a descriptor ---- */

struct line_peer {
	int in_fd, out_fd; /* the same, mostly */
	struct pv_watch *watch[2];
	bool is_deaf;
	bool has_ended; /* the line hung up */
	uint64_t to_send, sent, send_at;
	uint64_t got, got_at;
	struct pv_random random;
};

/* It becomes the rig's `arg`, and is served in each round. The descriptors must not wait. */
void line_peer_join(struct line_rig *rig, struct line_peer *peer, int in_fd, int out_fd);
/* Closes its descriptors. */
void line_peer_leave(struct line_rig *rig, struct line_peer *peer);

/* Has all come through, both ways? */
bool line_peer_is_through(struct line_rig *rig);

/* Is there one, as the line has it? */
bool line_rig_has_peer(struct line_rig *rig);
bool line_rig_has_no_peer(struct line_rig *rig);

/* A client of the Unix socket at `path`, for what comes after these places in both streams. */
void line_peer_join_at(struct line_rig *rig, struct line_peer *peer, const char *path, uint64_t got,
                       uint64_t sent);

/* A connection to a Unix socket, which does not wait. */
int line_peer_connect(const char *path);

#endif
