/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines for ports of serial devices (devices/serial/line.h): terminals, sockets, files, and two for
 * measuring.
 *
 * A line belongs to a loop, on which it watches its descriptors from pv_line_start() to
 * pv_line_stop().  It has no threads, and what it does never waits.
 */
#ifndef PV_HOSTED_LINE_H
#define PV_HOSTED_LINE_H

#include "devices/serial/line.h"
#include "hosted/loop/loop.h"

enum pv_line_kind {
	PV_LINE_STDIO,   /* this process's terminal, in raw mode */
	PV_LINE_PTY,     /* a new pseudo terminal */
	PV_LINE_SOCKET,  /* a Unix stream socket */
	PV_LINE_TCP,     /* a socket of the Internet */
	PV_LINE_FILE,    /* output goes to a file */
	PV_LINE_PIPE,    /* named pipes, PATH.in and PATH.out, or PATH, for output alone */
	PV_LINE_RINGBUF, /* memory, for control commands to read and write */
	PV_LINE_NULL,    /* takes everything, gives nothing */
	PV_LINE_ECHO,    /* gives back what it takes */
};

/* What becomes of the guest's bytes while nobody is at the other end. */
enum pv_line_closed {
	PV_LINE_WAIT, /* they stay with the guest */
	PV_LINE_DROP, /* they are lost */
	PV_LINE_KEEP, /* the newest are kept for who comes */
};

struct pv_line_options {
	enum pv_line_kind kind;
	const char *name; /* of the port, in log lines; copied */
	struct pv_loop *loop;

	enum pv_line_closed on_closed;
	uint32_t keep_bytes; /* of PV_LINE_KEEP */

	const char *path;      /* socket, file, pipe; pty: a symbolic link to it, or NULL */
	int fd;                /* socket, instead: connected before, or listening; -1: none */
	const char *host;      /* tcp: an address or a name; NULL: the loopback interface */
	uint16_t port;         /* tcp */
	bool is_server;        /* socket, tcp: one client at a time */
	uint32_t reconnect_ms; /* clients: try again after so long at first; 0: never */
	bool is_appending;     /* file */
	uint32_t ring_bytes;   /* ringbuf: each way */

	/*
	 * The loop's thread. The user of the terminal typed the escape key (Ctrl-A, as QEMU has it)
	 * and then this. May be NULL: then all keys are the guest's.
	 */
	void (*escaped)(void *arg, char key);
	/* Any thread. Somebody came to the other end, or has gone. May be NULL. */
	void (*open_changed)(void *arg, bool is_open);
	void *arg;
};

/*
 * Control side. Returns 0 and the line, or -errno with a sentence in `error` (of `error_bytes`)
 * that names the key at fault as the command line spells it, and the remedy. A descriptor that was
 * passed belongs to the line if it succeeds.
 */
int pv_line_open(struct pv_line **line, const struct pv_line_options *options, char *error,
                 size_t error_bytes);

/*
 * The loop's thread, or whoever owns the loop while it does not run. Between the two it is open to
 * the other end. Returns 0 or -errno; after an error it need not be stopped.
 */
int pv_line_start(struct pv_line *line);
void pv_line_stop(struct pv_line *line);

/* Control side. It is stopped, and no device uses it. Terminals are as they were before. */
void pv_line_close(struct pv_line *line);

/*
 * What it does later that not every device does, for who closes the doors
 * (hosted/control/sandbox.h): these, or-ed.
 */
enum pv_line_need {
	PV_LINE_NEEDS_DIAL = 1,     /* connect to Unix sockets */
	PV_LINE_NEEDS_INTERNET = 2, /* sockets of the Internet */
};
unsigned int pv_line_needs(const struct pv_line *line);

/*
 * What it is, as QEMU's query-chardev writes it: "pty:/dev/pts/3", "unix:PATH,server=on",
 * "tcp:127.0.0.1:4555", "file", "ringbuf". The line's.
 */
const char *pv_line_text(const struct pv_line *line);

/* The path of a pty's terminal; NULL for other kinds. The line's. */
const char *pv_line_pty(const struct pv_line *line);

/* Control side. Is what is at `path` the symbolic link of this pty, by whatever name? */
bool pv_line_pty_has_link(const struct pv_line *line, const char *path);

/* Any thread. */
bool pv_line_has_peer(const struct pv_line *line);

/* Any thread. Tells the guest that the terminal at the other end has this size. */
void pv_line_resize(struct pv_line *line, uint16_t columns, uint16_t rows);

/* Any thread, of a ringbuf. Return how many bytes there were, or there was room for. */
size_t pv_line_ring_read(struct pv_line *line, void *to, size_t bytes);
size_t pv_line_ring_write(struct pv_line *line, const void *from, size_t bytes);

/* Any thread. What became of bytes that no counter of the device knows of. */
struct pv_line_counters {
	uint64_t dropped; /* taken, but nobody was there to take them, or they had to make room */
	uint64_t kept;    /* waiting for who comes, now */
	uint64_t connections; /* of the other end */
	uint64_t refused;     /* clients that came while there was one */
};
struct pv_line_counters pv_line_counters(const struct pv_line *line);

#endif
